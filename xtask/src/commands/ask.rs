//! `ask` and `token`.

use super::{library, running::Home, transcript};
use crate::{checkout::Checkout, cli::AskOptions};
use anyhow::Result;
use std::process::ExitCode;

pub async fn run(checkout: &Checkout, options: &AskOptions) -> Result<ExitCode> {
    let running = Home::open(checkout)?.running().await?;
    let email = match &options.email {
        Some(email) => email.clone(),
        None => library::read(checkout)?.student()?.email.clone(),
    };
    let client = running.sign_in(&email).await?;
    if options.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&client.ask_json(&options.question).await?)?
        );
    } else {
        transcript::print_answer(&client, &options.question).await?;
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn token(checkout: &Checkout, email: &str) -> Result<ExitCode> {
    let running = Home::open(checkout)?.running().await?;
    let client = running.sign_in(email).await?;
    println!("{}", client.token().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
