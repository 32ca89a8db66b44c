//! The rate-limit bindings; their numbers are in `wrangler.toml`.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{Allowance, PortError, RateLimiter};
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// A counter.
    pub type RateLimitBinding;
    /// What it says.
    type Count;
    #[wasm_bindgen(method, getter)]
    fn success(this: &Count) -> bool;
}

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn count(limiter: &RateLimitBinding, key: &str) -> Result<Promise, JsValue>;
}

impl RateLimiter for Workerd {
    async fn allow(&self, allowance: Allowance, key: &str) -> Result<bool, PortError> {
        let limiter = match allowance {
            Allowance::User => &self.isolate.user_limit,
            Allowance::Address => &self.isolate.address_limit,
        };
        let counted = count(limiter, key).map_err(failed)?;
        let count: Count = settled(&counted).await.map_err(failed)?.unchecked_into();
        Ok(count.success())
    }
}
