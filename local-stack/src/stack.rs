//! The whole system: start, restart of single parts, stop.

use crate::{
    Client, StackError, Stopwatch,
    config::{DatabaseChoice, StackConfig},
    faults::Faults,
    parts::{BoundPorts, Wiring},
    people::People,
    ports::{ReservedPort, holder},
    postgres::{Cluster, ClusterConfig, Database, Preparation, Psql, Purpose, SHARED_BUFFERS_MB},
    process::{Process, leftover},
    secrets::Secrets,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// A process of the system, `PostgreSQL` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The stand-ins.
    LocalCloud,
    /// The Worker in `workerd`, and the S3 face of its buckets.
    Edge,
    /// The origin.
    Origin,
    /// The ingest worker.
    IngestWorker,
}

impl Part {
    /// All of them, in the order in which they are stopped, last first.
    pub const ALL: [Self; 4] = [
        Self::LocalCloud,
        Self::Edge,
        Self::Origin,
        Self::IngestWorker,
    ];

    /// The name in messages and of the log file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalCloud => "local-cloud",
            Self::Edge => "edge",
            Self::Origin => "origin",
            Self::IngestWorker => "ingest-worker",
        }
    }
}

/// The running system. Dropping it kills it.
#[derive(Debug)]
pub struct Stack {
    wiring: Wiring,
    // In this order, so that the database outlives its clients when the stack is dropped.
    processes: BTreeMap<Part, Process>,
    cluster: Option<Cluster>,
    timings: Vec<(&'static str, Duration)>,
}

impl Stack {
    /// Starts everything and waits until it is ready. What a killed run in the same folder left behind is
    /// ended first.
    pub async fn start(mut config: StackConfig) -> Result<Self, StackError> {
        fs::create_dir_all(&config.folder).map_err(StackError::file(&config.folder))?;
        // Processes are recognised by this path, and get it in variables.
        config.folder =
            fs::canonicalize(&config.folder).map_err(StackError::file(&config.folder))?;
        let logs = config.folder.join("logs");
        fs::create_dir_all(&logs).map_err(StackError::file(&logs))?;
        leftover::end(&config.folder).await;
        let secrets = Secrets::load_or_draw(&config.folder)?;
        let reserved = Reserved::new(&config)?;

        let mut timings = Vec::new();
        let clock = Stopwatch::start();
        let (cluster, admin) = start_database_server(&config, &secrets).await?;
        timings.push(("PostgreSQL", clock.elapsed()));

        let clock = Stopwatch::start();
        let database = open_database(&config, &secrets, admin.as_ref()).await?;
        timings.push(("migrations", clock.elapsed()));

        let ports = reserved.release();
        let wiring = Wiring {
            config,
            ports,
            secrets,
            database,
        };
        let mut stack = Self {
            wiring,
            processes: BTreeMap::new(),
            cluster,
            timings,
        };
        stack.start_parts(&Part::ALL).await?;
        Ok(stack)
    }

    /// Starts parts that do not run, and waits until they are ready.
    pub async fn start_parts(&mut self, parts: &[Part]) -> Result<(), StackError> {
        let logs = self.logs();
        let mut starting = Vec::new();
        for &part in parts {
            let program = self.wiring.program(part)?;
            let process = Process::start(program, &logs, self.wiring.config.lifetime)?;
            starting.push((part, process, Stopwatch::start()));
        }
        let waits = starting
            .into_iter()
            .map(|(part, mut process, clock)| async move {
                process.ready().await?;
                Ok::<_, StackError>((part, process, clock.elapsed()))
            });
        for (part, process, duration) in futures_util::future::try_join_all(waits).await? {
            self.processes.insert(part, process);
            self.timings.push((part.name(), duration));
        }
        Ok(())
    }

    /// Starts one more origin under this name, which is that of its log; whoever has it stops it.
    pub async fn another_origin(&self, name: &'static str) -> Result<AnotherOrigin, StackError> {
        let mut program = self.wiring.program(Part::Origin)?;
        program.name = name;
        let port = ReservedPort::reserve(0).map_err(StackError::file(&self.logs()))?;
        let port = port.release();
        program.environment.extend([
            ("ORIGIN_PORT".to_owned(), port.to_string()),
            ("METRICS_PORT".to_owned(), String::new()),
        ]);
        let mut process = Process::start(program, &self.logs(), self.wiring.config.lifetime)?;
        process.ready().await?;
        Ok(AnotherOrigin { process, port })
    }

    /// What processes of this stack have in their environment, so that they are found when it is ended.
    pub(crate) fn marker(&self) -> (String, String) {
        let folder = self.folder().display().to_string();
        (leftover::MARKER.to_owned(), folder)
    }

    /// Stops everything in good order: clients first, the database last.
    pub async fn stop(mut self) {
        for part in Part::ALL.into_iter().rev() {
            self.stop_part(part).await;
        }
        // A database that can't be dropped goes with its server.
        let _ = self.wiring.database.discard().await;
        if let Some(cluster) = &mut self.cluster {
            cluster.stop().await;
        }
    }

    /// Stops a part in good order.
    pub async fn stop_part(&mut self, part: Part) {
        if let Some(mut process) = self.processes.remove(&part) {
            process.stop().await;
        }
    }

    /// Kills a part at once, as a crash would.
    pub fn kill_part(&mut self, part: Part) {
        if let Some(mut process) = self.processes.remove(&part) {
            process.kill();
        }
    }

    /// Lets everything run on after this process has ended. Only for a detached stack.
    pub fn leave(mut self) {
        let parts = self.processes.values_mut();
        let server = self.cluster.as_mut().map(Cluster::process_mut);
        parts.chain(server).for_each(Process::leave);
    }

    /// The stack's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.wiring.config.folder
    }

    /// The first part that has ended by itself, with the end of its log.
    pub fn ended_part(&mut self) -> Option<StackError> {
        let parts = self.processes.values_mut();
        let server = self.cluster.as_mut().map(Cluster::process_mut);
        parts.chain(server).find_map(|process| {
            let status = process.ended()?;
            Some(StackError::EndedEarly {
                name: process.name(),
                status,
                log: process.log().to_owned(),
                tail: process.tail(),
            })
        })
    }

    /// What browsers use: `http://127.0.0.1:{port}`.
    #[must_use]
    pub fn edge_url(&self) -> String {
        self.wiring.edge_url()
    }

    /// The origin, which only the edge may use.
    #[must_use]
    pub fn origin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.wiring.ports.origin)
    }

    /// Where Prometheus finds the metrics of the origin, which tell of the edge as well, and of the ingest worker.
    #[must_use]
    pub fn metrics_urls(&self) -> [(Part, String); 2] {
        let ports = &self.wiring.ports;
        [
            (Part::Origin, ports.origin_metrics),
            (Part::IngestWorker, ports.ingest_metrics),
        ]
        .map(|(part, port)| (part, format!("http://127.0.0.1:{port}/metrics")))
    }

    /// The stand-ins.
    #[must_use]
    pub fn local_cloud_url(&self) -> String {
        self.wiring.local_cloud_url()
    }

    /// Where Supabase is, or its stand-in.
    #[must_use]
    pub fn supabase_url(&self) -> String {
        self.wiring.supabase_url()
    }

    /// The stack's secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.wiring.secrets
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.wiring.database
    }

    /// Where the logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.wiring.config.folder.join("logs")
    }

    /// The process id of a running part.
    #[must_use]
    pub fn process_id(&self, part: Part) -> Option<u32> {
        self.processes.get(&part).map(Process::id)
    }

    /// The process ids of everything that was started.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        let server = self.cluster.as_ref().map(Cluster::process);
        self.processes
            .values()
            .chain(server)
            .map(Process::id)
            .collect()
    }

    /// How long each step of the start took.
    #[must_use]
    pub fn timings(&self) -> &[(&'static str, Duration)] {
        &self.timings
    }

    /// A client that nobody has signed in to yet.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.edge_url())
    }

    /// Makes people known to the system.
    #[must_use]
    pub fn people(&self) -> People {
        People::new(
            self.supabase_url(),
            self.wiring.service_role_key().to_owned(),
            self.wiring.database.owner().clone(),
        )
    }

    /// Makes the stand-ins fail.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(self.local_cloud_url())
    }
}

/// An origin beside the stack's own, with the same settings. Dropping it kills it.
#[derive(Debug)]
pub struct AnotherOrigin {
    process: Process,
    port: u16,
}

impl AnotherOrigin {
    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it in good order.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// The ports of the parts, taken for as long as the database starts.
struct Reserved {
    edge: ReservedPort,
    origin: ReservedPort,
    origin_metrics: ReservedPort,
    ingest_metrics: ReservedPort,
    local_cloud: ReservedPort,
    objects: ReservedPort,
}

impl Reserved {
    fn new(config: &StackConfig) -> Result<Self, StackError> {
        let reserve = |port: u16, part: &'static str, flag: &'static str| {
            ReservedPort::reserve(port).map_err(|_| StackError::PortInUse {
                port,
                part,
                holder: holder(port),
                flag,
            })
        };
        if config.database == DatabaseChoice::Embedded {
            drop(reserve(
                config.ports.postgres,
                "PostgreSQL",
                "--postgres-port",
            )?);
        }
        Ok(Self {
            edge: reserve(config.ports.edge, "the edge", "--edge-port")?,
            origin: reserve(config.ports.origin, "the origin", "--origin-port")?,
            origin_metrics: reserve(
                config.ports.origin_metrics,
                "the origin's metrics",
                "--origin-metrics-port",
            )?,
            ingest_metrics: reserve(
                config.ports.ingest_metrics,
                "the ingest worker's metrics",
                "--ingest-metrics-port",
            )?,
            local_cloud: reserve(
                config.ports.local_cloud,
                "local-cloud",
                "--local-cloud-port",
            )?,
            objects: reserve(config.ports.objects, "object storage", "--objects-port")?,
        })
    }

    fn release(self) -> BoundPorts {
        BoundPorts {
            edge: self.edge.release(),
            origin: self.origin.release(),
            origin_metrics: self.origin_metrics.release(),
            ingest_metrics: self.ingest_metrics.release(),
            local_cloud: self.local_cloud.release(),
            objects: self.objects.release(),
        }
    }
}

async fn start_database_server(
    config: &StackConfig,
    secrets: &Secrets,
) -> Result<(Option<Cluster>, Option<Psql>), StackError> {
    let installation = &config.install.postgres;
    match &config.database {
        DatabaseChoice::External(_) => Ok((None, None)),
        DatabaseChoice::Shared(url) => Ok((None, Some(Psql::new(installation, url)?))),
        DatabaseChoice::Embedded => {
            let cluster = Cluster::start(&ClusterConfig {
                installation: installation.clone(),
                folder: config.folder.join("postgres"),
                stack: config.folder.clone(),
                logs: config.folder.join("logs"),
                port: config.ports.postgres,
                password: secrets.database_password.clone(),
                max_connections: 100,
                shared_buffers_mb: SHARED_BUFFERS_MB,
                purpose: Purpose::Data,
                lifetime: config.lifetime,
            })
            .await?;
            let admin = cluster.psql()?;
            Ok((Some(cluster), Some(admin)))
        }
    }
}

async fn open_database(
    config: &StackConfig,
    secrets: &Secrets,
    admin: Option<&Psql>,
) -> Result<Database, StackError> {
    let preparation = Preparation {
        repository: config.install.repository.clone(),
        origin_binary: config.install.binaries.join("origin-api"),
    };
    match (&config.database, admin) {
        (DatabaseChoice::Shared(_), Some(admin)) => Database::cloned(admin, &preparation).await,
        (DatabaseChoice::Embedded, Some(admin)) => {
            let opened = Database::named(admin, "etude", &preparation).await;
            opened.map_err(|error| other_migrations(&config.folder, error))
        }
        (DatabaseChoice::External(url), _) => {
            let owner = Psql::new(&config.install.postgres, url)?;
            Database::prepare(owner, &secrets.database_password, &preparation).await
        }
        (_, None) => Err(StackError::Setting("there is no database server".into())),
    }
}

/// Migrations that differ from those that made the data end with this sentence of the migrator.
fn other_migrations(folder: &Path, error: StackError) -> StackError {
    match error {
        StackError::Command { output, .. } if output.contains("was previously applied but") => {
            StackError::StaleData {
                path: folder.to_owned(),
                found: "other migrations".into(),
                expected: "a checkout that has changed them".into(),
            }
        }
        other => other,
    }
}
