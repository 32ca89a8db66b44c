//! Time that moves only when it is moved, and tasks that take turns in an order of the test's choosing.

use super::BEGINNING_S;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A clock and the sleepers on it.
pub struct Time {
    now_ms: Cell<i64>,
    /// By the moment in which they wake, and a number of their own.
    sleepers: RefCell<BTreeMap<(i64, u64), Waker>>,
    sleeps: Cell<u64>,
}

impl Default for Time {
    /// At the beginning of every story.
    fn default() -> Self {
        Self {
            now_ms: Cell::new(BEGINNING_S * 1_000),
            sleepers: RefCell::default(),
            sleeps: Cell::default(),
        }
    }
}

impl Time {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_ms.get()
    }

    /// The same as a date.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now_ms()).unwrap()
    }

    /// Lets time pass, and wakes whoever is to wake by then.
    pub fn pass_ms(&self, duration_ms: i64) {
        let now_ms = self.now_ms() + duration_ms;
        self.now_ms.set(now_ms);
        let mut sleepers = self.sleepers.borrow_mut();
        let asleep = sleepers.split_off(&(now_ms + 1, 0));
        std::mem::replace(&mut *sleepers, asleep)
            .into_values()
            .for_each(Waker::wake);
    }

    /// Lets time pass until the next sleeper wakes. Whether there was one.
    pub fn pass_to_next_waking(&self) -> bool {
        let next = self.sleepers.borrow().keys().next().copied();
        if let Some((wakes_ms, _)) = next {
            self.pass_ms(wakes_ms - self.now_ms());
        }
        next.is_some()
    }

    /// Ends when so much time has passed.
    pub fn sleep(&self, duration_ms: u32) -> Sleep<'_> {
        self.sleeps.set(self.sleeps.get() + 1);
        Sleep {
            time: self,
            wakes_at: (self.now_ms() + i64::from(duration_ms), self.sleeps.get()),
        }
    }

    /// Runs some work to its end. Whenever it can only wait, time moves on.
    pub fn drive<'a, T>(
        &'a self,
        work: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = T> + 'a {
        let mut work = Box::pin(work);
        let alarm = Arc::new(Alarm(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&alarm));
        poll_fn(move |_| {
            loop {
                assert!(
                    alarm.0.swap(false, SeqCst) || self.pass_to_next_waking(),
                    "work waits for what never comes"
                );
                if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Poll::Ready(done);
                }
            }
        })
    }
}

/// See [`Time::sleep`].
pub struct Sleep<'a> {
    time: &'a Time,
    wakes_at: (i64, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.wakes_at.0 <= self.time.now_ms() {
            return Poll::Ready(());
        }
        let mut sleepers = self.time.sleepers.borrow_mut();
        sleepers.insert(self.wakes_at, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.time.sleepers.borrow_mut().remove(&self.wakes_at);
    }
}

struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Lets others go first, once.
pub async fn turn() {
    let mut is_over = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tasks that run a turn at a time: from one moment of waiting to the next.
#[derive(Default)]
pub struct Tasks {
    tasks: Vec<Task>,
}

struct Task {
    work: LocalBoxFuture<'static, ()>,
    alarm: Arc<Alarm>,
    /// Whether somebody waits for it who may lose patience.
    may_be_dropped: bool,
}

impl Tasks {
    /// Adds a task.
    pub fn add(&mut self, work: LocalBoxFuture<'static, ()>, may_be_dropped: bool) {
        self.tasks.push(Task {
            work,
            alarm: Arc::new(Alarm(AtomicBool::new(true))),
            may_be_dropped,
        });
    }

    /// Whether all have ended.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Gives a turn to one of those that can move; `choose` picks a number below its argument.
    /// Whether any could.
    pub fn take_turn(&mut self, choose: impl FnOnce(usize) -> usize) -> bool {
        let ready = self.places(|task| task.alarm.0.load(SeqCst));
        if ready.is_empty() {
            return false;
        }
        let place = ready[choose(ready.len())];
        let task = &mut self.tasks[place];
        task.alarm.0.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(&task.alarm));
        let polled = task.work.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            self.tasks.remove(place);
        }
        true
    }

    /// Drops one of those that may be dropped, if there is one.
    pub fn drop_one(&mut self, choose: impl FnOnce(usize) -> usize) {
        let droppable = self.places(|task| task.may_be_dropped);
        if !droppable.is_empty() {
            self.tasks.remove(droppable[choose(droppable.len())]);
        }
    }

    fn places(&self, which: impl Fn(&Task) -> bool) -> Vec<usize> {
        let places = self.tasks.iter().enumerate();
        places
            .filter_map(|(place, task)| which(task).then_some(place))
            .collect()
    }
}
