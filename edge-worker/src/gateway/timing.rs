//! The `Server-Timing` header: what each stage took.

use chrono::TimeDelta;
use std::{cell::RefCell, fmt::Write};

/// The stages of one request, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Timings {
    stages: RefCell<Vec<Stage>>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    /// Since the request came; empty where that is not known.
    begun: String,
    duration: String,
    description: Option<&'static str>,
}

impl Timings {
    /// Notes a stage that began so long after the request had come.
    pub fn add(&self, name: &str, begun: TimeDelta, duration: TimeDelta) {
        self.stages.borrow_mut().push(Stage {
            name: name.to_owned(),
            begun: tenths(begun),
            duration: tenths(duration),
            description: None,
        });
    }

    /// Says how a stage that was noted went, e.g. `hit`.
    pub fn describe(&self, name: &str, description: &'static str) {
        let mut stages = self.stages.borrow_mut();
        if let Some(stage) = stages.iter_mut().rev().find(|stage| stage.name == name) {
            stage.description = Some(description);
        }
    }

    /// Takes over the origin's own stages, as `origin_<name>`. What is not a metric with a duration
    /// is left out.
    pub fn add_from_origin(&self, header: &str) {
        for metric in header.split(',') {
            let mut parts = metric.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let is_token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let duration = parts.find_map(|part| part.strip_prefix("dur="));
            let is_digit = |b: u8| b.is_ascii_digit() || b == b'.';
            if let Some(duration) = duration.filter(|text| text.bytes().all(is_digit))
                && !name.is_empty()
                && name.chars().all(is_token)
            {
                self.stages.borrow_mut().push(Stage {
                    name: format!("origin_{name}"),
                    begun: String::new(),
                    duration: duration.to_owned(),
                    description: None,
                });
            }
        }
    }

    /// The header's value; empty where no stage was noted.
    #[must_use]
    pub fn header(&self) -> String {
        self.text(false)
    }

    /// The same with when each stage began: `;at=` and the milliseconds since the request came.
    #[must_use]
    pub fn line(&self) -> String {
        self.text(true)
    }

    fn text(&self, with_beginnings: bool) -> String {
        let mut text = String::new();
        for stage in self.stages.borrow().iter() {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{};dur={}", stage.name, stage.duration);
            if let Some(description) = stage.description {
                let _ = write!(text, ";desc=\"{description}\"");
            }
            if with_beginnings && !stage.begun.is_empty() {
                text.push_str(";at=");
                text.push_str(&stage.begun);
            }
        }
        text
    }
}

/// Milliseconds, to a tenth. In whole tenths: to print a fraction exactly takes far longer.
fn tenths(duration: TimeDelta) -> String {
    let tenths = (duration.num_microseconds().unwrap_or_default().max(0) + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_become_one_header_with_the_origins_own_beside_ours() {
        let timings = Timings::default();
        timings.add(
            "scope",
            TimeDelta::milliseconds(3),
            TimeDelta::microseconds(1_240),
        );
        timings.describe("scope", "hit");
        timings.add_from_origin("sql;dur=3.25;desc=\"x\", \"bad;dur=1, , total, llm;dur=abc");
        assert_eq!(
            timings.header(),
            "scope;dur=1.2;desc=\"hit\", origin_sql;dur=3.25"
        );
        assert_eq!(
            timings.line(),
            "scope;dur=1.2;desc=\"hit\";at=3.0, origin_sql;dur=3.25"
        );
    }
}
