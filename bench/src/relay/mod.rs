//! What the way from the model to the reader adds to an answer: every word says when the model said it.
//!
//! The model is a stand-in that speaks Claude's protocol, one word every [`EVERY`], each the time on this process's clock;
//! the readers are in this process, too. So the age of a word where it arrives is what the way took, and nothing
//! else. The same stream is read straight from the model, through the origin, and through edge and origin.

mod model;
mod readers;

use crate::report::Report;
use anyhow::Context;
use clap::Args;
use journeys::{PEDALLING, booklet};
use local_stack::{Client, Part, Role, Stack, StackConfig};
use model::Model;
use readers::{Heard, Person, Way};
use shared_types::documents::Visibility;
use std::{fs, time::Duration};

/// How long the model takes for its first word, as Claude Haiku 4.5 does: all streams have begun by then.
pub const FIRST: Duration = Duration::from_millis(500);
/// How long the model takes for a word.
pub const EVERY: Duration = Duration::from_millis(50);
/// Words of an answer.
pub const WORDS: usize = 60;
/// Streams of one person at most: the edge takes no more requests of hers in a minute, the warming-up included.
const OF_ONE_PERSON: usize = 25;
/// Streams through the edge at most: one isolate has no more requests in work.
const THROUGH_ONE_ISOLATE: usize = 200;
/// The most that may be added to an answer's first word, in milliseconds.
const MAX_FIRST_MS: f64 = 5.0;
const PASSWORD: &str = "correct-horse-battery";

/// What may be chosen.
#[derive(Args)]
pub struct Options {
    /// How many streams there are at once, one run after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50, 500])]
    streams: Vec<usize>,
}

/// Reads streams in all three ways.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let model = Model::start().await?;
    let home = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
    let config = StackConfig::for_test(home.path())?
        .with_variable("origin", "VERTEX_BASE_URL", model.base_url())
        .with_variable("origin", "LLM_CONCURRENCY", "1000")
        .with_variable("origin", "ORIGIN_CONCURRENCY", "2000");
    let stack = Stack::start(config).await?;
    let measured = measure(options, &model, &stack).await;
    stack.stop().await;
    measured
}

async fn measure(options: &Options, model: &Model, stack: &Stack) -> anyhow::Result<Report> {
    let people = people(stack, options).await?;
    let mut report = Report::default();
    report.begin(
        "From the model to the reader: what is added to the words of an answer, in milliseconds",
        &[
            "streams",
            "way",
            "first word: p50",
            "p95",
            "every word: p50",
            "p95",
            "p99",
            "late words",
            "MB a stream: origin",
            "edge",
        ],
    );
    for streams in &options.streams {
        let straight = read(stack, model, &people, Way::Straight, *streams).await?;
        row(&mut report, *streams, Way::Straight, &straight);
        for way in [Way::Origin, Way::EdgeAndOrigin] {
            if way == Way::EdgeAndOrigin && *streams > THROUGH_ONE_ISOLATE {
                continue;
            }
            let heard = read(stack, model, &people, way, *streams).await?;
            row(&mut report, *streams, way, &heard);
            let what = format!("{} streams, {}", streams, way.name());
            // More streams than that are more than two processors can serve beside their readers.
            if *streams <= 50 {
                let added = heard.heard.first(0.5) - straight.heard.first(0.5);
                report.at_most(&format!("{what}: first word"), added, MAX_FIRST_MS, "ms");
                report.at_most(&format!("{what}: late words"), heard.heard.late(), 0.01, "");
            }
        }
    }
    Ok(report)
}

/// What was heard, and what it took of memory.
struct Measured {
    heard: Heard,
    origin_mb: f64,
    edge_mb: f64,
}

async fn read(
    stack: &Stack,
    model: &Model,
    people: &[Person],
    way: Way,
    streams: usize,
) -> anyhow::Result<Measured> {
    eprintln!("{streams} streams, {}", way.name());
    let of = |part| stack.process_id(part).context("a part is not running");
    let parts = [of(Part::Origin)?, of(Part::Edge)?];
    let before = [resident_mb(parts[0])?, resident_mb(parts[1])?];
    let reading = readers::read(stack, model, people, way, streams);
    tokio::pin!(reading);
    let mut peak = before;
    let heard = loop {
        tokio::select! {
            heard = &mut reading => break heard?,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                for (peak, part) in peak.iter_mut().zip(parts) {
                    *peak = peak.max(resident_mb(part)?);
                }
            }
        }
    };
    Ok(Measured {
        heard,
        origin_mb: (peak[0] - before[0]) / streams as f64,
        edge_mb: (peak[1] - before[1]) / streams as f64,
    })
}

fn row(report: &mut Report, streams: usize, way: Way, measured: &Measured) {
    let ms = |value: f64| format!("{value:.1}");
    let mb = |value: f64, is_on_the_way: bool| {
        if is_on_the_way {
            format!("{value:.2}")
        } else {
            "–".to_owned()
        }
    };
    let heard = &measured.heard;
    report.row(vec![
        streams.to_string(),
        way.name().to_owned(),
        ms(heard.first(0.5)),
        ms(heard.first(0.95)),
        ms(heard.every(0.5)),
        ms(heard.every(0.95)),
        ms(heard.every(0.99)),
        format!("{:.1} %", heard.late() * 100.0),
        mb(measured.origin_mb, way != Way::Straight),
        mb(measured.edge_mb, way == Way::EdgeAndOrigin),
    ]);
}

/// Enough people for that many streams, who may all read one booklet.
async fn people(stack: &Stack, options: &Options) -> anyhow::Result<Vec<Person>> {
    let streams = options
        .streams
        .iter()
        .copied()
        .filter(|streams| *streams <= THROUGH_ONE_ISOLATE);
    let number = streams.max().unwrap_or(1).div_ceil(OF_ONE_PERSON);
    let teacher = "teacher@school.example";
    let names = (1..=number).map(|number| format!("reader-{number}@school.example"));
    let mut people = Vec::new();
    for (email, role) in [(teacher.to_owned(), Role::Teacher)]
        .into_iter()
        .chain(names.map(|name| (name, Role::Student)))
    {
        stack
            .people()
            .create(&email, PASSWORD, &email, role)
            .await?;
        let session = stack.client().sign_in(&email, PASSWORD).await?;
        people.push(Person {
            browser: stack.client().with_token(&session.access_token),
            at_origin: Client::new(stack.origin_url()).with_token(&session.access_token),
        });
    }
    let owner = people.remove(0).browser;
    let announced = owner.upload(booklet(PEDALLING, Visibility::Public)).await?;
    owner.wait_for(announced.id, |_| ()).await?;
    Ok(people)
}

/// Memory of a process that is resident now.
fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next());
    let kb: f64 = kb.context("no VmRSS")?.parse()?;
    Ok(kb / 1_024.0)
}
