//! This Worker and one in TypeScript by turns, in many short runs: what disturbs the machine for longer than a run
//! disturbs both.

use super::{
    Options,
    sides::{Row, Side, Sides},
};
use crate::{
    cpu,
    load::{self, Length, Run},
    report::{Report, quantile},
};
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::Install;
use std::time::Duration;

const CONNECTIONS: [u32; 3] = [1, 16, 64];
/// The ratio of a row at most.
const MAX_RATIO: f64 = 1.0;
/// The same for the cached answer.
const MAX_CACHED_RATIO: f64 = 0.9;
/// CPU milliseconds of a cached answer over KV on disk, at [`CPU_CONNECTIONS`].
const MAX_CACHED_CPU_MS: f64 = 0.3;
/// Where CPU is held against a figure: enough that the runtime has always something to do. One connection alone has it
/// go to sleep and wake up for each request, which takes a Worker that does nothing twice as long.
const CPU_CONNECTIONS: u32 = 16;

/// How long and how often.
struct Plan {
    pairs: usize,
    /// Seconds that one run is to take.
    run_s: f64,
    /// Seconds of load before the first run of a row: V8 compiles what is called often a second time, and better.
    warm_up_s: f64,
}

impl Plan {
    fn of(options: &Options) -> Self {
        if options.quick {
            Self {
                pairs: 7,
                run_s: 0.25,
                warm_up_s: 4.0,
            }
        } else {
            Self {
                pairs: 21,
                run_s: 0.4,
                warm_up_s: 8.0,
            }
        }
    }
}

/// One run, and the CPU time of `workerd` for it.
#[derive(Clone, Copy)]
struct Sample {
    run: Run,
    cpu_ms: f64,
}

/// Starts both Workers, compares them, and holds the outcome against the targets.
pub async fn measure(
    install: &Install,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    let plan = Plan::of(options);
    let sides = Sides::start(install).await?;
    report.begin(
        &format!(
            "This Worker beside one in TypeScript (Hono, jose), KV on disk: medians of {} runs each, by turns; ratio of \
             CPU with its quartiles",
            plan.pairs
        ),
        &[
            "what", "connections", "Worker", "CPU ms/req", "req/s", "p50 ms", "p95 ms", "p99 ms", "CPU ratio",
        ],
    );
    let style = ProgressStyle::with_template("{msg:34} {bar:30} {pos}/{len} pairs, {eta} left")?;
    let rows = (Row::ALL.len() + 1) * CONNECTIONS.len();
    let bar = ProgressBar::new((rows * plan.pairs) as u64).with_style(style);
    bar.set_message("nothing");
    for connections in CONNECTIONS {
        let samples = bare(&sides, options, &plan, connections, &bar).await?;
        add_side(
            report,
            "nothing",
            connections,
            &sides.bare,
            &samples,
            String::new(),
        );
    }
    for row in Row::ALL {
        bar.set_message(format!("{}, warming up", row.name()));
        warm_up(&sides, options, &plan, row).await?;
        for connections in CONNECTIONS {
            bar.set_message(format!("{}, {connections} connections", row.name()));
            let pairs = compare(&sides, options, &plan, row, connections, &bar).await?;
            add(report, &sides, row, connections, &pairs);
        }
    }
    bar.finish_and_clear();
    sides.stop().await
}

/// One run of a row on one side.
async fn once(
    sides: &Sides,
    side: &Side,
    options: &Options,
    row: Row,
    connections: u32,
    requests: u32,
) -> anyhow::Result<Sample> {
    side.refresh()?;
    let request = sides.request(side, row);
    let before_ms = cpu::ms_of_tree(side.workerd.process_id())?;
    let run = load::run(
        &options.oha,
        &request,
        connections,
        Length::Requests(requests),
    )
    .await?;
    let spent_ms = cpu::ms_of_tree(side.workerd.process_id())? - before_ms;
    Ok(Sample {
        run,
        cpu_ms: spent_ms / f64::from(requests),
    })
}

/// Has both sides do a row until their code is as good as it gets: the same number of requests for both.
async fn warm_up(sides: &Sides, options: &Options, plan: &Plan, row: Row) -> anyhow::Result<()> {
    const CONNECTIONS: u32 = 16;
    const FIRST: u32 = 300;
    let mut requests = FIRST;
    for side in sides.of(row) {
        let first = once(sides, side, options, row, CONNECTIONS, FIRST).await?;
        requests = requests.max((first.run.per_second * plan.warm_up_s) as u32);
    }
    for side in sides.of(row) {
        once(sides, side, options, row, CONNECTIONS, requests).await?;
    }
    Ok(())
}

async fn compare(
    sides: &Sides,
    options: &Options,
    plan: &Plan,
    row: Row,
    connections: u32,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<[Sample; 2]>> {
    let once = async |side: &Side, requests: u32| {
        once(sides, side, options, row, connections, requests).await
    };
    let mut per_second = f64::INFINITY;
    for side in sides.of(row) {
        let first = once(side, connections.max(100)).await?;
        per_second = per_second.min(first.run.per_second);
    }
    // The same number for both: what a run costs beside its requests weighs the same then.
    let requests = ((per_second * plan.run_s) as u32).max(connections * 4);
    let mut pairs = Vec::new();
    for turn in 0..plan.pairs {
        let [etude, typescript] = sides.of(row);
        // Whoever is first meets another machine than the second; each is first every other time.
        pairs.push(if turn % 2 == 0 {
            let first = once(etude, requests).await?;
            [first, once(typescript, requests).await?]
        } else {
            let first = once(typescript, requests).await?;
            [once(etude, requests).await?, first]
        });
        bar.inc(1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(pairs)
}

/// The same load on a Worker that does nothing.
async fn bare(
    sides: &Sides,
    options: &Options,
    plan: &Plan,
    connections: u32,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Sample>> {
    let once = async |requests: u32| {
        once(
            sides,
            &sides.bare,
            options,
            Row::CachedAnswer,
            connections,
            requests,
        )
        .await
    };
    let first = once(connections.max(300)).await?;
    let requests = ((first.run.per_second * plan.run_s) as u32).max(connections * 4);
    let mut samples = Vec::new();
    for _ in 0..plan.pairs {
        samples.push(once(requests).await?);
        bar.inc(1);
    }
    Ok(samples)
}

fn add(report: &mut Report, sides: &Sides, row: Row, connections: u32, pairs: &[[Sample; 2]]) {
    let ratios = sorted(
        pairs
            .iter()
            .map(|[etude, other]| etude.cpu_ms / other.cpu_ms),
    );
    let ratio = quantile(&ratios, 0.5);
    let quartile = |share| quantile(&ratios, share);
    let shown = format!("{ratio:.2} ({:.2}–{:.2})", quartile(0.25), quartile(0.75));
    let [etude, typescript] = sides.of(row);
    let [ours, others]: [Vec<Sample>; 2] =
        [0, 1].map(|n| pairs.iter().map(|pair| pair[n]).collect());
    let cpu_ms = add_side(report, row.name(), connections, etude, &ours, shown);
    add_side(
        report,
        row.name(),
        connections,
        typescript,
        &others,
        String::new(),
    );
    if row == Row::CachedAnswer && connections == CPU_CONNECTIONS {
        let what = format!("CPU of a cached answer over KV on disk, {connections} connections");
        report.below(&what, cpu_ms, MAX_CACHED_CPU_MS, "ms");
    }
    let bound = match row {
        Row::CachedAnswer => MAX_CACHED_RATIO,
        Row::TokenOnly | Row::EmbeddingHit => MAX_RATIO,
        // It tells how much of the row before is the isolate's memory: that row is the one with a target.
        Row::CachedInKv => return,
    };
    let what = format!("CPU ratio of {}, {connections} connections", row.name());
    // As it is shown: a third digit is never the same twice.
    report.at_most(&what, (ratio * 100.0).round() / 100.0, bound, "");
}

/// One side's row, of medians; its CPU milliseconds a request.
fn add_side(
    report: &mut Report,
    what: &str,
    connections: u32,
    side: &Side,
    samples: &[Sample],
    ratio: String,
) -> f64 {
    let median = |figure: fn(&Sample) -> f64| quantile(&sorted(samples.iter().map(figure)), 0.5);
    let cpu_ms = median(|sample| sample.cpu_ms);
    report.row(vec![
        what.to_owned(),
        connections.to_string(),
        side.name.to_owned(),
        format!("{cpu_ms:.3}"),
        format!("{:.0}", median(|sample| sample.run.per_second)),
        format!("{:.2}", median(|sample| sample.run.p50_ms)),
        format!("{:.2}", median(|sample| sample.run.p95_ms)),
        format!("{:.2}", median(|sample| sample.run.p99_ms)),
        ratio,
    ]);
    cpu_ms
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
