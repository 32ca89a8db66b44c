//! One timer of the runtime for everything that a request waits for with a limit.
//!
//! Nearly every limit is given up before it is reached, and a timer of its own for each would be among the dearest
//! things of a cached answer. So the request has one, set to the earliest limit; it is set anew only where that one
//! is reached or an earlier one comes. It is never cleared, which costs as much as three that find nothing to do: it
//! ends with its request.

use super::tasks::{self, now_ms};
use slab::Slab;
use std::{
    cell::RefCell,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};
use wasm_bindgen::{JsValue, closure::Closure, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(js_name = wakeAfter)]
    fn wake_after(ms: f64, wake: &JsValue, id: usize);
}

thread_local! {
    /// Those of the requests in work.
    static TIMERS: RefCell<Slab<Weak<Timers>>> = const { RefCell::new(Slab::new()) };
    static WAKE: Closure<dyn Fn(usize)> = Closure::new(wake);
}

/// The sleepers of one request.
pub struct Timers {
    /// Among the requests in work. Another request has it later, and is woken for nothing by a timer of this one.
    id: usize,
    state: RefCell<State>,
}

struct State {
    sleepers: Vec<Sleeper>,
    next_id: u32,
    /// When the runtime will call.
    set_ms: f64,
}

struct Sleeper {
    id: u32,
    due_ms: f64,
    waker: Waker,
}

impl Timers {
    /// Timers of a request that waits for nothing yet.
    pub fn new() -> Rc<Self> {
        Rc::new_cyclic(|timers| Self {
            id: TIMERS.with_borrow_mut(|all| all.insert(Weak::clone(timers))),
            state: RefCell::new(State {
                sleepers: Vec::new(),
                next_id: 0,
                set_ms: f64::INFINITY,
            }),
        })
    }

    /// Resolves after so many milliseconds.
    pub fn sleep(self: &Rc<Self>, duration_ms: u32) -> Sleep {
        Sleep {
            timers: Rc::clone(self),
            due_ms: now_ms() + f64::from(duration_ms),
            id: None,
        }
    }

    /// Sets the runtime's timer to the earliest sleeper, unless it is set to no later a time.
    fn set(&self) {
        let mut state = self.state.borrow_mut();
        let due = state.sleepers.iter().map(|sleeper| sleeper.due_ms);
        let due_ms = due.fold(f64::INFINITY, f64::min);
        if due_ms < state.set_ms {
            state.set_ms = due_ms;
            // At least one: a delay of none would go round and round where the clock stands still.
            let delay_ms = (due_ms - now_ms()).ceil().max(1.0);
            WAKE.with(|wake| wake_after(delay_ms, wake.as_ref(), self.id));
        }
    }

    /// Wakes whoever is due.
    fn wake(&self) {
        let now_ms = now_ms();
        {
            let mut state = self.state.borrow_mut();
            // Whatever is still set finds nothing to do.
            state.set_ms = f64::INFINITY;
            state.sleepers.retain(|sleeper| {
                let is_due = sleeper.due_ms <= now_ms;
                if is_due {
                    sleeper.waker.wake_by_ref();
                }
                !is_due
            });
        }
        self.set();
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        TIMERS.with_borrow_mut(|all| all.try_remove(self.id));
    }
}

/// What the runtime calls.
fn wake(id: usize) {
    let timers = TIMERS.with_borrow(|all| all.get(id).and_then(Weak::upgrade));
    if let Some(timers) = timers {
        timers.wake();
    }
    tasks::run();
}

/// See [`Timers::sleep`].
pub struct Sleep {
    timers: Rc<Timers>,
    due_ms: f64,
    /// Among the sleepers, once it was waited for.
    id: Option<u32>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now_ms() >= self.due_ms {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let mut state = self.timers.state.borrow_mut();
        let known = state
            .sleepers
            .iter_mut()
            .find(|sleeper| Some(sleeper.id) == self.id);
        if let Some(sleeper) = known {
            sleeper.waker.clone_from(waker);
            return Poll::Pending;
        }
        let id = state.next_id;
        state.next_id = id.wrapping_add(1);
        state.sleepers.push(Sleeper {
            id,
            due_ms: self.due_ms,
            waker: waker.clone(),
        });
        drop(state);
        self.id = Some(id);
        self.timers.set();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = self.timers.state.borrow_mut();
            state.sleepers.retain(|sleeper| sleeper.id != id);
        }
    }
}
