//! Logs, on standard error.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Starts logging: JSON lines, or text where `LOG_FORMAT` is `text`. `RUST_LOG` filters; `info` by default.
pub fn init(format: Option<&str>) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,sqlx::query=warn"));
    let (json, text) = if format == Some("text") {
        (None, Some(fmt::layer().with_writer(std::io::stderr)))
    } else {
        let json = fmt::layer().json().flatten_event(true);
        (Some(json.with_writer(std::io::stderr)), None)
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(json)
        .with(text)
        .init();
}

/// An error and everything behind it, on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
