//! `ingest-worker receive`: hears Pub/Sub's pushes, and starts the Cloud Run job that works the queue.
//!
//! A message only wakes. Whether there is anything to do is asked of the queue, so a message may come twice, late, out
//! of order or never: a push for a job that somebody has in hand by now starts nothing, and a job that no message
//! announces is found by the next sweep. A push is acknowledged once nothing is due, or once an execution was asked for
//! after it was published: that one finds whatever the message was about. Anything else is answered with an error, and
//! Pub/Sub delivers the message again.

mod caller;
mod cloud_run;

pub use caller::{Callers, Refused};
pub use cloud_run::{CloudRun, RunError};

use crate::{config::ReceiveConfig, failure::chain, host};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use shared_types::{
    google::{PushEnvelope, PushedMessage, TRACEPARENT_ATTRIBUTE, WakeUp},
    problem::{Problem, ProblemKind},
};
use std::{sync::Arc, time::Duration};
use storage::{PgPool, PoolSettings, jobs};
use telemetry::traces;
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};
use tracing::Instrument;

/// A push has at most 10 MB; one of ours has a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Pushes in work at once; the next is told to come back.
const CONCURRENCY: usize = 64;
/// For a push in all: less than any acknowledgement deadline but the shortest.
const TOTAL: Duration = Duration::from_secs(9);
/// How far Pub/Sub's clock may be ahead of ours.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(1);

/// What hears pushes.
pub struct Receiver {
    pool: PgPool,
    callers: Callers,
    cloud_run: CloudRun,
    permits: Semaphore,
    /// When the last execution that was started was asked for. Held while one is asked for, so that pushes that come
    /// together ask for one.
    asked: Mutex<Option<DateTime<Utc>>>,
}

impl Receiver {
    /// Connects to the database; calls nobody else yet.
    pub async fn start(config: &ReceiveConfig) -> anyhow::Result<Arc<Self>> {
        let settings = PoolSettings {
            max_connections: 2,
            min_connections: 0,
            acquire_timeout: Duration::from_secs(3),
            application_name: "etude-receive",
        };
        Ok(Arc::new(Self {
            pool: storage::connect(config.database_url.expose_secret(), settings).await?,
            callers: Callers::new(config)?,
            cloud_run: CloudRun::new(config)?,
            permits: Semaphore::new(CONCURRENCY),
            asked: Mutex::new(None),
        }))
    }

    /// Sees to it that what the message may be about is worked on.
    async fn wake(&self, message: &PushedMessage) -> Result<Woken, Refusal> {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at - CLOCKS_APART > message.publish_time) {
            return Ok(Woken::Already);
        }
        let backlog = jobs::backlog(&self.pool)
            .await
            .map_err(|error| Refusal::unavailable("the queue can't be asked", &error))?;
        if backlog.next_due_in != Some(Duration::ZERO) {
            return Ok(Woken::NothingDue);
        }
        let now = host::now();
        let execution = self
            .cloud_run
            .run()
            .await
            .map_err(|error| Refusal::unavailable("the job was not started", &error))?;
        *asked = Some(now);
        Ok(Woken::Started(execution))
    }
}

/// What a push came to.
enum Woken {
    /// An execution, by this name.
    Started(String),
    /// One that was asked for after the message was published sees to it.
    Already,
    /// Nothing waits for a worker.
    NothingDue,
}

/// `POST /push` for Pub/Sub, and `GET /health`.
pub fn app(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route("/push", post(push))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route("/health", get(|| async { StatusCode::OK }))
        .with_state(receiver)
}

async fn push(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let Ok(_permit) = receiver.permits.try_acquire() else {
        return Err(Refusal::new(ProblemKind::Overloaded));
    };
    let heard = timeout(TOTAL, hear(&receiver, &headers, &body)).await;
    heard.unwrap_or_else(|_| {
        tracing::warn!("a push took too long; it is delivered again");
        Err(Refusal::new(ProblemKind::Overloaded))
    })
}

async fn hear(
    receiver: &Receiver,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<StatusCode, Refusal> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    receiver.callers.verify(token, host::now()).await?;
    let envelope: PushEnvelope = serde_json::from_slice(body).map_err(|error| {
        tracing::warn!(error = %error, "a push is not as Pub/Sub writes it");
        Refusal::new(ProblemKind::BodyInvalid)
    })?;
    let span = tracing::info_span!("push", otel.kind = "consumer");
    let sent = envelope.message.attributes.get(TRACEPARENT_ATTRIBUTE);
    if let Some(trace) = sent.and_then(|text| text.parse().ok()) {
        traces::follow(&span, trace);
    }
    answer(receiver, &envelope).instrument(span).await
}

async fn answer(receiver: &Receiver, envelope: &PushEnvelope) -> Result<StatusCode, Refusal> {
    let message = &envelope.message;
    let about: Option<WakeUp> = message
        .bytes()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let woken = receiver.wake(message).await?;
    let (outcome, execution) = match &woken {
        Woken::Started(execution) => ("started", Some(execution)),
        Woken::Already => ("already", None),
        Woken::NothingDue => ("nothing due", None),
    };
    tracing::info!(
        message_id = message.message_id,
        document_id = about.map(|about| tracing::field::display(about.document_id)),
        delivery_attempt = envelope.delivery_attempt,
        outcome,
        execution,
        "push heard"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// Why a push is not acknowledged.
struct Refusal(Problem);

impl Refusal {
    fn new(kind: ProblemKind) -> Self {
        Self(Problem::new(kind))
    }

    fn unavailable(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(
            cause = chain(error),
            "{what}; the message is delivered again"
        );
        Self::new(ProblemKind::Overloaded)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        tracing::warn!(reason = %refused, "a push was refused");
        Self::new(match refused {
            Refused::NoToken => ProblemKind::TokenMissing,
            Refused::Token(error) => error.problem_kind(),
            Refused::AnotherAccount => ProblemKind::Forbidden,
            Refused::NoKeys => ProblemKind::AuthUnavailable,
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Problems are text and numbers: they always serialise.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, content_type, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = axum::http::HeaderValue::from_static("10");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}
