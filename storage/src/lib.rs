//! Everything that Etude says to PostgreSQL; no other crate holds SQL.
//!
//! Two roles connect. `etude_origin` can do nothing by itself: it acts inside a
//! [`reader::ReaderTx`], as `authenticated` with the claims of a verified token, under row-level
//! security. `etude_ingest` works the [`jobs`] queue under policies of its own.
//!
//! A query has a span of its own, named `sql.<module>.<function>`.

pub mod conversations;
pub mod curated;
pub mod cursor;
pub mod documents;
mod error;
pub mod feedback;
pub mod files;
pub mod indexes;
pub mod invitations;
pub mod jobs;
pub mod passages;
pub mod people;
mod pool;
pub mod purges;
pub mod reader;
pub mod reembedding;
mod rows;
pub mod scope;
pub mod search;
pub mod usage;

pub use cursor::{Cursor, Listed};
pub use error::Error;
pub use pool::{Connections, MIGRATOR, PoolSettings, connect, connections, is_up_to_date, migrate};
pub use reader::ReaderTx;
pub use sqlx::PgPool;
