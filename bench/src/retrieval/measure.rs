//! One cell of the table: one caller, one kind of question.

use super::{
    corpus::{Library, Written},
    school::Caller,
    shelf::{MODEL, Shelf},
};
use crate::cpu;
use anyhow::ensure;
use pgvector::HalfVector;
use shared_types::{chat::SearchFilters, ids::ChunkId};
use std::collections::BTreeMap;
use storage::{
    reader, scope,
    search::{self, CorpusMemory, Kept, RankedLists, Readable, SearchRequest, SearchSettings},
};
use tokio::time::Instant;
use uuid::Uuid;

/// Questions that only prepare statements and fill caches.
const WARM_UP: u64 = 10;

/// What was measured.
#[derive(Default)]
pub struct Cell {
    /// Passages that the caller may read.
    pub readable: u64,
    /// In memory.
    pub in_memory: Searches,
    /// By SQL alone.
    pub by_sql: Searches,
    /// Sorted milliseconds of the list by words alone, by SQL.
    pub words_ms: Vec<f64>,
    /// Milliseconds in which what was missing came into memory.
    pub loading_ms: f64,
}

/// Searches for all questions.
#[derive(Default)]
pub struct Searches {
    /// How often each plan was taken.
    pub plans: BTreeMap<&'static str, usize>,
    /// Mean share of the 10 nearest that are among the first 10.
    pub recall_10: f64,
    /// The same for 20.
    pub recall_20: f64,
    /// Sorted milliseconds of whole searches, from beginning the transaction to its end.
    pub ms: Vec<f64>,
    /// Sorted CPU milliseconds of PostgreSQL for whole searches.
    pub cpu_ms: Vec<f64>,
}

/// Asks so many questions on one connection, one after the other.
pub async fn cell(
    shelf: &Shelf,
    library: &Library,
    caller: &Caller,
    questions: u64,
    memory: &CorpusMemory,
) -> anyhow::Result<Cell> {
    let settings = SearchSettings::default();
    let mut tx = reader::begin(&shelf.origin, &caller.claims).await?;
    let readable = search::readable(&mut tx).await?;
    let owners: Vec<Uuid> = readable.owners().collect();
    tx.commit().await?;
    let start = Instant::now();
    load(shelf, caller, memory).await?;
    let loading_ms = start.elapsed().as_secs_f64() * 1e3;

    let questions: Vec<Written> = (0..WARM_UP + questions)
        .map(|number| library.question(number, caller.questions.is_hidden(number)))
        .collect();
    let mut cell = Cell {
        readable: readable.size.passages,
        loading_ms,
        ..Cell::default()
    };
    let by_sql = |readable| readable;
    let (by_sql, found_by_sql) = ask(shelf, caller, &questions, by_sql).await?;
    let attached = |readable| memory.attach(readable, MODEL, Instant::now().into_std());
    let (in_memory, found_in_memory) = ask(shelf, caller, &questions, attached).await?;
    (cell.by_sql, cell.in_memory) = (by_sql, in_memory);
    for question in &questions {
        let mut tx = reader::begin_snapshot(&shelf.origin, &caller.claims).await?;
        let start = Instant::now();
        search::by_words(&mut tx, &readable, &request(question), settings.bm25).await?;
        cell.words_ms.push(start.elapsed().as_secs_f64() * 1e3);
        tx.commit().await?;
    }
    sorted(&mut cell.words_ms);
    // Last, since comparing every vector leaves nothing of what others had in the processor's caches.
    let found = found_in_memory.iter().zip(&found_by_sql);
    let counted = questions.iter().zip(found).skip(WARM_UP as usize);
    let share = 1.0 / counted.len() as f64;
    for (question, (in_memory, by_sql)) in counted {
        let nearest = nearest(shelf, question.embedding.as_slice(), &owners).await?;
        cell.in_memory.judge(in_memory, &nearest, share);
        cell.by_sql.judge(by_sql, &nearest, share);
    }
    Ok(cell)
}

/// Has everything that the caller may read read into memory.
pub async fn load(shelf: &Shelf, caller: &Caller, memory: &CorpusMemory) -> anyhow::Result<()> {
    let mut tx = reader::begin_snapshot(&shelf.origin, &caller.claims).await?;
    let loaded = memory.read(&mut tx, MODEL).await?;
    tx.end_reading();
    let kept = memory.keep(loaded, Instant::now().into_std());
    ensure!(
        kept == Kept::Whole,
        "the library is not in memory: {kept:?}"
    );
    Ok(())
}

/// Searches for each question, in what `prepared` makes of the readable.
async fn ask(
    shelf: &Shelf,
    caller: &Caller,
    questions: &[Written],
    prepared: impl Fn(Readable) -> Readable,
) -> anyhow::Result<(Searches, Vec<RankedLists>)> {
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&shelf.origin)
        .await?;
    let backend = backend.cast_unsigned();
    let settings = SearchSettings::default();
    let mut searches = Searches::default();
    let mut found = Vec::new();
    for question in questions {
        let request = request(question);
        let cpu_before = cpu::ms_of_tree(backend)?;
        let start = Instant::now();
        let mut tx = reader::begin_snapshot(&shelf.origin, &caller.claims).await?;
        let (_, readable) = scope::survey_for(&mut tx, request.query).await?;
        let readable = prepared(readable);
        let filters = SearchFilters::default();
        let fused = search::fused(&mut tx, readable, &request, &filters, &settings).await?;
        tx.commit().await?;
        searches.ms.push(start.elapsed().as_secs_f64() * 1e3);
        searches.cpu_ms.push(cpu::ms_of_tree(backend)? - cpu_before);
        found.push(fused.lists);
    }
    sorted(&mut searches.ms);
    sorted(&mut searches.cpu_ms);
    Ok((searches, found))
}

/// Without those that warmed up.
fn sorted(sample: &mut Vec<f64>) {
    sample.drain(..WARM_UP as usize);
    sample.sort_by(f64::total_cmp);
}

/// A search for a question in all that may be read.
pub fn request(question: &Written) -> SearchRequest<'_> {
    SearchRequest {
        query: &question.text,
        embedding: Some(&question.embedding),
        embedding_model: MODEL,
    }
}

impl Searches {
    fn judge(&mut self, lists: &RankedLists, nearest: &[ChunkId], share: f64) {
        *self.plans.entry(lists.vector_plan.name()).or_default() += 1;
        let found: Vec<ChunkId> = lists.vector.iter().map(|hit| hit.chunk_id).collect();
        self.recall_10 += recall(&found, nearest, 10) * share;
        self.recall_20 += recall(&found, nearest, 20) * share;
    }

    /// The plans by how often they were taken.
    pub fn plan_names(&self) -> String {
        let mut plans: Vec<_> = self.plans.iter().collect();
        plans.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        let total: usize = self.plans.values().sum();
        let named: Vec<String> = plans
            .iter()
            .map(|(name, times)| match (100 * **times).div_ceil(total) {
                100 => (**name).to_owned(),
                share => format!("{name} {share} %"),
            })
            .collect();
        named.join(", ")
    }
}

/// The 20 nearest of what these owners' reader may read, by comparing every vector.
pub async fn nearest(
    shelf: &Shelf,
    vector: &[f32],
    owners: &[Uuid],
) -> anyhow::Result<Vec<ChunkId>> {
    let mut tx = shelf.owner.begin().await?;
    sqlx::query(
        "select set_config('search_path', 'public, extensions', true), \
                set_config('enable_indexscan', 'off', true)",
    )
    .execute(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from document_chunks where is_public or owner_id = any($2) \
         order by embedding <=> $1 limit 20",
    )
    .bind(HalfVector::from_f32_slice(vector))
    .bind(owners)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(ids.into_iter().map(ChunkId).collect())
}

/// The share of the `depth` nearest that are among as many that were found.
pub fn recall(found: &[ChunkId], nearest: &[ChunkId], depth: usize) -> f64 {
    let nearest = &nearest[..depth.min(nearest.len())];
    let found = &found[..depth.min(found.len())];
    let hits = nearest.iter().filter(|id| found.contains(id)).count();
    hits as f64 / nearest.len().max(1) as f64
}
