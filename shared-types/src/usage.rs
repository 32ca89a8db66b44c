//! What somebody's questions took of the language model.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Days of usage in one reply at most, and where nobody says how many.
pub const MAX_USAGE_DAYS: u32 = 90;

/// `GET /api/account/usage?limit=…`: the caller's own days, newest first, at most [`MAX_USAGE_DAYS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// Days on which no model was asked for the caller are left out.
    pub days: Vec<DayUsage>,
}

/// One person's use of the model on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUsage {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The sums of that day.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// The sums of some calls of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSums {
    /// Calls that began, those that broke off among them. Who was told an answer that another had begun, or one from a
    /// cache, made none.
    pub calls: u64,
    /// As [`crate::chat::Usage::input_tokens`].
    pub input_tokens: u64,
    /// As [`crate::chat::Usage::output_tokens`].
    pub output_tokens: u64,
    /// As [`crate::chat::Usage::cache_read_tokens`].
    pub cache_read_tokens: u64,
    /// As [`crate::chat::Usage::cache_write_tokens`].
    pub cache_write_tokens: u64,
    /// Millionths of a US dollar; a call that was made while no prices were known counts as nothing.
    pub cost_microusd: u64,
}
