//! Settings, read once at start from the environment.

use crate::traces::Share;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};
use thiserror::Error;

/// A variable that can't be used. Its value is not repeated.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the environment variable {name} is not usable: {reason}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What it should be.
    pub reason: &'static str,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, in Cloud Logging's shape.
    Json,
    /// For people.
    Text,
}

/// How a process tells of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryConfig {
    /// `LOG_FORMAT`: `json` (default) or `text`.
    pub log_format: LogFormat,
    /// `GOOGLE_CLOUD_PROJECT`: log lines name their trace with it, so that Cloud Logging shows both together.
    pub project: Option<String>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: a collector on this machine, `http://127.0.0.1:4318` say. Without it, spans go nowhere.
    pub collector: Option<String>,
    /// `TRACE_SHARE`, 0 to 1, default 0.05: the share of traces that are kept whatever they are like.
    pub share: Share,
    /// `TRACE_SLOW_MS`, default 1,000: what takes longer to begin its answer is kept always, as is what fails.
    pub slow: Duration,
    /// `METRICS_BIND` (127.0.0.1) and `METRICS_PORT`: where Prometheus finds the metrics. Without a port, nowhere.
    pub metrics: Option<SocketAddr>,
}

impl TelemetryConfig {
    /// Reads every setting through `lookup`, which answers with a variable's value. An empty one counts as absent.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let collector = text("OTEL_EXPORTER_OTLP_ENDPOINT");
        if collector
            .as_deref()
            .is_some_and(|url| !url.starts_with("http://"))
        {
            return Err(ConfigError {
                name: "OTEL_EXPORTER_OTLP_ENDPOINT",
                reason: "it does not begin with http://; a collector on this machine adds TLS and credentials",
            });
        }
        let bind = parsed(lookup, "METRICS_BIND", "it is no IP address")?;
        let port = parsed(lookup, "METRICS_PORT", "it is no port")?;
        let share: f64 = parsed(lookup, "TRACE_SHARE", "it is not from 0 to 1")?.unwrap_or(0.05);
        let slow_ms = parsed(lookup, "TRACE_SLOW_MS", "it is no number of milliseconds")?;
        Ok(Self {
            log_format: log_format(text("LOG_FORMAT").as_deref())?,
            project: text("GOOGLE_CLOUD_PROJECT"),
            collector: collector.map(|url| url.trim_end_matches('/').to_owned()),
            share: Share::new(share).ok_or(ConfigError {
                name: "TRACE_SHARE",
                reason: "it is not from 0 to 1",
            })?,
            slow: Duration::from_millis(slow_ms.unwrap_or(1_000)),
            metrics: port
                .map(|port| SocketAddr::new(bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)),
        })
    }
}

fn log_format(text: Option<&str>) -> Result<LogFormat, ConfigError> {
    match text {
        None | Some("json") => Ok(LogFormat::Json),
        Some("text") => Ok(LogFormat::Text),
        Some(_) => Err(ConfigError {
            name: "LOG_FORMAT",
            reason: "it is neither json nor text",
        }),
    }
}

fn parsed<T: FromStr>(
    lookup: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    reason: &'static str,
) -> Result<Option<T>, ConfigError> {
    lookup(name)
        .filter(|value| !value.is_empty())
        .map(|value| value.parse().map_err(|_| ConfigError { name, reason }))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<TelemetryConfig, ConfigError> {
        TelemetryConfig::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_a_word_there_are_json_lines_and_nothing_else() {
        let config = read(&[("METRICS_PORT", "")]).unwrap();
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!((config.collector, config.metrics), (None, None));
        assert_eq!(config.share, Share::new(0.05).unwrap());
    }

    #[test]
    fn metrics_stay_on_this_machine_unless_it_is_said_otherwise() {
        let here = read(&[("METRICS_PORT", "9464")]).unwrap();
        assert_eq!(here.metrics, "127.0.0.1:9464".parse().ok());
        let there = read(&[("METRICS_PORT", "9464"), ("METRICS_BIND", "::")]).unwrap();
        assert_eq!(there.metrics, "[::]:9464".parse().ok());
    }

    #[test]
    fn a_setting_that_makes_no_sense_ends_the_start_with_its_name() {
        for (name, value) in [
            ("LOG_FORMAT", "xml"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example"),
            ("TRACE_SHARE", "1.5"),
            ("TRACE_SHARE", "NaN"),
            ("TRACE_SLOW_MS", "-1"),
            ("METRICS_PORT", "70000"),
            ("METRICS_BIND", "localhost"),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err().name, name);
        }
    }
}
