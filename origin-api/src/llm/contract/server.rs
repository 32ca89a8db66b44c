//! A provider and a metadata server on one port, which reply as they are told.

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify};

/// What a call is replied with.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A stream of events, in these pieces.
    Events(Vec<Bytes>, Then),
    /// A piece of a stream again and again, with pauses.
    Drip(Bytes, Duration),
    /// This body without end.
    Flood(u16, &'static str, Bytes),
    /// This status, with these headers and this body.
    Status(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing at all.
    Silence,
}

/// What comes after the last piece.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// The end of the body.
    End,
    /// The end of the connection.
    Cut,
    /// Nothing, for ever.
    Stall,
}

impl Reply {
    /// The stream in one piece, whole.
    pub(super) fn whole(stream: &str) -> Self {
        Self::Events(vec![Bytes::copy_from_slice(stream.as_bytes())], Then::End)
    }

    /// The stream in one piece, and what comes then.
    pub(super) fn broken(stream: &str, then: Then) -> Self {
        Self::Events(vec![Bytes::copy_from_slice(stream.as_bytes())], then)
    }

    /// The status, with these headers.
    pub(super) fn status(status: u16, headers: &[(&'static str, &'static str)]) -> Self {
        let body = json!({ "error": { "message": "words" } }).to_string();
        Self::Status(status, headers.to_vec(), body)
    }
}

/// A call of the model.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// The running server.
#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) address: String,
    inside: Arc<Mutex<Inside>>,
    left: Arc<Notify>,
}

/// Tells when the reader of a reply has gone away.
struct Leaving(Arc<Notify>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[derive(Default)]
struct Inside {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
    tokens: u32,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            ..Self::default()
        };
        let app = Router::new()
            .route(
                "/computeMetadata/v1/instance/service-accounts/default/token",
                get(token),
            )
            .fallback(reply)
            .with_state(server.clone());
        // Else a piece waits for the acknowledgement of the one before.
        let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    /// The next call is replied with this.
    pub(super) fn will(&self, reply: Reply) {
        self.inside().replies.push_back(reply);
    }

    /// The calls so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.inside().asked.clone()
    }

    /// Resolves when the reader of a dripping reply has gone away.
    pub(super) async fn is_left(&self) {
        self.left.notified().await;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }
}

async fn token(State(server): State<Server>) -> Json<Value> {
    let mut inside = server.inside();
    inside.tokens += 1;
    let token = format!("token-{}", inside.tokens);
    Json(json!({ "access_token": token, "expires_in": 3_599, "token_type": "Bearer" }))
}

async fn reply(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let reply = {
        let mut inside = server.inside();
        inside.asked.push(Asked {
            uri: parts.uri,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap(),
        });
        let reply = inside.replies.pop_front();
        reply.expect("the model was asked once too often")
    };
    match reply {
        Reply::Events(pieces, then) => {
            // Each piece is sent by itself.
            let pieces = stream::iter(pieces).then(async |piece| {
                tokio::task::yield_now().await;
                Ok::<_, io::Error>(piece)
            });
            match then {
                Then::End => events(Body::from_stream(pieces)),
                Then::Stall => events(Body::from_stream(pieces.chain(stream::pending()))),
                Then::Cut => {
                    let cut = stream::once(async {
                        // What was said before reaches the reader first.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        Err(io::Error::from(io::ErrorKind::ConnectionReset))
                    });
                    events(Body::from_stream(pieces.chain(cut)))
                }
            }
        }
        Reply::Drip(piece, pause) => {
            let leaving = Leaving(server.left.clone());
            let drops = stream::repeat(piece).then(move |piece| {
                let _ = &leaving;
                async move {
                    tokio::time::sleep(pause).await;
                    Ok::<_, io::Error>(piece)
                }
            });
            events(Body::from_stream(drops))
        }
        Reply::Flood(status, media_type, piece) => {
            let flood = stream::repeat(piece).map(Ok::<_, io::Error>);
            let body = Body::from_stream(flood);
            let builder = Response::builder().status(status);
            builder
                .header("content-type", media_type)
                .body(body)
                .unwrap()
        }
        Reply::Status(status, headers, body) => {
            let builder = Response::builder().status(status);
            let builder = headers.into_iter().fold(builder, |builder, (name, value)| {
                builder.header(name, value)
            });
            builder.body(Body::from(body)).unwrap()
        }
        Reply::Silence => std::future::pending().await,
    }
}

fn events(body: Body) -> Response {
    ([("content-type", "text/event-stream; charset=utf-8")], body).into_response()
}
