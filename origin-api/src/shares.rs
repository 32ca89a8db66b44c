//! So many at a time, and only so many of them one person's.

use shared_types::ids::UserId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Places for work that lasts.
#[derive(Debug)]
pub struct Shares {
    all: usize,
    each: usize,
    taken: Mutex<HashMap<UserId, usize>>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Shares>,
    person: UserId,
}

impl Shares {
    /// `all` places, of which one person may have `each`.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            each,
            taken: Mutex::default(),
        })
    }

    /// A place for this person, if there is one.
    #[must_use]
    pub fn take(self: &Arc<Self>, person: UserId) -> Option<Share> {
        // Counts are right whatever panicked beside them.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&person).copied().unwrap_or(0);
        if own == self.each || taken.values().sum::<usize>() == self.all {
            return None;
        }
        taken.insert(person, own + 1);
        Some(Share {
            of: Arc::clone(self),
            person,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.person) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn person(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    #[test]
    fn nobody_takes_more_than_a_share_and_all_together_no_more_than_there_is() {
        let shares = Shares::new(3, 2);
        let own = [shares.take(person(1)), shares.take(person(1))];
        assert!(own.iter().all(Option::is_some));
        assert!(shares.take(person(1)).is_none());
        let other = shares.take(person(2));
        assert!(other.is_some() && shares.take(person(3)).is_none());
        drop(own);
        assert!(shares.take(person(3)).is_some());
        drop(other);
        assert!(shares.taken.lock().unwrap().is_empty());
    }
}
