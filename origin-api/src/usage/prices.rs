//! What a call of a model costs.

use shared_types::chat::Usage;

const TOKENS_PER_PRICE: u128 = 1_000_000;

/// What a model's tokens cost: millionths of a US dollar for a million of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Tokens of a prompt for which no cache was used.
    pub input: u32,
    /// Tokens of an answer.
    pub output: u32,
    /// Tokens of a prompt that were read from the service's cache.
    pub cache_read: u32,
    /// Tokens of a prompt that were put there.
    pub cache_write: u32,
}

impl Prices {
    /// What `usage` costs, rounded up to a whole millionth of a dollar.
    #[must_use]
    pub fn cost_microusd(&self, usage: &Usage) -> u64 {
        let (read, write) = (usage.cache_read_tokens, usage.cache_write_tokens);
        let plain = usage
            .input_tokens
            .saturating_sub(read.saturating_add(write));
        let parts = [
            (plain, self.input),
            (usage.output_tokens, self.output),
            (read, self.cache_read),
            (write, self.cache_write),
        ];
        let sum: u128 = parts
            .iter()
            .map(|&(tokens, price)| u128::from(tokens) * u128::from(price))
            .sum();
        // Four products of 32 bits each, over a million: it fits.
        u64::try_from(sum.div_ceil(TOKENS_PER_PRICE)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HAIKU: Prices = Prices {
        input: 1_000_000,
        output: 5_000_000,
        cache_read: 100_000,
        cache_write: 1_250_000,
    };

    fn usage(input: u32, output: u32, read: u32, write: u32) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            cache_read_tokens: read,
            cache_write_tokens: write,
            cost_microusd: None,
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        for (used, cost) in [
            (usage(0, 0, 0, 0), 0),
            (usage(1_000, 0, 0, 0), 1_000),
            (usage(0, 200, 0, 0), 1_000),
            (usage(1_000, 0, 1_000, 0), 100),
            (usage(1_000, 0, 0, 1_000), 1_250),
            (usage(1_480, 212, 1_000, 80), 400 + 1_060 + 100 + 100),
        ] {
            assert_eq!(HAIKU.cost_microusd(&used), cost, "{used:?}");
        }
    }

    #[test]
    fn a_part_of_a_millionth_counts_as_one() {
        assert_eq!(HAIKU.cost_microusd(&usage(1, 0, 1, 0)), 1);
        assert_eq!(HAIKU.cost_microusd(&usage(11, 0, 11, 0)), 2);
    }

    proptest! {
        #[test]
        fn whatever_a_service_says_more_of_it_never_costs_less(
            counts in any::<[u32; 4]>(), prices in any::<[u32; 4]>(), kind in 0..2_usize,
        ) {
            let [input, output, cache_read, cache_write] = prices;
            let prices = Prices { input, output, cache_read, cache_write };
            let cost = |[input, output, read, write]: [u32; 4]| {
                prices.cost_microusd(&usage(input, output, read, write))
            };
            let mut more = counts;
            more[kind] = more[kind].saturating_add(1_000);
            prop_assert!(cost(more) >= cost(counts));
            prop_assert!(cost(counts) < u64::MAX);
        }
    }
}
