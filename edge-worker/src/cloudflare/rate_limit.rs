//! The rate-limit bindings; their numbers are in `wrangler.toml`.

use super::Workerd;
use crate::ports::{Allowance, PortError, RateLimiter};

impl RateLimiter for Workerd {
    async fn allow(&self, allowance: Allowance, key: &str) -> Result<bool, PortError> {
        let limiter = match allowance {
            Allowance::User => &self.isolate.user_limit,
            Allowance::Address => &self.isolate.address_limit,
        };
        let outcome = limiter.limit(key.to_owned()).await;
        let outcome = outcome.map_err(|error| PortError::Failed(error.to_string()))?;
        Ok(outcome.success)
    }
}
