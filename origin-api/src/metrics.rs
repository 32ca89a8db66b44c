//! What the origin counts. `docs/METRICS.md` says what each is for; the names here and there are held against each other.

mod database;
mod edge;

use axum::http::{Method, StatusCode};
use database::DatabaseMetrics;
use edge::EdgeMetrics;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use shared_types::{
    chat::{FinishReason, Usage},
    event::Done,
};
use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};
use storage::PgPool;
use telemetry::metrics::{Durations, durations, observe};

/// A request by what it was and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "they are OpenTelemetry's names of attributes"
)]
struct Request {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Which model: provider and name, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    model: Name,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plan {
    plan: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refresh {
    credential: &'static str,
    outcome: &'static str,
}

/// A name that is shared by all that bear it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

/// Everything that is counted in this process.
pub struct Metrics {
    requests: Durations<Request>,
    active_requests: Level,
    answer_streams: Level,
    answers: Family<Outcome, Count>,
    confidence: Histogram,
    citations: Family<Outcome, Count>,
    first_token: Durations<Model>,
    model_calls: Durations<Model>,
    tokens: Family<Tokens, Count>,
    cost_usd: Family<Model, Counter<f64, AtomicU64>>,
    breaker_open: Family<Model, Level>,
    plans: Family<Plan, Count>,
    recall: Family<Plan, Histogram, fn() -> Histogram>,
    corpus_memory_bytes: Level,
    corpus_loads: Family<Outcome, Count>,
    refreshes: Family<Refresh, Count>,
    usage_records: Family<Outcome, Count>,
    /// What the database tells.
    pub database: DatabaseMetrics,
    /// What the edge tells.
    pub edge: EdgeMetrics,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    requests: durations(),
    active_requests: Level::default(),
    answer_streams: Level::default(),
    answers: Family::default(),
    confidence: Histogram::new((1..10).map(|tenth| f64::from(tenth) / 10.0)),
    citations: Family::default(),
    first_token: durations(),
    model_calls: durations(),
    tokens: Family::default(),
    cost_usd: Family::default(),
    breaker_open: Family::default(),
    plans: Family::default(),
    recall: Family::new_with_constructor(|| Histogram::new([0.5, 0.7, 0.8, 0.9, 0.95, 0.99])),
    corpus_memory_bytes: Level::default(),
    corpus_loads: Family::default(),
    refreshes: Family::default(),
    usage_records: Family::default(),
    database: DatabaseMetrics::default(),
    edge: EdgeMetrics::default(),
});

/// The counts of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// A key or a token that is fetched now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The sign-in service's public keys.
    SigningKeys,
    /// Google's access tokens.
    GoogleToken,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnswerEnd<'a> {
    /// It was told to its end.
    Told(&'a Done),
    /// It broke off.
    Interrupted,
    /// There was none, since as many are being told as may be.
    Busy,
    /// There was none, since no model could be had.
    Unavailable,
}

/// Counts as one for as long as it lives.
pub struct Counted(&'static Level);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// One more request is in work.
    #[must_use]
    pub fn request(&'static self) -> Counted {
        self.active_requests.inc();
        Counted(&self.active_requests)
    }

    /// One more answer is being told.
    #[must_use]
    pub fn answer_stream(&'static self) -> Counted {
        self.answer_streams.inc();
        Counted(&self.answer_streams)
    }

    /// A request has ended. To be called within its span.
    pub fn request_ended(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let request = Request {
            http_request_method: known_name(method.as_str()),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16(),
        };
        observe(&self.requests.get_or_create(&request), took.as_secs_f64());
    }

    /// An answer has ended.
    pub fn answered(&self, end: AnswerEnd<'_>) {
        let outcome = match end {
            AnswerEnd::Told(done) => {
                // A teacher is sure of her own words, which says nothing of the model's.
                if done.curated_by.is_none() {
                    self.confidence.observe(done.confidence);
                }
                match done.finish_reason {
                    _ if done.curated_by.is_some() => "curated",
                    FinishReason::Complete => "complete",
                    FinishReason::Length => "length",
                    FinishReason::NotCovered => "not_covered",
                    FinishReason::Declined => "declined",
                }
            }
            AnswerEnd::Interrupted => "interrupted",
            AnswerEnd::Busy => "busy",
            AnswerEnd::Unavailable => "unavailable",
        };
        self.answers.get_or_create(&Outcome { outcome }).inc();
    }

    /// Citations of one answer that were sent, and those that stand on no page.
    pub fn citations(&self, sent: u32, rejected: u32) {
        for (outcome, count) in [("sent", sent), ("rejected", rejected)] {
            let counter = self.citations.get_or_create(&Outcome { outcome });
            counter.inc_by(count.into());
        }
    }

    /// A model has answered.
    pub fn model_answered(&self, model: &Arc<str>, first_token: Option<Duration>, took: Duration) {
        let model = Model {
            model: Name(Arc::clone(model)),
        };
        if let Some(first_token) = first_token {
            let seconds = first_token.as_secs_f64();
            observe(&self.first_token.get_or_create(&model), seconds);
        }
        observe(&self.model_calls.get_or_create(&model), took.as_secs_f64());
    }

    /// A call of a model, as far as it went.
    pub fn used(&self, model: &Arc<str>, usage: &Usage) {
        for (kind, tokens) in [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
        ] {
            let model = Name(Arc::clone(model));
            let counter = self.tokens.get_or_create(&Tokens { model, kind });
            counter.inc_by(tokens.into());
        }
        if let Some(microusd) = usage.cost_microusd {
            let model = Model {
                model: Name(Arc::clone(model)),
            };
            let counter = self.cost_usd.get_or_create(&model);
            counter.inc_by(microusd as f64 / 1e6);
        }
    }

    /// A model's provider is left alone, or is back.
    pub fn breaker(&self, model: &Arc<str>, is_open: bool) {
        let model = Model {
            model: Name(Arc::clone(model)),
        };
        let gauge = self.breaker_open.get_or_create(&model);
        gauge.set(is_open.into());
    }

    /// Vectors were searched by this plan.
    pub fn searched(&self, plan: &'static str) {
        self.plans.get_or_create(&Plan { plan }).inc();
    }

    /// The share of the exact ten nearest that a search by this plan found.
    pub fn recalled(&self, plan: &'static str, share: f64) {
        self.recall.get_or_create(&Plan { plan }).observe(share);
    }

    /// Corpora were read into memory, or were to be.
    pub fn corpora_loaded(&self, outcome: &'static str) {
        self.corpus_loads.get_or_create(&Outcome { outcome }).inc();
    }

    /// The memory of corpora holds so many bytes.
    pub fn corpora_held(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.corpus_memory_bytes.set(bytes);
    }

    /// A credential was wanted anew.
    pub fn refreshed(&self, credential: Credential, is_there: bool) {
        let refresh = Refresh {
            credential: match credential {
                Credential::SigningKeys => "signing_keys",
                Credential::GoogleToken => "google_token",
            },
            outcome: if is_there { "ok" } else { "failed" },
        };
        self.refreshes.get_or_create(&refresh).inc();
    }

    /// An entry of the usage ledger was kept or lost.
    pub fn usage_recorded(&self, is_kept: bool) {
        let outcome = if is_kept { "kept" } else { "lost" };
        self.usage_records.get_or_create(&Outcome { outcome }).inc();
    }

    /// Nothing yet is a figure, too: a rate over a series that was not there before is none.
    fn begin_at_zero(&self) {
        for outcome in [
            "complete",
            "length",
            "not_covered",
            "declined",
            "curated",
            "interrupted",
            "busy",
            "unavailable",
        ] {
            self.answers.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        for outcome in ["ok", "no_room", "incomplete", "failed"] {
            self.corpus_loads
                .get_or_create(&Outcome { outcome })
                .inc_by(0);
        }
        for plan in ["memory", "signs", "graph"] {
            drop(self.recall.get_or_create_owned(&Plan { plan }));
        }
        for outcome in ["sent", "rejected"] {
            self.citations.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        for outcome in ["kept", "lost"] {
            self.usage_records
                .get_or_create(&Outcome { outcome })
                .inc_by(0);
        }
        for credential in ["signing_keys", "google_token"] {
            for outcome in ["ok", "failed"] {
                self.refreshes
                    .get_or_create(&Refresh {
                        credential,
                        outcome,
                    })
                    .inc_by(0);
            }
        }
    }

    /// Puts everything into `registry`, the connections of `pool` as well.
    pub fn register(&self, registry: &mut Registry, pool: PgPool) {
        self.begin_at_zero();
        let r = registry;
        r.register(
            "http_server_request_duration_seconds",
            "Requests, to their last byte",
            self.requests.clone(),
        );
        r.register(
            "http_server_active_requests",
            "Requests in work",
            self.active_requests.clone(),
        );
        r.register(
            "etude_answer_streams",
            "Answers that are being told",
            self.answer_streams.clone(),
        );
        r.register(
            "etude_answers",
            "Answers by how they ended",
            self.answers.clone(),
        );
        r.register(
            "etude_answer_confidence_ratio",
            "Confidence of answers that were told",
            self.confidence.clone(),
        );
        r.register(
            "etude_citations",
            "Citations by whether they stand on their page",
            self.citations.clone(),
        );
        r.register(
            "etude_model_first_token_seconds",
            "From asking a model to its first word",
            self.first_token.clone(),
        );
        r.register(
            "etude_model_call_duration_seconds",
            "From asking a model to its last event",
            self.model_calls.clone(),
        );
        r.register(
            "etude_model_tokens",
            "Tokens that models used",
            self.tokens.clone(),
        );
        r.register(
            "etude_model_cost_usd",
            "Cost by the configured prices",
            self.cost_usd.clone(),
        );
        r.register(
            "etude_model_breaker_open",
            "1 while a provider is left alone",
            self.breaker_open.clone(),
        );
        r.register(
            "etude_search_plans",
            "Searches of vectors by plan",
            self.plans.clone(),
        );
        r.register(
            "etude_search_recall_ratio",
            "Share of the ten nearest that searches found, sampled",
            self.recall.clone(),
        );
        r.register(
            "etude_corpus_memory_bytes",
            "Corpora in this process's memory",
            self.corpus_memory_bytes.clone(),
        );
        r.register(
            "etude_corpus_loads",
            "Readings of corpora into memory",
            self.corpus_loads.clone(),
        );
        r.register(
            "etude_credential_refreshes",
            "Keys and tokens that were wanted",
            self.refreshes.clone(),
        );
        r.register(
            "etude_usage_records",
            "Entries of the usage ledger",
            self.usage_records.clone(),
        );
        self.database.register(r);
        self.edge.register(r);
        r.register_collector(telemetry::metrics::connections(move || {
            let connections = storage::connections(&pool);
            (
                connections.idle,
                connections.used,
                connections.most,
                connections.timeouts,
            )
        }));
    }
}

/// Notes that one of Google's tokens was fetched, or could not be.
pub fn token_fetched(is_there: bool) {
    metrics().refreshed(Credential::GoogleToken, is_there);
}

/// The method, where it is one that a route has.
pub(crate) fn known_name(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method);
    known.unwrap_or("other")
}
