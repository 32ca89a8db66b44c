//! One run of one side.

use crate::report::quantile;

/// What a run showed.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests a second.
    pub per_second: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// CPU milliseconds that the service itself spent for a request; unknown of pgbench.
    pub own_cpu_ms: Option<f64>,
    /// CPU milliseconds that PostgreSQL spent for it.
    pub postgres_cpu_ms: f64,
}

/// The middle of what several runs show, in one respect.
pub fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    middle(samples.iter().map(of).collect())
}

/// The middle value; 0 where there are none.
pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}
