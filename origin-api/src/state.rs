//! What every handler shares.

use crate::{
    answering::Answers,
    config::{Config, QuotaConfig},
    corpus_memory::Keeper,
    edge_report::EdgeSpans,
    extract::edge_caller::EdgeSecret,
    leaving::MAX_EXPORTS,
    llm,
    objects::Objects,
    outbound,
    progress::{MAX_WATCHES, WATCHES_EACH},
    readiness::Readiness,
    recall::RecallSample,
    retrieval::Searches,
    rewriting::Rewriter,
    shares::Shares,
    signing_keys::{COOL_DOWN, SigningKeys},
    usage::ledger::Ledger,
    wake::Wake,
};
use anyhow::Context;
use rag_core::{confidence::Calibration, token::TokenPolicy};
use std::sync::Arc;
use storage::{PgPool, search::SearchSettings};
use tokio::sync::Semaphore;

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Where the edge's spans go; nowhere without a collector.
    pub edge_spans: Option<Arc<EdgeSpans>>,
    /// Connections as `etude_origin`.
    pub pool: PgPool,
    /// What the edge proves itself with.
    pub edge_secret: EdgeSecret,
    /// The token issuer's keys.
    pub signing_keys: Arc<SigningKeys>,
    /// One permit for each request in work.
    pub request_permits: Arc<Semaphore>,
    /// How a search finds and counts.
    pub search_settings: SearchSettings,
    /// The least cosine at which a question is taken for one that a teacher has answered.
    pub curated_similarity: f64,
    /// Measures what searches miss.
    pub(crate) recall_sample: RecallSample,
    /// What is searched, at hand.
    pub(crate) corpora: Keeper,
    /// The searches under way.
    pub(crate) searches: Arc<Searches>,
    /// The language model, and the answers that it is giving.
    pub(crate) answers: Arc<Answers>,
    /// Puts follow-up questions into words of their own.
    pub(crate) rewriter: Arc<Rewriter>,
    /// What calls of the model used.
    pub ledger: Ledger,
    /// What one person may use of it in a day.
    pub quota: QuotaConfig,
    /// Whether everything is there.
    pub readiness: Arc<Readiness>,
    /// Object storage.
    pub objects: Arc<Objects>,
    /// The documents that are watched on their way.
    pub watches: Arc<Shares>,
    /// The archives that are being made.
    pub exports: Arc<Shares>,
    /// Tells the workers of queued jobs.
    pub wake: Arc<Wake>,
    /// The largest accepted file.
    pub max_upload_bytes: u64,
    /// The largest that comes in one piece.
    pub max_whole_bytes: u64,
}

impl AppState {
    /// Builds the shared state from settings and a pool; makes no call yet. To be called within a runtime, where the
    /// ledger is kept.
    pub fn new(config: &Config, pool: PgPool) -> anyhow::Result<Self> {
        let policy = TokenPolicy {
            issuer: config.auth.issuer.clone(),
            audience: config.auth.audience.clone(),
        };
        let mut calibration = Calibration::of(&config.rerank_model);
        if let Some(threshold) = config.refusal_threshold {
            calibration.refusal_threshold = threshold;
        }
        let model = llm::connect(&config.model)?;
        let rewriting = config.follow_ups.is_by_model.then(|| Arc::clone(&model));
        let ledger = Ledger::new(pool.clone());
        let objects = Objects::new(outbound::client(&config.objects.endpoint)?, &config.objects);
        let objects = Arc::new(objects.context("reading the bucket settings")?);
        let readiness = Readiness::new(pool.clone(), Arc::clone(&objects), Arc::clone(&model));
        let answers = Answers::new(model, &config.model, calibration, ledger.clone());
        let answers = Arc::new(answers);
        Ok(Self {
            edge_spans: None,
            recall_sample: RecallSample::new(pool.clone(), config.recall_sample_every),
            corpora: Keeper::new(pool.clone(), config.corpus_memory_bytes),
            pool,
            edge_secret: EdgeSecret::new(&config.edge_token),
            signing_keys: SigningKeys::new(
                outbound::client(&config.auth.jwks_url)?,
                config.auth.jwks_url.clone(),
                policy,
                COOL_DOWN,
            ),
            request_permits: Arc::new(Semaphore::new(config.listen.concurrency)),
            search_settings: SearchSettings {
                bm25: config.bm25,
                fusion: config.fusion,
                ..SearchSettings::default()
            },
            curated_similarity: config.curated_similarity,
            searches: Arc::new(Searches::default()),
            rewriter: Arc::new(Rewriter::new(
                rewriting,
                answers.permits(),
                config.follow_ups.timeout,
            )),
            answers,
            ledger,
            quota: config.quota,
            readiness: Arc::new(readiness),
            objects,
            watches: Shares::new(MAX_WATCHES, WATCHES_EACH),
            exports: Shares::new(MAX_EXPORTS, 1),
            wake: Arc::new(Wake::new(config.wake.as_ref())?),
            max_upload_bytes: config.max_upload_bytes,
            max_whole_bytes: config.max_whole_bytes,
        })
    }
}
