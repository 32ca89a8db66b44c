//! What is in memory, and what has room there.

use super::{CorpusFacts, InMemory, Loaded, corpus::Corpus};
use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What a passage takes with its share of the postings, roughly: exactly it is known once it was read.
const PASSAGE_BYTES: usize = 2_900;
/// What a corpus takes beside its documents, roughly.
const CORPUS_BYTES: usize = 512;
/// A corpus that was searched in this time is not given up for another.
const IN_USE: Duration = Duration::from_mins(1);
/// A corpus that nobody has searched for this long is given up.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Everything that is here.
#[derive(Default)]
pub(super) struct State {
    pub(super) models: Models,
    swept: Option<Instant>,
}

/// By model and pooling.
pub(super) type Models = HashMap<Arc<str>, Corpora>;
/// By owner.
pub(super) type Corpora = HashMap<Option<Uuid>, Entry>;

/// A corpus that is here, or was.
pub(super) struct Entry {
    pub(super) facts: CorpusFacts,
    /// What it takes, or would take.
    size: usize,
    pub(super) held: Held,
    /// When it was last searched, or came here.
    used: Instant,
}

/// What is here of it.
pub(super) enum Held {
    Whole(Arc<Corpus>),
    /// There was no room for it.
    NoRoom,
    /// Not all of its passages have vectors of the model, so that it is PostgreSQL's to search, in this version.
    Broken,
}

impl State {
    pub(super) fn find(
        &mut self,
        corpora: &[CorpusFacts],
        model: &str,
        now: Instant,
    ) -> Option<InMemory> {
        let (model, _) = self.models.get_key_value(model)?;
        let model = Arc::clone(model);
        let entries = self.models.get_mut(&model)?;
        let mut found = Vec::with_capacity(corpora.len());
        for facts in corpora {
            let entry = entries.get(&facts.owner)?;
            if entry.facts.version != facts.version {
                return None;
            }
            found.push(Arc::clone(entry.whole()?));
        }
        for facts in corpora {
            if let Some(entry) = entries.get_mut(&facts.owner) {
                entry.used = now;
            }
        }
        Some(InMemory {
            model,
            corpora: found,
        })
    }

    /// Once a minute, what is forgotten.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Held> {
        let swept = *self.swept.get_or_insert(now);
        if now.saturating_duration_since(swept) < IN_USE {
            return Vec::new();
        }
        self.swept = Some(now);
        let mut gone = Vec::new();
        for entries in self.models.values_mut() {
            let forgotten = entries.extract_if(|_, entry| entry.idle(now) >= FORGOTTEN);
            gone.extend(forgotten.map(|(_, entry)| entry.held));
        }
        self.models.retain(|_, entries| !entries.is_empty());
        gone
    }

    /// Returns what it replaces.
    pub(super) fn keep(&mut self, loaded: Loaded, max_bytes: usize, now: Instant) -> Vec<Held> {
        let (mut gone, mut came) = (Vec::new(), Vec::new());
        let entries = self.models.entry(Arc::clone(&loaded.model)).or_default();
        for (facts, corpus) in loaded.corpora {
            let is_whole = corpus.passages == facts.passages;
            if !is_whole {
                let (counted, found) = (facts.passages, corpus.passages);
                let model = &*loaded.model;
                tracing::warn!(counted, found, model, "not all passages have such vectors");
            }
            let entry = Entry {
                facts,
                size: corpus.size,
                held: if is_whole {
                    Held::Whole(Arc::new(corpus))
                } else {
                    Held::Broken
                },
                used: now,
            };
            gone.extend(entries.insert(facts.owner, entry).map(|before| before.held));
            came.push(facts.owner);
        }
        let owners: HashSet<Option<Uuid>> = loaded.wanted.iter().map(|it| it.owner).collect();
        let is_wanted =
            |model: &str, owner: &Option<Uuid>| *model == *loaded.model && owners.contains(owner);
        let mut idle: Vec<(Instant, Arc<str>, Option<Uuid>)> = Vec::new();
        for (model, entries) in &self.models {
            let others = entries.iter().filter(|(owner, _)| !is_wanted(model, owner));
            let others = others.filter(|(_, entry)| entry.idle(now) >= IN_USE);
            idle.extend(others.map(|(owner, entry)| (entry.used, Arc::clone(model), *owner)));
        }
        idle.sort_unstable();
        let mut held = self.bytes();
        for (_, model, owner) in idle {
            if held <= max_bytes {
                break;
            }
            let entries = self.models.get_mut(&model);
            if let Some(entry) = entries.and_then(|entries| entries.remove(&owner)) {
                held -= entry.bytes();
                gone.push(entry.held);
            }
        }
        if held > max_bytes {
            gone.extend(self.refuse(&loaded.model, &came));
        }
        self.models.retain(|_, entries| !entries.is_empty());
        gone
    }

    /// Keeps of what has just come nothing but its size. What was here before is others' as well, who go on searching it.
    fn refuse(&mut self, model: &str, came: &[Option<Uuid>]) -> Vec<Held> {
        let mut gone = Vec::new();
        let Some(entries) = self.models.get_mut(model) else {
            return gone;
        };
        for owner in came {
            let Some(entry) = entries.get_mut(owner) else {
                continue;
            };
            if entry.whole().is_some() {
                gone.push(mem::replace(&mut entry.held, Held::NoRoom));
            }
        }
        gone
    }

    pub(super) fn in_use_by_others(
        &self,
        model: &str,
        corpora: &[CorpusFacts],
        now: Instant,
    ) -> usize {
        let own: HashSet<Option<Uuid>> = corpora.iter().map(|facts| facts.owner).collect();
        let sizes = self.models.iter().flat_map(|(of_model, entries)| {
            let is_own = |owner| **of_model == *model && own.contains(owner);
            let others = entries.iter().filter(move |(owner, _)| !is_own(*owner));
            others.filter(|(_, entry)| entry.idle(now) < IN_USE)
        });
        sizes.map(|(_, entry)| entry.bytes()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let entries = self.models.values().flatten();
        entries.map(|(_, entry)| entry.bytes()).sum()
    }
}

impl Entry {
    pub(super) fn whole(&self) -> Option<&Arc<Corpus>> {
        match &self.held {
            Held::Whole(corpus) => Some(corpus),
            Held::NoRoom | Held::Broken => None,
        }
    }

    fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }

    fn bytes(&self) -> usize {
        CORPUS_BYTES + self.whole().map_or(0, |corpus| corpus.size)
    }
}

/// The corpora that are not here as the reader finds them.
pub(super) fn stale(entries: Option<&Corpora>, corpora: &[CorpusFacts]) -> Vec<CorpusFacts> {
    let is_here = |facts: &CorpusFacts| {
        let entry = entries.and_then(|entries| entries.get(&facts.owner));
        entry.is_some_and(|entry| {
            entry.facts.version == facts.version && !matches!(entry.held, Held::NoRoom)
        })
    };
    let corpora = corpora.iter().filter(|facts| !is_here(facts));
    corpora.copied().collect()
}

/// What a corpus of so many passages takes, in bytes, by what it took before if it was here.
pub(super) fn estimate(passages: u64, before: Option<&Entry>) -> usize {
    let passages = usize::try_from(passages).unwrap_or(usize::MAX);
    let measured = before.filter(|entry| entry.size > 0 && entry.facts.passages > 0);
    let each = measured.map_or(PASSAGE_BYTES, |entry| {
        let passages = usize::try_from(entry.facts.passages).unwrap_or(usize::MAX);
        // Never less than it was: what had no room is not read again in vain.
        entry.size.div_ceil(passages)
    });
    passages.saturating_mul(each).saturating_add(CORPUS_BYTES)
}
