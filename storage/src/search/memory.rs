//! Vectors in this process's memory: the quickest way to those of a corpus that has not changed.

mod corpus;
mod reading;

pub(super) use corpus::InMemory;

use super::{Readable, readable};
use crate::{Error, ReaderTx};
use corpus::Corpus;
use rag_core::flat::Vectors;
use reading::DocumentRow;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Documents whose vectors one statement reads.
const DOCUMENTS_AT_ONCE: usize = 100;
/// A corpus that was searched in this time is not given up for another.
const IN_USE: Duration = Duration::from_mins(1);
/// A corpus that nobody has searched for this long goes with the next one that comes.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// What a corpus takes beside its vectors, roughly.
const CORPUS_BYTES: usize = 512;

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

/// The vectors of whole corpora, within a bound; cheap to clone.
///
/// Who may search what is no question to it: it is asked for the corpora that the reader's own transaction has named,
/// with their versions, and has either exactly those or nothing. What is found is read under row-level security
/// before anybody is told of it.
#[derive(Clone)]
pub struct VectorMemory {
    max_bytes: usize,
    models: Arc<Mutex<Models>>,
}

/// By model and pooling.
type Models = HashMap<Arc<str>, Corpora>;
/// By owner.
type Corpora = HashMap<Option<Uuid>, Entry>;

struct Entry {
    version: i64,
    /// None: its vectors are not those of its passages, and need not be read again for this version.
    corpus: Option<Arc<Corpus>>,
    used: Instant,
}

impl VectorMemory {
    /// Nothing yet, and never more than so many bytes; with 0, nothing ever.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            models: Arc::default(),
        }
    }

    /// The same, with the vectors of this model at hand, if all of them are in memory.
    #[must_use]
    pub fn attach(&self, readable: Readable, model: &str, now: Instant) -> Readable {
        let in_memory = self.find(&readable.corpora, model, now);
        Readable {
            in_memory,
            ..readable
        }
    }

    fn find(&self, corpora: &[CorpusFacts], model: &str, now: Instant) -> Option<InMemory> {
        let mut models = self.models();
        let (model, _) = models.get_key_value(model)?;
        let model = Arc::clone(model);
        let entries = models.get_mut(&model)?;
        let mut found = Vec::with_capacity(corpora.len());
        for facts in corpora.iter().filter(|facts| facts.passages > 0) {
            let entry = entries.get_mut(&facts.owner)?;
            entry.used = now;
            if entry.version != facts.version {
                return None;
            }
            found.push(entry.corpus.clone()?);
        }
        Some(InMemory {
            model,
            corpora: found,
        })
    }

    /// Whether [`load`](Self::load) would help: something is missing that can be held, and there is room.
    #[must_use]
    pub fn wants(&self, readable: &Readable, model: &str, now: Instant) -> bool {
        let models = self.models();
        if stale(models.get(model), &readable.corpora).is_empty() {
            return false;
        }
        let own: HashSet<Option<Uuid>> = readable.corpora.iter().map(|it| it.owner).collect();
        let in_use = models.iter().flat_map(|(of_model, corpora)| {
            let is_own = |owner| **of_model == *model && own.contains(owner);
            let others = corpora.iter().filter(move |(owner, _)| !is_own(*owner));
            others.filter(|(_, entry)| entry.idle(now) < IN_USE)
        });
        let in_use: usize = in_use.map(|(_, entry)| entry.bytes()).sum();
        let corpora = readable.corpora.iter();
        let own: usize = corpora.map(|facts| bytes(facts.passages)).sum();
        in_use.saturating_add(own) <= self.max_bytes
    }

    /// Reads what is missing for a search of all that the reader may read, in the reader's snapshot and under the
    /// reader's rights; returns of how many documents. Of a corpus that has changed, the documents that have not are kept.
    /// Whatever has no room beside it is given up afterwards.
    #[tracing::instrument(name = "sql.search.load_vectors", skip_all, fields(documents))]
    pub async fn load(
        &self,
        reader: &mut ReaderTx,
        model: &str,
        now: Instant,
    ) -> Result<usize, Error> {
        let readable = readable(reader).await?;
        let stale = stale(self.models().get(model), &readable.corpora);
        if stale.is_empty() {
            return Ok(0);
        }
        let rows = reading::documents(reader, &stale).await?;
        let mut vectors = self.known(model, &rows);
        let missing: Vec<&DocumentRow> = rows
            .iter()
            .filter(|row| !vectors.contains_key(&row.id))
            .collect();
        tracing::Span::current().record("documents", missing.len());
        for rows in missing.chunks(DOCUMENTS_AT_ONCE) {
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            vectors.extend(reading::vectors(reader, model, &ids).await?);
        }
        let corpora = stale.into_iter().map(|facts| {
            let rows = rows.iter().filter(|row| row.corpus() == facts.owner);
            (facts, Corpus::of(rows, &vectors))
        });
        let corpora: Vec<(CorpusFacts, Corpus)> = corpora.collect();
        let read = missing.len();
        self.keep(model, &readable.corpora, corpora, now);
        Ok(read)
    }

    /// What is held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let models = self.models();
        models.values().flatten().map(|(_, it)| it.bytes()).sum()
    }

    /// The vectors of those documents that have not been read anew since they came here.
    fn known(&self, model: &str, rows: &[DocumentRow]) -> HashMap<Uuid, Arc<Vectors>> {
        let models = self.models();
        let Some(entries) = models.get(model) else {
            return HashMap::new();
        };
        let held = |row: &DocumentRow| {
            // It may have been published, or withdrawn.
            let owners = [None, Some(row.owner_id)];
            let corpora = owners.iter().filter_map(|owner| entries.get(owner));
            let vectors = corpora
                .filter_map(|entry| entry.corpus.as_ref())
                .find_map(|corpus| corpus.vectors(row))?;
            Some((row.id, vectors))
        };
        rows.iter().filter_map(held).collect()
    }

    fn keep(
        &self,
        model: &str,
        wanted: &[CorpusFacts],
        corpora: Vec<(CorpusFacts, Corpus)>,
        now: Instant,
    ) {
        let wanted: HashSet<Option<Uuid>> = wanted.iter().map(|facts| facts.owner).collect();
        let mut models = self.models();
        let entries = models.entry(model.into()).or_default();
        for (facts, corpus) in corpora {
            // Another reader may have been quicker, and have seen more.
            let is_newer = |entry: &Entry| entry.version > facts.version;
            if entries.get(&facts.owner).is_some_and(is_newer) {
                continue;
            }
            let is_whole = corpus.passages == facts.passages;
            if !is_whole {
                let (counted, found) = (facts.passages, corpus.passages);
                tracing::warn!(
                    counted,
                    found,
                    model,
                    "vectors of a corpus are not all there"
                );
            }
            let entry = Entry {
                version: facts.version,
                corpus: is_whole.then(|| Arc::new(corpus)),
                used: now,
            };
            entries.insert(facts.owner, entry);
        }
        make_room(&mut models, self.max_bytes, now, |of_model, owner| {
            of_model == model && wanted.contains(owner)
        });
    }

    fn models(&self) -> MutexGuard<'_, Models> {
        // Nothing that is done under the lock leaves it half done.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives up what was not searched for longest, until the rest has room: first that of others, then anything.
fn make_room(
    models: &mut Models,
    max_bytes: usize,
    now: Instant,
    is_wanted: impl Fn(&str, &Option<Uuid>) -> bool,
) {
    let mut all: Vec<(bool, Instant, Arc<str>, Option<Uuid>)> = Vec::new();
    let mut held = 0;
    for (model, entries) in models.iter_mut() {
        entries.retain(|_, entry| entry.idle(now) < FORGOTTEN);
        for (owner, entry) in entries {
            held += entry.bytes();
            let is_wanted = is_wanted(model, owner);
            all.push((is_wanted, entry.used, Arc::clone(model), *owner));
        }
    }
    all.sort_unstable();
    for (_, _, model, owner) in all {
        if held <= max_bytes {
            break;
        }
        let entries = models.get_mut(&model);
        let gone = entries.and_then(|entries| entries.remove(&owner));
        held -= gone.map_or(0, |entry| entry.bytes());
    }
    models.retain(|_, entries| !entries.is_empty());
}

/// The corpora that are not here as the reader finds them.
fn stale(entries: Option<&Corpora>, corpora: &[CorpusFacts]) -> Vec<CorpusFacts> {
    let is_here = |facts: &CorpusFacts| {
        let entry = entries.and_then(|entries| entries.get(&facts.owner));
        entry.is_some_and(|entry| entry.version == facts.version)
    };
    let corpora = corpora.iter().filter(|facts| facts.passages > 0);
    corpora.filter(|facts| !is_here(facts)).copied().collect()
}

fn bytes(passages: u64) -> usize {
    let passages = usize::try_from(passages).unwrap_or(usize::MAX);
    passages
        .saturating_mul(Vectors::BYTES_EACH)
        .saturating_add(CORPUS_BYTES)
}

impl Entry {
    fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }

    fn bytes(&self) -> usize {
        bytes(self.corpus.as_ref().map_or(0, |corpus| corpus.passages))
    }
}

impl fmt::Debug for VectorMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorMemory")
            .field("max_bytes", &self.max_bytes)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
