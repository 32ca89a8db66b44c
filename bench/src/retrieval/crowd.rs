//! Many clients on few connections: through PgBouncer, and waiting for a pool of the process's own.

use super::{
    corpus::{Library, Written},
    measure,
    school::{self, Caller, STAGES},
    shelf::{MODEL, Server, Shelf},
};
use crate::report::{Report, quantile};
use shared_types::chat::SearchFilters;
use std::{path::Path, sync::Arc, time::Duration};
use storage::{
    PgPool, PoolSettings, reader, scope,
    search::{self, CorpusMemory, SearchSettings},
};
use tokio::{task::JoinSet, time::Instant};
use url::Url;

const CLIENTS: u32 = 64;
const CONNECTIONS: u32 = 10;
/// Searches of each client; the first ones are not counted.
const SEARCHES: usize = 25;
const WARM_UP: usize = 5;

/// Everybody of the last stage asks at once.
pub async fn measure(
    server: &Server,
    shelf: &Shelf,
    library: &Library,
    passages: usize,
    pgbouncer: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let callers = Arc::new(school::callers(STAGES.len() - 1));
    let questions: Arc<Vec<Written>> = Arc::new(
        (0..u64::from(CLIENTS))
            .map(|number| library.question(number, number.is_multiple_of(2)))
            .collect(),
    );
    let memory = CorpusMemory::new(super::passages_bytes(passages));
    for caller in callers.iter() {
        measure::load(shelf, caller, &memory).await?;
    }
    let mut pooler = server.pooler(pgbouncer, CONNECTIONS, CLIENTS).await?;
    report.begin(
        &format!("{CLIENTS} clients on {CONNECTIONS} connections"),
        &[
            "way",
            "searching",
            "searches",
            "p50 ms",
            "p95 ms",
            "searches/s",
            "errors",
        ],
    );
    let through = ("PgBouncer", shelf.reader_url(pooler.url())?, CLIENTS);
    let waiting = ("own pool", shelf.reader_url(server.url())?, CONNECTIONS);
    let nothing = CorpusMemory::new(0);
    for ((way, url, connections), (how, memory)) in [
        (&through, ("in memory", &memory)),
        (&through, ("by SQL", &nothing)),
        (&waiting, ("in memory", &memory)),
        (&waiting, ("by SQL", &nothing)),
    ] {
        let pool = connect(url, *connections).await?;
        let crowd = ask(&pool, memory, &callers, &questions).await?;
        pool.close().await;
        report.row(vec![
            (*way).to_owned(),
            how.to_owned(),
            crowd.took_ms.len().to_string(),
            format!("{:.1}", quantile(&crowd.took_ms, 0.5)),
            format!("{:.1}", quantile(&crowd.took_ms, 0.95)),
            format!("{:.1}", crowd.per_second),
            crowd.errors.to_string(),
        ]);
        report.at_most(
            &format!("{way}, {how}: errors"),
            crowd.errors as f64,
            0.0,
            "",
        );
    }
    pooler.stop().await;
    Ok(())
}

/// What the clients met with.
#[derive(Default)]
struct Crowd {
    /// Sorted milliseconds of whole searches, the wait for a connection included.
    took_ms: Vec<f64>,
    per_second: f64,
    errors: usize,
}

async fn connect(url: &Url, connections: u32) -> anyhow::Result<PgPool> {
    let settings = PoolSettings {
        max_connections: connections,
        min_connections: connections,
        acquire_timeout: Duration::from_mins(1),
        application_name: "bench",
    };
    Ok(storage::connect(url.as_str(), settings).await?)
}

async fn ask(
    pool: &PgPool,
    memory: &CorpusMemory,
    callers: &Arc<Vec<Caller>>,
    questions: &Arc<Vec<Written>>,
) -> anyhow::Result<Crowd> {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS as usize {
        let (callers, questions) = (callers.clone(), questions.clone());
        let (pool, memory) = (pool.clone(), memory.clone());
        clients.spawn(async move {
            let mut took = Vec::new();
            for turn in 0..SEARCHES {
                let caller = &callers[(client + turn) % callers.len()];
                let question = &questions[(client + turn) % questions.len()];
                let start = Instant::now();
                let found = search(&pool, &memory, caller, question).await;
                took.push(found.map(|()| start.elapsed().as_secs_f64() * 1e3));
            }
            took
        });
    }
    let mut crowd = Crowd::default();
    while let Some(took) = clients.join_next().await {
        for (turn, took) in took?.into_iter().enumerate() {
            match took {
                Ok(ms) if turn >= WARM_UP => crowd.took_ms.push(ms),
                Ok(_) => {}
                Err(error) => {
                    eprintln!("a search failed: {error:?}");
                    crowd.errors += 1;
                }
            }
        }
    }
    crowd.took_ms.sort_by(f64::total_cmp);
    crowd.per_second = (CLIENTS as usize * SEARCHES) as f64 / start.elapsed().as_secs_f64();
    Ok(crowd)
}

async fn search(
    pool: &PgPool,
    memory: &CorpusMemory,
    caller: &Caller,
    question: &Written,
) -> Result<(), storage::Error> {
    let mut tx = reader::begin_snapshot(pool, &caller.claims).await?;
    let now = Instant::now().into_std();
    let (_, readable) = scope::survey_for(&mut tx, &question.text).await?;
    let readable = memory.attach(readable, MODEL, now);
    let (filters, settings) = (SearchFilters::default(), SearchSettings::default());
    let request = measure::request(question);
    search::fused(&mut tx, readable, &request, &filters, &settings).await?;
    tx.end_reading();
    Ok(())
}
