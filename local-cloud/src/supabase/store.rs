//! The SQL of the sign-in service, over its own schema `auth` (`supabase/bootstrap.sql`).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared_types::claims::Role;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// An account.
#[derive(Clone, Debug, FromRow)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) email: String,
    pub(super) encrypted_password: Option<String>,
    pub(super) raw_app_meta_data: Value,
    pub(super) raw_user_meta_data: Value,
    pub(super) email_confirmed_at: Option<DateTime<Utc>>,
    pub(super) last_sign_in_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// An account to be made.
pub(super) struct NewUser<'a> {
    pub(super) id: Uuid,
    pub(super) email: &'a str,
    pub(super) encrypted_password: Option<&'a str>,
    pub(super) role: Option<Role>,
    pub(super) user_metadata: &'a Value,
    pub(super) now: DateTime<Utc>,
}

/// A refresh token as it was issued.
#[derive(Clone, Debug, FromRow)]
pub(super) struct RefreshToken {
    pub(super) user_id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) revoked: bool,
    pub(super) created_at: DateTime<Utc>,
}

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogoutScope {
    /// All of the person's.
    Global,
    /// The one that the access token belongs to.
    Local,
    /// All but that one.
    Others,
}

impl User {
    /// `app_metadata`, with the role that is assumed where none was set.
    pub(super) fn app_metadata(&self) -> Value {
        let mut metadata = self.raw_app_meta_data.clone();
        if metadata["role"].is_null() {
            metadata["role"] = Role::Student.as_str().into();
        }
        metadata
    }

    /// The account as the service shows it.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "id": self.id, "aud": "authenticated", "role": "authenticated",
            "email": self.email, "email_confirmed_at": self.email_confirmed_at, "phone": "",
            "confirmed_at": self.email_confirmed_at, "last_sign_in_at": self.last_sign_in_at,
            "app_metadata": self.app_metadata(),
            "user_metadata": self.raw_user_meta_data,
            "identities": [], "created_at": self.created_at, "updated_at": self.updated_at,
            "is_anonymous": false,
        })
    }
}

const USER_COLUMNS: &str = "id, email, encrypted_password, raw_app_meta_data, \
     raw_user_meta_data, email_confirmed_at, last_sign_in_at, created_at, updated_at";

/// Makes an account, its address confirmed; nothing where the address is taken.
pub(super) async fn create_user(
    pool: &PgPool,
    user: &NewUser<'_>,
) -> Result<Option<User>, sqlx::Error> {
    let mut app_metadata = json!({ "provider": "email", "providers": ["email"] });
    if let Some(role) = user.role {
        app_metadata["role"] = role.as_str().into();
    }
    let made = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "insert into auth.users (id, aud, role, email, encrypted_password, raw_app_meta_data, \
             raw_user_meta_data, email_confirmed_at, created_at, updated_at) \
         values ($1, 'authenticated', 'authenticated', $2, $3, $4, $5, $6, $6, $6) \
         returning {USER_COLUMNS}"
    )))
    .bind(user.id)
    .bind(user.email)
    .bind(user.encrypted_password)
    .bind(app_metadata)
    .bind(user.user_metadata)
    .bind(user.now)
    .fetch_one(pool)
    .await;
    match made {
        Ok(user) => Ok(Some(user)),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The account with this address, which is in lower case.
pub(super) async fn user_by_email(pool: &PgPool, email: &str) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {USER_COLUMNS} from auth.users where lower(email) = $1"
    )))
    .bind(email)
    .fetch_optional(pool)
    .await
}

/// The account with this id.
pub(super) async fn user_by_id(pool: &PgPool, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {USER_COLUMNS} from auth.users where id = $1"
    )))
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// A page of accounts, newest first, and how many there are in all.
pub(super) async fn users(
    pool: &PgPool,
    offset: i64,
    limit: i64,
) -> Result<(Vec<User>, i64), sqlx::Error> {
    let users = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select {USER_COLUMNS} from auth.users order by created_at desc, id offset $1 limit $2"
    )))
    .bind(offset)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let total = sqlx::query_scalar("select count(*) from auth.users")
        .fetch_one(pool)
        .await?;
    Ok((users, total))
}

/// Notes a sign-in.
pub(super) async fn signed_in(
    connection: &mut PgConnection,
    user: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update auth.users set last_sign_in_at = $2, updated_at = $2 where id = $1")
        .bind(user)
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
}

/// Stores a refresh token; `parent` is the one that it replaces.
pub(super) async fn add_refresh_token(
    connection: &mut PgConnection,
    token: &str,
    parent: Option<&str>,
    user: Uuid,
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into auth.refresh_tokens \
             (token, parent, user_id, session_id, revoked, created_at, updated_at) \
         values ($1, $2, $3, $4, false, $5, $5)",
    )
    .bind(token)
    .bind(parent)
    .bind(user)
    .bind(session)
    .bind(now)
    .execute(connection)
    .await
    .map(drop)
}

/// The token, locked until the transaction ends, so that of two uses at once one is a reuse.
pub(super) async fn lock_refresh_token(
    connection: &mut PgConnection,
    token: &str,
) -> Result<Option<RefreshToken>, sqlx::Error> {
    sqlx::query_as(
        "select user_id, session_id, revoked, created_at \
         from auth.refresh_tokens where token = $1 for update",
    )
    .bind(token)
    .fetch_optional(connection)
    .await
}

/// Revokes one token.
pub(super) async fn revoke_token(
    connection: &mut PgConnection,
    token: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update auth.refresh_tokens set revoked = true, updated_at = $2 where token = $1")
        .bind(token)
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
}

/// Revokes every token that descends from the same sign-in.
pub(super) async fn revoke_session(
    connection: &mut PgConnection,
    session: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update auth.refresh_tokens set revoked = true, updated_at = $2 \
         where session_id = $1 and not revoked",
    )
    .bind(session)
    .bind(now)
    .execute(connection)
    .await
    .map(drop)
}

/// Whether the session has not been ended.
pub(super) async fn session_lives(pool: &PgPool, session: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from auth.refresh_tokens where session_id = $1 and not revoked)",
    )
    .bind(session)
    .fetch_one(pool)
    .await
}

/// Forgets the refresh tokens of the sessions in `scope`.
pub(super) async fn log_out(
    pool: &PgPool,
    user: Uuid,
    session: Uuid,
    scope: LogoutScope,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from auth.refresh_tokens where user_id = $1 \
         and case $3 when 'local' then session_id = $2 when 'others' then session_id <> $2 \
             else true end",
    )
    .bind(user)
    .bind(session)
    .bind(match scope {
        LogoutScope::Global => "global",
        LogoutScope::Local => "local",
        LogoutScope::Others => "others",
    })
    .execute(pool)
    .await
    .map(drop)
}
