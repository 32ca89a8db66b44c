//! How much the system answers when everybody asks again at once, and which part the processors work for.

use super::{drive, system::System, tally::Tally};
use crate::{cpu, report::Report};
use local_stack::{Part, Stack};
use std::time::Duration;

/// More than that only wait for each other.
const PEOPLE: u32 = 64;
const LENGTH: Duration = Duration::from_secs(10);
/// Until every known question is known to the caches.
const WARMING: Duration = Duration::from_secs(3);

/// New questions that are asked in here at most, by a machine of twice this size.
const NEW: u32 = 1_500;

/// Answers a second.
pub async fn measure(system: &mut System, report: &mut Report) -> anyhow::Result<f64> {
    system.prepare(NEW).await?;
    let crowd = system.crowd.clone();
    let next = move || crowd.next();
    drive::people("warming up", PEOPLE, Duration::ZERO, WARMING, next.clone()).await?;
    let before = cpu_ms(&system.stack)?;
    let tally = drive::people("capacity", PEOPLE, Duration::ZERO, LENGTH, next).await?;
    let after = cpu_ms(&system.stack)?;
    let load = format!("{PEOPLE} at once");
    tally.row(report, "capacity", &load, "");
    tally.check_manners(report, "capacity");
    for ((part, before), (_, after)) in before.into_iter().zip(after) {
        let cores = (after - before) / 1e3 / tally.elapsed.as_secs_f64();
        let each = (after - before) / tally.answered_ms.len().max(1) as f64;
        let note = format!("{cores:.2} cores, {each:.1} ms an answer");
        Tally::line(report, "capacity", part, &note);
    }
    Ok(tally.answered_per_second())
}

/// What each part's processes have had of the processors, in milliseconds.
fn cpu_ms(stack: &Stack) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut all = Vec::new();
    let mut others = stack.process_ids();
    for part in [
        Part::Edge,
        Part::Origin,
        Part::LocalCloud,
        Part::IngestWorker,
    ] {
        if let Some(id) = stack.process_id(part) {
            others.retain(|other| *other != id);
            all.push((part.name(), cpu::ms_of_tree(id)?));
        }
    }
    // It gives each connection a process.
    for id in others {
        all.push(("PostgreSQL", cpu::ms_of_server(id)?));
    }
    Ok(all)
}
