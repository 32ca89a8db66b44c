//! PgBouncer in front of a server, in transaction mode.

use crate::{
    StackError,
    ports::ReservedPort,
    process::{Lifetime, Process, Program, Readiness, RunAs, leftover},
    secrets::write_private,
};
use nix::{sys::signal::Signal, unistd::Uid};
use std::{fs, path::PathBuf};
use url::Url;

/// What a pooler is started with.
#[derive(Clone, Debug)]
pub struct PoolerConfig {
    /// PgBouncer, 1.21 or later.
    pub program: PathBuf,
    /// The pooler's own folder; made if it is not there.
    pub folder: PathBuf,
    /// The stack's folder, by which its processes are recognised.
    pub stack: PathBuf,
    /// URL of the server, which must let the roles in without a password.
    pub server: Url,
    /// Who may come in, without a password.
    pub roles: Vec<String>,
    /// Connections to the server for each role and database.
    pub connections: u32,
    /// Clients at once.
    pub clients: u32,
}

/// A running pooler. Dropping it kills it.
#[derive(Debug)]
pub struct Pooler {
    process: Process,
    url: Url,
}

impl Pooler {
    /// Starts the pooler and waits until it takes connections.
    pub async fn start(config: &PoolerConfig) -> Result<Self, StackError> {
        fs::create_dir_all(&config.folder).map_err(StackError::file(&config.folder))?;
        let port = ReservedPort::reserve(0)
            .map_err(StackError::file("127.0.0.1"))?
            .release();
        let users = config.folder.join("users.txt");
        let lines: Vec<String> = config
            .roles
            .iter()
            .map(|role| format!("\"{role}\" \"\"\n"))
            .collect();
        write_private(&users, lines.concat().as_bytes())?;
        let settings = config.folder.join("pgbouncer.ini");
        write_private(&settings, ini(config, port, &users).as_bytes())?;

        let program = Program {
            name: "pgbouncer",
            executable: config.program.clone(),
            arguments: vec!["--quiet".into(), settings.into()],
            environment: vec![(leftover::MARKER.into(), config.stack.display().to_string())],
            hidden: Vec::new(),
            folder: config.folder.clone(),
            run_as: RunAs::Caller,
            // The others wait for clients to leave.
            stop_signal: Signal::SIGQUIT,
            readiness: Readiness::Port(port),
        };
        let mut process = Process::start(program, &config.folder, Lifetime::WithParent)?;
        process.ready().await?;
        let mut url = config.server.clone();
        url.set_port(Some(port))
            .map_err(|()| StackError::Setting(format!("{url} is not the URL of a server")))?;
        Ok(Self { process, url })
    }

    /// The server's URL, through the pooler.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Sends clients away and ends.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }
}

fn ini(config: &PoolerConfig, port: u16, users: &std::path::Path) -> String {
    let host = config.server.host_str().unwrap_or("127.0.0.1");
    let server_port = config.server.port().unwrap_or(5432);
    // It refuses to serve as root, and gives that up by itself.
    let user = if Uid::effective().is_root() {
        "user = nobody\n"
    } else {
        ""
    };
    format!(
        "[databases]\n\
         * = host={host} port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         default_pool_size = {}\n\
         max_client_conn = {}\n\
         max_prepared_statements = 200\n\
         {user}",
        users.display(),
        config.connections,
        config.clients,
    )
}
