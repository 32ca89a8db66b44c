//! A whole world in memory around the gateway: people with tokens, a library with private shelves,
//! models, caches, and a switch to break each of them.

pub mod browser;
pub mod files;
pub mod issuer;
pub mod library;
pub mod ports;
pub mod simulation;

use edge_worker::{
    config::{EdgeConfig, Timeouts},
    gateway::{
        Gateway,
        exchange::{Incoming, IncomingHeaders, Reply, ReplyBody},
    },
    ports::{Allowance, Layer},
};
use files::Files;
use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, join_all},
    stream,
};
use http::{HeaderMap, Method};
use issuer::Issuer;
use library::Library;
use rag_core::sse::Decoder;
use shared_types::{
    chat::{ChatAnswer, SearchFilters},
    conversation::{Answered, Ask},
    event::{AnswerEvent, Meta},
    ids::RequestId,
    problem::Problem,
    workers_ai::Pooling,
};
use simulation::Time;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use uuid::Uuid;

/// When every story begins, in seconds since 1970.
pub const BEGINNING_S: i64 = 1_800_000_000;
/// The secret between edge and origin.
pub const EDGE_TOKEN: &str = "edge-token";

/// How something outside fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// At once.
    Fails,
    /// By never answering.
    Stalls,
    /// By answering after so many milliseconds only.
    Lags(u32),
}

/// How an answer goes wrong after its stream has begun.
#[derive(Clone, Debug)]
pub enum StreamFault {
    /// The connection ends in good order, without `done`, after so many bytes.
    EndsAfter(usize),
    /// The connection breaks after so many bytes.
    BreaksAfter(usize),
    /// Nothing more comes after so many bytes.
    SilentAfter(usize),
    /// The model fails: an `error` event is the last.
    ErrorEvent(Problem),
    /// An event that is not JSON.
    Garbage,
}

/// What is broken.
#[derive(Default)]
pub struct Faults {
    /// Every cache.
    pub caches: Option<Failure>,
    /// The embedding model.
    pub embedder: Option<Failure>,
    /// The reranker.
    pub reranker: Option<Failure>,
    /// The origin, by path.
    pub origin: HashMap<&'static str, Failure>,
    /// A refusal of the origin, by path.
    pub refusal: HashMap<&'static str, Problem>,
    /// Object storage.
    pub store: Option<Failure>,
    /// The writing down of answers.
    pub writing: Option<Failure>,
    /// An answer's stream.
    pub stream: Option<StreamFault>,
    /// The sign-in service.
    pub auth: Option<Failure>,
    /// The counters.
    pub limiter: Option<Failure>,
    /// Allowances that are used up.
    pub used_up: Vec<Allowance>,
}

impl Faults {
    /// Breaks a path of the origin.
    pub fn origin(&mut self, path: &'static str, failure: Failure) {
        self.origin.insert(path, failure);
    }

    /// Has a path of the origin refuse.
    pub fn refusal(&mut self, path: &'static str, problem: Problem) {
        self.refusal.insert(path, problem);
    }
}

/// Values by layer and key, with the second in which they end.
pub type Kept = HashMap<(Layer, String), (Vec<u8>, i64)>;

/// The world.
pub struct World {
    /// Moved by waiting.
    pub time: Time,
    /// What caches hold.
    pub cached: RefCell<Kept>,
    /// What is broken.
    pub faults: RefCell<Faults>,
    /// Calls to the origin whose reply has not been read to its end, or given up.
    pub open_calls: Rc<Cell<usize>>,
    /// What was asked of whom, in order: `embed`, `rerank`, `/v1/answer`, `jwks`, …
    pub calls: RefCell<Vec<String>>,
    /// The `traceparent` of every call to the origin.
    pub traces: RefCell<Vec<String>>,
    /// The filters of each search that the origin was asked for.
    pub filters: RefCell<Vec<SearchFilters>>,
    /// What was embedded.
    pub embedded: RefCell<Vec<String>>,
    /// How the next questions in conversations are understood; none: as they are asked.
    pub rewritten: RefCell<Option<String>>,
    /// The questions that took a place in a conversation.
    pub put: RefCell<Vec<Ask>>,
    /// The answers that were written down.
    pub written: RefCell<Vec<Answered>>,
    /// What was counted.
    pub counted: RefCell<Vec<(Allowance, String)>>,
    /// What runs after the response.
    pub background: RefCell<Vec<LocalBoxFuture<'static, ()>>>,
    /// The log.
    pub logged: RefCell<Vec<String>>,
    /// Documents and who may read them.
    pub library: Library,
    /// The documents' files.
    pub files: Files,
    /// The sign-in service's keys.
    pub issuer: RefCell<Issuer>,
    /// The next reply of the sign-in service.
    pub auth_reply: RefCell<(u16, String)>,
    /// The replies of the sign-in service at some paths, where they differ from the next one.
    pub auth_replies: RefCell<HashMap<&'static str, (u16, String)>>,
    /// What the sign-in service was sent.
    pub auth_calls: RefCell<Vec<(String, String)>>,
    /// Whose tokens the sign-in service was shown.
    pub auth_bearers: RefCell<Vec<Uuid>>,
    /// How many signatures were verified.
    pub verifications: Cell<usize>,
}

/// The gateway in its world.
pub struct Edge {
    /// The gateway.
    pub gateway: Gateway,
    /// The world.
    pub world: Rc<World>,
}

/// A request before it is sent.
pub struct Sent {
    /// Method.
    pub method: Method,
    /// Path.
    pub path: String,
    /// Query.
    pub query: String,
    /// Headers.
    pub headers: IncomingHeaders,
    /// Body.
    pub body: Vec<u8>,
    /// Whether the sender falls silent before the body has ended.
    pub stalls: bool,
}

/// A reply, read to its end.
#[derive(Debug)]
pub struct Received {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: String,
    /// Whether it came as one piece.
    pub is_whole: bool,
}

impl Edge {
    /// A gateway that has just started, in a world where everything works.
    pub fn new(library: Library) -> Self {
        let world = World {
            time: Time::default(),
            cached: RefCell::default(),
            faults: RefCell::default(),
            open_calls: Rc::default(),
            calls: RefCell::default(),
            traces: RefCell::default(),
            filters: RefCell::default(),
            embedded: RefCell::default(),
            rewritten: RefCell::default(),
            put: RefCell::default(),
            written: RefCell::default(),
            counted: RefCell::default(),
            background: RefCell::default(),
            logged: RefCell::default(),
            library,
            files: Files::default(),
            issuer: RefCell::new(Issuer::new("key-1")),
            auth_reply: RefCell::new((200, "{}".to_owned())),
            auth_replies: RefCell::default(),
            auth_calls: RefCell::default(),
            auth_bearers: RefCell::default(),
            verifications: Cell::default(),
        };
        Self {
            gateway: Gateway::new(config()),
            world: Rc::new(world),
        }
    }

    /// Another isolate in the same world: it knows no keys yet.
    pub fn another_isolate(&self) -> Self {
        Self {
            gateway: Gateway::new(config()),
            world: Rc::clone(&self.world),
        }
    }

    /// Sends requests at the same moment and reads the replies, then lets the background work end.
    pub async fn send_at_once(&self, all: Vec<Sent>) -> Vec<Received> {
        let whole = async {
            let received = all
                .into_iter()
                .map(|sent| async { read(self.begin(sent).await).await });
            let received = join_all(received).await;
            self.settle().await;
            received
        };
        self.world.time.drive(whole).await
    }

    /// Sends a request and reads the reply, then lets the background work end.
    pub async fn send(&self, sent: Sent) -> Received {
        let whole = async {
            let received = read(self.begin(sent).await).await;
            self.settle().await;
            received
        };
        self.world.time.drive(whole).await
    }

    /// Sends a request and returns the reply unread.
    pub async fn begin(&self, sent: Sent) -> Reply {
        let pieces = sent.body.chunks(11).map(|piece| Ok(piece.to_vec().into()));
        let body = stream::iter(pieces.collect::<Vec<_>>());
        let incoming = Incoming {
            method: sent.method,
            path: sent.path,
            query: sent.query,
            headers: sent.headers,
            body: if sent.stalls {
                body.chain(stream::pending()).boxed_local()
            } else {
                body.boxed_local()
            },
        };
        let request_id = RequestId(Uuid::from_u128(42));
        let host = Rc::clone(&self.world);
        self.gateway.handle(host, request_id, incoming).await
    }

    /// Lets the background work end.
    pub async fn settle(&self) {
        let work: Vec<_> = self.world.background.borrow_mut().drain(..).collect();
        for work in work {
            work.await;
        }
    }

    /// What was called since the last time of asking.
    pub fn calls(&self) -> Vec<String> {
        self.world.calls.borrow_mut().drain(..).collect()
    }

    /// Breaks something.
    pub fn break_(&self, how: impl FnOnce(&mut Faults)) {
        how(&mut self.world.faults.borrow_mut());
    }

    /// Repairs everything.
    pub fn repair(&self) {
        *self.world.faults.borrow_mut() = Faults::default();
    }

    /// Lets time pass.
    pub fn wait_s(&self, seconds: i64) {
        self.world.time.pass_ms(seconds * 1_000);
    }

    /// How many values a layer holds.
    pub fn kept(&self, layer: Layer) -> usize {
        let cached = self.world.cached.borrow();
        cached.keys().filter(|(kept, _)| *kept == layer).count()
    }

    /// Asks, as server-sent events.
    pub async fn ask(&self, person: Uuid, query: &str) -> Received {
        self.send(self.question(person, query)).await
    }

    /// Asks, for one JSON object.
    pub async fn ask_json(&self, person: Uuid, query: &str) -> Received {
        let mut sent = self.question(person, query);
        sent.headers.accept = Some("application/json".to_owned());
        self.send(sent).await
    }

    /// A question of a signed-in person.
    pub fn question(&self, person: Uuid, query: &str) -> Sent {
        let body = serde_json::json!({ "query": query });
        self.signed_in(person, Method::POST, "/api/chat/query", &body.to_string())
    }

    /// A request of a signed-in person.
    pub fn signed_in(&self, person: Uuid, method: Method, path: &str, body: &str) -> Sent {
        let token = self.world.issuer.borrow().token(person, self.now_s());
        let mut sent = request(method, path, body);
        sent.headers.authorization = Some(format!("Bearer {token}"));
        sent
    }

    /// The world's time.
    pub fn now_s(&self) -> i64 {
        self.world.time.now_ms() / 1_000
    }
}

/// A request of nobody in particular.
pub fn request(method: Method, path: &str, body: &str) -> Sent {
    Sent {
        method,
        path: path.to_owned(),
        query: String::new(),
        headers: IncomingHeaders {
            client_address: Some("203.0.113.9".to_owned()),
            ..IncomingHeaders::default()
        },
        body: body.as_bytes().to_vec(),
        stalls: false,
    }
}

/// Reads a reply to its end.
pub async fn read(reply: Reply) -> Received {
    let mut headers = HeaderMap::new();
    for (name, value) in reply.headers.iter() {
        headers.append(name, value.parse().unwrap());
    }
    let is_whole = !matches!(reply.body, ReplyBody::Stream(_) | ReplyBody::File(_));
    let bytes = match reply.body {
        ReplyBody::Empty => Vec::new(),
        ReplyBody::Whole(bytes) => bytes.into(),
        ReplyBody::Stream(stream) | ReplyBody::File(stream) => {
            stream.collect::<Vec<_>>().await.concat()
        }
    };
    Received {
        status: reply.status.as_u16(),
        headers,
        body: String::from_utf8(bytes).unwrap(),
        is_whole,
    }
}

impl Received {
    /// The body as server-sent events, every one of them readable.
    pub fn events(&self) -> Vec<AnswerEvent> {
        assert_eq!(
            self.headers["content-type"], "text/event-stream",
            "{}",
            self.body
        );
        let events = Decoder::new().push(self.body.as_bytes()).unwrap();
        let parse = |event: rag_core::sse::SseEvent| AnswerEvent::parse(&event.name, &event.data);
        events
            .into_iter()
            .map(|event| parse(event).unwrap())
            .collect()
    }

    /// The first event.
    pub fn meta(&self) -> Meta {
        match self.events().into_iter().next() {
            Some(AnswerEvent::Meta(meta)) => meta,
            other => panic!("the first event is {other:?}"),
        }
    }

    /// The last event, if it is an error.
    pub fn final_problem(&self) -> Option<Problem> {
        match self.events().pop() {
            Some(AnswerEvent::Error(problem)) => Some(problem),
            _ => None,
        }
    }

    /// Whether the answer is complete.
    pub fn is_done(&self) -> bool {
        matches!(self.events().last(), Some(AnswerEvent::Done(_)))
    }

    /// The body as an answer.
    pub fn answer(&self) -> ChatAnswer {
        assert_eq!(self.status, 200, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// The body as a problem.
    pub fn problem(&self) -> Problem {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.body
        );
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The configuration of every edge in these tests.
pub fn config() -> EdgeConfig {
    EdgeConfig {
        origin_url: "https://origin.example".to_owned(),
        supabase_url: "https://auth.example".to_owned(),
        supabase_anon_key: "anon".into(),
        edge_token: EDGE_TOKEN.into(),
        jwt_issuer: issuer::ISSUER.to_owned(),
        jwt_audience: "authenticated".to_owned(),
        embedding_model: "encoder".to_owned(),
        embedding_pooling: Pooling::Cls,
        rerank_model: "reranker".to_owned(),
        answer_model: "model/prompt-1".to_owned(),
        allowed_origins: vec!["https://app.example".to_owned()],
        memory_values: 500,
        timeouts: Timeouts::default(),
    }
}
