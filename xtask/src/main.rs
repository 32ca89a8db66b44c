//! The commands of this repository. `cargo xtask help` lists them.
//!
//! Each does its own set-up: [`setup`] checks what the machine must have, fetches what packages carry into a
//! cache folder, and builds. Then [`commands`] uses the result.

mod cache;
mod checkout;
mod cli;
mod commands;
mod corpora;
mod fetch;
mod native;
mod npm;
mod pgbouncer;
mod prerequisites;
mod process;
mod prometheus;
mod setup;
mod steps;
mod terminal;
mod wasm;

use clap::Parser;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match commands::run(cli::Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
