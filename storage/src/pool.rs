use crate::Error;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

/// The schema: `migrations/`, embedded. Run by a role that owns the tables and bypasses row-level
/// security, never by one of the two that serve.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// How a process keeps connections.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Connections at most.
    pub max_connections: u32,
    /// Connections kept open while idle.
    pub min_connections: u32,
    /// How long a caller waits for a free connection before [`Error::Unavailable`].
    pub acquire_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: &'static str,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_connections: 10,
            min_connections: 1,
            acquire_timeout: Duration::from_secs(5),
            application_name: "etude",
        }
    }
}

/// Opens a pool and one connection, so that a wrong address or password shows at start.
///
/// Goes straight to PostgreSQL, or through PgBouncer 1.21 or later in transaction mode with
/// `max_prepared_statements` set.
#[tracing::instrument(name = "sql.connect", skip_all, fields(application_name = settings.application_name))]
pub async fn connect(url: &str, settings: PoolSettings) -> Result<PgPool, Error> {
    let options: PgConnectOptions = url.parse::<PgConnectOptions>().map_err(Error::Database)?;
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .min_connections(settings.min_connections)
        .acquire_timeout(settings.acquire_timeout)
        .connect_with(
            options
                .application_name(settings.application_name)
                // PgBouncer refuses a connection that asks for it, and what is sent is binary.
                .extra_float_digits(None),
        )
        .await?;
    Ok(pool)
}

/// Brings the schema up to date. Safe to run by several processes at once and any number of times.
#[tracing::instrument(name = "sql.migrate", skip_all)]
pub async fn migrate(owner_url: &str) -> Result<(), Error> {
    let settings = PoolSettings {
        max_connections: 1,
        application_name: "etude-migrate",
        ..PoolSettings::default()
    };
    let pool = connect(owner_url, settings).await?;
    MIGRATOR.run(&pool).await?;
    pool.close().await;
    Ok(())
}
