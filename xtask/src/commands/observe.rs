//! The main figures of the running system, live in the terminal: what the dashboards begin with.

use crate::terminal::{aligned, table};
use anyhow::Result;
use local_stack::Prometheus;
use std::io::{IsTerminal, Write};

/// A figure: its name, its query, and how it is written.
struct Figure {
    name: &'static str,
    query: &'static str,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Count,
    PerSecond,
    Milliseconds,
    Percent,
    Dollars,
    Megabytes,
}

const FIGURES: &[Figure] = &[
    Figure {
        name: "questions",
        query: "sum(rate(etude_edge_request_duration_seconds_count{http_route=\"/api/chat/query\"}[1m]))",
        unit: Unit::PerSecond,
    },
    Figure {
        name: "question, head p50",
        query: "histogram_quantile(0.5, sum by (le) (rate(etude_edge_request_duration_seconds_bucket{http_route=\"/api/chat/query\"}[1m]))) * 1000",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "question, head p95",
        query: "histogram_quantile(0.95, sum by (le) (rate(etude_edge_request_duration_seconds_bucket{http_route=\"/api/chat/query\"}[1m]))) * 1000",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "requests that failed",
        query: "100 * (sum(rate(etude_edge_request_duration_seconds_count{http_response_status_code=~\"5..\"}[1m])) or vector(0)) / sum(rate(etude_edge_request_duration_seconds_count[1m]))",
        unit: Unit::Percent,
    },
    Figure {
        name: "answers out of the cache",
        query: "100 * sum(rate(etude_edge_cache_lookups_total{layer=\"answer\",outcome=\"hit\"}[1m])) / sum(rate(etude_edge_cache_lookups_total{layer=\"answer\"}[1m]))",
        unit: Unit::Percent,
    },
    Figure {
        name: "answers being told",
        query: "sum(etude_answer_streams)",
        unit: Unit::Count,
    },
    Figure {
        name: "recall of sampled searches",
        query: "100 * sum(etude_search_recall_ratio_sum) / sum(etude_search_recall_ratio_count)",
        unit: Unit::Percent,
    },
    Figure {
        name: "first word of the model p95",
        query: "histogram_quantile(0.95, sum by (le) (rate(etude_model_first_token_seconds_bucket[1m]))) * 1000",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "cost",
        query: "sum(increase(etude_model_cost_usd_total[1h]))",
        unit: Unit::Dollars,
    },
    Figure {
        name: "connections in use",
        query: "sum(db_client_connections{state=\"used\"})",
        unit: Unit::Count,
    },
    Figure {
        name: "documents that wait",
        query: "sum(etude_ingest_jobs{state=\"queued\"})",
        unit: Unit::Count,
    },
    Figure {
        name: "memory of origin and worker",
        query: "sum(process_resident_memory_bytes) / 1e6",
        unit: Unit::Megabytes,
    },
];

/// What is shown of everything, on a terminal in place of what was shown before.
#[derive(Default)]
pub struct View {
    lines: usize,
}

impl View {
    /// Asks for the figures and shows them. Where nobody watches, one line.
    pub async fn show(&mut self, prometheus: &Prometheus) -> Result<()> {
        let mut figures = Vec::new();
        for figure in FIGURES {
            let samples = prometheus.query(figure.query).await?;
            let value = samples.first().map(|sample| sample.value);
            figures.push((figure.name, written(value, figure.unit)));
        }
        let firing = prometheus.query("ALERTS{alertstate=\"firing\"}").await?;
        let names = firing
            .iter()
            .filter_map(|alert| alert.labels["alertname"].as_str());
        let names: Vec<&str> = names.collect();
        let alerts = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        figures.push(("alerts", alerts));
        self.draw(&figures)
    }

    fn draw(&mut self, figures: &[(&str, String)]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if !out.is_terminal() {
            let figures: Vec<String> = figures
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            writeln!(out, "{}", figures.join("; "))?;
            return Ok(());
        }
        let mut table = aligned(table(&["figure", "now"]), &[1]);
        for (name, value) in figures {
            table.add_row([*name, value.as_str()]);
        }
        let text = table.to_string();
        if self.lines > 0 {
            // Up to where the last one began, and away with it.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
        }
        writeln!(out, "{text}")?;
        out.flush()?;
        self.lines = text.lines().count();
        Ok(())
    }
}

fn written(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return "–".to_owned();
    };
    match unit {
        Unit::Count => format!("{value:.0}"),
        Unit::PerSecond => format!("{value:.1}/s"),
        Unit::Milliseconds => format!("{value:.0} ms"),
        Unit::Percent => format!("{value:.1} %"),
        Unit::Dollars => format!("${value:.4} in the last hour"),
        Unit::Megabytes => format!("{value:.0} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_said_yet_is_a_dash() {
        assert_eq!(written(None, Unit::Percent), "–");
        assert_eq!(written(Some(f64::NAN), Unit::Milliseconds), "–");
        assert_eq!(written(Some(12.34), Unit::Milliseconds), "12 ms");
        assert_eq!(written(Some(99.95), Unit::Percent), "100.0 %");
    }
}
