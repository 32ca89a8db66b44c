use super::{ConfigError, Vars, invalid};
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
