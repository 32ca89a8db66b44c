//! Worker, PostgreSQL, object storage and Workers AI are killed, stopped, refused and silenced, many times, while
//! documents are read: each ends whole exactly once, and nobody ever sees a part of one.
//!
//! The server is one of this test's own. Needs `ETUDE_POSTGRES`, the folder of PostgreSQL's programs, `PDFIUM_LIBRARY`
//! and `ETUDE_MODELS_DIR`; `cargo xtask test` sets them. `ETUDE_SEED` repeats a run, `ETUDE_FAULTS` makes it longer.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

mod chance;
mod library;
#[path = "../studio/mod.rs"]
#[expect(
    dead_code,
    reason = "several test binaries compile this file; this one uses a part of it"
)]
mod studio;
#[path = "../../../storage/tests/support/mod.rs"]
mod support;
mod watch;
#[path = "../world/mod.rs"]
mod world;

use chance::Chance;
use library::{Kind, Library};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use watch::Watch;

/// Faults, unless `ETUDE_FAULTS` says otherwise.
const FAULTS: u32 = 30;
/// What embedding a batch takes, and storing a document: long enough to be struck in the middle.
const PACE: Duration = Duration::from_millis(250);

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    WorkerKilled,
    WorkerStopped,
    PostgresKilled,
    StoreDown,
    EmbeddingDown,
    EmbeddingSilent,
}

/// What is struck with; what costs most comes most often.
const KINDS: [Fault; 9] = [
    Fault::WorkerKilled,
    Fault::WorkerKilled,
    Fault::WorkerKilled,
    Fault::PostgresKilled,
    Fault::WorkerStopped,
    Fault::PostgresKilled,
    Fault::StoreDown,
    Fault::EmbeddingDown,
    Fault::EmbeddingSilent,
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_document_ends_whole_exactly_once() {
    let mut chance = Chance::from_environment();
    let faults = chance::number("ETUDE_FAULTS").map_or(FAULTS, |faults| faults as u32);
    println!("ETUDE_SEED={} ETUDE_FAULTS={faults}", chance.seed());
    let mut library = Library::start().await;

    // What a reading without faults makes of each file, and a document that is read once more through all of it.
    let expected = library.read_without_faults().await;
    library.read_again(library.first()).await;
    let watch = Watch::start(library.server_url(), Arc::clone(&expected));

    for kind in [Kind::Booklet, Kind::Locked, Kind::Letter, Kind::Short] {
        library.upload(kind).await;
    }
    library.world.pace_embedding(PACE);
    library.slow_down_storing(PACE).await;
    library.run_workers(2);
    for number in 0..faults {
        let kind = chance.one_of(&[Kind::Booklet, Kind::Booklet, Kind::Short, Kind::Letter]);
        library.upload(kind).await;
        library.until_busy().await;
        sleep(chance.up_to(2 * PACE)).await;
        let fault = chance.one_of(&KINDS);
        println!("{number}: {fault:?}");
        strike(&mut library, fault, &mut chance).await;
        library.revive_workers();
    }

    library.settle().await;
    let repeated = library.repeated().await;
    for id in library.failed_by_faults().await {
        library.read_again(id).await;
    }
    library.settle().await;
    let looks = watch.end().await;
    let documents = library.documents().len();
    println!("{looks} looks at {documents} documents, {repeated} readings begun more than once");
    assert!(repeated > 0, "faults strike in the middle of something");
    library.check(&expected).await;
}

async fn strike(library: &mut Library, fault: Fault, chance: &mut Chance) {
    let outage = chance.up_to(Duration::from_millis(600));
    let world = library.world.clone();
    match fault {
        Fault::WorkerKilled => library.kill_a_worker(chance).await,
        Fault::WorkerStopped => library.stop_a_worker(chance).await,
        Fault::PostgresKilled => library.restart_postgres(outage).await,
        Fault::StoreDown => {
            world.break_store(true);
            // A file is read first of all: those in hand have theirs.
            library.upload(Kind::Booklet).await;
            sleep(outage).await;
            world.break_store(false);
        }
        Fault::EmbeddingDown => {
            world.break_embedding(true);
            sleep(outage).await;
            world.break_embedding(false);
        }
        Fault::EmbeddingSilent => {
            world.silence_embedding(true);
            sleep(outage).await;
            world.silence_embedding(false);
        }
    }
}
