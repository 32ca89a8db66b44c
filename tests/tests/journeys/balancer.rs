//! A load balancer as origins have one before them: it asks each every tenth of a second whether it is ready, and sends
//! requests to those that are, in turn. One that takes no connection is passed over; a request that was sent is never sent
//! again.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const EVERY: Duration = Duration::from_millis(100);
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A port that requests can be sent to, and nobody listens yet.
pub struct Balancer(TcpListener);

/// A balancer at work, for as long as the runtime lives.
#[derive(Clone)]
pub struct Balancing(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    origins: Mutex<Vec<Arc<Backend>>>,
    turn: AtomicUsize,
}

struct Backend {
    url: String,
    is_ready: AtomicBool,
    served: AtomicUsize,
}

impl Balancer {
    /// On a free port.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Where requests go.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Begins to work, with nobody behind it.
    pub fn balance(self) -> Balancing {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let shared = Arc::new(Shared {
            http,
            origins: Mutex::default(),
            turn: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::from_std(self.0).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::spawn(keep_looking(Arc::clone(&shared)));
        Balancing(shared)
    }
}

impl Balancing {
    /// One more origin.
    pub fn add(&self, url: String) {
        let backend = Backend {
            url,
            is_ready: AtomicBool::new(true),
            served: AtomicUsize::new(0),
        };
        self.0.origins.lock().unwrap().push(Arc::new(backend));
    }

    /// Requests that this one answered.
    pub fn served_by(&self, url: &str) -> usize {
        let origins = self.0.origins.lock().unwrap();
        let of = origins.iter().filter(|backend| backend.url == url);
        of.map(|backend| backend.served.load(Ordering::Relaxed))
            .sum()
    }
}

impl Shared {
    /// Those that are ready, beginning with another each time.
    fn in_turn(&self) -> Vec<Arc<Backend>> {
        let origins = self.origins.lock().unwrap();
        let is_ready = |backend: &&Arc<Backend>| backend.is_ready.load(Ordering::Relaxed);
        let mut ready: Vec<_> = origins.iter().filter(is_ready).cloned().collect();
        if !ready.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % ready.len();
            ready.rotate_left(turn);
        }
        ready
    }
}

async fn keep_looking(shared: Arc<Shared>) {
    loop {
        let origins = shared.origins.lock().unwrap().clone();
        for backend in origins {
            let asked = shared.http.get(format!("{}/api/ready", backend.url)).send();
            let is_ready = asked.await.is_ok_and(|reply| reply.status().is_success());
            backend.is_ready.store(is_ready, Ordering::Relaxed);
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.unwrap();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    for backend in shared.in_turn() {
        let url = format!("{}{path}", backend.url);
        let mut headers = head.headers.clone();
        headers.remove("host");
        let sent = shared
            .http
            .request(head.method.clone(), url)
            .headers(headers);
        match sent.body(body.clone()).send().await {
            Ok(reply) => {
                backend.served.fetch_add(1, Ordering::Relaxed);
                let mut response = Response::new(Body::empty());
                *response.status_mut() = reply.status();
                *response.headers_mut() = reply.headers().clone();
                response.headers_mut().remove("connection");
                response.headers_mut().remove("transfer-encoding");
                return response.map(|_| Body::from_stream(reply.bytes_stream()));
            }
            Err(error) if error.is_connect() => {}
            Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
        }
    }
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
