//! `bench`: sets everything up and hands over to the package `bench`.

use crate::{
    cache::Cache,
    checkout::{Checkout, cargo},
    corpora,
    fetch::{self, manifest},
    native::{self, Native},
    pgbouncer, prerequisites, process,
    setup::{self, Wanted},
    steps::Steps,
    wasm,
};
use anyhow::Result;
use local_stack::{Encoder, LanguageModel};
use std::{ffi::OsString, path::PathBuf};
use tokio::process::Command;

const WANTED: Wanted = Wanted {
    encoders: &[Encoder::Small],
    language_model: LanguageModel::Extractive,
    native: Native::Programs,
};
/// What is found is found with the encoder that `up` takes.
const WANTED_FOR_RETRIEVAL: Wanted = Wanted {
    encoders: &[Encoder::Small, Encoder::Mpnet],
    ..WANTED
};
/// What makes the load.
const OHA: &str = "1.16.0";

pub async fn run(checkout: &Checkout, name: &str, words: &[OsString]) -> Result<()> {
    let mut steps = Steps::start();
    let cache = Cache::open()?;
    if name == "ingest" {
        return ingest(&cache, checkout, words, &mut steps).await;
    }
    let wanted = match name {
        "answers" | "retrieval" => WANTED_FOR_RETRIEVAL,
        _ => WANTED,
    };
    let ready = setup::run(&cache, checkout, wanted, &mut steps).await?;
    let mut command = Command::new(cargo());
    command
        .args(["run", "--quiet", "--package=bench", "--", name])
        .args(words)
        .current_dir(&checkout.root)
        .env("ETUDE_BENCH_FOLDER", cache.path("bench"))
        .envs(ready.install.to_env());
    match name {
        // Neither whether an answer is right nor how old its words are takes a load to tell.
        "answers" | "relay" => {}
        "load" => {
            command.env("ETUDE_K6", ensure_k6(&cache, &mut steps).await?);
        }
        _ => {
            command
                .env("ETUDE_OHA", ensure_oha(&cache, &mut steps).await?)
                .env(
                    "ETUDE_PGBOUNCER",
                    pgbouncer::ensure(&cache, &mut steps).await?,
                );
        }
    }
    process::visibly("the benchmark", &mut command).await
}

/// Reading PDFs needs a fraction of what the others do.
async fn ingest(
    cache: &Cache,
    checkout: &Checkout,
    words: &[OsString],
    steps: &mut Steps,
) -> Result<()> {
    prerequisites::check().await?;
    let lock = cache.lock()?;
    for artifact in [manifest::PDFIUM, manifest::TESSERACT, manifest::MINILM] {
        let name = format!("fetch {}", artifact.name);
        steps
            .run_visibly(&name, fetch::ensure(cache, &artifact))
            .await?;
    }
    setup::ensure_npm(cache, checkout, steps).await?;
    drop(lock);
    let corpora = corpora::ensure(cache, steps).await?;
    let building = native::build(checkout, Native::IngestWorker);
    steps
        .run_visibly("build the program that reads PDFs", building)
        .await?;
    let mut command = Command::new(cargo());
    command
        .args(["run", "--quiet", "--package=bench", "--", "ingest"])
        .args(words)
        .current_dir(&checkout.root)
        .env("ETUDE_REPOSITORY", &checkout.root)
        .env("ETUDE_BENCH_FOLDER", cache.path("bench"))
        .env("ETUDE_PDFS", corpora.folder)
        .env("ETUDE_PDFTOTEXT", corpora.pdftotext)
        .env(
            "ETUDE_TOKENIZER",
            cache.path(manifest::MODELS).join("minilm/tokenizer.json"),
        )
        .env(
            "ETUDE_INGEST_WORKER",
            checkout.binaries().join("ingest-worker"),
        )
        .env("PDFIUM_LIBRARY", cache.path(manifest::PDFIUM_LIBRARY))
        .env("TESSERACT_LIBRARY", cache.path(manifest::TESSERACT_LIBRARY))
        .env("TESSDATA_DIR", cache.path(manifest::TESSDATA))
        .envs(
            corpora
                .libraries
                .map(|path| ("ETUDE_PDFTOTEXT_LIBRARIES", path)),
        );
    process::visibly("the benchmark", &mut command).await
}

/// What makes the load of the specification.
async fn ensure_k6(cache: &Cache, steps: &mut Steps) -> Result<PathBuf> {
    let _lock = cache.lock()?;
    if !fetch::is_there(cache, &manifest::K6) {
        let name = format!("fetch {}", manifest::K6.name);
        steps
            .run_visibly(&name, fetch::ensure(cache, &manifest::K6))
            .await?;
    }
    Ok(cache.path(manifest::K6_PROGRAM))
}

/// The machine's own oha, else one built once into the cache.
async fn ensure_oha(cache: &Cache, steps: &mut Steps) -> Result<PathBuf> {
    if let Some(found) = prerequisites::find("oha") {
        return Ok(found);
    }
    let folder = cache.path(format!("oha-{OHA}"));
    let program = folder.join("bin/oha");
    if !program.exists() {
        let target = cache.path("unfinished/oha");
        let mut command = wasm::quick_install(&folder, &target);
        command
            .args(["--locked".to_owned(), format!("oha@{OHA}")])
            // It shares the machine with what it measures.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2");
        let building = process::visibly("building oha", &mut command);
        steps
            .run_visibly("build the load generator (oha)", building)
            .await?;
        fetch::remove(&target)?;
    }
    Ok(program)
}
