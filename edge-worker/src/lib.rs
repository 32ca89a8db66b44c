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

/// The Worker's entry.
#[cfg(target_arch = "wasm32")]
#[worker::event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: worker::Env,
    context: worker::Context,
) -> worker::Result<web_sys::Response> {
    let served = cloudflare::serve(&request, env, context).await;
    served.map_err(|error| worker::Error::RustError(format!("{error:?}")))
}
