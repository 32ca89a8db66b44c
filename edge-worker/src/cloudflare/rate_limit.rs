//! The rate-limit bindings; their numbers are in `wrangler.toml`.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{Allowance, PortError, RateLimiter};
use js_sys::{Object, Promise};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// A counter, typed like what it takes and gives: this is on the path of every request.
    pub type RateLimitBinding;
    #[wasm_bindgen(method, catch)]
    fn limit(this: &RateLimitBinding, options: &LimitOptions) -> Result<Promise, JsValue>;

    type LimitOptions;
    #[wasm_bindgen(method, setter)]
    fn set_key(this: &LimitOptions, key: &str);

    type LimitOutcome;
    #[wasm_bindgen(method, getter)]
    fn success(this: &LimitOutcome) -> bool;
}

impl RateLimiter for Workerd {
    async fn allow(&self, allowance: Allowance, key: &str) -> Result<bool, PortError> {
        let limiter = match allowance {
            Allowance::User => &self.isolate.user_limit,
            Allowance::Address => &self.isolate.address_limit,
        };
        let options: LimitOptions = Object::new().unchecked_into();
        options.set_key(key);
        let counted = limiter.limit(&options).map_err(failed)?;
        let outcome = settled(&counted).await;
        let outcome = outcome.map_err(failed)?;
        Ok(outcome.unchecked_into::<LimitOutcome>().success())
    }
}
