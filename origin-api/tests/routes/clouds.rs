//! Stand-ins, on one port: the issuer's key set, the metadata server, Claude and Gemini on Vertex AI, Pub/Sub, and an S3
//! store.

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{Stream, StreamExt, stream};
use rag_core::jwks::{Jwk, Jwks};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{net::TcpListener, sync::Notify};

/// What the model does when it is asked.
pub enum Reply {
    /// Says this.
    Stream(String),
    /// Says the first part, waits for [`Clouds::go_on`], says the second.
    Paused(String, String),
    /// Says this, waits for [`Clouds::go_on`], and the connection breaks.
    Cut(String),
    /// Refuses, with these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Never answers.
    Silence,
}

/// What the services hold, and what was asked of them.
#[derive(Default)]
pub struct Inside {
    pub keys: Vec<Jwk>,
    pub key_fetches: u32,
    pub issuer_is_down: bool,
    pub replies: VecDeque<Reply>,
    pub model_calls: Vec<Value>,
    /// Paused replies whose reader went away before [`Clouds::go_on`].
    pub abandoned_calls: u32,
    pub token_fetches: u32,
    /// What Pub/Sub was sent, whatever it answered.
    pub published: Vec<Value>,
    /// What Pub/Sub answers next, in place of a message's id.
    pub publish_refusals: VecDeque<u16>,
    /// Files by `bucket/key`.
    pub files: BTreeMap<String, Bytes>,
    /// By id.
    pub uploads: BTreeMap<String, Parts>,
    pub store_is_down: bool,
    pub store_calls: u32,
}

/// The running stand-ins.
#[derive(Clone)]
pub struct Clouds {
    pub address: String,
    inside: Arc<Mutex<Inside>>,
    go_on: Arc<Notify>,
}

impl Clouds {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clouds = Self {
            address: listener.local_addr().unwrap().to_string(),
            inside: Arc::default(),
            go_on: Arc::default(),
        };
        let app = Router::new()
            .route("/auth/v1/.well-known/jwks.json", get(key_set))
            .route(
                "/computeMetadata/v1/instance/service-accounts/default/token",
                get(access_token),
            )
            .route(
                "/vertex/v1/projects/piano/locations/us-east5/publishers/anthropic/models/{call}",
                post(stream_raw_predict),
            )
            .route(
                "/vertex/v1/projects/piano/locations/us-east5/publishers/google/models/{call}",
                post(stream_generate_content),
            )
            .route(
                "/pubsub/v1/projects/piano/topics/ingest:publish",
                post(publish),
            )
            .fallback(store)
            .layer(DefaultBodyLimit::disable())
            .with_state(clouds.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        clouds
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub fn will(&self, reply: Reply) {
        self.inside().replies.push_back(reply);
    }

    pub fn go_on(&self) {
        self.go_on.notify_one();
    }

    fn event_stream_in_two(&self, before: String, after: io::Result<String>) -> Response {
        let paused = Paused(Some(self.clone()));
        let after = stream::once(async move {
            paused.until_told().await;
            after
        });
        event_stream(once(before).chain(after))
    }
}

/// A reply that waits to be told to go on, and counts itself where nobody waits for it any more.
struct Paused(Option<Clouds>);

impl Paused {
    async fn until_told(mut self) {
        if let Some(clouds) = &self.0 {
            clouds.go_on.notified().await;
        }
        self.0 = None;
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(clouds) = &self.0 {
            clouds.inside().abandoned_calls += 1;
        }
    }
}

async fn key_set(State(clouds): State<Clouds>) -> Response {
    let mut inside = clouds.inside();
    inside.key_fetches += 1;
    if inside.issuer_is_down {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Json(Jwks {
        keys: inside.keys.clone(),
    })
    .into_response()
}

async fn access_token(State(clouds): State<Clouds>, headers: HeaderMap) -> Response {
    if headers
        .get("metadata-flavor")
        .is_none_or(|flavor| flavor != "Google")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    clouds.inside().token_fetches += 1;
    let token =
        json!({"access_token": "ya29.instance", "expires_in": 3_599, "token_type": "Bearer"});
    Json(token).into_response()
}

async fn stream_raw_predict(
    State(clouds): State<Clouds>,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert!(
        uri.path()
            .ends_with("/claude-haiku-4-5@20251001:streamRawPredict")
    );
    clouds.as_the_model(&headers, body).await
}

async fn stream_generate_content(
    State(clouds): State<Clouds>,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let call = uri.path_and_query().unwrap().as_str();
    assert!(call.ends_with("/gemini-x:streamGenerateContent?alt=sse"));
    clouds.as_the_model(&headers, body).await
}

impl Clouds {
    async fn as_the_model(&self, headers: &HeaderMap, body: Value) -> Response {
        assert_eq!(headers["authorization"], "Bearer ya29.instance");
        let reply = {
            let mut inside = self.inside();
            inside.model_calls.push(body);
            inside
                .replies
                .pop_front()
                .expect("the model was asked once too often")
        };
        match reply {
            Reply::Stream(text) => event_stream(once(text)),
            Reply::Paused(before, after) => self.event_stream_in_two(before, Ok(after)),
            Reply::Cut(before) => {
                let broken = io::Error::from(io::ErrorKind::ConnectionReset);
                self.event_stream_in_two(before, Err(broken))
            }
            Reply::Status(status, headers) => {
                let error = json!({"error": {"type": "some_error", "message": "words"}});
                let mut response = Json(error).into_response();
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                for (name, value) in headers {
                    response.headers_mut().insert(*name, value.parse().unwrap());
                }
                response
            }
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn publish(
    State(clouds): State<Clouds>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert_eq!(headers["authorization"], "Bearer ya29.instance");
    let mut inside = clouds.inside();
    inside.published.push(body);
    match inside.publish_refusals.pop_front() {
        Some(status) => StatusCode::from_u16(status).unwrap().into_response(),
        None => Json(json!({ "messageIds": ["19916711285"] })).into_response(),
    }
}

fn once(text: String) -> impl Stream<Item = io::Result<String>> + Send + 'static {
    stream::once(async { Ok(text) })
}

fn event_stream(pieces: impl Stream<Item = io::Result<String>> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces);
    ([("content-type", "text/event-stream")], body).into_response()
}

/// Uploads in parts: the parts by number, while they are not joined.
type Parts = BTreeMap<u16, Bytes>;

/// Enough of S3: uploads in parts, GET, PUT, copying PUT, HEAD, DELETE, each presigned.
async fn store(
    State(clouds): State<Clouds>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = clouds.inside();
    inside.store_calls += 1;
    if inside.store_is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !uri.query().unwrap_or_default().contains("X-Amz-Signature=") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let path = uri.path().trim_start_matches('/').to_owned();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    if query.contains_key("uploads") || query.contains_key("uploadId") {
        return parts(&mut inside, &method, &path, &query, &body);
    }
    match method {
        Method::PUT => {
            let file = match headers.get("x-amz-copy-source") {
                None => Some(body),
                Some(source) => {
                    let source = source.to_str().unwrap().trim_start_matches('/');
                    inside.files.get(source).cloned()
                }
            };
            match file {
                Some(file) => {
                    inside.files.insert(path, file);
                    "<CopyObjectResult/>".into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
        Method::HEAD => match inside.files.get(&path) {
            Some(file) => {
                let length = file.len().to_string();
                let headers = [("content-length", length), ("etag", "\"1\"".to_owned())];
                (headers, Body::empty()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::GET => match inside.files.get(&path) {
            Some(file) => file.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::DELETE => {
            inside.files.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn parts(
    inside: &mut Inside,
    method: &Method,
    path: &str,
    query: &BTreeMap<String, String>,
    body: &Bytes,
) -> Response {
    const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
    let Some(id) = query.get("uploadId") else {
        let id = format!("upload-{}", inside.uploads.len() + 1);
        inside.uploads.insert(id.clone(), Parts::new());
        return format!(
            "<InitiateMultipartUploadResult xmlns=\"{NAMESPACE}\"><Bucket>b</Bucket><Key>{path}</Key>\
             <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        )
        .into_response();
    };
    let Some(parts) = inside.uploads.get_mut(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if *method == Method::PUT {
        let number: u16 = query["partNumber"].parse().unwrap();
        parts.insert(number, body.clone());
        let etag = format!("\"{number}-{}\"", body.len());
        return ([("etag", etag)], Body::empty()).into_response();
    }
    let named = String::from_utf8_lossy(body).into_owned();
    let are_named = parts.iter().all(|(number, bytes)| {
        let is = |quote: &str| named.contains(&format!("{quote}{number}-{}{quote}", bytes.len()));
        is("&quot;") || is("\"")
    });
    if !are_named || named.matches("<Part>").count() != parts.len() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let whole: Vec<u8> = parts.values().flatten().copied().collect();
    inside.files.insert(path.to_owned(), whole.into());
    inside.uploads.remove(id);
    format!(
        "<CompleteMultipartUploadResult xmlns=\"{NAMESPACE}\"><ETag>e</ETag></CompleteMultipartUploadResult>"
    )
    .into_response()
}
