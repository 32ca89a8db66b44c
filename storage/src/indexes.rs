//! How the database's indexes fare: for whoever runs it, not for anybody who asks.

use crate::{Error, rows::unsigned};
use sqlx::PgPool;

/// Of the whole database: every origin is told the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexFigures {
    /// Blocks of indexes that were found in shared buffers, since the server began to count.
    pub blocks_hit: u64,
    /// Blocks of indexes that had to be read.
    pub blocks_read: u64,
    /// What the graphs of vectors take: so much memory they want to be fast.
    pub graph_bytes: u64,
}

/// Reads what the server has counted. It takes no right to any row, and waits for whoever holds an index for itself alone.
#[tracing::instrument(name = "sql.indexes.figures", skip_all)]
pub async fn figures(pool: &PgPool) -> Result<IndexFigures, Error> {
    let (hit, read, graph): (i64, i64, i64) = sqlx::query_as(include_str!("indexes/figures.sql"))
        .fetch_one(pool)
        .await?;
    Ok(IndexFigures {
        blocks_hit: unsigned(hit, "count")?,
        blocks_read: unsigned(read, "count")?,
        graph_bytes: unsigned(graph, "size")?,
    })
}
