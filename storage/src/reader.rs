//! One person's view of the database.

use crate::Error;
use shared_types::{
    claims::{AccessClaims, Role},
    ids::UserId,
    trace::TraceParent,
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

/// A transaction that acts as one person: Postgres role `authenticated`, the person's claims in
/// `request.jwt.claims`, row-level security in force. Dropped without [`ReaderTx::commit`], it
/// rolls back, and nothing of the person stays on the connection.
#[derive(Debug)]
pub struct ReaderTx {
    tx: Transaction<'static, Postgres>,
    user_id: UserId,
    role: Role,
}

/// Begins a transaction for the bearer of these claims, which must come from a verified token.
pub async fn begin(pool: &PgPool, claims: &AccessClaims) -> Result<ReaderTx, Error> {
    begin_with(pool, claims, "begin").await
}

/// Begins a read-only transaction whose statements all see one and the same moment.
pub async fn begin_snapshot(pool: &PgPool, claims: &AccessClaims) -> Result<ReaderTx, Error> {
    begin_with(
        pool,
        claims,
        "begin isolation level repeatable read read only",
    )
    .await
}

#[tracing::instrument(name = "sql.reader.begin", skip_all)]
async fn begin_with(
    pool: &PgPool,
    claims: &AccessClaims,
    statement: &'static str,
) -> Result<ReaderTx, Error> {
    let json = serde_json::to_string(claims).map_err(|_| Error::Corrupt("claim"))?;
    let mut tx = pool.begin_with(statement).await?;
    // One round trip; `true` makes each setting end with the transaction, which a transaction
    // pooler needs.
    // Generic plans: the policies make planning dear, and no statement wants another plan for
    // another reader.
    sqlx::query(
        "select set_config('role', 'authenticated', true), \
                set_config('request.jwt.claims', $1, true), \
                set_config('plan_cache_mode', 'force_generic_plan', true), \
                set_config('jit', 'off', true)",
    )
    .bind(json)
    .execute(&mut *tx)
    .await?;
    Ok(ReaderTx {
        tx,
        user_id: claims.sub,
        role: claims.app_metadata.role,
    })
}

impl ReaderTx {
    /// The person.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The person's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The connection, acting as the person until the transaction ends.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Has jobs that are queued from here on belong to this trace.
    #[tracing::instrument(name = "sql.reader.within", skip_all)]
    pub async fn within(&mut self, trace: TraceParent) -> Result<(), Error> {
        sqlx::query("select set_config('etude.traceparent', $1, true)")
            .bind(trace.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends what only read, without waiting for that: it is rolled back on the connection's way back to the pool.
    pub fn end_reading(self) {
        drop(self.tx);
    }

    /// Makes what was done permanent. Reads need none.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}
