//! `PostgreSQL`: the embedded server, and databases that are ready for the system.

mod account;
mod cluster;
mod database;
mod psql;

pub use cluster::{Cluster, ClusterConfig, Purpose, SHARED_BUFFERS_MB};
pub use database::{Database, Preparation};
pub use psql::Psql;
