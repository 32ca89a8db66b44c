//! Local stand-ins for the managed services that Etude runs on, each speaking the real protocol, so
//! that the product's own code has no "local" branch. One process, one port, one prefix per service:
//!
//! | prefix | stands for |
//! |---|---|
//! | `/cloudflare/client/v4` | the Workers AI REST API |
//! | `/workers-ai-binding` | what workerd's `Ai` class talks to |
//! | `/vertex/v1` | Claude and Gemini on Vertex AI |
//! | `/supabase/auth/v1` | Supabase Auth |
//! | `/computeMetadata/v1` | the Compute Engine metadata server |
//! | `/control` | failures on demand, and counts of calls (no real service has it) |
//!
//! The encoder behind Workers AI is real, and is another model than production's: scores from here
//! calibrate nothing there.

mod app;
mod config;
mod faults;
mod host;
mod http;
mod metadata;
mod supabase;
mod vertex;
mod words;
pub mod workers_ai;

pub use app::{LocalCloud, StartError};
pub use config::{EncoderChoice, LanguageModelChoice, ServeConfig, SigningChoice};
pub use supabase::{KeyError, SetupError};
pub use vertex::QwenError;
