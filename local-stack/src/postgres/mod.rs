//! `PostgreSQL`: the embedded server, a pooler for it, and databases that are ready for the system.

mod account;
mod cluster;
mod database;
mod pooler;
mod psql;

pub use cluster::{Cluster, ClusterConfig, Purpose, SHARED_BUFFERS_MB};
pub use database::{Database, Preparation};
pub use pooler::{Pooler, PoolerConfig};
pub use psql::Psql;
