//! Flights: work that callers with the very same question share while it is under way.
//!
//! A flight belongs to none of its callers. Its work runs in a task of its own and writes a log; each
//! caller reads that log from its beginning at a pace of its own. The first caller may leave and the others
//! read on; when the last one leaves, the work is dropped: at once, or a moment later where flights linger for those who
//! were cut off. For that moment after a good end it is joined as well; whatever else has ended, by nobody.
//!
//! `moka` and `async-singleflight` do not fit: there the work belongs to the caller who came first, begins
//! anew when that caller leaves, and has one result at its end.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::AbortHandle,
    time::Instant,
};
use tracing::Instrument;

/// The flights of one kind of work. `K` holds everything that decides what the work says.
pub struct Flights<K, E> {
    /// A flight lives by its readers, and a moment longer. Dead ones are swept when the next one starts.
    under_way: Mutex<HashMap<Arc<K>, Weak<Flight<E>>>>,
    room: Arc<Semaphore>,
    max_log_bytes: usize,
    linger: Duration,
}

/// How a caller came by what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The caller was the first; others may join.
    Led,
    /// The work was under way.
    Joined,
    /// There was no room for one more flight; nobody can join.
    Alone,
}

impl Part {
    /// The part in a log line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Led => "led",
            Self::Joined => "joined",
            Self::Alone => "alone",
        }
    }
}

/// The log of a flight holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log of a flight is full")]
pub struct Full;

struct Flight<E> {
    log: watch::Receiver<Log<E>>,
    work: AbortHandle,
    /// How long it outlives a reader who leaves before its end.
    linger: Duration,
    _room: Option<OwnedSemaphorePermit>,
}

impl<E> Drop for Flight<E> {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl<E> Flight<E> {
    /// Whether one may join: the work has not ended, nor died before its end; or it lingers, and all is well.
    fn is_open(&self) -> bool {
        match self.log.borrow().end {
            None => self.log.has_changed().is_ok(),
            Some(End::Good(at)) => at.elapsed() < self.linger,
            Some(End::Bad) => false,
        }
    }
}

struct Log<E> {
    entries: Vec<E>,
    bytes: usize,
    end: Option<End>,
}

#[derive(Clone, Copy)]
enum End {
    Good(Instant),
    Bad,
}

impl<E> Log<E> {
    /// Whether somebody who has read so many entries has read all that there will be.
    fn is_read(&self, entries: usize) -> bool {
        self.end.is_some() && entries == self.entries.len()
    }
}

impl<K: Eq + Hash, E: Clone + Send + Sync + 'static> Flights<K, E> {
    /// At most `max_shared` flights that can be joined, each with a log of at most `max_log_bytes`. For as long as
    /// `linger` after a reader has left who had read a part, it goes on and can be joined.
    #[must_use]
    pub fn new(max_shared: usize, max_log_bytes: usize, linger: Duration) -> Self {
        Self {
            under_way: Mutex::default(),
            room: Arc::new(Semaphore::new(max_shared)),
            max_log_bytes,
            linger,
        }
    }

    /// Joins the flight of `key` where there is one.
    ///
    /// Whether the caller may know the outcome is to be settled before.
    pub fn join(&self, key: &K) -> Option<Reader<E>> {
        let under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open_flight(&under_way, key).map(Reader::new)
    }

    /// Joins the flight of `key`, or starts it with `work`, which must do the same for equal keys.
    ///
    /// Whether the caller may know the outcome is to be settled before.
    pub fn board<W>(&self, key: Arc<K>, work: impl FnOnce(Writer<E>) -> W) -> (Reader<E>, Part)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = open_flight(&under_way, &key) {
            return (Reader::new(flight), Part::Joined);
        }
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            return (Reader::new(self.start(None, work)), Part::Alone);
        };
        let flight = self.start(Some(room), work);
        under_way.retain(|_, flight| flight.strong_count() > 0);
        under_way.insert(key, Arc::downgrade(&flight));
        (Reader::new(flight), Part::Led)
    }

    fn start<W>(
        &self,
        room: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(Writer<E>) -> W,
    ) -> Arc<Flight<E>>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (sender, log) = watch::channel(Log {
            entries: Vec::new(),
            bytes: 0,
            end: None,
        });
        let writer = Writer {
            log: sender,
            max_bytes: self.max_log_bytes,
        };
        let work = tokio::spawn(work(writer).in_current_span()).abort_handle();
        // Nobody comes back to what can't be joined.
        let linger = room.as_ref().map_or(Duration::ZERO, |_| self.linger);
        Arc::new(Flight {
            log,
            work,
            linger,
            _room: room,
        })
    }
}

/// The flight of a key, where one may join it.
fn open_flight<K: Eq + Hash, E>(
    under_way: &HashMap<Arc<K>, Weak<Flight<E>>>,
    key: &K,
) -> Option<Arc<Flight<E>>> {
    let known = under_way.get(key).and_then(Weak::upgrade);
    known.filter(|flight| flight.is_open())
}

/// The work's end of a log.
pub struct Writer<E> {
    log: watch::Sender<Log<E>>,
    max_bytes: usize,
}

impl<E> Writer<E> {
    /// Adds an entry that takes about `bytes` of memory.
    pub fn append(&self, entry: E, bytes: usize) -> Result<(), Full> {
        if self.log.borrow().bytes + bytes > self.max_bytes {
            return Err(Full);
        }
        self.log.send_modify(|log| {
            log.entries.push(entry);
            log.bytes += bytes;
        });
        Ok(())
    }

    /// Adds the last entry, for which there is always room.
    pub fn end(self, last: E) {
        self.end_as(End::Good(Instant::now()), last);
    }

    /// The same where the work has failed: whoever comes now begins anew.
    pub fn fail(self, last: E) {
        self.end_as(End::Bad, last);
    }

    fn end_as(self, end: End, last: E) {
        self.log.send_modify(|log| {
            log.entries.push(last);
            log.end = Some(end);
        });
    }
}

/// A caller's end of a log. Dropped, the caller has left.
pub struct Reader<E: Send + Sync + 'static> {
    log: watch::Receiver<Log<E>>,
    read: usize,
    flight: Arc<Flight<E>>,
}

impl<E: Send + Sync + 'static> Drop for Reader<E> {
    fn drop(&mut self) {
        let linger = self.flight.linger;
        let wants_nothing = self.read == 0 || self.log.borrow().is_read(self.read);
        if wants_nothing || linger.is_zero() || !self.flight.is_open() {
            return;
        }
        // Where the process is on its way out, nobody comes back.
        if let Ok(runtime) = Handle::try_current() {
            let flight = Arc::clone(&self.flight);
            runtime.spawn(async move {
                tokio::time::sleep(linger).await;
                drop(flight);
            });
        }
    }
}

impl<E: Clone + Send + Sync + 'static> Reader<E> {
    fn new(flight: Arc<Flight<E>>) -> Self {
        Self {
            log: flight.log.clone(),
            read: 0,
            flight,
        }
    }

    /// The next entry, each of them once and in order; `None` after the last, and where the work has died.
    pub async fn next(&mut self) -> Option<E> {
        let at = self.read;
        let log = self
            .log
            .wait_for(|log| log.entries.len() > at || log.end.is_some());
        let entry = log.await.ok()?.entries.get(at).cloned()?;
        self.read += 1;
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
