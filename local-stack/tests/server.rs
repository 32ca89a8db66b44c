//! The embedded server, for real. `cargo xtask test` says where `PostgreSQL` is.

use local_stack::{
    Lifetime,
    postgres::{Cluster, ClusterConfig, Purpose, SHARED_BUFFERS_MB},
    process::leftover,
};
use std::path::{Path, PathBuf};

fn config(folder: &Path) -> ClusterConfig {
    let installation = std::env::var_os("ETUDE_POSTGRES");
    ClusterConfig {
        installation: PathBuf::from(installation.expect("run this through `cargo xtask test`")),
        folder: folder.join("postgres"),
        stack: folder.to_owned(),
        logs: folder.to_owned(),
        port: 0,
        password: "a password".replace(' ', "-"),
        max_connections: 20,
        shared_buffers_mb: SHARED_BUFFERS_MB,
        purpose: Purpose::Tests,
        lifetime: Lifetime::WithParent,
    }
}

#[tokio::test]
async fn a_server_keeps_its_data_over_a_stop_and_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();

    let mut server = Cluster::start(&config(folder.path())).await.unwrap();
    let psql = server.psql().unwrap();
    psql.run(
        "create extension vector; create table notes (pitch text); insert into notes values ('A4')",
    )
    .await
    .unwrap();
    server.stop().await;

    let server = Cluster::start(&config(folder.path())).await.unwrap();
    let psql = server.psql().unwrap();
    assert_eq!(psql.run("select pitch from notes").await.unwrap(), "A4");
    assert_eq!(psql.run("show hnsw.ef_search").await.unwrap(), "40");
    // Dropped, it is killed: its pid file stays behind.
    drop(server);
    assert!(leftover::find(folder.path()).is_empty());

    let server = Cluster::start(&config(folder.path())).await.unwrap();
    let psql = server.psql().unwrap();
    assert_eq!(psql.run("select pitch from notes").await.unwrap(), "A4");
    let refused = psql.run("select pitch from scales").await.unwrap_err();
    assert!(
        refused.to_string().contains("\"scales\" does not exist"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_data_folder_of_another_version_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("postgres/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "16\n").unwrap();

    let error = Cluster::start(&config(folder.path())).await.unwrap_err();

    assert!(
        error.to_string().contains("made by PostgreSQL 16"),
        "{error}"
    );
    assert!(error.to_string().contains("--fresh"), "{error}");
}
