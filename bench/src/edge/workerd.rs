//! A Worker in `workerd` itself: the bindings of `wrangler.toml`, each KV namespace a folder on disk.
//!
//! Miniflare is not in between: its simulation of KV costs more than a whole Worker. Of Miniflare there is only the
//! rate limiter, which counts in the isolate.

use super::question::Models;
use crate::cpu;
use anyhow::{Context, bail};
use local_stack::{Install, Stopwatch, ports::ReservedPort};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

/// How long a Worker may take to answer for the first time.
const READY_PATIENCE: Duration = Duration::from_secs(20);
/// The rate limiter's name among the modules.
const LIMITER: &str = "etude:rate-limit";
/// Not secret: they are known to nobody but the bench's own services.
const SECRETS: [(&str, &str); 2] = [
    ("EDGE_TOKEN", "edge-token"),
    ("SUPABASE_ANON_KEY", "anon-key"),
];

/// A module of a Worker.
pub struct Module {
    /// Its name for the others, and its path from the configuration. The first module is the Worker.
    pub name: &'static str,
    /// `esModule` or `wasm`.
    pub kind: &'static str,
    /// Where it was built.
    pub file: PathBuf,
}

/// What of `wrangler.toml` a Worker sees.
#[derive(Clone, Deserialize)]
pub struct Deployment {
    compatibility_date: String,
    compatibility_flags: Vec<String>,
    vars: BTreeMap<String, String>,
    ai: Binding,
    kv_namespaces: Vec<Binding>,
    r2_buckets: Vec<Binding>,
    ratelimits: Vec<Limit>,
    /// Of V8's old generation, where it is not as large as V8 likes.
    #[serde(skip)]
    heap_mb: Option<u32>,
}

#[derive(Clone, Deserialize)]
struct Binding {
    binding: String,
}

#[derive(Clone, Deserialize)]
struct Limit {
    name: String,
    namespace_id: String,
    simple: Allowance,
}

#[derive(Clone, Deserialize)]
struct Allowance {
    limit: u32,
    period: u32,
}

impl Deployment {
    /// Local development, as `wrangler.toml` describes it, with `services` in place of all that is called.
    pub fn read(install: &Install, services: SocketAddr) -> anyhow::Result<Self> {
        let path = install.repository.join("wrangler.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut deployment: Self = toml::from_str(&text).context("wrangler.toml")?;
        let base = format!("http://{services}");
        for (name, value) in [
            ("JWT_ISSUER", format!("{base}/auth/v1")),
            ("ORIGIN_URL", base.clone()),
            ("SUPABASE_URL", base),
        ] {
            deployment.vars.insert(name.to_owned(), value);
        }
        Ok(deployment)
    }

    /// The same with another value of a variable.
    #[must_use]
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with so much memory for the isolate's objects.
    #[must_use]
    pub fn with_heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = Some(heap_mb);
        self
    }

    /// A variable.
    pub fn var(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.vars.get(name).map(String::as_str);
        value.with_context(|| format!("wrangler.toml has no {name}"))
    }

    /// The models.
    pub fn models(&self) -> anyhow::Result<Models> {
        Ok(Models {
            embedding_space: format!(
                "{}#{}",
                self.var("EMBEDDING_MODEL")?,
                self.var("EMBEDDING_POOLING")?
            ),
            rerank: self.var("RERANK_MODEL")?.to_owned(),
            answer: self.var("ANSWER_MODEL")?.to_owned(),
        })
    }

    /// Makes the folders of the KV namespaces below `folder`.
    pub fn make_namespaces(&self, folder: &Path) -> anyhow::Result<()> {
        for namespace in &self.kv_namespaces {
            fs::create_dir_all(folder.join(&namespace.binding))?;
        }
        Ok(())
    }

    /// The configuration of a Worker that keeps its KV below `folder`, as Cap'n Proto text.
    fn configuration(
        &self,
        modules: &[Module],
        folder: &Path,
        services: SocketAddr,
        port: u16,
    ) -> Result<String, std::fmt::Error> {
        let mut bindings = String::new();
        let mut disks = String::new();
        let secrets = SECRETS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in self.vars.clone().into_iter().chain(secrets) {
            writeln!(bindings, "(name = {name:?}, text = {value:?}),")?;
        }
        for Binding { binding } in &self.kv_namespaces {
            writeln!(bindings, "(name = {binding:?}, kvNamespace = {binding:?}),")?;
            let path = folder.join(binding);
            let path = path.display();
            writeln!(
                disks,
                "(name = {binding:?}, disk = (path = \"{path}\", writable = true)),"
            )?;
        }
        // Bound, since the Worker asks for them at its start; no request that is measured reads an object.
        for Binding { binding } in &self.r2_buckets {
            writeln!(bindings, "(name = {binding:?}, r2Bucket = \"services\"),")?;
        }
        for Limit {
            name,
            namespace_id,
            simple,
        } in &self.ratelimits
        {
            writeln!(
                bindings,
                "(name = {name:?}, wrapped = (moduleName = {LIMITER:?}, innerBindings = [\
                 (name = \"namespaceId\", text = {namespace_id:?}), \
                 (name = \"limit\", json = \"{}\"), (name = \"period\", json = \"{}\")])),",
                simple.limit, simple.period
            )?;
        }
        writeln!(
            bindings,
            "(name = {:?}, wrapped = (moduleName = \"cloudflare-internal:ai-api\", \
             innerBindings = [(name = \"fetcher\", service = \"services\")])),",
            self.ai.binding
        )?;
        let mut embedded = String::new();
        for Module { name, kind, .. } in modules {
            writeln!(embedded, "(name = {name:?}, {kind} = embed {name:?}),")?;
        }
        let flags = &self.compatibility_flags;
        let heap = self.heap_mb.map(|mb| format!("--max-old-space-size={mb}"));
        let v8_flags = heap.as_slice();
        Ok(format!(
            "using Workerd = import \"/workerd/workerd.capnp\";\n\
             const config :Workerd.Config = (\n\
             services = [\n\
             (name = \"worker\", worker = (\n\
             modules = [\n{embedded}],\n\
             compatibilityDate = {:?},\n\
             compatibilityFlags = {flags:?},\n\
             bindings = [\n{bindings}],\n\
             globalOutbound = \"network\",\n\
             )),\n\
             (name = \"network\", network = (allow = [\"private\", \"local\"])),\n\
             (name = \"services\", external = (address = \"{services}\", http = ())),\n\
             {disks}],\n\
             sockets = [(name = \"http\", address = \"127.0.0.1:{port}\", http = (), service = \"worker\")],\n\
             v8Flags = {v8_flags:?},\n\
             extensions = [(modules = [\
             (name = {LIMITER:?}, esModule = embed \"rate-limit.js\", internal = true)])],\n\
             );\n",
            self.compatibility_date
        ))
    }
}

/// A running `workerd`; it ends with this.
pub struct Workerd {
    process: Child,
    process_id: u32,
    url: String,
    /// From its start to its first reply.
    pub ready_after: Duration,
}

impl Workerd {
    /// Starts a Worker and waits for its first reply. `folder` takes its configuration, KV and log.
    pub async fn start(
        install: &Install,
        deployment: &Deployment,
        modules: &[Module],
        folder: &Path,
        services: SocketAddr,
    ) -> anyhow::Result<Self> {
        let node_modules = install.repository.join("node_modules");
        for module in modules {
            let target = folder.join(module.name);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            let copied = fs::copy(&module.file, target);
            copied.with_context(|| module.file.display().to_string())?;
        }
        let limiter = node_modules.join("miniflare/dist/src/workers/ratelimit/ratelimit.worker.js");
        fs::copy(&limiter, folder.join("rate-limit.js"))
            .with_context(|| limiter.display().to_string())?;
        deployment.make_namespaces(folder)?;
        let port = ReservedPort::reserve(0)?.release();
        let configuration = deployment.configuration(modules, folder, services, port)?;
        let path = folder.join("workerd.capnp");
        fs::write(&path, configuration)?;

        let log = folder.join("workerd.log");
        let clock = Stopwatch::start();
        let mut command =
            Command::new(node_modules.join("@cloudflare/workerd-linux-64/bin/workerd"));
        command
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            // A line for every request, which nobody reads.
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true);
        let started = cpu::on_last_core(|| command.spawn())?;
        let mut process = started.context("can't start workerd")?;
        let url = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::new();
        loop {
            // A path that no Worker knows: its answer needs nothing but the Worker.
            if client.get(format!("{url}/nowhere")).send().await.is_ok() {
                break;
            }
            if process.try_wait()?.is_some() || clock.elapsed() > READY_PATIENCE {
                bail!("workerd does not answer:\n{}", fs::read_to_string(&log)?);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Self {
            process_id: process.id().context("workerd runs")?,
            process,
            url,
            ready_after: clock.elapsed(),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Ends it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}
