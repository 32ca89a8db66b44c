//! Corpora in this process's memory: the quickest way to what has not changed.

mod corpus;
mod reading;
mod state;

pub(super) use corpus::InMemory;

use super::{Readable, readable};
use crate::{Error, ReaderTx};
use corpus::Corpus;
use reading::{Content, DocumentRow};
use state::{State, stale};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use uuid::Uuid;

/// Passages that one statement reads, if no document has more: some eight megabytes.
const PASSAGES_AT_ONCE: i64 = 5_000;
/// What is public, or the private documents of one owner: as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusFacts {
    /// Whose private documents; none for what is public.
    pub owner: Option<Uuid>,
    /// Grows in the transaction that changes it: the same version is the same passages.
    pub version: i64,
    /// How many passages it has.
    pub passages: u64,
}

/// What is searched of whole corpora, vectors and postings, within a bound; cheap to clone.
///
/// Who may search what is no question to it: it is asked for the corpora that the reader's own transaction has named,
/// with their versions, and has either exactly those or nothing. What is found is read under row-level security
/// before anybody is told of it.
#[derive(Clone)]
pub struct CorpusMemory {
    max_bytes: usize,
    state: Arc<Mutex<State>>,
}

/// What was read for a reader, and is not kept yet.
pub struct Loaded {
    model: Arc<str>,
    wanted: Vec<CorpusFacts>,
    corpora: Vec<(CorpusFacts, Corpus)>,
    documents: usize,
    /// It was not read to its end, since there can be no room for it.
    is_too_much: bool,
}

/// What became of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is in memory.
    Whole,
    /// There was no room for it: it is not read again for a while.
    NoRoom,
    /// Some passages have no vectors of the model: their corpora are PostgreSQL's to search, until they change.
    Broken,
}

impl CorpusMemory {
    /// Nothing yet, and never more than so many bytes; with 0, nothing ever.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Arc::default(),
        }
    }

    /// The same, with its corpora and the vectors of this model at hand, if all of them are in memory.
    #[must_use]
    pub fn attach(&self, readable: Readable, model: &str, now: Instant) -> Readable {
        let in_memory = self.state().find(&readable.corpora, model, now);
        Readable {
            in_memory,
            ..readable
        }
    }

    /// Whether to [`read`](Self::read) for this reader: something is missing that can be held, and there is room, as far
    /// as can be told.
    #[must_use]
    pub fn wants(&self, readable: &Readable, model: &str, now: Instant) -> bool {
        self.state()
            .wants(&readable.corpora, model, self.max_bytes, now)
    }

    /// Has what this reader may read not read for a while: ten seconds, twice as long after each further time, ten
    /// minutes at most.
    pub fn postpone(&self, readable: &Readable, model: &str, now: Instant) {
        self.state().postpone(model, &readable.corpora, now);
    }

    /// Gives up what nobody has searched for an hour.
    pub fn forget(&self, now: Instant) {
        let gone = self.state().forget(now);
        // Not under the lock: it may take a while.
        drop(gone);
    }

    /// Reads what is missing for a search of all that the reader may read, in the reader's snapshot and under the
    /// reader's rights. Of a corpus that has changed, the documents that have not are taken over.
    #[tracing::instrument(name = "corpora.read", skip_all, fields(documents))]
    pub async fn read(&self, reader: &mut ReaderTx, model: &str) -> Result<Loaded, Error> {
        let mut loaded = Loaded {
            model: model.into(),
            wanted: Vec::new(),
            corpora: Vec::new(),
            documents: 0,
            is_too_much: false,
        };
        if self.max_bytes == 0 {
            return Ok(loaded);
        }
        loaded.wanted = readable(reader).await?.corpora;
        let stale = stale(self.state().models.get(model), &loaded.wanted);
        if stale.is_empty() {
            return Ok(loaded);
        }
        // Vectors of a model that is not searched any more may go at any moment, and no version tells.
        let rows = if reading::is_live(reader, model).await? {
            reading::documents(reader, &stale).await?
        } else {
            Vec::new()
        };
        let owners: Vec<Uuid> = stale.iter().filter_map(|facts| facts.owner).collect();
        let curators = reading::curators(reader, &owners).await?;
        let mut contents = self.known(model, &rows);
        let missing: Vec<&DocumentRow> = rows
            .iter()
            .filter(|row| !contents.contains_key(&row.id))
            .collect();
        loaded.documents = missing.len();
        tracing::Span::current().record("documents", missing.len());
        let mut size: usize = contents.values().map(|content| content.size()).sum();
        let mut unread = &missing[..];
        while !unread.is_empty() {
            let (batch, rest) = unread.split_at(batch(unread));
            unread = rest;
            let ids: Vec<Uuid> = batch.iter().map(|row| row.id).collect();
            let read = reading::contents(reader, model, &ids).await?;
            size += read.values().map(Content::size).sum::<usize>();
            if size > self.max_bytes {
                loaded.is_too_much = true;
                return Ok(loaded);
            }
            contents.extend(read.into_iter().map(|(id, it)| (id, Arc::new(it))));
        }
        let mut of_corpus: HashMap<Option<Uuid>, Vec<&DocumentRow>> = HashMap::new();
        for row in &rows {
            of_corpus.entry(row.corpus()).or_default().push(row);
        }
        let corpora = stale.into_iter().map(|facts| {
            let rows = of_corpus.remove(&facts.owner).unwrap_or_default();
            let is_curated = facts.owner.is_some_and(|owner| {
                let curators = curators.as_ref();
                curators.is_none_or(|curators| curators.contains(&owner))
            });
            (facts, Corpus::of(rows.into_iter(), &contents, is_curated))
        });
        loaded.corpora = corpora.collect();
        Ok(loaded)
    }

    /// Keeps what was read, in place of what others have not searched lately. If that is not room enough, nothing of it is
    /// kept, and nothing given up.
    #[must_use]
    pub fn keep(&self, loaded: Loaded, now: Instant) -> Kept {
        let (kept, gone) = self.state().keep(loaded, self.max_bytes, now);
        // Not under the lock: it may take a while.
        drop(gone);
        kept
    }

    /// What is held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state().bytes()
    }

    /// Those of the documents that have not been read anew since they came here.
    fn known(&self, model: &str, rows: &[DocumentRow]) -> HashMap<Uuid, Arc<Content>> {
        let state = self.state();
        let Some(entries) = state.models.get(model) else {
            return HashMap::new();
        };
        let held = |row: &DocumentRow| {
            // It may have been published, or withdrawn.
            let owners = [None, Some(row.owner_id)];
            let mut entries = owners.iter().filter_map(|owner| entries.get(owner));
            let content = entries.find_map(|entry| entry.whole()?.content(row))?;
            Some((row.id, content))
        };
        rows.iter().filter_map(held).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many documents the next statement reads.
fn batch(documents: &[&DocumentRow]) -> usize {
    let mut passages = 0;
    let fitting = documents.iter().take_while(|row| {
        passages += row.chunk_count;
        passages <= PASSAGES_AT_ONCE
    });
    fitting.count().max(1)
}

impl Loaded {
    /// Of how many documents.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents
    }
}

impl fmt::Debug for CorpusMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorpusMemory")
            .field("max_bytes", &self.max_bytes)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("documents", &self.documents)
            .finish_non_exhaustive()
    }
}
