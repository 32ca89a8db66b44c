//! Each dependency slow or gone in turn, while people ask: what they saw, and how soon it is over once it is back.

use super::{drive, system::System, tally::Ending};
use crate::report::Report;
use journeys::{PEDALLING, booklet};
use local_stack::{
    Part, Stopwatch,
    faults::{Fault, Target},
};
use shared_types::documents::Visibility;
use std::time::Duration;
use tokio::time::sleep;

const PEOPLE: u32 = 8;
const THINKING: Duration = Duration::from_millis(250);
const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_mins(1);
/// New questions of one trouble at most.
const NEW: u32 = 100;
/// How long it may take after a trouble until a new question is answered: a model that was left alone is asked again
/// within a minute.
const MAX_RECOVERY_S: f64 = 65.0;
/// After that it is given up.
const PATIENCE: Duration = Duration::from_mins(3);

/// What happens to whom.
enum Trouble {
    Nothing,
    Fault(Target, Fault),
    Killed(Part),
}

struct Case {
    name: &'static str,
    trouble: Trouble,
}

fn cases() -> Vec<Case> {
    let fault = |name, target, fault| Case {
        name,
        trouble: Trouble::Fault(target, fault),
    };
    let killed = |name, part| Case {
        name,
        trouble: Trouble::Killed(part),
    };
    let slow = |ms| Fault::Stall { ms };
    let status = |status| Fault::Status { status };
    vec![
        Case {
            name: "nothing",
            trouble: Trouble::Nothing,
        },
        fault("embedding slow (2 s)", Target::Embedding, slow(2_000)),
        fault("embedding down", Target::Embedding, status(500)),
        fault("reranker slow (1.5 s)", Target::Rerank, slow(1_500)),
        fault("reranker down", Target::Rerank, status(500)),
        fault("model slow (3 s)", Target::Vertex, slow(3_000)),
        fault("model overloaded (529)", Target::Vertex, status(529)),
        fault(
            "model cut off in the middle",
            Target::Vertex,
            Fault::CutAfterEvents { events: 4 },
        ),
        fault("sign-in's keys down", Target::Jwks, status(500)),
        killed("models and sign-in killed", Part::LocalCloud),
        killed("origin killed", Part::Origin),
        // Last, since an upload gives its readers rights anew.
        killed("ingest worker killed", Part::IngestWorker),
    ]
}

pub async fn run(is_long: bool, system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    let length = if is_long { LONG } else { SHORT };
    let known = system.crowd.all_known();
    drive::list("questions to be known", PEOPLE, known).await?;
    for case in cases() {
        system.prepare(NEW).await?;
        play(&case, length, system, report).await?;
    }
    Ok(())
}

async fn play(
    case: &Case,
    length: Duration,
    system: &mut System,
    report: &mut Report,
) -> anyhow::Result<()> {
    match &case.trouble {
        Trouble::Nothing => {}
        Trouble::Fault(target, fault) => {
            system.slow_models(&[(*target, fault.clone())]).await?;
        }
        Trouble::Killed(part) => system.stack.kill_part(*part),
    }
    let crowd = system.crowd.clone();
    let next = move || crowd.next();
    let asking = drive::people(case.name, PEOPLE, THINKING, length, next);
    // Whoever uploads meanwhile loses nothing.
    let is_worker = matches!(case.trouble, Trouble::Killed(Part::IngestWorker));
    let owner = is_worker.then(|| system.crowd.teacher().clone());
    let uploading = async {
        match owner {
            None => Ok(None),
            Some(owner) => {
                let document = owner
                    .upload(booklet(PEDALLING, Visibility::Private))
                    .await?;
                anyhow::Ok(Some((owner, document.id)))
            }
        }
    };
    let (tally, uploaded) = tokio::try_join!(asking, uploading)?;

    let clock = Stopwatch::start();
    if let Trouble::Killed(part) = case.trouble {
        system.stack.start_parts(&[part]).await?;
    }
    system.slow_models(&[]).await?;
    let recovery = recover(system, clock).await;
    let recovery_s = recovery.map_or(f64::INFINITY, |recovery| recovery.as_secs_f64());
    let over = format!("over after {recovery_s:.1} s");
    let note = match uploaded {
        None => over,
        Some((owner, document)) => {
            owner.wait_for(document, |_| ()).await?;
            let searchable_s = clock.elapsed().as_secs_f64();
            format!("{over}, the upload searchable after {searchable_s:.1} s")
        }
    };
    let load = format!("{PEOPLE} users");
    tally.row(report, &format!("chaos: {}", case.name), &load, &note);
    tally.check_manners(report, &format!("chaos: {}", case.name));
    let what = format!("chaos: {}: recovery", case.name);
    report.at_most(&what, recovery_s, MAX_RECOVERY_S, "s");
    Ok(())
}

/// How long it takes until a question that nobody has asked before is answered with nothing missing.
async fn recover(system: &System, clock: Stopwatch) -> Option<Duration> {
    while clock.elapsed() < PATIENCE {
        let reply = drive::ask(&system.crowd.fresh()).await;
        if let Ending::Answered {
            is_degraded: false, ..
        } = reply.ending
        {
            return Some(clock.elapsed());
        }
        sleep(Duration::from_millis(250)).await;
    }
    None
}
