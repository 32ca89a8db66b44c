//! What is asked of every side, and whether they find the same.

use super::{
    super::{
        corpus::Library,
        school::{self, Caller, Questions as Topics, STAGES},
        shelf::MODEL,
    },
    service::{self, Service, Site},
};
use crate::load::Body;
use anyhow::{Context, ensure};
use rag_core::query::normalise;
use serde::Deserialize;
use shared_types::{
    chat::SearchFilters,
    ids::ChunkId,
    origin::{RETRIEVE_LIMIT, RetrieveRequest},
};
use std::{fs, path::Path};

/// Of the first 10 of one service, how many another must have among its 20, in the mean. Services that rank by
/// different rules do not agree on everything.
const MIN_COMMON: f64 = 0.6;

/// A student of ten teachers, who reads all that is public and what the ten keep for their students.
pub fn student() -> anyhow::Result<Caller> {
    let mut callers = school::callers(STAGES.len() - 1).into_iter();
    let student =
        callers.find(|caller| caller.name == "ten owners" && caller.questions == Topics::OnTopic);
    student.context("the school has a student of ten teachers")
}

/// Bodies as the edge sends them, one for each question.
pub fn bodies(library: &Library, caller: &Caller, count: u64) -> anyhow::Result<Vec<String>> {
    (0..count)
        .map(|number| {
            let written = library.question(number, caller.questions.is_hidden(number));
            let request = RetrieveRequest {
                query: normalise(&written.text)?,
                embedding: Some(written.embedding),
                embedding_model: MODEL.to_owned(),
                filters: SearchFilters::default(),
            };
            Ok(serde_json::to_string(&request)?)
        })
        .collect()
}

/// Writes a body a line.
pub fn write(bodies: &[String], file: &Path) -> anyhow::Result<()> {
    fs::write(file, bodies.join("\n")).with_context(|| file.display().to_string())
}

#[derive(Deserialize)]
struct Reply {
    passages: Vec<Passage>,
}

#[derive(Deserialize)]
struct Passage {
    chunk_id: ChunkId,
    content: String,
}

/// What a service finds, for each body, one after the other; fails where it finds fewer than it should, or a passage
/// without words.
pub async fn ask(
    site: &Site,
    service: &Service,
    bodies: &[String],
    mut done: impl FnMut(),
) -> anyhow::Result<Vec<Vec<ChunkId>>> {
    let client = service::client()?;
    let mut found = Vec::with_capacity(bodies.len());
    for body in bodies {
        let request = site.request(service, Body::Text(body.clone()));
        let reply = request.once_by(&client)?.send().await?;
        let status = reply.status();
        let text = reply.text().await?;
        ensure!(status.is_success(), "{}: {status} {text}", service.name);
        let reply: Reply = serde_json::from_str(&text)
            .with_context(|| format!("{} answers {text}", service.name))?;
        ensure!(
            reply.passages.len() == RETRIEVE_LIMIT,
            "{} finds {} passages, not {RETRIEVE_LIMIT}",
            service.name,
            reply.passages.len()
        );
        ensure!(
            reply.passages.iter().all(|found| !found.content.is_empty()),
            "{} finds a passage without words",
            service.name
        );
        found.push(reply.passages.iter().map(|found| found.chunk_id).collect());
        done();
    }
    Ok(found)
}

/// Of the first 10 of `ours`, the mean share that is among all of `theirs`; fails where that is too little.
pub fn compare(name: &str, ours: &[Vec<ChunkId>], theirs: &[Vec<ChunkId>]) -> anyhow::Result<f64> {
    let shares = ours.iter().zip(theirs).map(|(ours, theirs)| {
        let first = &ours[..ours.len().min(10)];
        let common = first.iter().filter(|id| theirs.contains(id)).count();
        common as f64 / first.len().max(1) as f64
    });
    let share = shares.sum::<f64>() / ours.len().min(theirs.len()).max(1) as f64;
    ensure!(
        share >= MIN_COMMON,
        "{name} finds {share:.2} of what the origin puts first: they do not do the same"
    );
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ids(numbers: impl IntoIterator<Item = u128>) -> Vec<ChunkId> {
        numbers
            .into_iter()
            .map(|number| ChunkId(Uuid::from_u128(number)))
            .collect()
    }

    #[test]
    fn services_agree_as_far_as_one_has_what_the_other_puts_first() {
        let ours = [ids(0..20), ids(0..20)];
        let theirs = [ids(2..22), ids((0..20).rev())];
        let share = compare("the other", &ours, &theirs).unwrap();
        assert!((share - 0.9).abs() < 1e-9);
        assert!(compare("the other", &ours, &[ids(20..40), ids(5..25)]).is_err());
    }
}
