//! Etude's edge: the Cloudflare Worker that browsers talk to.
//!
//! [`gateway`] holds the flows, over [`ports`]; `cloudflare` is the host in production. The flows
//! compile natively as well, where the tests run them over memory.

pub mod config;
pub mod gateway;
pub mod ports;
pub mod router;

#[cfg(target_arch = "wasm32")]
mod cloudflare;

/// Instead of the standard library's, which is a hundredth of the module larger and no quicker here.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The Worker's entry. Not by `#[worker::event]`, which would run it in the queue that [`cloudflare::tasks`] replaces.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn fetch(
    request: web_sys::Request,
    env: worker::Env,
    context: worker::worker_sys::Context,
) -> js_sys::Promise {
    cloudflare::tasks::promise_of(async {
        let served = cloudflare::serve(request, env, context).await;
        served.map(Into::into)
    })
}
