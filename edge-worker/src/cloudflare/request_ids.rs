//! Ids of requests: random, drawn many at a time, since a call to the runtime costs the same for one as for all.

use shared_types::ids::RequestId;
use std::cell::RefCell;
use uuid::Builder;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

const ID_BYTES: usize = 16;
/// Ids that are drawn at a time.
const AT_ONCE: usize = 64;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn fill(bytes: &mut [u8]) -> Result<(), JsValue>;
}

thread_local! {
    static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An id that no other request has. Fails only where the runtime has no randomness.
pub fn next() -> Result<RequestId, JsValue> {
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            let mut bytes = [0; AT_ONCE * ID_BYTES];
            fill(&mut bytes)?;
            drawn.extend_from_slice(&bytes);
        }
        let mut id = [0; ID_BYTES];
        let left = drawn.len() - ID_BYTES;
        id.copy_from_slice(&drawn[left..]);
        drawn.truncate(left);
        Ok(RequestId(Builder::from_random_bytes(id).into_uuid()))
    })
}
