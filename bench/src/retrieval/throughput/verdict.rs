//! The tables, and the targets.

use super::sample::{Sample, median, middle};
use crate::report::Report;

/// What the origin must reach.
const MIN_OF_PGBENCH: f64 = 0.85;
const MIN_TIMES_BY_HAND: f64 = 2.0;
const MIN_TIMES_LANGCHAIN: f64 = 3.0;
const MAX_OWN_CPU_MS: f64 = 0.4;

/// A side and its runs.
pub struct Runs {
    /// In tables.
    pub name: String,
    /// Worker processes; none of what is no service.
    pub workers: Option<u32>,
    /// For each number of clients one run a round.
    pub samples: Vec<Vec<Sample>>,
}

/// All sides, with as many rounds each.
pub struct Outcome {
    pub origin: Runs,
    pub pgbench: Runs,
    /// pgbench with what it does for its questions alone.
    pub questions_alone: Runs,
    pub any_word: Runs,
    pub every_word: Runs,
    pub langchain: Runs,
}

/// Adds the tables, and holds the origin against its targets.
pub fn tell(outcome: &Outcome, clients: &[u32], caption: &str, report: &mut Report) {
    report.begin(
        caption,
        &[
            "side",
            "workers",
            "clients",
            "req/s",
            "p50 ms",
            "p95 ms",
            "own CPU ms/req",
            "PostgreSQL CPU ms/req",
        ],
    );
    for (nth, clients) in clients.iter().enumerate() {
        let sides = [
            &outcome.origin,
            &outcome.pgbench,
            &outcome.questions_alone,
            &outcome.any_word,
            &outcome.every_word,
            &outcome.langchain,
        ];
        for side in sides {
            report.row(row(side, nth, *clients));
        }
    }
    report.begin(
        "The origin's requests per second beside the others', medians of the rounds' own ratios",
        &[
            "clients",
            "of pgbench",
            "of pgbench, its questions aside",
            "times asyncpg, any word",
            "times asyncpg, every word",
            "times LangChain",
            "own CPU ms/req",
        ],
    );
    for (nth, clients) in clients.iter().enumerate() {
        let ratios = Ratios::of(outcome, nth);
        let with = |what: &str| format!("{what}, {clients} clients");
        report.row(vec![
            clients.to_string(),
            format!("{:.2}", ratios.pgbench),
            format!("{:.2}", ratios.limit),
            format!("{:.2}", ratios.any_word),
            format!("{:.2}", ratios.every_word),
            format!("{:.2}", ratios.langchain),
            format!("{:.2}", ratios.own_cpu_ms),
        ]);
        for (what, measured, bound) in [
            ("share of pgbench", ratios.limit, MIN_OF_PGBENCH),
            (
                "times asyncpg by hand, any word",
                ratios.any_word,
                MIN_TIMES_BY_HAND,
            ),
            (
                "times asyncpg by hand, every word",
                ratios.every_word,
                MIN_TIMES_BY_HAND,
            ),
            ("times LangChain", ratios.langchain, MIN_TIMES_LANGCHAIN),
        ] {
            report.at_least(&with(what), measured, bound);
        }
        let what = with("own CPU of a request");
        report.below(&what, ratios.own_cpu_ms, MAX_OWN_CPU_MS, "ms");
    }
}

fn row(side: &Runs, nth: usize, clients: u32) -> Vec<String> {
    let samples = &side.samples[nth];
    let own = samples.iter().filter_map(|sample| sample.own_cpu_ms);
    let own: Vec<f64> = own.collect();
    let none = || "–".to_owned();
    vec![
        side.name.clone(),
        side.workers
            .map_or_else(none, |workers| workers.to_string()),
        clients.to_string(),
        format!("{:.0}", median(samples, |sample| sample.per_second)),
        format!("{:.2}", median(samples, |sample| sample.p50_ms)),
        format!("{:.2}", median(samples, |sample| sample.p95_ms)),
        if own.is_empty() {
            none()
        } else {
            format!("{:.2}", middle(own))
        },
        format!("{:.2}", median(samples, |sample| sample.postgres_cpu_ms)),
    ]
}

/// How the origin stands to the others, in the middle of the rounds.
struct Ratios {
    pgbench: f64,
    limit: f64,
    any_word: f64,
    every_word: f64,
    langchain: f64,
    own_cpu_ms: f64,
}

impl Ratios {
    fn of(outcome: &Outcome, nth: usize) -> Self {
        let origin = &outcome.origin.samples[nth];
        let rate = |runs: &Runs| -> Vec<f64> {
            let samples = runs.samples[nth].iter();
            samples.map(|sample| sample.per_second).collect()
        };
        let times = |others: Vec<f64>| {
            let pairs = origin.iter().zip(others);
            middle(pairs.map(|(ours, other)| ours.per_second / other).collect())
        };
        let pgbench = rate(&outcome.pgbench);
        let alone = rate(&outcome.questions_alone);
        let limit = pgbench.iter().zip(alone);
        let limit = limit.map(|(whole, part)| without(*whole, part)).collect();
        Self {
            pgbench: times(pgbench),
            limit: times(limit),
            any_word: times(rate(&outcome.any_word)),
            every_word: times(rate(&outcome.every_word)),
            langchain: times(rate(&outcome.langchain)),
            own_cpu_ms: middle(
                origin
                    .iter()
                    .filter_map(|sample| sample.own_cpu_ms)
                    .collect(),
            ),
        }
    }
}

/// How many a second there would be without a part of the work, of which there are so many a second where nothing else
/// is done: clients that always wait for their last reply share the same machine either way, so times add up.
fn without(whole: f64, part: f64) -> f64 {
    1.0 / (1.0 / whole - 1.0 / part).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(name: &str, per_second: f64, own_cpu_ms: Option<f64>) -> Runs {
        let sample = Sample {
            per_second,
            p50_ms: 1.0,
            p95_ms: 2.0,
            own_cpu_ms,
            postgres_cpu_ms: 3.0,
        };
        Runs {
            name: name.to_owned(),
            workers: own_cpu_ms.map(|_| 1),
            samples: vec![vec![sample; 3]],
        }
    }

    #[test]
    fn the_origin_is_held_against_pgbench_without_its_questions() {
        let outcome = Outcome {
            origin: runs("origin", 360.0, Some(0.3)),
            pgbench: runs("pgbench", 360.0, None),
            questions_alone: runs("questions", 3_600.0, None),
            any_word: runs("any word", 120.0, Some(1.5)),
            every_word: runs("every word", 180.0, Some(1.5)),
            langchain: runs("langchain", 90.0, Some(5.0)),
        };
        let ratios = Ratios::of(&outcome, 0);
        assert!((ratios.pgbench - 1.0).abs() < 1e-9);
        assert!((ratios.limit - 0.9).abs() < 1e-9);
        assert!((ratios.any_word - 3.0).abs() < 1e-9);
        assert!((ratios.every_word - 2.0).abs() < 1e-9);
        assert!((ratios.langchain - 4.0).abs() < 1e-9);
        assert!((ratios.own_cpu_ms - 0.3).abs() < 1e-9);
    }
}
