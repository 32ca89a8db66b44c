//! Five times of what the system can do: it refuses what is too much, says when to come back, answers what it took on,
//! and is itself again as soon as it is over.

use super::{drive, system::System, tally::Ending};
use crate::report::Report;
use local_stack::Stopwatch;
use std::time::Duration;
use tokio::time::sleep;

const TIMES: f64 = 5.0;
const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(1);
/// Answers in a row, each in time, after which it counts as itself again.
const IN_A_ROW: u32 = 10;
const IN_TIME: Duration = Duration::from_millis(300);
const MAX_RECOVERY_S: f64 = 5.0;
/// After that it is given up.
const PATIENCE: Duration = Duration::from_mins(2);

pub async fn run(
    is_long: bool,
    capacity: f64,
    system: &mut System,
    report: &mut Report,
) -> anyhow::Result<()> {
    let per_second = TIMES * capacity;
    let length = if is_long { LONG } else { SHORT };
    // What is refused is never looked at.
    let taken_on = 2.0 * capacity * length.as_secs_f64();
    system.prepare((taken_on * 0.3) as u32).await?;
    let crowd = system.crowd.clone();
    let tally = drive::rate("overload", per_second, length, || crowd.next()).await?;
    let recovery = recover(system).await;
    let recovery_s = recovery.map_or(f64::INFINITY, |recovery| recovery.as_secs_f64());
    let note = format!("itself again after {recovery_s:.1} s");
    tally.row(
        report,
        "overload",
        &format!("{per_second:.0} a second"),
        &note,
    );
    tally.check_manners(report, "overload");
    let without_time = (tally.shed - tally.shed_with_time) as f64;
    report.at_most(
        "overload: refusals without Retry-After",
        without_time,
        0.0,
        "replies",
    );
    let interrupted = tally.refused.get("answer-interrupted").copied();
    let interrupted = interrupted.unwrap_or_default() as f64;
    report.at_most(
        "overload: answers taken on and broken off",
        interrupted,
        0.0,
        "answers",
    );
    report.at_most("overload: recovery", recovery_s, MAX_RECOVERY_S, "s");
    Ok(())
}

/// How long it takes until questions are answered in time again, new ones among them.
async fn recover(system: &System) -> Option<Duration> {
    let clock = Stopwatch::start();
    let mut in_a_row = 0;
    let mut since = Duration::ZERO;
    while clock.elapsed() < PATIENCE {
        if in_a_row == 0 {
            since = clock.elapsed();
        }
        let reply = drive::ask(&system.crowd.next()).await;
        let is_well = matches!(reply.ending, Ending::Answered { .. }) && reply.took < IN_TIME;
        in_a_row = if is_well { in_a_row + 1 } else { 0 };
        if in_a_row == IN_A_ROW {
            return Some(since);
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}
