//! One person's view of the database.

use crate::{Error, pool};
use serde_json::json;
use shared_types::{
    claims::{AccessClaims, Role},
    ids::UserId,
    trace::TraceParent,
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::fmt;

/// A transaction that acts as one person: Postgres role `authenticated`, who that is in
/// `request.jwt.claims`, row-level security in force. Dropped without [`ReaderTx::commit`], it
/// rolls back, and nothing of the person stays on the connection.
pub struct ReaderTx {
    tx: Transaction<'static, Postgres>,
    user_id: UserId,
    role: Role,
    /// Until the database is told.
    email: Option<String>,
}

impl fmt::Debug for ReaderTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, role, .. } = self;
        let mut shown = f.debug_struct("ReaderTx");
        shown.field("user_id", user_id).field("role", role);
        shown.finish_non_exhaustive()
    }
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
    let (user_id, role) = (claims.sub, claims.app_metadata.role);
    let mut tx = pool::begin(pool, statement).await?;
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
    .bind(told(user_id, role, None).to_string())
    .execute(&mut *tx)
    .await?;
    Ok(ReaderTx {
        tx,
        user_id,
        role,
        email: claims.email.clone(),
    })
}

/// What the database is told of a person, in the form in which Supabase tells a token's claims.
fn told(user_id: UserId, role: Role, email: Option<&str>) -> serde_json::Value {
    let mut claims = json!({
        "sub": user_id,
        "role": "authenticated",
        "app_metadata": { "role": role },
    });
    if let Some(email) = email {
        claims["email"] = email.into();
    }
    claims
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

    /// Tells the database the address that the person signed in with, once. Only rules on invitations ask for it, so no
    /// other transaction does.
    #[tracing::instrument(name = "sql.reader.tell_address", skip_all)]
    pub(crate) async fn tell_address(&mut self) -> Result<(), Error> {
        if let Some(email) = self.email.take() {
            let claims = told(self.user_id, self.role, Some(&email)).to_string();
            sqlx::query("select set_config('request.jwt.claims', $1, true)")
                .bind(claims)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
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
