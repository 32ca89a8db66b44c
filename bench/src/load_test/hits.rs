//! The specification's cache validation: a number of questions is known, five times as many are asked, and seven in ten of
//! those are known ones.

use super::{crowd::Question, drive, system::System};
use crate::report::Report;
use shared_types::chat::{CacheOutcome, CacheReport};

const KNOWN: u32 = 1_000;
/// In the short form.
const KNOWN_SHORT: u32 = 200;
const ASKED_PER_KNOWN: u32 = 5;
/// How many ask at a time: fewer than would wait for each other.
const AT_A_TIME: u32 = 8;

pub async fn run(is_long: bool, system: &mut System, report: &mut Report) -> anyhow::Result<()> {
    let number = if is_long { KNOWN } else { KNOWN_SHORT };
    system
        .prepare(number + number * ASKED_PER_KNOWN * 3 / 10)
        .await?;
    let known: Vec<Question> = (0..number).map(|_| system.crowd.fresh()).collect();
    let warmed = drive::list("questions to be known", AT_A_TIME, known.clone()).await?;
    warmed.row(report, "hits", &format!("{number} new"), "");
    warmed.check_manners(report, "hits, warming");

    let asked: Vec<Question> = (0..number * ASKED_PER_KNOWN)
        .map(|place| {
            if place % 10 < 7 {
                // 7 and the number have no common factor: each is asked again as often as every other.
                known[(place * 7 % number) as usize].clone()
            } else {
                system.crowd.fresh()
            }
        })
        .collect();
    let tally = drive::list("questions, seven in ten known", AT_A_TIME, asked).await?;
    let embedding = share(&tally.caches, |cache| cache.embedding);
    let search = share(&tally.caches, |cache| cache.search);
    let answer = share(&tally.caches, |cache| cache.answer);
    let note = format!(
        "hits: embedding {:.1} %, search {:.1} %, answer {:.1} %",
        embedding * 100.0,
        search * 100.0,
        answer * 100.0
    );
    tally.row(report, "hits", "7 in 10 known", &note);
    tally.check_manners(report, "hits");
    // Three in ten have no vector yet: seven in ten is all that there can be.
    report.at_least("hits: embedding", embedding, 0.7);
    report.at_least("hits: answer", answer, 0.4);
    Ok(())
}

/// The share of questions for which nothing had to be made: the layer had it, or one behind it did.
fn share(caches: &[CacheReport], layer: impl Fn(&CacheReport) -> CacheOutcome) -> f64 {
    let spared = caches
        .iter()
        .filter(|cache| matches!(layer(cache), CacheOutcome::Hit | CacheOutcome::Skipped));
    spared.count() as f64 / caches.len().max(1) as f64
}
