//! The whole system on one machine: `PostgreSQL`, the stand-ins for the managed services, the edge in
//! `workerd`, the origin and the ingest worker.
//!
//! `cargo xtask`, the end-to-end tests and the benchmarks start it through [`Stack`] and talk to it
//! through [`Client`], which does what a browser does.
//!
//! Each process belongs to exactly one [`Stack`]. It carries the stack's folder in its environment, so that
//! the next start finds and ends what a killed run left behind ([`process::leftover`]).

pub mod client;
mod clock;
pub mod config;
pub mod error;
pub mod faults;
pub mod overrides;
mod parts;
pub mod people;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
mod random;
pub mod secrets;
pub mod stack;

pub use client::Client;
pub use clock::Stopwatch;
pub use config::{Encoder, Install, LanguageModel, Lifetime, Ports, StackConfig};
pub use error::StackError;
pub use overrides::Overrides;
pub use people::{Person, Role};
pub use prometheus::Prometheus;
pub use stack::{Part, Stack};
