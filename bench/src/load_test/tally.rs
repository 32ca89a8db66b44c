//! What became of questions.

use crate::report::{Report, quantile};
use shared_types::{
    chat::{CacheReport, ChatAnswer},
    problem::Problem,
};
use std::{collections::BTreeMap, time::Duration};

/// What became of one question.
pub enum Ending {
    Answered {
        cache: CacheReport,
        is_degraded: bool,
    },
    Refused {
        status: u16,
        /// The last word of the problem's `type`.
        kind: String,
        /// Whether `Retry-After` says when to come back.
        names_a_time: bool,
    },
    /// No reply that anybody could read.
    Broken(String),
}

impl Ending {
    pub fn answered(answer: &ChatAnswer) -> Self {
        Self::Answered {
            cache: answer.cache,
            is_degraded: !answer.degraded.is_empty(),
        }
    }

    pub fn refused(problem: &Problem, names_a_time: bool) -> Self {
        let kind = problem.type_uri.rsplit(':').next();
        Self::Refused {
            status: problem.status,
            kind: kind.unwrap_or_default().to_owned(),
            names_a_time,
        }
    }
}

/// One question's ending, and how long it took.
pub struct Reply {
    pub ending: Ending,
    pub took: Duration,
}

/// What became of many.
#[derive(Default)]
pub struct Tally {
    /// Latencies of answers in milliseconds, sorted.
    pub answered_ms: Vec<f64>,
    pub degraded: usize,
    pub caches: Vec<CacheReport>,
    /// Refusals by kind.
    pub refused: BTreeMap<String, usize>,
    /// Of those, 429 and 503: the system has too much to do or lacks something.
    pub shed: usize,
    /// Of those, the ones that say when to come back.
    pub shed_with_time: usize,
    /// Replies that nobody could read.
    pub broken: BTreeMap<String, usize>,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Tally {
    pub fn of(replies: Vec<Reply>, elapsed: Duration) -> Self {
        let mut tally = Self {
            elapsed,
            ..Self::default()
        };
        for reply in replies {
            match reply.ending {
                Ending::Answered { cache, is_degraded } => {
                    tally.answered_ms.push(reply.took.as_secs_f64() * 1e3);
                    tally.caches.push(cache);
                    tally.degraded += usize::from(is_degraded);
                }
                Ending::Refused {
                    status,
                    kind,
                    names_a_time,
                } => {
                    let is_shed = matches!(status, 429 | 503);
                    tally.shed += usize::from(is_shed);
                    tally.shed_with_time += usize::from(is_shed && names_a_time);
                    *tally.refused.entry(kind).or_default() += 1;
                }
                Ending::Broken(why) => *tally.broken.entry(why).or_default() += 1,
            }
        }
        tally.answered_ms.sort_by(f64::total_cmp);
        tally
    }

    pub fn asked(&self) -> usize {
        self.answered_ms.len() + self.refused() + self.broken()
    }

    pub fn refused(&self) -> usize {
        self.refused.values().sum()
    }

    pub fn broken(&self) -> usize {
        self.broken.values().sum()
    }

    pub fn answered_per_second(&self) -> f64 {
        self.answered_ms.len() as f64 / self.elapsed.as_secs_f64().max(1e-3)
    }

    pub fn latency_ms(&self, share: f64) -> f64 {
        quantile(&self.answered_ms, share)
    }

    /// A row of the table; `note` is what else there is to say.
    pub fn row(&self, report: &mut Report, run: &str, load: &str, note: &str) {
        let ms = |share| match self.answered_ms.as_slice() {
            [] => "–".to_owned(),
            _ => format!("{:.0}", self.latency_ms(share)),
        };
        let counts = |counts: &BTreeMap<String, usize>| {
            let counts = counts.iter().map(|(kind, count)| format!("{count} {kind}"));
            counts.collect::<Vec<_>>()
        };
        let mut remarks = counts(&self.refused);
        remarks.extend(counts(&self.broken));
        if !note.is_empty() {
            remarks.push(note.to_owned());
        }
        report.row(vec![
            run.to_owned(),
            load.to_owned(),
            self.asked().to_string(),
            format!("{:.0}", self.answered_per_second()),
            ms(0.5),
            ms(0.95),
            ms(0.99),
            self.answered_ms.len().to_string(),
            self.degraded.to_string(),
            remarks.join("\n"),
        ]);
    }

    /// A row about something that has no latency.
    pub fn line(report: &mut Report, run: &str, what: &str, note: &str) {
        let mut row = vec![String::new(); super::HEADINGS.len()];
        run.clone_into(&mut row[0]);
        what.clone_into(&mut row[1]);
        if let Some(last) = row.last_mut() {
            note.clone_into(last);
        }
        report.row(row);
    }

    /// What is never right: replies that nobody can read, and errors without a name.
    pub fn check_manners(&self, report: &mut Report, run: &str) {
        let unnamed = self.refused.get("internal").copied().unwrap_or_default();
        let rude = (self.broken() + unnamed) as f64;
        report.at_most(&format!("{run}: broken replies"), rude, 0.0, "replies");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_types::problem::ProblemKind;

    #[test]
    fn a_refusal_that_says_when_to_come_back_is_told_from_one_that_does_not() {
        let reply = |kind, names_a_time| Reply {
            ending: Ending::refused(&Problem::new(kind), names_a_time),
            took: Duration::from_millis(1),
        };
        let replies = vec![
            reply(ProblemKind::Overloaded, true),
            reply(ProblemKind::RateLimited, false),
            reply(ProblemKind::QueryInvalid, false),
        ];
        let tally = Tally::of(replies, Duration::from_secs(1));
        assert_eq!((tally.asked(), tally.shed, tally.shed_with_time), (3, 2, 1));
        assert_eq!(tally.refused["overloaded"], 1);
    }
}
