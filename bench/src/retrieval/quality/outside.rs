//! What a Python user would pick, run by a Python of its own over the same PostgreSQL server.

use super::collection::Collection;
use crate::python;
use rag_core::bm25::Bm25;
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};
use tokio::process::Command;
use url::Url;

const SCRIPT: &str = "bench/python/outside.py";

/// The stems of documents and questions as PostgreSQL has them, repetitions included.
pub struct Stems {
    pub documents: Vec<Vec<String>>,
    pub queries: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Input<'a> {
    database_url: String,
    document_vectors: &'a Path,
    query_vectors: &'a Path,
    k1: f64,
    b: f64,
    documents: Vec<Text<'a>>,
    queries: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
    stems: &'a [String],
}

/// For each method the ranking of every question.
pub type Rankings = BTreeMap<String, Vec<Vec<usize>>>;

/// Ranks the collection. `database` is an empty one, and the superuser's; packages are kept below `folder`.
pub async fn rankings(
    repository: &Path,
    folder: &Path,
    database: Url,
    collection: &Collection,
    stems: &Stems,
    bm25: Bm25,
) -> anyhow::Result<Rankings> {
    let packages = python::packages(python::SEARCH, repository, folder).await?;
    let exchange = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
    let mut database_url = database.to_string();
    let scheme = database.scheme().len();
    database_url.replace_range(..scheme, "postgresql+psycopg");
    let input = Input {
        database_url,
        document_vectors: &collection.document_vectors,
        query_vectors: &collection.query_vectors,
        k1: bm25.k1,
        b: bm25.b,
        documents: texts(&collection.documents, &stems.documents),
        queries: texts(&collection.queries, &stems.queries),
    };
    fs::write(
        exchange.path().join("input.json"),
        serde_json::to_vec(&input)?,
    )?;
    let mut python = Command::new("python3");
    python
        .arg(repository.join(SCRIPT))
        .arg(exchange.path())
        .env("PYTHONPATH", packages);
    python::succeed(&mut python, SCRIPT).await?;
    let output = fs::read(exchange.path().join("output.json"))?;
    Ok(serde_json::from_slice(&output)?)
}

fn texts<'a>(
    labelled: &'a [super::collection::Labelled],
    stems: &'a [Vec<String>],
) -> Vec<Text<'a>> {
    labelled
        .iter()
        .zip(stems)
        .map(|(labelled, stems)| Text {
            text: &labelled.text,
            stems,
        })
        .collect()
}
