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
    duration: String,
    description: Option<&'static str>,
}

impl Timings {
    /// Notes a stage.
    pub fn add(&self, name: &str, duration: TimeDelta) {
        // In whole tenths: to print a fraction exactly takes far longer.
        let tenths = (duration.num_microseconds().unwrap_or_default().max(0) + 50) / 100;
        self.stages.borrow_mut().push(Stage {
            name: name.to_owned(),
            duration: format!("{}.{}", tenths / 10, tenths % 10),
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
            if let Some(duration) = duration.and_then(to_a_tenth)
                && !name.is_empty()
                && name.chars().all(is_token)
            {
                self.stages.borrow_mut().push(Stage {
                    name: format!("origin_{name}"),
                    duration,
                    description: None,
                });
            }
        }
    }

    /// The header's value; empty where no stage was noted.
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = String::new();
        for stage in self.stages.borrow().iter() {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{};dur={}", stage.name, stage.duration);
            if let Some(description) = stage.description {
                let _ = write!(text, ";desc=\"{description}\"");
            }
        }
        text
    }
}

/// A decimal number without its digits beyond the first fraction. The reader of the standard library would be a
/// fortieth of the module.
fn to_a_tenth(number: &str) -> Option<String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (is_number(whole) && is_number(fraction)).then(|| format!("{whole}.{}", &fraction[..1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_become_one_header_with_the_origins_own_beside_ours() {
        let timings = Timings::default();
        timings.add("scope", TimeDelta::microseconds(1_240));
        timings.describe("scope", "hit");
        timings.add_from_origin("sql;dur=3.25;desc=\"x\", \"bad;dur=1, , total, llm;dur=abc");
        assert_eq!(
            timings.header(),
            "scope;dur=1.2;desc=\"hit\", origin_sql;dur=3.2"
        );
    }
}
