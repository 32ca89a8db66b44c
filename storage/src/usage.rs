//! What people's questions took of the language model, by day. Days begin at midnight UTC, by the database's clock.

use crate::{
    Error, ReaderTx,
    rows::{signed, unsigned},
};
use chrono::{DateTime, NaiveDate, Utc};
use shared_types::{
    chat::Usage,
    usage::{DayUsage, UsageSums},
};
use sqlx::FromRow;

/// What the reader has used today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Today {
    /// The moment of looking, which says what today is.
    pub now: DateTime<Utc>,
    /// The sums since midnight.
    pub sums: UsageSums,
}

#[derive(FromRow)]
struct Row {
    calls: i64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    cost_microusd: i64,
}

#[derive(FromRow)]
struct TodayRow {
    now: DateTime<Utc>,
    #[sqlx(flatten)]
    sums: Row,
}

#[derive(FromRow)]
struct DayRow {
    day: NaiveDate,
    #[sqlx(flatten)]
    sums: Row,
}

impl TryFrom<Row> for UsageSums {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let count = |value| unsigned(value, "count of usage");
        Ok(Self {
            calls: count(row.calls)?,
            input_tokens: count(row.input_tokens)?,
            output_tokens: count(row.output_tokens)?,
            cache_read_tokens: count(row.cache_read_tokens)?,
            cache_write_tokens: count(row.cache_write_tokens)?,
            cost_microusd: count(row.cost_microusd)?,
        })
    }
}

/// Adds one call of a model to the reader's day. [`Error::UnknownPerson`]: the reader has no account (any more).
#[tracing::instrument(name = "sql.usage.record", skip_all)]
pub async fn record(reader: &mut ReaderTx, usage: &Usage) -> Result<(), Error> {
    let cost = usage.cost_microusd.unwrap_or(0);
    sqlx::query("select record_model_usage($1, $2, $3, $4, $5)")
        .bind(i64::from(usage.input_tokens))
        .bind(i64::from(usage.output_tokens))
        .bind(i64::from(usage.cache_read_tokens))
        .bind(i64::from(usage.cache_write_tokens))
        .bind(signed::<_, i64>(cost, "cost")?)
        .execute(reader.connection())
        .await
        .map_err(Error::of_person)?;
    Ok(())
}

/// What the reader has used today.
#[tracing::instrument(name = "sql.usage.today", skip_all)]
pub async fn today(reader: &mut ReaderTx) -> Result<Today, Error> {
    let user_id = reader.user_id();
    let row: TodayRow = sqlx::query_as(
        "select now() as now, coalesce(calls, 0) as calls, \
                coalesce(input_tokens, 0) as input_tokens, \
                coalesce(output_tokens, 0) as output_tokens, \
                coalesce(cache_read_tokens, 0) as cache_read_tokens, \
                coalesce(cache_write_tokens, 0) as cache_write_tokens, \
                coalesce(cost_microusd, 0) as cost_microusd \
         from (select) as one \
         left join model_usage on user_id = $1 and day = (now() at time zone 'utc')::date",
    )
    .bind(user_id.0)
    .fetch_one(reader.connection())
    .await?;
    Ok(Today {
        now: row.now,
        sums: row.sums.try_into()?,
    })
}

/// The reader's days on which a model was asked, newest first, at most `limit`.
#[tracing::instrument(name = "sql.usage.days", skip_all)]
pub async fn days(reader: &mut ReaderTx, limit: u32) -> Result<Vec<DayUsage>, Error> {
    let user_id = reader.user_id();
    let rows: Vec<DayRow> = sqlx::query_as(
        "select day, calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, \
                cost_microusd \
         from model_usage where user_id = $1 order by day desc limit $2",
    )
    .bind(user_id.0)
    .bind(i64::from(limit))
    .fetch_all(reader.connection())
    .await?;
    let days = rows.into_iter().map(|row| {
        Ok(DayUsage {
            day: row.day,
            sums: row.sums.try_into()?,
        })
    });
    days.collect()
}
