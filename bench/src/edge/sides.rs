//! The two Workers that are compared, in the same `workerd` over the same bindings and the same cached bytes.

use super::{
    question::{EMBEDDED, KNOWN, PERSON, Store},
    services::Services,
    workerd::{Deployment, Module, Workerd},
};
use crate::{
    clock,
    load::{Body, Request},
    token::{self, Claims},
};
use anyhow::{Context, ensure};
use local_stack::Install;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::process::Command;

/// What is asked of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A signed-in caller's empty body: refused as soon as the token is verified.
    TokenOnly,
    /// A question that every cache knows, and that the isolate has answered before.
    CachedAnswer,
    /// The same, by an isolate that remembers nothing.
    CachedInKv,
    /// A question of which only the embedding is known, and an origin that answers at once.
    EmbeddingHit,
}

impl Row {
    /// All rows.
    pub const ALL: [Self; 4] = [
        Self::TokenOnly,
        Self::CachedAnswer,
        Self::CachedInKv,
        Self::EmbeddingHit,
    ];

    /// In tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenOnly => "JWT only",
            Self::CachedAnswer => "cached answer",
            Self::CachedInKv => "cached answer, KV alone",
            Self::EmbeddingHit => "embedding hit",
        }
    }

    fn question(self) -> Option<&'static str> {
        match self {
            Self::TokenOnly => None,
            Self::CachedAnswer | Self::CachedInKv => Some(KNOWN),
            Self::EmbeddingHit => Some(EMBEDDED),
        }
    }

    fn status(self) -> u16 {
        match self {
            Self::TokenOnly => 422,
            Self::CachedAnswer | Self::CachedInKv | Self::EmbeddingHit => 200,
        }
    }
}

/// A Worker that does nothing but read a request to its end and send as much as a cached answer has: what is left is
/// the runtime's and the machine's.
const BARE: &str = "const EVENTS = 'data: {}\\n\\n'.repeat(400);
export default {
  async fetch(request) {
    await request.arrayBuffer();
    return new Response(EVENTS, { headers: { 'content-type': 'text/event-stream' } });
  },
};
";

/// This Worker's name in tables.
pub const ETUDE: &str = "Etude";

/// One of the two.
pub struct Side {
    /// In tables.
    pub name: &'static str,
    /// The runtime.
    pub workerd: Workerd,
    folder: TempDir,
}

impl Side {
    /// The request of a row.
    #[must_use]
    pub fn request(&self, row: Row, token: &str) -> Request {
        Request {
            url: format!("{}/api/chat/query", self.workerd.url()),
            authorization: format!("Bearer {token}"),
            headers: vec![("accept", "text/event-stream".to_owned())],
            body: row.question().map_or(Body::Empty, |question| {
                Body::Text(serde_json::json!({ "query": question }).to_string())
            }),
            status: row.status(),
        }
    }

    /// Renews what lives for a minute only.
    pub fn refresh(&self) -> anyhow::Result<()> {
        self.store().refresh()
    }

    fn store(&self) -> Store<'_> {
        Store {
            folder: self.folder.path(),
            is_sealed: self.name == ETUDE,
        }
    }
}

/// What Workers call, and who asks them.
pub struct Surroundings {
    address: SocketAddr,
    /// Local development, with these services in place of all that is called.
    pub deployment: Deployment,
    /// The caller's.
    pub token: String,
    _services: Services,
}

impl Surroundings {
    /// Serves what Workers call, and issues a token.
    pub async fn begin(install: &Install) -> anyhow::Result<Self> {
        let listener = Services::bind().await?;
        let address = listener.local_addr()?;
        let deployment = Deployment::read(install, address)?;
        let (token, key_set) = token::issue(&Claims {
            person: PERSON,
            issuer: deployment.var("JWT_ISSUER")?,
            audience: deployment.var("JWT_AUDIENCE")?,
            issued_at_s: clock::now_s(),
        })?;
        Ok(Self {
            address,
            deployment,
            token,
            _services: Services::serve(listener, &key_set)?,
        })
    }

    /// Starts a Worker by one deployment among them, with full caches.
    pub async fn start(
        &self,
        install: &Install,
        name: &'static str,
        deployment: &Deployment,
        modules: &[Module],
    ) -> anyhow::Result<Side> {
        let folder = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let path = folder.path();
        let workerd = Workerd::start(install, deployment, modules, path, self.address).await?;
        let side = Side {
            name,
            workerd,
            folder,
        };
        side.store().fill(&deployment.models()?)?;
        Ok(side)
    }
}

/// Both, what they call, and one that does nothing.
pub struct Sides {
    /// See [`BARE`].
    pub bare: Side,
    /// This Worker, as it is deployed.
    etude: Side,
    /// The same without a memory of its own: it reads every value from KV and verifies the token each time, as the
    /// other does.
    forgetful: Side,
    typescript: Side,
    around: Surroundings,
}

/// The modules of this Worker, as `worker-build` left them.
#[must_use]
pub fn etude(install: &Install) -> Vec<Module> {
    let folder = install.repository.join("edge-worker");
    let module = |name, kind| Module {
        name,
        kind,
        file: folder.join(name),
    };
    vec![
        module("entry.js", "esModule"),
        module("build/index.js", "esModule"),
        module("build/index_bg.wasm", "wasm"),
    ]
}

/// Bundles the Worker in TypeScript, as `wrangler` would.
async fn typescript(install: &Install, folder: &Path) -> anyhow::Result<Vec<Module>> {
    let file: PathBuf = folder.join("typescript.js");
    let outcome = Command::new(install.repository.join("node_modules/.bin/esbuild"))
        .arg(install.repository.join("bench/edge-ts/index.ts"))
        .args(["--bundle", "--format=esm", "--target=es2024"])
        .args(["--conditions=workerd,worker", "--log-level=warning"])
        .arg(format!("--outfile={}", file.display()))
        .status()
        .await
        .context("can't run esbuild")?;
    ensure!(outcome.success(), "esbuild: {outcome}");
    Ok(vec![Module {
        name: "index.js",
        kind: "esModule",
        file,
    }])
}

impl Sides {
    /// Starts both, with full caches.
    pub async fn start(install: &Install) -> anyhow::Result<Self> {
        let around = Surroundings::begin(install).await?;
        let bundle = tempfile::tempdir()?;
        let deployment = &around.deployment;
        let without_memory = deployment.clone().with_var("MEMORY_VALUES", "0");
        let bundled = typescript(install, bundle.path()).await?;
        let bare = bundle.path().join("bare.js");
        fs::write(&bare, BARE)?;
        let bare = vec![Module {
            name: "index.js",
            kind: "esModule",
            file: bare,
        }];
        let etude_modules = etude(install);
        let bare = around
            .start(install, "a bare one", deployment, &bare)
            .await?;
        let etude = around
            .start(install, ETUDE, deployment, &etude_modules)
            .await?;
        let forgetful = around
            .start(install, ETUDE, &without_memory, &etude_modules)
            .await?;
        let typescript = around
            .start(install, "TypeScript", deployment, &bundled)
            .await?;
        let sides = Self {
            bare,
            etude,
            forgetful,
            typescript,
            around,
        };
        for row in Row::ALL {
            sides.compare_replies(row).await?;
        }
        Ok(sides)
    }

    /// The two that are compared in a row: this Worker, and the one in TypeScript.
    #[must_use]
    pub fn of(&self, row: Row) -> [&Side; 2] {
        let ours = match row {
            // The other verifies a token each time.
            Row::TokenOnly | Row::CachedInKv => &self.forgetful,
            Row::CachedAnswer | Row::EmbeddingHit => &self.etude,
        };
        [ours, &self.typescript]
    }

    /// Ends all of them.
    pub async fn stop(self) -> anyhow::Result<()> {
        for side in [self.bare, self.etude, self.forgetful, self.typescript] {
            side.workerd.stop().await?;
        }
        Ok(())
    }

    /// The request of a row to one side.
    #[must_use]
    pub fn request(&self, side: &Side, row: Row) -> Request {
        side.request(row, &self.around.token)
    }

    /// Two Workers can only be compared if they do the same: head and body must not differ, ids and times aside.
    async fn compare_replies(&self, row: Row) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let mut replies = Vec::new();
        for side in self.of(row) {
            side.refresh()?;
            let request = self.request(side, row);
            // A Worker that has just started fetches keys, each in its own way.
            let first = request.once_by(&client)?.send().await?;
            first.bytes().await?;
            let reply = request.once_by(&client)?.send().await?;
            ensure!(
                reply.status().as_u16() == request.status,
                "{}, {}: {} {}",
                side.name,
                row.name(),
                reply.status(),
                reply.text().await?
            );
            replies.push(Reply::read(reply, row).await?);
        }
        ensure!(
            replies[0] == replies[1],
            "the replies to {:?} differ:\n{:#?}",
            row.name(),
            replies
        );
        Ok(())
    }
}

/// What must be the same on both sides.
#[derive(Debug, PartialEq)]
struct Reply {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Reply {
    async fn read(reply: reqwest::Response, row: Row) -> anyhow::Result<Self> {
        let mut headers: BTreeMap<String, String> = reply
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                )
            })
            .collect();
        let id = headers.insert("x-request-id".into(), "the id".into());
        let id = id.context("a reply has an id")?;
        // Whether a read of the embedding has ended before a remembered search is found is a race on both sides.
        let stages = headers.insert("server-timing".into(), "the stages".into());
        stages.context("a reply says how long its stages took")?;
        let body = reply.text().await?;
        let bytes = headers.remove("content-length");
        ensure!(
            bytes.is_none_or(|bytes| bytes == body.len().to_string()),
            "a body is not as long as was announced"
        );
        let mut body = without_event_ids(&body.replace(&id, "the id"));
        if row == Row::EmbeddingHit {
            // Each search finds another text, so each answer is another.
            body = without_answer_id(&body);
        }
        if row == Row::TokenOnly {
            // Each JSON reader has its own words for an empty body.
            let mut problem: serde_json::Value = serde_json::from_str(&body)?;
            problem["detail"].take();
            body = problem.to_string();
        }
        Ok(Self { headers, body })
    }
}

/// The events without the ids by which a reader who was cut off goes on: the other Worker does not count.
fn without_event_ids(body: &str) -> String {
    let lines = body.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("id: ")).collect()
}

/// The events without the 64 digits that say which answer it is.
fn without_answer_id(body: &str) -> String {
    const FIELD: &str = "\"answer_id\":\"";
    match body.split_once(FIELD) {
        Some((before, after)) => format!("{before}{FIELD}{}", after.get(64..).unwrap_or_default()),
        None => body.to_owned(),
    }
}
