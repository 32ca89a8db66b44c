//! Throughput of `/v1/retrieve`: beside pgbench with the same statements, and beside two services that one would
//! write in Python, over the same library in the same server, by turns.

mod pgbench;
mod questions;
mod sample;
mod script;
mod service;
mod statements;
mod verdict;

use super::{
    Options,
    corpus::Library,
    school::{Caller, STAGES},
    shelf::{self, Server, Shelf},
};
use crate::{
    cpu,
    load::{self, Body, Length},
    report::Report,
};
use anyhow::{Context, ensure};
use local_stack::Install;
use pgbench::Pgbench;
use sample::Sample;
use script::Script;
use service::{Python, Service, Site};
use shared_types::ids::ChunkId;
use sqlx::{AssertSqlSafe, Executor};
use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use verdict::{Outcome, Runs};

/// The origin, pgbench twice, and three services in Python.
const SIDES: usize = 6;
const PASSAGES: usize = 10_000;
const CLIENTS: [u32; 3] = [1, 8, 32];
/// So many that two of 32 clients hardly ever ask the same at once, which the origin would search for once.
const QUESTIONS: u64 = 1_000;
/// Of these every service's findings are compared with the origin's.
const COMPARED: usize = 50;
/// Numbers of workers that a service in Python is tried with.
const WORKERS: [u32; 3] = [1, 2, 4];
/// What every search reads, and nothing else does.
const SEARCHED: &str = "content_sha256";
/// Load before the first run of a service.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long and how often.
struct Plan {
    rounds: usize,
    run: Duration,
}

impl Plan {
    fn of(options: &Options) -> Self {
        Self {
            rounds: if options.quick { 3 } else { 5 },
            run: Duration::from_secs(2),
        }
    }
}

/// Everything that runs.
struct Ground<'a> {
    oha: &'a Path,
    server: u32,
    site: Site,
    folder: TempDir,
    plan: Plan,
}

/// One of those that are compared.
enum Side {
    /// pgbench with the origin's statements.
    Limit(Pgbench),
    /// pgbench with what it does for its questions alone.
    QuestionsAlone(Pgbench),
    Service(Service),
}

impl Side {
    /// Without a run yet.
    fn runs(&self) -> Runs {
        let (name, workers) = match self {
            Self::Limit(_) => ("pgbench", None),
            Self::QuestionsAlone(_) => ("pgbench, its questions alone", None),
            Self::Service(service) => (service.name, Some(service.workers)),
        };
        Runs {
            name: name.to_owned(),
            workers,
            samples: vec![Vec::new(); CLIENTS.len()],
        }
    }
}

/// Measures over a library of [`PASSAGES`] passages, all that may become public being so.
pub async fn measure(
    install: &Install,
    options: &Options,
    server: &Server,
    report: &mut Report,
) -> anyhow::Result<()> {
    let library = Library::new();
    let shelf = server.open(&library, PASSAGES).await?;
    for stage in 0..STAGES.len() {
        shelf.publish(PASSAGES, stage).await?;
    }
    let student = questions::student()?;
    let person = student.claims.sub;
    let site = Site::prepare(install, &options.folder, &shelf, server.url(), person).await?;
    let ground = Ground {
        oha: &options.oha,
        server: server.process_id(),
        site,
        folder: tempfile::Builder::new().prefix("etude-bench-").tempdir()?,
        plan: Plan::of(options),
    };
    eprintln!("copy the passages into the tables of the services in Python");
    shelf.owner.execute(include_str!("words.sql")).await?;
    ground.site.fill_langchain().await?;
    for table in ["bench.passage_words", "langchain.passages"] {
        let vacuum = format!("vacuum (analyze) {table}");
        shelf.owner.execute(AssertSqlSafe(vacuum)).await?;
    }

    let asked = ask_first(&ground, server, &shelf, &library, &student).await?;
    let limit = Pgbench::new(
        &install.postgres,
        shelf.reader_url(server.url())?,
        &asked.script,
    );
    let origin = ground.warm(ground.site.origin().await?).await?;
    let log = origin.log().to_owned();
    let mut sides = vec![
        Side::Service(origin),
        Side::Limit(limit.clone()),
        Side::QuestionsAlone(limit),
    ];
    for python in [
        Python::ByHandAnyWord,
        Python::ByHandEveryWord,
        Python::LangChain,
    ] {
        let workers = best_workers(&ground, &asked, python).await?;
        let service = ground.site.python(python, workers).await?;
        sides.push(Side::Service(ground.warm(service).await?));
    }
    let sides: [Side; SIDES] = sides.try_into().ok().context("there are so many sides")?;
    let runs: [Runs; SIDES] = by_turns(&ground, &sides).await?;
    let [
        origin,
        pgbench,
        questions_alone,
        any_word,
        every_word,
        langchain,
    ] = runs;
    let outcome = Outcome {
        origin,
        pgbench,
        questions_alone,
        any_word,
        every_word,
        langchain,
    };
    let caption = format!(
        "/v1/retrieve over {PASSAGES} passages, medians of {} runs of {} s by turns; {:.1} % of the origin's requests \
         were answered by the search of another",
        ground.plan.rounds,
        ground.plan.run.as_secs(),
        100.0 * joined(&log)?
    );
    verdict::tell(&outcome, &CLIENTS, &caption, report);
    for side in sides {
        if let Side::Service(service) = side {
            service.stop().await;
        }
    }
    server.discard(shelf).await
}

/// The questions of all sides.
struct Asked {
    bodies: Vec<String>,
    /// What the origin finds.
    found: Vec<Vec<ChunkId>>,
    script: Script,
}

/// Asks the origin every question once while the server logs what it says, and makes pgbench's script of that.
async fn ask_first(
    ground: &Ground<'_>,
    server: &Server,
    shelf: &Shelf,
    library: &Library,
    student: &Caller,
) -> anyhow::Result<Asked> {
    const ROLE: &str = "etude_origin";
    let bodies = questions::bodies(library, student, QUESTIONS)?;
    let database = shelf.name();
    let log_all = format!("alter role {ROLE} in database {database} set log_statement = 'all'");
    shelf.owner.execute(AssertSqlSafe(log_all)).await?;
    let origin = ground.site.origin().await?;
    let bar = shelf::bar("ask, and log the statements", bodies.len())?;
    let found = questions::ask(&ground.site, &origin, &bodies, || bar.inc(1)).await?;
    bar.finish_and_clear();
    origin.stop().await;
    let reset = format!("alter role {ROLE} in database {database} reset log_statement");
    shelf.owner.execute(AssertSqlSafe(reset)).await?;

    let log = File::open(server.log()).context("the server's log")?;
    let who = format!("{ROLE}@{database}");
    let (mut transactions, outside) = statements::transactions(BufReader::new(log), &who)?;
    // The origin reads vectors into its memory beside them, and now and then measures what a search missed.
    transactions.retain(|said| said.iter().any(|said| said.text.contains(SEARCHED)));
    ensure!(
        transactions.len() == bodies.len(),
        "{} transactions were logged for {} questions",
        transactions.len(),
        bodies.len()
    );
    let script = Script::of(&transactions)?;
    eprintln!(
        "{} of {} questions take {} statements, begin and commit included; outside of transactions: {:.2} a question",
        script.questions.len(),
        bodies.len(),
        script.statements,
        outside as f64 / bodies.len() as f64
    );
    script.store(&shelf.owner).await?;
    let kept = |number: &usize| (bodies[*number].clone(), found[*number].clone());
    let (bodies, found): (Vec<_>, Vec<_>) = script.questions.iter().map(kept).unzip();
    questions::write(&bodies, &ground.bodies())?;
    fs::write(ground.script(), &script.text)?;
    fs::write(ground.questions_alone(), &script.questions_alone)?;
    Ok(Asked {
        bodies,
        found,
        script,
    })
}

/// The number of workers with which a service answers most. Its findings are held against the origin's first.
async fn best_workers(ground: &Ground<'_>, asked: &Asked, python: Python) -> anyhow::Result<u32> {
    let mut best = (0.0, 0);
    for workers in WORKERS {
        let service = ground.site.python(python, workers).await?;
        let theirs = questions::ask(&ground.site, &service, &asked.bodies[..COMPARED], || {});
        let common = questions::compare(python.name(), &asked.found, &theirs.await?)?;
        let service = ground.warm(service).await?;
        // The loads that more than one worker can share.
        let mut product = 1.0;
        for clients in [CLIENTS[1], CLIENTS[2]] {
            product *= ground.ask(&service, clients).await?.per_second;
        }
        let per_second = f64::sqrt(product);
        eprintln!(
            "{}, workers: {workers}, requests/s: {per_second:.0}; finds {:.0} % of the origin's first 10",
            python.name(),
            100.0 * common
        );
        if per_second > best.0 {
            best = (per_second, workers);
        }
        service.stop().await;
    }
    Ok(best.1)
}

/// Every side with every number of clients, round after round, each round beginning with another side.
async fn by_turns(ground: &Ground<'_>, sides: &[Side; SIDES]) -> anyhow::Result<[Runs; SIDES]> {
    let mut runs = sides.each_ref().map(Side::runs);
    let rounds = ground.plan.rounds;
    let bar = shelf::bar("run by turns", rounds * SIDES * CLIENTS.len())?;
    for round in 0..rounds {
        for (nth, clients) in CLIENTS.into_iter().enumerate() {
            for turn in 0..SIDES {
                let side = (turn + round) % SIDES;
                let sample = ground.run(&sides[side], clients).await?;
                runs[side].samples[nth].push(sample);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(runs)
}

/// The share of the origin's requests that were answered by the search of another.
fn joined(origin: &Path) -> anyhow::Result<f64> {
    let log = fs::read_to_string(origin)?;
    let count = |part: &str| log.matches(&format!("\"flight\":\"{part}\"")).count() as f64;
    let (joined, led) = (count("joined"), count("led") + count("alone"));
    ensure!(led > 0.0, "the origin's log says nothing of its searches");
    Ok(joined / (joined + led))
}

impl Ground<'_> {
    fn bodies(&self) -> PathBuf {
        self.folder.path().join("bodies")
    }

    fn script(&self) -> PathBuf {
        self.folder.path().join("retrieve.sql")
    }

    fn questions_alone(&self) -> PathBuf {
        self.folder.path().join("questions.sql")
    }

    async fn warm(&self, service: Service) -> anyhow::Result<Service> {
        let request = self.site.request(&service, Body::LineOf(self.bodies()));
        let most = CLIENTS[CLIENTS.len() - 1];
        load::run(self.oha, &request, most, Length::Time(WARM_UP)).await?;
        Ok(service)
    }

    async fn run(&self, side: &Side, clients: u32) -> anyhow::Result<Sample> {
        let (pgbench, script) = match side {
            Side::Service(service) => return self.ask(service, clients).await,
            Side::Limit(pgbench) => (pgbench, self.script()),
            Side::QuestionsAlone(pgbench) => (pgbench, self.questions_alone()),
        };
        let seconds = self.plan.run.as_secs();
        pgbench.run(&script, clients, seconds, self.server).await
    }

    async fn ask(&self, service: &Service, clients: u32) -> anyhow::Result<Sample> {
        let request = self.site.request(service, Body::LineOf(self.bodies()));
        let (own, postgres) = (service.cpu_ms()?, cpu::ms_of_server(self.server)?);
        let length = Length::Time(self.plan.run);
        let run = load::run(self.oha, &request, clients, length).await?;
        let replies = f64::from(run.replies);
        Ok(Sample {
            per_second: run.per_second,
            p50_ms: run.p50_ms,
            p95_ms: run.p95_ms,
            own_cpu_ms: Some((service.cpu_ms()? - own) / replies),
            postgres_cpu_ms: (cpu::ms_of_server(self.server)? - postgres) / replies,
        })
    }
}
