use shared_types::problem::ProblemKind;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// Callers of this process who waited in vain for a connection.
static POOL_TIMEOUTS: AtomicU64 = AtomicU64::new(0);

/// How many callers of this process have waited in vain for a free connection.
pub(crate) fn pool_timeouts() -> u64 {
    POOL_TIMEOUTS.load(Ordering::Relaxed)
}

/// Why a call to the database did not do what was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such thing, or the reader may not know of it.
    #[error("no such row, or none that this reader may see")]
    NotFound,
    /// The thing is not in the state that the call needs, or exists already.
    #[error("not possible in this state")]
    Conflict,
    /// The claims are of somebody who has no account (any more).
    #[error("no such person")]
    UnknownPerson,
    /// Row-level security or a missing grant refused the call.
    #[error("refused by row-level security")]
    Forbidden,
    /// Another worker has the job, or it was ended.
    #[error("the lease on the job was lost")]
    LeaseLost,
    /// The library is embedded with another model by now.
    #[error("the library is embedded with another model")]
    ModelChanged,
    /// The passages to store can't be read from where they are kept.
    #[error("the passages to store can't be read")]
    Passages(#[source] std::io::Error),
    /// A row holds what this version can't read.
    #[error("a stored {0} is not readable")]
    Corrupt(&'static str),
    /// The database can't be reached, has no free connection, or gave up; another try may work.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// Any other failure of the database.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// The schema is older than this version of the program.
    #[error("the database lacks migrations of this version")]
    SchemaBehind,
    /// The schema could not be brought up to date.
    #[error("a migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// The problem to report at an HTTP boundary.
    #[must_use]
    pub fn problem_kind(&self) -> ProblemKind {
        match self {
            Self::NotFound => ProblemKind::NotFound,
            Self::Conflict | Self::LeaseLost | Self::ModelChanged => ProblemKind::Conflict,
            Self::UnknownPerson => ProblemKind::TokenSessionEnded,
            Self::Forbidden => ProblemKind::Forbidden,
            Self::Unavailable(_) | Self::SchemaBehind => ProblemKind::OriginUnavailable,
            Self::Passages(_) | Self::Corrupt(_) | Self::Database(_) | Self::Migration(_) => {
                ProblemKind::Internal
            }
        }
    }

    /// The error of an insertion by the reader whose only foreign key is the reader's own account.
    pub(crate) fn of_person(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => Self::UnknownPerson,
            _ => error.into(),
        }
    }
}

/// Codes of PostgreSQL: class 08 (connection), 40 (rolled back: serialisation, deadlock),
/// 53 (resources), 57 (operator intervention, `statement_timeout` among them).
const PASSING_CLASSES: [&str; 4] = ["08", "40", "53", "57"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            POOL_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        }
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(cause) => match cause.code().as_deref() {
                Some("42501") => Self::Forbidden,
                Some("23505") => Self::Conflict,
                Some(code) if PASSING_CLASSES.contains(&&code[..2]) => Self::Unavailable(error),
                _ => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}
