//! Set-up: from a fresh clone to something that can be started.

use crate::{
    cache::Cache,
    checkout::Checkout,
    fetch::{
        self,
        manifest::{self, Artifact},
        tessdata,
    },
    native::{self, Native},
    npm,
    prerequisites::{self, Prerequisites},
    steps::Steps,
    wasm::{self, Target},
};
use anyhow::Result;
use local_stack::{Encoder, Install, LanguageModel};

/// What is wanted of the set-up.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Encoders to fetch.
    pub encoders: &'static [Encoder],
    /// The language model to fetch.
    pub language_model: LanguageModel,
    /// What to compile.
    pub native: Native,
}

/// Everything that was set up.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Programs and files.
    pub install: Install,
    /// The wasm target, for checks on it.
    pub target: Target,
}

/// Does what is missing, and shows how far it is.
pub async fn run(
    cache: &Cache,
    checkout: &Checkout,
    wanted: Wanted,
    steps: &mut Steps,
) -> Result<Ready> {
    let prerequisites = prerequisites::check().await?;
    let lock = cache.lock()?;
    for artifact in artifacts(wanted) {
        if !fetch::is_there(cache, &artifact) {
            let name = format!("fetch {}", artifact.name);
            steps
                .run_visibly(&name, fetch::ensure(cache, &artifact))
                .await?;
        }
    }
    ensure_npm(cache, checkout, steps).await?;
    let target = steps.run("wasm target", wasm::ensure_target(cache)).await?;
    let tools = if wasm::tools_are_there(cache) {
        wasm::ensure_tools(cache).await?
    } else {
        steps
            .run_visibly(
                "build worker-build and wasm-bindgen",
                wasm::ensure_tools(cache),
            )
            .await?
    };
    drop(lock);
    steps
        .run_visibly(
            "build the native programs",
            native::build(checkout, wanted.native),
        )
        .await?;
    if !wasm::is_current(checkout) {
        steps
            .run_visibly("build the Worker", wasm::run(checkout, &target, &tools))
            .await?;
    }
    Ok(Ready {
        install: install(cache, checkout, &prerequisites),
        target,
    })
}

/// What npm fetches: the edge's tools, and the model of text recognition.
pub async fn ensure_npm(cache: &Cache, checkout: &Checkout, steps: &mut Steps) -> Result<()> {
    if !npm::is_current(checkout) {
        steps
            .run("fetch the edge's tools (npm ci)", npm::install(checkout))
            .await?;
    }
    if !tessdata::is_there(cache) {
        steps
            .run("unpack the model of text recognition", async {
                tessdata::ensure(cache, checkout)
            })
            .await?;
    }
    Ok(())
}

fn artifacts(wanted: Wanted) -> Vec<Artifact> {
    let mut artifacts = vec![manifest::POSTGRES, manifest::PDFIUM, manifest::TESSERACT];
    artifacts.extend(wanted.encoders.iter().map(|encoder| match encoder {
        Encoder::Mpnet => manifest::MPNET,
        Encoder::Small => manifest::MINILM,
    }));
    if wanted.language_model == LanguageModel::Qwen {
        artifacts.push(manifest::QWEN);
    }
    artifacts
}

fn install(cache: &Cache, checkout: &Checkout, prerequisites: &Prerequisites) -> Install {
    Install {
        repository: checkout.root.clone(),
        binaries: checkout.binaries(),
        node: prerequisites.node.clone(),
        models: cache.path(manifest::MODELS),
        pdfium: cache.path(manifest::PDFIUM_LIBRARY),
        tesseract: cache.path(manifest::TESSERACT_LIBRARY),
        tessdata: cache.path(manifest::TESSDATA),
        postgres: cache.path(manifest::POSTGRES_INSTALLATION),
        vectors: cache.path("vectors"),
    }
}
