//! Corpora in this process's memory: the quickest way to what has not changed.

mod corpus;
mod reading;
mod state;

pub(super) use corpus::InMemory;

use super::{Readable, readable};
use crate::{Error, ReaderTx};
use corpus::Corpus;
use reading::{Content, DocumentRow};
use state::{Held, State, estimate, stale};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use uuid::Uuid;

/// Documents that one statement reads.
const DOCUMENTS_AT_ONCE: usize = 50;
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
        let (in_memory, forgotten) = {
            let mut state = self.state();
            let in_memory = state.find(&readable.corpora, model, now);
            (in_memory, state.sweep(now))
        };
        // Not under the lock: it may take a while.
        drop(forgotten);
        Readable {
            in_memory,
            ..readable
        }
    }

    /// Whether to [`read`](Self::read) for this reader: something is missing that can be held, and there is room, as far
    /// as can be told.
    #[must_use]
    pub fn wants(&self, readable: &Readable, model: &str, now: Instant) -> bool {
        let state = self.state();
        let entries = state.models.get(model);
        let corpora = &readable.corpora;
        let is_broken = |facts: &CorpusFacts| {
            let entry = entries.and_then(|entries| entries.get(&facts.owner));
            entry.is_some_and(|it| it.facts == *facts && matches!(it.held, Held::Broken))
        };
        if stale(entries, corpora).is_empty() || corpora.iter().any(is_broken) {
            return false;
        }
        let sizes = corpora.iter().map(|facts| {
            let entry = entries.and_then(|entries| entries.get(&facts.owner));
            estimate(facts.passages, entry)
        });
        let own = sizes.fold(0, usize::saturating_add);
        own.saturating_add(state.in_use_by_others(model, corpora, now)) <= self.max_bytes
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
        let missing: Vec<Uuid> = rows
            .iter()
            .map(|row| row.id)
            .filter(|id| !contents.contains_key(id))
            .collect();
        tracing::Span::current().record("documents", missing.len());
        for documents in missing.chunks(DOCUMENTS_AT_ONCE) {
            let read = reading::contents(reader, model, documents).await?;
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
        loaded.documents = missing.len();
        Ok(loaded)
    }

    /// Keeps what was read, in place of what others have not searched lately. If that is not room enough, nothing of it is
    /// kept but how much it is.
    pub fn keep(&self, loaded: Loaded, now: Instant) {
        let gone = self.state().keep(loaded, self.max_bytes, now);
        // Not under the lock: it may take a while.
        drop(gone);
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
