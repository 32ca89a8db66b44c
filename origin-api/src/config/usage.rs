use super::{ConfigError, ModelConfig, Vars, invalid};
use crate::usage::prices::Prices;

/// The variables of one model's prices: input, output, read from and written to the service's cache of prompts.
pub(super) type PriceNames = [&'static str; 4];

pub(super) const FIRST: PriceNames = [
    "LLM_INPUT_PRICE_MICROUSD",
    "LLM_OUTPUT_PRICE_MICROUSD",
    "LLM_CACHE_READ_PRICE_MICROUSD",
    "LLM_CACHE_WRITE_PRICE_MICROUSD",
];
pub(super) const SECOND: PriceNames = [
    "FALLBACK_INPUT_PRICE_MICROUSD",
    "FALLBACK_OUTPUT_PRICE_MICROUSD",
    "FALLBACK_CACHE_READ_PRICE_MICROUSD",
    "FALLBACK_CACHE_WRITE_PRICE_MICROUSD",
];

/// What one person may use of the models in a day, which begins at midnight UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaConfig {
    /// `DAILY_COST_LIMIT_MICROUSD`, in millionths of a US dollar; 0 or nothing for no limit. Needs the prices of every
    /// model that is asked.
    pub daily_cost_microusd: Option<u64>,
    /// `DAILY_TOKEN_LIMIT`: tokens of prompts and answers together; 0 or nothing for no limit.
    pub daily_tokens: Option<u64>,
}

impl QuotaConfig {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the prices of one model: all of them or none.
pub(super) fn prices(vars: &Vars<'_>, names: PriceNames) -> Result<Option<Prices>, ConfigError> {
    if names.iter().all(|name| vars.optional(name).is_none()) {
        return Ok(None);
    }
    let price = |name: &'static str| -> Result<u32, ConfigError> {
        let text = vars.required(name)?;
        text.parse().map_err(|_| {
            let reason = "it is no whole number of millionths of a dollar for a million tokens";
            invalid(name, reason)
        })
    };
    let [input, output, cache_read, cache_write] = names;
    Ok(Some(Prices {
        input: price(input)?,
        output: price(output)?,
        cache_read: price(cache_read)?,
        cache_write: price(cache_write)?,
    }))
}

/// Reads what one person may use in a day of these models.
pub(super) fn quota(vars: &Vars<'_>, model: &ModelConfig) -> Result<QuotaConfig, ConfigError> {
    let limit = |name| {
        vars.parsed(name, 0)
            .map(|limit| (limit > 0).then_some(limit))
    };
    let quota = QuotaConfig {
        daily_cost_microusd: limit("DAILY_COST_LIMIT_MICROUSD")?,
        daily_tokens: limit("DAILY_TOKEN_LIMIT")?,
    };
    if quota.daily_cost_microusd.is_some() {
        // A model without prices would be free, and the limit none.
        if model.first.prices.is_none() {
            return Err(ConfigError::Missing(FIRST[0]));
        }
        if model
            .second
            .as_ref()
            .is_some_and(|second| second.prices.is_none())
        {
            return Err(ConfigError::Missing(SECOND[0]));
        }
    }
    Ok(quota)
}
