//! Runs the futures of requests, and waits for the runtime's promises.
//!
//! `wasm-bindgen-futures` asks the runtime for a microtask at every wake, and makes two functions for every promise,
//! each registered for finalisation. That was a seventh of a cached answer's time. Here, outcomes come in by one
//! function that is made once, and whoever waited goes on within that very call.

use futures_util::future::LocalBoxFuture;
use js_sys::Promise;
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use wasm_bindgen::{JsValue, closure::Closure, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    fn watch(promise: &Promise, tell: &JsValue, id: usize);
}

#[wasm_bindgen]
extern "C" {
    /// A promise, and what settles it.
    pub type Resolvers;
    /// A promise that is not settled.
    #[wasm_bindgen(js_namespace = Promise, js_name = withResolvers)]
    pub fn with_resolvers() -> Resolvers;
    /// The promise.
    #[wasm_bindgen(method, getter)]
    pub fn promise(this: &Resolvers) -> Promise;
    /// Fulfils it.
    #[wasm_bindgen(method)]
    pub fn resolve(this: &Resolvers, value: &JsValue);
    #[wasm_bindgen(method)]
    fn reject(this: &Resolvers, error: &JsValue);
}

thread_local! {
    static TASKS: Tasks = Tasks::default();
    static TELL: Closure<dyn Fn(usize, bool, JsValue)> = Closure::new(tell);
}

#[derive(Default)]
struct Tasks {
    /// Without its future while it is polled.
    all: RefCell<Slab<Task>>,
    woken: RefCell<VecDeque<usize>>,
    is_running: Cell<bool>,
    awaited: RefCell<Slab<Awaited>>,
    now_ms: Cell<Option<f64>>,
}

struct Task {
    future: Option<LocalBoxFuture<'static, ()>>,
    wake: Arc<TaskWake>,
}

struct TaskWake {
    task: usize,
    is_woken: AtomicBool,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::Relaxed) {
            TASKS.with(|tasks| tasks.woken.borrow_mut().push_back(self.task));
        }
    }
}

/// A promise that something waits for, or has ceased to wait for.
enum Awaited {
    Pending(Option<Waker>),
    Told(Result<JsValue, JsValue>),
    Abandoned,
}

/// Polls every task that was woken. To be called wherever the runtime calls in and something was woken.
pub fn run() {
    TASKS.with(|tasks| {
        if tasks.is_running.replace(true) {
            // Further up, it goes on.
            return;
        }
        while let Some(id) = tasks.next_woken() {
            tasks.poll(id);
        }
        tasks.now_ms.set(None);
        tasks.is_running.set(false);
    });
}

/// Milliseconds since 1970. Read once each time that the runtime calls in: in a Worker, the clock moves in between alone.
pub fn now_ms() -> f64 {
    TASKS.with(|tasks| {
        let now_ms = tasks.now_ms.get().unwrap_or_else(js_sys::Date::now);
        tasks.now_ms.set(Some(now_ms));
        now_ms
    })
}

impl Tasks {
    fn next_woken(&self) -> Option<usize> {
        self.woken.borrow_mut().pop_front()
    }

    fn insert(&self, future: LocalBoxFuture<'static, ()>) {
        let mut tasks = self.all.borrow_mut();
        let task = tasks.vacant_key();
        let is_woken = AtomicBool::new(true);
        tasks.insert(Task {
            future: Some(future),
            wake: Arc::new(TaskWake { task, is_woken }),
        });
        self.woken.borrow_mut().push_back(task);
    }

    fn poll(&self, id: usize) {
        let taken = self.all.borrow_mut().get_mut(id).and_then(Task::take);
        // A waker may outlive its task.
        let Some((mut future, wake)) = taken else {
            return;
        };
        wake.is_woken.store(false, Ordering::Relaxed);
        let waker = Waker::from(wake);
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.all.borrow_mut().remove(id);
        } else if let Some(task) = self.all.borrow_mut().get_mut(id) {
            task.future = Some(future);
        }
    }
}

impl Task {
    fn take(&mut self) -> Option<(LocalBoxFuture<'static, ()>, Arc<TaskWake>)> {
        Some((self.future.take()?, Arc::clone(&self.wake)))
    }
}

/// Begins a future, and returns the promise of its outcome.
pub fn promise_of(future: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let resolvers = with_resolvers();
    let promise = resolvers.promise();
    spawn(async move {
        match future.await {
            Ok(value) => resolvers.resolve(&value),
            Err(error) => resolvers.reject(&error),
        }
    });
    promise
}

/// Begins a future that nothing waits for.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    TASKS.with(|tasks| tasks.insert(Box::pin(future)));
    run();
}

/// Waits for a promise.
pub fn settled(promise: &Promise) -> Settled {
    let awaited = Awaited::Pending(None);
    let id = TASKS.with(|tasks| tasks.awaited.borrow_mut().insert(awaited));
    TELL.with(|tell| watch(promise, tell.as_ref(), id));
    Settled(Some(id))
}

/// What the runtime calls with the outcome of a promise.
fn tell(id: usize, is_fulfilled: bool, outcome: JsValue) {
    let outcome = if is_fulfilled {
        Ok(outcome)
    } else {
        Err(outcome)
    };
    TASKS.with(|tasks| {
        let mut awaited = tasks.awaited.borrow_mut();
        let told = awaited
            .get_mut(id)
            .map(|awaited| std::mem::replace(awaited, Awaited::Told(outcome)));
        match told {
            Some(Awaited::Pending(Some(waker))) => waker.wake(),
            Some(Awaited::Abandoned) => drop(awaited.remove(id)),
            Some(Awaited::Pending(None) | Awaited::Told(_)) | None => {}
        }
    });
    run();
}

/// See [`settled`].
pub struct Settled(Option<usize>);

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.0 else {
            return Poll::Pending;
        };
        TASKS.with(|tasks| {
            let mut awaited = tasks.awaited.borrow_mut();
            if let Some(Awaited::Pending(waker)) = awaited.get_mut(id) {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            self.0 = None;
            match awaited.try_remove(id) {
                Some(Awaited::Told(outcome)) => Poll::Ready(outcome),
                _ => Poll::Pending,
            }
        })
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let Some(id) = self.0 else {
            return;
        };
        TASKS.with(|tasks| {
            let mut awaited = tasks.awaited.borrow_mut();
            match awaited.get_mut(id) {
                // Its number is kept from others until the promise has been told.
                Some(pending @ Awaited::Pending(_)) => *pending = Awaited::Abandoned,
                _ => drop(awaited.try_remove(id)),
            }
        });
    }
}
