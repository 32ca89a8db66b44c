//! What a worker talks to: object storage, the embedding service and the edge, on ports of their own.

#![expect(
    dead_code,
    reason = "every test binary compiles this file and uses a part of it"
)]

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use shared_types::{
    embedding::DIMENSIONS,
    headers,
    ids::UserId,
    origin::InvalidateScopes,
    workers_ai::{EmbeddingInput, EmbeddingOutput, Pooling, RestEnvelope, RestError},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, SemaphorePermit, watch},
};
use url::Url;

pub const EDGE_TOKEN: &str = "a token of this test";

/// The cloud as this test has it.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    base: Url,
    objects: Mutex<HashMap<String, Bytes>>,
    is_store_down: AtomicBool,
    is_embedding_down: AtomicBool,
    silence: watch::Sender<bool>,
    pace: Mutex<Duration>,
    faults: Mutex<VecDeque<u16>>,
    texts: Mutex<Vec<Vec<String>>>,
    invalidated: Mutex<Vec<UserId>>,
    /// One permit for each batch that may be embedded.
    embeddings: Semaphore,
    /// One permit for each batch that has arrived.
    arrivals: Semaphore,
}

impl World {
    /// Starts it; every batch may be embedded.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let world = Self(Arc::new(Inner {
            base: Url::parse(&base).unwrap(),
            objects: Mutex::default(),
            is_store_down: AtomicBool::default(),
            is_embedding_down: AtomicBool::default(),
            silence: watch::Sender::new(false),
            pace: Mutex::default(),
            faults: Mutex::default(),
            texts: Mutex::default(),
            invalidated: Mutex::default(),
            embeddings: Semaphore::new(Semaphore::MAX_PERMITS),
            arrivals: Semaphore::new(0),
        }));
        let app = Router::new()
            .route("/r2/{bucket}/{*key}", get(object).delete(remove))
            .route("/ai/accounts/{account}/ai/run/{*model}", post(embed))
            .route("/edge/internal/scope/invalidate", post(invalidate))
            .with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        world
    }

    pub fn url(&self, part: &str) -> Url {
        self.0.base.join(part).unwrap()
    }

    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let mut objects = self.0.objects.lock().unwrap();
        objects.insert(format!("piano-knowledge/{key}"), bytes.into());
    }

    /// The keys in the library bucket.
    pub fn stored(&self) -> Vec<String> {
        self.0.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Whether object storage refuses everything.
    pub fn break_store(&self, is_down: bool) {
        self.0.is_store_down.store(is_down, Ordering::Relaxed);
    }

    /// The embedding service answers the next calls with these statuses.
    pub fn fail_embedding(&self, statuses: impl IntoIterator<Item = u16>) {
        self.0.faults.lock().unwrap().extend(statuses);
    }

    /// Whether the embedding service refuses everything.
    pub fn break_embedding(&self, is_down: bool) {
        self.0.is_embedding_down.store(is_down, Ordering::Relaxed);
    }

    /// How long the embedding service takes for a batch.
    pub fn pace_embedding(&self, pace: Duration) {
        *self.0.pace.lock().unwrap() = pace;
    }

    /// Whether the embedding service takes requests and says nothing.
    pub fn silence_embedding(&self, is_silent: bool) {
        self.0.silence.send_replace(is_silent);
    }

    /// From now on batches wait until [`World::release_embedding`].
    pub fn hold_embedding(&self) {
        self.0.embeddings.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// So many of them may be embedded all the same.
    pub fn allow_embeddings(&self, batches: usize) {
        self.0.embeddings.add_permits(batches);
    }

    pub fn release_embedding(&self) {
        self.0.embeddings.add_permits(1_000_000);
    }

    /// Waits until a batch that was not waited for yet has arrived.
    pub async fn batch_arrived(&self) {
        self.0.arrivals.acquire().await.unwrap().forget();
    }

    /// Whether a batch that was not waited for yet has arrived.
    pub fn try_batch_arrived(&self) -> bool {
        let arrived = self.0.arrivals.try_acquire();
        arrived.map(SemaphorePermit::forget).is_ok()
    }

    /// The batches that were embedded.
    pub fn embedded(&self) -> Vec<Vec<String>> {
        self.0.texts.lock().unwrap().clone()
    }

    /// The people whose scopes were dropped, in order.
    pub fn invalidated(&self) -> Vec<UserId> {
        let mut people = self.0.invalidated.lock().unwrap().clone();
        people.sort_unstable();
        people
    }
}

async fn object(
    State(World(world)): State<World>,
    Path((bucket, key)): Path<(String, String)>,
) -> Response {
    if world.is_store_down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let objects = world.objects.lock().unwrap();
    match objects.get(&format!("{bucket}/{key}")) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn remove(
    State(World(world)): State<World>,
    Path((bucket, key)): Path<(String, String)>,
) -> StatusCode {
    if world.is_store_down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let mut objects = world.objects.lock().unwrap();
    objects.remove(&format!("{bucket}/{key}"));
    StatusCode::NO_CONTENT
}

async fn embed(State(World(world)): State<World>, Json(input): Json<EmbeddingInput>) -> Response {
    let fault = if world.is_embedding_down.load(Ordering::Relaxed) {
        Some(503)
    } else {
        world.faults.lock().unwrap().pop_front()
    };
    if let Some(status) = fault {
        let envelope = RestEnvelope::<EmbeddingOutput> {
            result: None,
            success: false,
            errors: vec![RestError {
                code: 3040,
                message: "Capacity temporarily exceeded, please try again.".into(),
            }],
            messages: vec![],
        };
        let status = StatusCode::from_u16(status).unwrap();
        return (status, Json(envelope)).into_response();
    }
    let mut silence = world.silence.subscribe();
    silence.wait_for(|is_silent| !is_silent).await.unwrap();
    let pace = *world.pace.lock().unwrap();
    tokio::time::sleep(pace).await;
    world.arrivals.add_permits(1);
    world.embeddings.acquire().await.unwrap().forget();
    let vector = |text: &String| {
        (0..DIMENSIONS)
            .map(|at| ((text.len() + at) % 17) as f32 - 8.0)
            .collect()
    };
    let output = EmbeddingOutput {
        shape: vec![input.text.len(), DIMENSIONS],
        data: input.text.iter().map(vector).collect(),
        pooling: Some(Pooling::Cls),
    };
    world.texts.lock().unwrap().push(input.text);
    Json(RestEnvelope {
        result: Some(output),
        success: true,
        errors: vec![],
        messages: vec![],
    })
    .into_response()
}

async fn invalidate(
    State(World(world)): State<World>,
    headers: HeaderMap,
    Json(scopes): Json<InvalidateScopes>,
) -> StatusCode {
    if headers
        .get(headers::EDGE_TOKEN)
        .map(axum::http::HeaderValue::as_bytes)
        != Some(EDGE_TOKEN.as_bytes())
    {
        return StatusCode::FORBIDDEN;
    }
    world.invalidated.lock().unwrap().extend(scopes.user_ids);
    StatusCode::NO_CONTENT
}

/// Waits until `question` says yes.
pub async fn until<F: Future<Output = bool>>(question: impl Fn() -> F) {
    while !question().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
