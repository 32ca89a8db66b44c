//! This Worker by itself in `workerd`, for long. Miniflare, in which the whole system runs here, keeps some kilobytes of
//! every request whatever the Worker does, so that what the Worker keeps can't be seen behind it.

use super::{
    question::{EMBEDDED, KNOWN, PERSON, Store},
    services::Services,
    sides,
    workerd::{Deployment, Workerd},
};
use crate::{
    clock,
    token::{self, Claims},
};
use anyhow::ensure;
use local_stack::Install;
use reqwest::Client;
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// What Cloudflare gives an isolate; here of V8's old generation, so that it looks for garbage as early.
const HEAP_MB: u32 = 128;
/// Questions before anything is measured: V8 lets much pile up before it looks for the first time.
const WARM_UP: u32 = 20_000;
const WARMING: u32 = 16;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The scope is remembered for a minute.
const REFRESHED_EVERY: Duration = Duration::from_secs(10);

/// A Worker with its services and its KV.
pub struct Alone {
    workerd: Workerd,
    folder: TempDir,
    client: Client,
    token: String,
    asked: AtomicU32,
    _services: Services,
}

impl Alone {
    /// Starts it with the caches full, and has it answer until it is warm.
    pub async fn start(install: &Install) -> anyhow::Result<Arc<Self>> {
        let listener = Services::bind().await?;
        let address = listener.local_addr()?;
        let deployment = Deployment::read(install, address)?.with_heap_mb(HEAP_MB);
        let (token, key_set) = token::issue(&Claims {
            person: PERSON,
            issuer: deployment.var("JWT_ISSUER")?,
            audience: deployment.var("JWT_AUDIENCE")?,
            issued_at_s: clock::now_s(),
        })?;
        let services = Services::serve(listener, &key_set)?;
        let folder = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let modules = sides::etude(install);
        let workerd =
            Workerd::start(install, &deployment, &modules, folder.path(), address).await?;
        let alone = Arc::new(Self {
            workerd,
            folder,
            client: Client::builder().no_proxy().timeout(PATIENCE).build()?,
            token,
            asked: AtomicU32::new(0),
            _services: services,
        });
        alone.store().fill(&deployment.models()?)?;
        alone.warm_up().await?;
        Ok(alone)
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.workerd.process_id()
    }

    /// Asks so many questions a second for as long as it is polled. Fails at the first that is not answered: nobody's soak
    /// would be what followed.
    pub async fn asked(self: &Arc<Self>, per_second: u32) -> anyhow::Result<Infallible> {
        let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refreshes = interval(REFRESHED_EVERY);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let number = self.asked.fetch_add(1, Ordering::Relaxed);
                    let alone = Arc::clone(self);
                    under_way.spawn(async move { alone.ask(number).await });
                }
                _ = refreshes.tick() => self.store().refresh()?,
                Some(asked) = under_way.join_next() => asked??,
            }
        }
    }

    /// How many questions it was asked, but for those that warmed it up.
    pub fn questions(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    async fn warm_up(self: &Arc<Self>) -> anyhow::Result<()> {
        self.store().refresh()?;
        let mut under_way = JoinSet::new();
        for person in 0..WARMING {
            let alone = Arc::clone(self);
            under_way.spawn(async move {
                for number in 0..WARM_UP / WARMING {
                    alone.ask(person + number).await?;
                }
                anyhow::Ok(())
            });
        }
        for warmed in under_way.join_all().await {
            warmed?;
        }
        Ok(())
    }

    /// Three questions of ten go through to the origin, and are written to KV.
    async fn ask(&self, number: u32) -> anyhow::Result<()> {
        let question = if number % 10 < 3 { EMBEDDED } else { KNOWN };
        let request = self
            .client
            .post(format!("{}/api/chat/query", self.workerd.url()))
            .bearer_auth(&self.token)
            .header("accept", "text/event-stream")
            .json(&json!({ "query": question }));
        let reply = request.send().await?;
        let status = reply.status();
        let text = reply.text().await?;
        ensure!(
            status == 200 && text.contains("event: done"),
            "{status} {text}"
        );
        Ok(())
    }

    fn store(&self) -> Store<'_> {
        Store {
            folder: self.folder.path(),
            is_sealed: true,
        }
    }
}
