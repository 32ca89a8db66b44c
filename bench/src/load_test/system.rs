//! The system under load: the sample library, its people, and stand-ins as slow as the specification says.

use super::crowd::Crowd;
use crate::library;
use anyhow::Context;
use journeys::questions::Questions;
use local_stack::{
    Encoder, Install, Part, Stack, StackConfig,
    faults::{Fault, Target},
};
use rag_core::query::normalise;
use serde_json::json;
use tempfile::TempDir;

/// How late each model answers, in milliseconds ("Performance Breakdown").
const DELAYS: [(Target, u64); 3] = [
    (Target::Embedding, 50),
    (Target::Rerank, 20),
    (Target::Vertex, 100),
];
/// Texts of one call of the encoder.
const BATCH: usize = 50;

/// The running system.
pub struct System {
    pub stack: Stack,
    pub crowd: Crowd,
    _folder: TempDir,
}

impl System {
    /// Starts it, fills it, and slows its models down.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("etude-bench-").tempdir()?;
        let config = StackConfig::for_test(folder.path())?;
        let stack = Stack::start(config).await?;
        let install = Install::from_env()?;
        let questions = Questions::read();
        let members = library::fill(&stack, &install.repository, &questions).await?;
        let system = Self {
            crowd: Crowd::new(&questions, &members)?,
            stack,
            _folder: folder,
        };
        system.slow_models(&[]).await?;
        Ok(system)
    }

    /// Stops it in good order.
    pub async fn stop(self) {
        self.stack.stop().await;
    }

    /// Takes all faults back, and lets the models answer with the specification's latencies: all but those that have a
    /// trouble of their own.
    pub async fn slow_models(&self, troubles: &[(Target, Fault)]) -> anyhow::Result<()> {
        let faults = self.stack.faults();
        faults.clear().await?;
        for (target, fault) in troubles {
            faults.arm(*target, fault.clone(), None).await?;
        }
        for (target, ms) in DELAYS {
            if troubles.iter().all(|(troubled, _)| *troubled != target) {
                faults.arm(target, Fault::Stall { ms }, None).await?;
            }
        }
        Ok(())
    }

    /// The process id of a part.
    pub fn process(&self, part: Part) -> anyhow::Result<u32> {
        let id = self.stack.process_id(part);
        id.with_context(|| format!("{} does not run", part.name()))
    }

    /// Signs everybody in again, and has the vectors of the next new questions made and kept: the encoder, which runs on
    /// this machine's processors, stands for one that does not.
    pub async fn prepare(&mut self, new_questions: u32) -> anyhow::Result<()> {
        self.crowd.sign_in(&self.stack).await?;
        self.stack.faults().clear().await?;
        self.encode(new_questions).await?;
        self.slow_models(&[]).await
    }

    async fn encode(&self, new_questions: u32) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!(
            "{}/cloudflare/client/v4/accounts/local/ai/run/{}",
            self.stack.local_cloud_url(),
            Encoder::Small.model_id()
        );
        let bar = super::drive::bar("vectors of new questions", u64::from(new_questions));
        let texts = self.crowd.coming(new_questions);
        for batch in texts.chunks(BATCH) {
            let texts = batch.iter().map(|text| normalise(text));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            let request = http.post(&url).bearer_auth("any");
            let body = json!({ "text": texts, "pooling": "cls" });
            request.json(&body).send().await?.error_for_status()?;
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}
