//! This Worker by itself in `workerd`, for long. Miniflare, in which the whole system runs here, keeps some kilobytes of
//! every request whatever the Worker does, so that what the Worker keeps can't be seen behind it.

use super::sides::{self, ETUDE, Row, Side, Surroundings};
use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream, stream::FuturesUnordered};
use local_stack::Install;
use reqwest::Client;
use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// What Cloudflare gives an isolate; here of V8's old generation, so that it looks for garbage as early.
const HEAP_MB: u32 = 128;
/// Questions before anything is measured: V8 lets much pile up before it looks for the first time.
const WARM_UP: u32 = 20_000;
/// So many of them at a time.
const WARMING: usize = 16;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The scope is remembered for a minute.
const REFRESHED_EVERY: Duration = Duration::from_secs(10);

/// A Worker with its services and its KV.
pub struct Alone {
    side: Side,
    client: Client,
    asked: AtomicU32,
    around: Surroundings,
}

impl Alone {
    /// Starts it with the caches full, and has it answer until it is warm.
    pub async fn start(install: &Install) -> anyhow::Result<Self> {
        let around = Surroundings::begin(install).await?;
        let deployment = around.deployment.clone().with_heap_mb(HEAP_MB);
        let side = around
            .start(install, ETUDE, &deployment, &sides::etude(install))
            .await?;
        let alone = Self {
            side,
            client: Client::builder().no_proxy().timeout(PATIENCE).build()?,
            asked: AtomicU32::new(0),
            around,
        };
        let questions = stream::iter(0..WARM_UP).map(|number| alone.ask(number));
        questions
            .buffer_unordered(WARMING)
            .try_collect::<()>()
            .await?;
        Ok(alone)
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.side.workerd.process_id()
    }

    /// Asks so many questions a second for as long as it is polled. Fails at the first that is not answered: nobody's soak
    /// would be what followed.
    pub async fn asked(&self, per_second: u32) -> anyhow::Result<Infallible> {
        let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refreshes = interval(REFRESHED_EVERY);
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    under_way.push(self.ask(self.asked.fetch_add(1, Ordering::Relaxed)));
                }
                _ = refreshes.tick() => self.side.refresh()?,
                Some(asked) = under_way.next() => asked?,
            }
        }
    }

    /// How many questions it was asked, but for those that warmed it up.
    pub fn questions(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Three questions of ten go through to the origin, and are written to KV.
    async fn ask(&self, number: u32) -> anyhow::Result<()> {
        let row = if number % 10 < 3 {
            Row::EmbeddingHit
        } else {
            Row::CachedAnswer
        };
        let request = self.side.request(row, &self.around.token);
        let reply = request.once_by(&self.client)?.send().await?;
        let status = reply.status();
        let text = reply.text().await?;
        ensure!(
            status == request.status && text.contains("event: done"),
            "{status} {text}"
        );
        Ok(())
    }
}
