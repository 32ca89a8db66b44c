//! Workers KV at its worst: it loses writes and values, and may answer as of a while ago.

use super::{chance::Chance, history::Store};
use edge_worker::ports::Layer;
use std::collections::HashMap;

/// The longest that a scope or an answer is read out of date: what Cloudflare names for its own propagation,
/// and how long a read of an answer is kept near the reader.
const SHORT_LAG_MS: u32 = 60_000;
/// The same for the other layers, whose reads are kept near the reader for five minutes.
const LAG_MS: u32 = 300_000;

/// What was written under a key, and when.
struct Write {
    at_ms: i64,
    /// The value and the moment in which it ends; `None` is a deletion.
    value: Option<(Vec<u8>, i64)>,
}

/// All namespaces.
#[derive(Default)]
pub struct Kv {
    writes: HashMap<(Layer, String), Vec<Write>>,
}

impl Kv {
    /// The value under a key, as the store sees it.
    pub fn read(
        &self,
        layer: Layer,
        key: &str,
        now_ms: i64,
        store: Store,
        chance: &mut Chance,
    ) -> Option<Vec<u8>> {
        if chance.one_in(16) {
            return None;
        }
        let lag_ms = match (store, layer) {
            (Store::Prompt, _) => 0,
            (Store::Lagging, Layer::Scope | Layer::Answer) => SHORT_LAG_MS,
            (Store::Lagging, _) => LAG_MS,
        };
        let as_of_ms = if lag_ms > 0 && chance.one_in(3) {
            now_ms - i64::from(chance.below(lag_ms))
        } else {
            now_ms
        };
        let writes = self.writes.get(&(layer, key.to_owned()))?;
        let last = writes.iter().rev().find(|write| write.at_ms <= as_of_ms)?;
        let (value, ends_ms) = last.value.as_ref()?;
        (as_of_ms < *ends_ms).then(|| value.clone())
    }

    /// Keeps a value, or not.
    pub fn put(&mut self, layer: Layer, key: &str, write: (Vec<u8>, i64), now_ms: i64) {
        self.write(layer, key, Some(write), now_ms);
    }

    /// Forgets a value.
    pub fn delete(&mut self, layer: Layer, key: &str, now_ms: i64) {
        self.write(layer, key, None, now_ms);
    }

    fn write(&mut self, layer: Layer, key: &str, value: Option<(Vec<u8>, i64)>, at_ms: i64) {
        let writes = self.writes.entry((layer, key.to_owned())).or_default();
        writes.push(Write { at_ms, value });
    }
}
