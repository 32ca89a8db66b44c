//! What is in memory, and what has room there.

use super::{CorpusFacts, InMemory, Kept, Loaded, corpus::Corpus};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
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
/// What was read in vain is not read again for this long; twice as long after each further time, up to [`LONGEST_REST`].
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_mins(10);
/// Readers whose corpora are not read again for a while.
const MAX_RESTING: usize = 1_000;

/// Everything that is here.
#[derive(Default)]
pub(super) struct State {
    pub(super) models: Models,
    resting: HashMap<u64, Rest>,
}

/// By model and pooling.
pub(super) type Models = HashMap<Arc<str>, Corpora>;
/// By owner.
pub(super) type Corpora = HashMap<Option<Uuid>, Entry>;

/// A corpus that is here.
pub(super) struct Entry {
    pub(super) facts: CorpusFacts,
    pub(super) held: Held,
    /// When it was last searched, or came here.
    used: Instant,
}

/// What is here of it.
pub(super) enum Held {
    Whole(Arc<Corpus>),
    /// Not all of its passages have vectors of the model, so that it is PostgreSQL's to search, in this version.
    Broken,
}

/// Corpora that were read in vain.
struct Rest {
    times: u32,
    until: Instant,
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

    pub(super) fn wants(
        &self,
        corpora: &[CorpusFacts],
        model: &str,
        max_bytes: usize,
        now: Instant,
    ) -> bool {
        let entries = self.models.get(model);
        let entry = |facts: &CorpusFacts| entries.and_then(|entries| entries.get(&facts.owner));
        let is_broken = |facts: &CorpusFacts| {
            entry(facts).is_some_and(|it| it.facts == *facts && it.whole().is_none())
        };
        let is_resting = || {
            let rest = self.resting.get(&wanted(model, corpora));
            rest.is_some_and(|rest| rest.until > now)
        };
        if stale(entries, corpora).is_empty() || corpora.iter().any(is_broken) || is_resting() {
            return false;
        }
        let sizes = corpora
            .iter()
            .map(|facts| estimate(facts.passages, entry(facts)));
        let own = sizes.fold(0, usize::saturating_add);
        let others = self.others(model, corpora);
        let in_use = others.filter(|(_, _, entry)| entry.idle(now) < IN_USE);
        let in_use: usize = in_use.map(|(_, _, entry)| entry.bytes()).sum();
        own.saturating_add(in_use) <= max_bytes
    }

    /// Says what became of it, and returns what it replaces, to be dropped elsewhere.
    pub(super) fn keep(
        &mut self,
        loaded: Loaded,
        max_bytes: usize,
        now: Instant,
    ) -> (Kept, Vec<Held>) {
        let (model, wanted) = (loaded.model, loaded.wanted);
        if loaded.is_too_much {
            self.postpone(&model, &wanted, now);
            return (Kept::NoRoom, Vec::new());
        }
        let mut kept = Kept::Whole;
        let mut before: Vec<(Option<Uuid>, Option<Entry>)> = Vec::new();
        let entries = self.models.entry(Arc::clone(&model)).or_default();
        for (facts, corpus) in loaded.corpora {
            let held = if corpus.passages == facts.passages {
                Held::Whole(Arc::new(corpus))
            } else {
                kept = Kept::Broken;
                Held::Broken
            };
            let entry = Entry {
                facts,
                held,
                used: now,
            };
            before.push((facts.owner, entries.insert(facts.owner, entry)));
        }

        let mut held = self.bytes();
        let others = self.others(&model, &wanted);
        let idle = others.filter(|(_, _, entry)| entry.idle(now) >= IN_USE);
        let idle =
            idle.map(|(model, owner, entry)| (entry.used, model.clone(), *owner, entry.bytes()));
        let mut idle: Vec<(Instant, Arc<str>, Option<Uuid>, usize)> = idle.collect();
        let idle_bytes: usize = idle.iter().map(|(_, _, _, bytes)| bytes).sum();
        let mut gone = Vec::new();
        if held.saturating_sub(idle_bytes) > max_bytes {
            // Nobody's is given up in vain, and what was here before still spares reading it.
            let entries = self.models.entry(Arc::clone(&model)).or_default();
            for (owner, before) in before {
                let came = match before {
                    Some(before) => entries.insert(owner, before),
                    None => entries.remove(&owner),
                };
                gone.extend(came.map(|entry| entry.held));
            }
            self.postpone(&model, &wanted, now);
            kept = Kept::NoRoom;
        } else {
            gone.extend(
                before
                    .into_iter()
                    .filter_map(|(_, before)| Some(before?.held)),
            );
            idle.sort_unstable();
            for (_, model, owner, bytes) in idle {
                if held <= max_bytes {
                    break;
                }
                let entries = self.models.get_mut(&model);
                let entry = entries.and_then(|entries| entries.remove(&owner));
                gone.extend(entry.map(|entry| entry.held));
                held -= bytes;
            }
            self.resting.remove(&self::wanted(&model, &wanted));
        }
        self.models.retain(|_, entries| !entries.is_empty());
        (kept, gone)
    }

    /// Does not read these for a while.
    pub(super) fn postpone(&mut self, model: &str, corpora: &[CorpusFacts], now: Instant) {
        if self.resting.len() >= MAX_RESTING {
            self.resting.clear();
        }
        let rest = self.resting.entry(wanted(model, corpora)).or_insert(Rest {
            times: 0,
            until: now,
        });
        let longer = 2_u32.saturating_pow(rest.times);
        rest.times += 1;
        rest.until = now + REST.saturating_mul(longer).min(LONGEST_REST);
    }

    /// Returns what nobody has searched for long, to be dropped elsewhere.
    pub(super) fn forget(&mut self, now: Instant) -> Vec<Held> {
        let mut gone = Vec::new();
        for entries in self.models.values_mut() {
            let forgotten = entries.extract_if(|_, entry| entry.idle(now) >= FORGOTTEN);
            gone.extend(forgotten.map(|(_, entry)| entry.held));
        }
        self.models.retain(|_, entries| !entries.is_empty());
        self.resting
            .retain(|_, rest| now.saturating_duration_since(rest.until) < FORGOTTEN);
        gone
    }

    pub(super) fn bytes(&self) -> usize {
        let entries = self.models.values().flatten();
        entries.map(|(_, entry)| entry.bytes()).sum()
    }

    /// Everything but these.
    fn others(
        &self,
        model: &str,
        corpora: &[CorpusFacts],
    ) -> impl Iterator<Item = (&Arc<str>, &Option<Uuid>, &Entry)> {
        let own: HashSet<Option<Uuid>> = corpora.iter().map(|facts| facts.owner).collect();
        let all = self.models.iter().flat_map(|(of_model, entries)| {
            let entries = entries.iter();
            entries.map(move |(owner, entry)| (of_model, owner, entry))
        });
        all.filter(move |(of_model, owner, _)| ***of_model != *model || !own.contains(*owner))
    }
}

impl Entry {
    pub(super) fn whole(&self) -> Option<&Arc<Corpus>> {
        match &self.held {
            Held::Whole(corpus) => Some(corpus),
            Held::Broken => None,
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
        entry.is_some_and(|entry| entry.facts.version == facts.version)
    };
    let corpora = corpora.iter().filter(|facts| !is_here(facts));
    corpora.copied().collect()
}

/// Stands for a model and the owners of corpora, whatever their versions.
fn wanted(model: &str, corpora: &[CorpusFacts]) -> u64 {
    let mut owners: Vec<Option<Uuid>> = corpora.iter().map(|facts| facts.owner).collect();
    owners.sort_unstable();
    BuildHasherDefault::<DefaultHasher>::new().hash_one((model, owners))
}

/// What a corpus of so many passages takes, in bytes, by what those took that are here of it.
fn estimate(passages: u64, here: Option<&Entry>) -> usize {
    let count = |passages: u64| usize::try_from(passages).unwrap_or(usize::MAX);
    let here = here.and_then(Entry::whole).filter(|it| it.passages > 0);
    let each = here.map_or(PASSAGE_BYTES, |it| it.size.div_ceil(count(it.passages)));
    count(passages)
        .saturating_mul(each)
        .saturating_add(CORPUS_BYTES)
}
