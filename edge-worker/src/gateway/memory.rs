//! What this isolate has read from the caches or found out of late: a popular question then reads its asker's scope and
//! no more.
//!
//! Of the caches, only values that never change under their key are kept, those of [`crate::ports::Layer::Search`] and
//! [`crate::ports::Layer::Answer`]. Whoever reaches one has shown by its key that it is meant for them now: the key
//! rests on the scope, which is read each time. So nothing that a cache must not hand out comes out of here.

use std::{any::Any, cell::RefCell, collections::VecDeque, rc::Rc};

/// How long a value is kept, in seconds: by so much it may outlive its cache's lifetime.
pub const KEPT_S: i64 = 60;

/// The values that were used last, by the texts of their keys. A list: it is short, and the popular ones stand at its
/// end; a hash map with its order would be a thirtieth of the module.
#[derive(Debug)]
pub struct Memory {
    capacity: usize,
    /// The one that was used last comes last.
    kept: RefCell<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    key: String,
    /// Of the type that belongs to the key: a text names its layer.
    value: Rc<dyn Any>,
    until_s: i64,
}

impl Memory {
    /// A memory of at most `capacity` values; of none at all where it is zero.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            kept: RefCell::default(),
        }
    }

    /// Whether it keeps anything at all.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.capacity > 0
    }

    /// The value under a key, at the time `now_s` in seconds since 1970.
    pub fn recall<V: 'static>(&self, key: &str, now_s: i64) -> Option<Rc<V>> {
        self.find(key, now_s)?.downcast().ok()
    }

    fn find(&self, key: &str, now_s: i64) -> Option<Rc<dyn Any>> {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().rposition(|kept| kept.key == key)?;
        let found = kept.remove(at)?;
        if now_s >= found.until_s {
            return None;
        }
        let value = Rc::clone(&found.value);
        kept.push_back(found);
        Some(value)
    }

    /// Keeps a value that was just read from its cache.
    pub fn keep(&self, key: String, value: Rc<dyn Any>, now_s: i64) {
        if self.capacity == 0 {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        // Two requests may have read it at the same time.
        kept.retain(|kept| kept.key != key);
        if kept.len() >= self.capacity {
            kept.pop_front();
        }
        kept.push_back(Kept {
            key,
            value,
            until_s: now_s.saturating_add(KEPT_S),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recalled(memory: &Memory, key: &str, now_s: i64) -> Option<u8> {
        memory.recall(key, now_s).map(|value: Rc<u8>| *value)
    }

    #[test]
    fn a_value_is_recalled_until_its_time_is_over() {
        let memory = Memory::new(2);
        memory.keep("scales".to_owned(), Rc::new(1_u8), 100);
        assert_eq!(recalled(&memory, "scales", 100 + KEPT_S - 1), Some(1));
        assert_eq!(recalled(&memory, "scales", 100 + KEPT_S), None);
        assert_eq!(recalled(&memory, "trills", 100), None);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let memory = Memory::new(2);
        memory.keep("scales".to_owned(), Rc::new(1_u8), 0);
        memory.keep("trills".to_owned(), Rc::new(2_u8), 0);
        recalled(&memory, "scales", 1);
        memory.keep("pedal".to_owned(), Rc::new(3_u8), 1);
        let all = ["scales", "trills", "pedal"].map(|key| recalled(&memory, key, 2));
        assert_eq!(all, [Some(1), None, Some(3)]);
    }

    #[test]
    fn a_memory_without_room_keeps_nothing() {
        let memory = Memory::new(0);
        memory.keep("scales".to_owned(), Rc::new(1_u8), 0);
        assert_eq!(recalled(&memory, "scales", 0), None);
    }
}
