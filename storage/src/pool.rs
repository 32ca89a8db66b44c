use crate::{Error, error::pool_timeouts};
use sqlx::{
    Connection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;
use tracing::Instrument;

/// The schema: `migrations/`, embedded. Run by a role that owns the tables and bypasses row-level
/// security, never by one of the two that serve.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// For how long after its last use a connection is taken to be alive. Whoever meets one that is not sees a failed query,
/// as do those whose query is under way when a server ends.
const TRUSTED: Duration = Duration::from_secs(1);

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

/// The connections of a pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open and free.
    pub idle: u32,
    /// In somebody's hands.
    pub used: u32,
    /// As many as there may be.
    pub most: u32,
    /// Callers of this process who have waited in vain for one, of whichever pool.
    pub timeouts: u64,
}

/// How the connections of `pool` are used.
#[must_use]
pub fn connections(pool: &PgPool) -> Connections {
    let (open, idle) = (pool.size(), pool.num_idle() as u32);
    Connections {
        idle,
        used: open.saturating_sub(idle),
        most: pool.options().get_max_connections(),
        timeouts: pool_timeouts(),
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
        // Asking a connection whether it is alive is a round trip, as long as beginning a transaction.
        .test_before_acquire(false)
        .before_acquire(|connection, since| {
            Box::pin(async move {
                if since.idle_for >= TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(
            options
                .application_name(settings.application_name)
                // PgBouncer refuses a connection that asks for it, and what is sent is binary.
                .extra_float_digits(None),
        )
        .await?;
    Ok(pool)
}

/// Begins a transaction by this statement, in a task of its own, which goes on where the caller goes away: sqlx knows of a
/// transaction once the answer is there, and would take a connection that has begun one before that for idle.
pub(crate) async fn begin(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, Error> {
    let pool = pool.clone();
    let beginning = async move { pool.begin_with(statement).await };
    let begun = tokio::spawn(beginning.in_current_span()).await;
    let gone = |_| Error::Unavailable(sqlx::Error::WorkerCrashed);
    Ok(begun.map_err(gone)??)
}

/// Whether the schema is at least what this version was built for: [`Error::SchemaBehind`] where it is not.
#[tracing::instrument(name = "sql.is_up_to_date", skip_all)]
pub async fn is_up_to_date(pool: &PgPool) -> Result<(), Error> {
    let there: Option<i64> = sqlx::query_scalar("select schema_version()")
        .fetch_one(pool)
        .await?;
    let wanted = MIGRATOR.iter().map(|migration| migration.version).max();
    if there >= wanted {
        Ok(())
    } else {
        Err(Error::SchemaBehind)
    }
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
