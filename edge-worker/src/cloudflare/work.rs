//! What goes on after a reply is out, and holds up none.

use super::tasks::{self, Resolvers, with_resolvers};
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::JsValue;
use worker::worker_sys::Context;

/// The work of one request that its invocation is to outlive. The runtime is told once for all that is under way at
/// the same time: to be told is dearer than to run most of it.
pub struct Work {
    context: Context,
    under_way: RefCell<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    pieces: usize,
    /// Resolves what the runtime waits for.
    all_done: Option<Resolvers>,
}

impl Work {
    /// No work yet.
    pub fn new(context: Context) -> Rc<Self> {
        Rc::new(Self {
            context,
            under_way: RefCell::default(),
        })
    }

    /// Begins a piece.
    pub fn begin(self: &Rc<Self>, piece: impl Future<Output = ()> + 'static) {
        self.announce();
        let work = Rc::clone(self);
        tasks::spawn(async move {
            piece.await;
            work.end_piece();
        });
    }

    fn announce(&self) {
        let mut under_way = self.under_way.borrow_mut();
        under_way.pieces += 1;
        if under_way.pieces == 1 {
            let all_done = with_resolvers();
            // Fails only where the request has ended, and then there is nothing to wait for.
            let _ = self.context.wait_until(&all_done.promise());
            under_way.all_done = Some(all_done);
        }
    }

    fn end_piece(&self) {
        let mut under_way = self.under_way.borrow_mut();
        under_way.pieces -= 1;
        if under_way.pieces == 0
            && let Some(all_done) = under_way.all_done.take()
        {
            all_done.resolve(&JsValue::UNDEFINED);
        }
    }
}
