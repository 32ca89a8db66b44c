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
//! | `/pubsub/v1`, `/google/oauth2/v3/certs` | Pub/Sub, and the keys of the tokens that its pushes come with |
//! | `/otlp` | an OpenTelemetry collector |
//! | `/run/v2` | Cloud Run jobs, as processes of this machine |
//! | `/control` | failures on demand, and counts of calls (no real service has it) |
//!
//! The encoder behind Workers AI is real, and is another model than production's: scores from here
//! calibrate nothing there.

mod app;
mod cloud_run;
mod collector;
mod config;
mod faults;
mod google;
mod host;
mod http;
mod metadata;
mod pubsub;
mod supabase;
mod vertex;
mod words;
pub mod workers_ai;

pub use app::{LocalCloud, StartError};
pub use cloud_run::{CloudRunJob, CloudRunJobError};
pub use config::{EncoderChoice, LanguageModelChoice, ServeConfig, SigningChoice};
pub use google::google_cloud;
pub use supabase::{KeyError, SetupError};
pub use vertex::QwenError;
