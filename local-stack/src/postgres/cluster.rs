//! A server of the stack's own.

use super::{Psql, account::Accommodation};
use crate::{
    StackError,
    ports::ReservedPort,
    process::{Lifetime, Process, Program, Readiness, leftover},
};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// The superuser.
const SUPERUSER: &str = "postgres";
/// What a small machine can spare for `shared_buffers`, in MB.
pub const SHARED_BUFFERS_MB: u32 = 256;
/// The only version whose data folders this reads.
const MAJOR_VERSION: &str = "18";

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Data that is kept: a crash of the machine costs nothing, and every role needs its password.
    Data,
    /// Tests: a crash may cost everything, and whoever is on this machine may come in.
    Tests,
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// `PostgreSQL`'s installation: the folder with `bin/`, `lib/` and `share/`.
    pub installation: PathBuf,
    /// The server's own folder; made if it is not there.
    pub folder: PathBuf,
    /// The stack's folder, by which its processes are recognised.
    pub stack: PathBuf,
    /// Where its log goes.
    pub logs: PathBuf,
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The superuser's password, set when the folder is made.
    pub password: String,
    /// Connections at once.
    pub max_connections: u32,
    /// Memory that connections share, in MB.
    pub shared_buffers_mb: u32,
    /// How much a crash of the machine may cost.
    pub purpose: Purpose,
    /// Whether the server outlives this process.
    pub lifetime: Lifetime,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Cluster {
    process: Process,
    url: String,
    installation: PathBuf,
}

impl Cluster {
    /// Starts the server and waits until it answers; makes its data folder first where there is none.
    pub async fn start(config: &ClusterConfig) -> Result<Self, StackError> {
        let place = Accommodation::choose(&config.installation, &config.folder, &config.password)?;
        let data = place.folder.join("data");
        if !data.exists() {
            make_data(&place, &data, config).await?;
        }
        check_version(&data)?;
        remove_stale_pid_file(&data)?;

        let port = ReservedPort::reserve(config.port)
            .map_err(StackError::file(format!("127.0.0.1:{}", config.port)))?
            .release();
        let (executable, arguments) = place.command("postgres", arguments(config, &data, port));
        let program = Program {
            name: "postgres",
            executable,
            arguments,
            environment: vec![
                (leftover::MARKER.into(), config.stack.display().to_string()),
                ("LC_ALL".into(), "C".into()),
            ],
            hidden: Vec::new(),
            folder: place.folder.clone(),
            run_as: place.run_as.clone(),
            // Its SIGTERM would wait for clients to leave.
            stop_signal: Signal::SIGINT,
            readiness: Readiness::PostmasterFile(data),
        };
        let mut process = Process::start(program, &config.logs, config.lifetime)?;
        process.ready().await?;
        Ok(Self {
            process,
            url: format!(
                "postgres://{SUPERUSER}:{}@127.0.0.1:{port}/postgres",
                config.password
            ),
            installation: config.installation.clone(),
        })
    }

    /// The superuser's URL of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL as the superuser.
    pub fn psql(&self) -> Result<Psql, StackError> {
        Psql::new(&self.installation, &self.url)
    }

    /// The server's process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The server's process, to stop it.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends clients away, writes a checkpoint and ends.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }
}

fn arguments(config: &ClusterConfig, data: &Path, port: u16) -> Vec<OsString> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        format!("max_connections={}", config.max_connections),
        // Without these two, settings of the vector search are unknown until its first use.
        "shared_preload_libraries=vector,pg_stat_statements".into(),
        format!("shared_buffers={}MB", config.shared_buffers_mb),
        "maintenance_work_mem=256MB".into(),
        // Compiling a query takes longer than running any of ours.
        "jit=off".into(),
        "log_line_prefix=%m [%p] %u@%d ".into(),
    ];
    if config.purpose == Purpose::Tests {
        settings.extend(
            [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ]
            .map(str::to_owned),
        );
    }
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.into()];
    for setting in settings {
        arguments.push("-c".into());
        arguments.push(setting.into());
    }
    arguments
}

/// Makes the data folder beside its final place, so that a killed run leaves no half of one.
async fn make_data(
    place: &Accommodation,
    data: &Path,
    config: &ClusterConfig,
) -> Result<(), StackError> {
    let unfinished = place.folder.join("data.unfinished");
    let password_file = place.folder.join("password");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StackError::file(unfinished)(error));
        }
        _ => {}
    }
    crate::secrets::write_private(&password_file, config.password.as_bytes())?;
    place.hand_over(&password_file)?;

    let mut words: Vec<OsString> = vec!["-D".into(), unfinished.clone().into()];
    words.push(format!("--pwfile={}", password_file.display()).into());
    words.extend(
        [
            "--username=postgres",
            match config.purpose {
                Purpose::Data => "--auth=scram-sha-256",
                Purpose::Tests => "--auth=trust",
            },
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
        ]
        .map(OsString::from),
    );
    let (executable, arguments) = place.command("initdb", words);
    let made = super::psql::run(&executable, &arguments, &place.run_as, &place.folder).await;
    fs::remove_file(&password_file).map_err(StackError::file(password_file))?;
    made?;
    fs::rename(&unfinished, data).map_err(StackError::file(data))
}

fn check_version(data: &Path) -> Result<(), StackError> {
    let path = data.join("PG_VERSION");
    let found = fs::read_to_string(&path).map_err(StackError::file(&path))?;
    if found.trim() == MAJOR_VERSION {
        return Ok(());
    }
    Err(StackError::StaleData {
        path: data.to_owned(),
        found: format!("PostgreSQL {}", found.trim()),
        expected: format!("PostgreSQL {MAJOR_VERSION}"),
    })
}

/// A killed server leaves its pid file, and by now another process may have that id. Leftovers were ended
/// before, so nobody serves from this folder.
fn remove_stale_pid_file(data: &Path) -> Result<(), StackError> {
    let path = data.join("postmaster.pid");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StackError::file(path)(error)),
        _ => Ok(()),
    }
}
