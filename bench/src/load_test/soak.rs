//! Half of the load for long: nothing that processes hold on to may grow.

use super::{drive, system::System, tally::Tally};
use crate::{edge::alone::Alone, library, report::Report};
use anyhow::{Context, ensure};
use local_stack::{Install, Part};
use sqlx::PgPool;
use std::{fs, time::Duration};
use tokio::time::sleep;

const THINKING: Duration = Duration::from_secs(1);
const SAMPLED_EVERY: Duration = Duration::from_secs(1);
/// What may be added to what was there after warming up: a share of it, and some besides for what is small.
const MAX_GROWTH: f64 = 0.1;
const BESIDES: Held = Held {
    memory_mb: 16.0,
    handles: 10.0,
};
const MAX_MORE_CONNECTIONS: f64 = 2.0;
const PARTS: [Part; 3] = [Part::Origin, Part::Edge, Part::IngestWorker];
const ALONE: &str = "Worker alone in workerd";

/// A process whose growth is looked at.
struct Watched {
    name: &'static str,
    process: u32,
    /// Whether its memory is judged, and not told alone.
    is_judged: bool,
}

/// What a process and its descendants hold.
#[derive(Clone, Copy, Default)]
struct Held {
    memory_mb: f64,
    handles: f64,
}

/// Everything at one moment.
struct Sample {
    /// Of each that is watched.
    held: Vec<Held>,
    connections: f64,
}

pub async fn run(
    minutes: u32,
    people: u32,
    system: &mut System,
    report: &mut Report,
) -> anyhow::Result<()> {
    // Each asks once a second at most, and three of ten questions are new.
    system.prepare(people * minutes * 60 * 3 / 10).await?;
    let alone = Alone::start(&Install::from_env()?).await?;
    let mut watched = Vec::new();
    for part in PARTS {
        watched.push(Watched {
            name: part.name(),
            process: system.process(part)?,
            // Miniflare keeps some kilobytes of every request, whatever the Worker does.
            is_judged: part != Part::Edge,
        });
    }
    watched.push(Watched {
        name: ALONE,
        process: alone.process_id(),
        is_judged: true,
    });
    let database = library::connect(system.stack.database().owner().url().as_str()).await?;
    let crowd = system.crowd.clone();
    let length = Duration::from_mins(1) * minutes;
    let asking = drive::people("soak", people, THINKING, length, move || crowd.next());
    tokio::pin!(asking);
    let alone_asked = alone.asked(people);
    tokio::pin!(alone_asked);
    let mut samples = Vec::new();
    let tally = loop {
        tokio::select! {
            tally = &mut asking => break tally?,
            outcome = &mut alone_asked => {
                let Err(error) = outcome;
                return Err(error.context("the Worker alone"));
            }
            () = sleep(SAMPLED_EVERY) => samples.push(sample(&watched, &database).await?),
        }
    };
    database.close().await;
    tally.row(
        report,
        "soak",
        &format!("{people} users, {minutes} min"),
        "",
    );
    tally.check_manners(report, "soak");
    let note = format!("{} asked", alone.questions());
    Tally::line(report, "soak", ALONE, &note);
    judge(&watched, &samples, report)
}

fn judge(watched: &[Watched], samples: &[Sample], report: &mut Report) -> anyhow::Result<()> {
    // The first quarter is for warming up.
    let quarter = samples.len() / 4;
    let (before, after) = (
        samples
            .get(quarter..2 * quarter)
            .context("the soak is too short")?,
        samples
            .get(3 * quarter..)
            .context("the soak is too short")?,
    );
    let mut line = |what: String, of: &dyn Fn(&Sample) -> f64, besides: f64, share: f64, unit| {
        let (from, to) = (mean(before, of), mean(after, of));
        let note = format!("{from:.0} → {to:.0} {unit}");
        Tally::line(report, "soak", &what, &note);
        let bound = besides + from * share;
        report.at_most(&format!("soak: growth of {what}"), to - from, bound, unit);
    };
    for (place, watched) in watched.iter().enumerate() {
        let name = watched.name;
        let memory = |sample: &Sample| sample.held[place].memory_mb;
        let (besides, share) = if watched.is_judged {
            (BESIDES.memory_mb, MAX_GROWTH)
        } else {
            (f64::INFINITY, 0.0)
        };
        line(format!("{name}: memory"), &memory, besides, share, "MB");
        let handles = |sample: &Sample| sample.held[place].handles;
        line(
            format!("{name}: handles"),
            &handles,
            BESIDES.handles,
            MAX_GROWTH,
            "handles",
        );
    }
    let connections = |sample: &Sample| sample.connections;
    line(
        "connections".to_owned(),
        &connections,
        MAX_MORE_CONNECTIONS,
        0.0,
        "connections",
    );
    Ok(())
}

fn mean(samples: &[Sample], of: &dyn Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).sum::<f64>() / samples.len().max(1) as f64
}

async fn sample(watched: &[Watched], database: &PgPool) -> anyhow::Result<Sample> {
    let statement = "select count(*) from pg_stat_activity \
                     where datname = current_database() and pid <> pg_backend_pid()";
    let connections: i64 = sqlx::query_scalar(statement).fetch_one(database).await?;
    let held = watched.iter().map(|watched| held_by(watched.process));
    Ok(Sample {
        held: held.collect::<Result<_, _>>()?,
        connections: connections as f64,
    })
}

/// What a process and its descendants hold: the edge is `workerd` below Node.
fn held_by(root: u32) -> anyhow::Result<Held> {
    let mut held = Held::default();
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        let folder = format!("/proc/{pid}");
        let status = match fs::read_to_string(format!("{folder}/status")) {
            // A descendant may end while it is looked at.
            Err(_) if pid != root => continue,
            status => status.with_context(|| format!("process {pid} has ended"))?,
        };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = resident.and_then(|text| text.split_whitespace().next());
        // What has ended and was not waited for has a status and no memory.
        ensure!(kb.is_some() || pid != root, "process {pid} has ended");
        held.memory_mb += kb.unwrap_or("0").parse::<f64>()? / 1_024.0;
        let handles = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
        held.handles += handles as f64;
        let tasks = fs::read_dir(format!("{folder}/task")).into_iter().flatten();
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            waiting.extend(children.split_whitespace().flat_map(str::parse::<u32>));
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_that_is_held_is_seen() {
        let before = held_by(std::process::id()).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let held = held_by(std::process::id()).unwrap();
        drop(file);
        assert!(held.memory_mb > 0.0);
        assert!(held.handles > before.handles);
    }
}
