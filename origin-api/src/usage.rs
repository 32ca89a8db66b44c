//! What people's questions take of the language model: priced, put on record, and bounded.

pub mod ledger;
#[cfg(test)]
pub(crate) mod payer;
pub mod prices;
pub mod quota;

use crate::error::ApiError;
use shared_types::{claims::AccessClaims, usage::UsageReport};
use storage::{PgPool, reader};

/// The caller's own days, newest first.
pub async fn report(
    pool: &PgPool,
    claims: &AccessClaims,
    limit: u32,
) -> Result<UsageReport, ApiError> {
    let mut reader = reader::begin(pool, claims).await?;
    let days = storage::usage::days(&mut reader, limit).await?;
    Ok(UsageReport { days })
}
