//! How many requests an isolate has in work at once: its memory is for all of them together.

use chrono::{DateTime, Utc};
use std::{cell::RefCell, rc::Rc};

/// Requests in work at most. Each may hold a body, a search and an answer: some 200 kB of 128 MB.
pub const MAX_IN_WORK: usize = 256;

/// The requests in work.
#[derive(Debug, Default)]
pub struct Admissions {
    leases: RefCell<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    current: Vec<Lease>,
    next_number: u64,
}

#[derive(Debug)]
struct Lease {
    number: u64,
    ends_at: DateTime<Utc>,
}

/// A place among the requests in work, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    number: u64,
    admissions: Rc<Admissions>,
}

impl Admissions {
    /// A place, where there is one.
    ///
    /// A place lasts until `ends_at` at the longest: the runtime may stop running a request whose
    /// client has left and never tell, and such requests must not fill the isolate for good.
    #[must_use]
    pub fn admit(self: &Rc<Self>, now: DateTime<Utc>, ends_at: DateTime<Utc>) -> Option<Admission> {
        let mut leases = self.leases.borrow_mut();
        if leases.current.len() >= MAX_IN_WORK {
            leases.current.retain(|lease| lease.ends_at > now);
        }
        if leases.current.len() >= MAX_IN_WORK {
            return None;
        }
        let number = leases.next_number;
        leases.next_number += 1;
        leases.current.push(Lease { number, ends_at });
        Some(Admission {
            number,
            admissions: Rc::clone(self),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut leases = self.admissions.leases.borrow_mut();
        let own = leases
            .current
            .iter()
            .position(|lease| lease.number == self.number);
        if let Some(place) = own {
            leases.current.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    const MINUTE: TimeDelta = TimeDelta::minutes(1);

    fn full(admissions: &Rc<Admissions>, now: DateTime<Utc>) -> Vec<Admission> {
        let admitted = (0..MAX_IN_WORK).map(|_| admissions.admit(now, now + MINUTE));
        admitted.map(Option::unwrap).collect()
    }

    #[test]
    fn whoever_is_done_makes_room_for_one() {
        let (admissions, now) = (Rc::default(), DateTime::UNIX_EPOCH);
        let mut admitted = full(&admissions, now);
        assert!(admissions.admit(now, now + MINUTE).is_none());
        admitted.remove(7);
        admitted.push(admissions.admit(now, now + MINUTE).unwrap());
        assert!(admissions.admit(now, now + MINUTE).is_none());
    }

    #[test]
    fn requests_that_never_end_do_not_fill_the_isolate_for_good() {
        let (admissions, now) = (Rc::default(), DateTime::UNIX_EPOCH);
        let forgotten = full(&admissions, now);
        assert!(admissions.admit(now, now + MINUTE).is_none());
        let later = now + MINUTE;
        let admitted = admissions.admit(later, later + MINUTE);
        assert!(admitted.is_some());
        // One that ends after its place was given away takes nobody else's.
        drop(forgotten);
        assert_eq!(admissions.leases.borrow().current.len(), 1);
    }
}
