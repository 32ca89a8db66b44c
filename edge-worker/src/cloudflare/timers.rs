//! One timer of the runtime for everything that a request waits for with a limit.
//!
//! Nearly every limit is given up before it is reached, and a timer of its own for each would be among the dearest
//! things of a cached answer. So the request has one, set to the earliest limit; it is set anew only where that one
//! is reached or an earlier one comes.

use std::{
    cell::{OnceCell, RefCell},
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_name = setTimeout)]
    fn set_timeout(callback: &JsValue, delay_ms: f64) -> Result<f64, JsValue>;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(handle: f64);
}

/// The sleepers of one request.
#[derive(Default)]
pub struct Timers {
    state: RefCell<State>,
    /// What the runtime calls; lives as long as it may.
    wake: OnceCell<Closure<dyn FnMut()>>,
}

#[derive(Default)]
struct State {
    sleepers: Vec<Sleeper>,
    next_id: u32,
    set: Option<Set>,
}

struct Sleeper {
    id: u32,
    due_ms: f64,
    waker: Waker,
}

/// The runtime's timer.
struct Set {
    handle: f64,
    due_ms: f64,
}

impl Timers {
    /// Resolves after so many milliseconds.
    pub fn sleep(self: &Rc<Self>, duration_ms: u32) -> Sleep {
        Sleep {
            timers: Rc::clone(self),
            due_ms: now_ms() + f64::from(duration_ms),
            id: None,
        }
    }

    /// Sets the runtime's timer to the earliest sleeper, unless it is set to no later a time.
    fn set(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        let due = state.sleepers.iter().map(|sleeper| sleeper.due_ms);
        let due_ms = due.fold(f64::INFINITY, f64::min);
        let is_early_enough = state.set.as_ref().is_some_and(|set| set.due_ms <= due_ms);
        if is_early_enough || due_ms.is_infinite() {
            return;
        }
        let wake = self.wake.get_or_init(|| {
            let timers = Rc::downgrade(self);
            Closure::new(move || wake(&timers))
        });
        // At least one: a delay of none would go round and round where the clock stands still.
        let delay_ms = (due_ms - now_ms()).ceil().max(1.0);
        // Fails only in an isolate that is being ended.
        let Ok(handle) = set_timeout(wake.as_ref().unchecked_ref(), delay_ms) else {
            return;
        };
        if let Some(earlier) = state.set.replace(Set { handle, due_ms }) {
            clear_timeout(earlier.handle);
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        if let Some(set) = self.state.get_mut().set.take() {
            clear_timeout(set.handle);
        }
    }
}

/// Wakes whoever is due.
fn wake(timers: &Weak<Timers>) {
    let Some(timers) = timers.upgrade() else {
        return;
    };
    let now_ms = now_ms();
    let mut due = Vec::new();
    {
        let mut state = timers.state.borrow_mut();
        state.set = None;
        for sleeper in &state.sleepers {
            if sleeper.due_ms <= now_ms {
                due.push(sleeper.waker.clone());
            }
        }
        state.sleepers.retain(|sleeper| sleeper.due_ms > now_ms);
    }
    due.into_iter().for_each(Waker::wake);
    timers.set();
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

fn now_ms() -> f64 {
    js_sys::Date::now()
}
