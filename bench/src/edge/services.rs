//! What a Worker calls: origin, sign-in keys and models, answering at once out of prepared bytes, so that nothing
//! but the Worker is measured.

use super::question;
use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::header::CONTENT_TYPE,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use shared_types::{
    event::EVENT_STREAM,
    origin::{RETRIEVE_LIMIT, RetrieveResponse},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{net::TcpListener, task::AbortHandle};

const JSON: &str = "application/json";
/// Stands in the prepared reply where the hash of the first passage's text goes.
const FIRST_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

struct Replies {
    key_set: Bytes,
    scope: Bytes,
    /// The reply of `/v1/retrieve` before and after the first passage's hash.
    retrieve: (String, String),
    answer: Bytes,
    judgement: Bytes,
    searches: AtomicU64,
}

/// The running services; they end with this.
pub struct Services {
    serving: AbortHandle,
}

impl Drop for Services {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Services {
    /// Listens, without a key set yet to hand out.
    pub async fn bind() -> anyhow::Result<TcpListener> {
        Ok(TcpListener::bind("127.0.0.1:0").await?)
    }

    /// Serves on `listener`.
    pub fn serve(listener: TcpListener, key_set: &Value) -> anyhow::Result<Self> {
        let router = Router::new()
            .route("/auth/v1/.well-known/jwks.json", get(key_set_reply))
            .route("/v1/scope", get(scope_reply))
            .route("/v1/retrieve", post(retrieve_reply))
            .route("/v1/answer", post(answer_reply))
            .fallback(model_reply)
            .with_state(Arc::new(replies(key_set)?));
        let serving = tokio::spawn(async move {
            // Ends with the process at the latest; a Worker that can't reach it fails its run.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            serving: serving.abort_handle(),
        })
    }
}

fn replies(key_set: &Value) -> anyhow::Result<Replies> {
    let bytes = |value: &Value| Bytes::from(value.to_string());
    let response = RetrieveResponse {
        passages: (0..RETRIEVE_LIMIT as u32).map(question::passage).collect(),
        curated: None,
        // Not what the scope cache remembers, so that the same question is searched for again.
        scope: question::scope_of("7d"),
    };
    let text = serde_json::to_string(&response)?;
    let (before, after) = text
        .split_once(FIRST_HASH)
        .context("the first passage has the hash 0")?;
    Ok(Replies {
        key_set: bytes(key_set),
        scope: bytes(&serde_json::to_value(question::scope())?),
        retrieve: (before.to_owned(), after.to_owned()),
        answer: Bytes::from(question::told()),
        judgement: bytes(&json!({ "response": [
            { "id": 0, "score": 2.5 }, { "id": 2, "score": 1.25 }, { "id": 1, "score": -0.5 },
        ] })),
        searches: AtomicU64::new(0),
    })
}

fn json_reply(bytes: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, JSON)], bytes)
}

async fn key_set_reply(State(replies): State<Arc<Replies>>) -> impl IntoResponse {
    json_reply(replies.key_set.clone())
}

async fn scope_reply(State(replies): State<Arc<Replies>>) -> impl IntoResponse {
    json_reply(replies.scope.clone())
}

/// Each search finds another text in the first place, so that no two have the same answer key.
async fn retrieve_reply(State(replies): State<Arc<Replies>>, _body: Bytes) -> impl IntoResponse {
    let search = replies.searches.fetch_add(1, Ordering::Relaxed);
    let (before, after) = &replies.retrieve;
    json_reply(Bytes::from(format!("{before}{search:064x}{after}")))
}

async fn answer_reply(State(replies): State<Arc<Replies>>, _body: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, EVENT_STREAM)], replies.answer.clone())
}

async fn model_reply(State(replies): State<Arc<Replies>>, _body: Bytes) -> impl IntoResponse {
    json_reply(replies.judgement.clone())
}
