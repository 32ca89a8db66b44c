//! What the asker gets when something that Etude leans on is slow, down or silent: the tables of
//! `docs/DEGRADATION.md` are what is seen here.

use crate::support::{
    Edge, Failure, Faults, Received, Sent, StreamFault,
    files::{HANDBOOK, HANDBOOK_FILE, HANDBOOK_PATH},
    library::{FIRST_STUDENT, Library},
    read, request,
};
use edge_worker::config::Timeouts;
use http::Method;
use shared_types::problem::{Problem, ProblemKind};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

const DOC: &str = include_str!("../../../docs/DEGRADATION.md");

/// How long the origin waits for a silent model (`LLM_FIRST_EVENT_TIMEOUT_MS`).
const MODEL_GIVEN_UP_AFTER_MS: u32 = 10_000;

/// Something outside. In the order in which a question meets those that it can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Auth,
    Origin,
    Model,
    Caches,
    Embedder,
    Reranker,
}

const SERVICES: [Service; 6] = [
    Service::Auth,
    Service::Origin,
    Service::Model,
    Service::Caches,
    Service::Embedder,
    Service::Reranker,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Takes four fifths of the time that it is given.
    Slow,
    /// Fails at once.
    Down,
    /// Takes the call and never answers.
    Silent,
}

const STATES: [State; 3] = [State::Slow, State::Down, State::Silent];

/// What the asker gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gets {
    /// An answer, and the word that these things went wrong on the way.
    Answer(BTreeSet<String>),
    /// No answer: the status and the problem's name.
    Problem(u16, String),
}

/// What the asker gets, and when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    gets: Gets,
    first_byte_ms: i64,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "Key set",
            Self::Origin => "Origin",
            Self::Model => "Language model",
            Self::Caches => "KV",
            Self::Embedder => "Embedding",
            Self::Reranker => "Reranker",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow => "slow",
            Self::Down => "down",
            Self::Silent => "silent",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gets {
            Gets::Answer(degraded) => {
                f.write_str("answer")?;
                degraded
                    .iter()
                    .try_for_each(|part| write!(f, ", `{part}`"))?;
            }
            Gets::Problem(status, name) => write!(f, "{status} `{name}`")?,
        }
        write!(f, " | {:.1} s", self.first_byte_ms as f64 / 1_000.0)
    }
}

/// Four fifths of a share.
fn slow(share_ms: u32) -> Failure {
    Failure::Lags(share_ms / 5 * 4)
}

fn failing(state: State, share_ms: u32) -> Failure {
    match state {
        State::Slow => slow(share_ms),
        State::Down => Failure::Fails,
        State::Silent => Failure::Stalls,
    }
}

fn break_(edge: &Edge, service: Service, state: State) {
    let t = Timeouts::default();
    let failing = |share_ms| failing(state, share_ms);
    edge.break_(|faults| match service {
        Service::Auth => faults.auth = Some(failing(t.jwks_ms)),
        Service::Caches => faults.caches = Some(failing(t.cache_ms)),
        Service::Embedder => faults.embedder = Some(failing(t.embed_ms)),
        Service::Reranker => faults.reranker = Some(failing(t.rerank_ms)),
        Service::Origin => {
            faults.origin("/v1/scope", failing(t.scope_ms));
            faults.origin("/v1/retrieve", failing(t.retrieve_ms));
            // The rest of its time there is the model's.
            faults.origin("/v1/answer", failing(t.retrieve_ms));
        }
        Service::Model => {
            let waits_ms = match state {
                State::Slow => MODEL_GIVEN_UP_AFTER_MS / 5 * 4,
                State::Down => 0,
                State::Silent => MODEL_GIVEN_UP_AFTER_MS,
            };
            if state != State::Slow {
                let problem = Problem::new(ProblemKind::ModelUnavailable);
                faults.refusal("/v1/answer", problem);
            }
            match faults.origin.get_mut("/v1/answer") {
                Some(Failure::Lags(already_ms)) => *already_ms += waits_ms,
                Some(_) => {}
                None => faults.origin("/v1/answer", Failure::Lags(waits_ms)),
            }
        }
    });
}

fn break_all(edge: &Edge, broken: &[(Service, State)]) {
    for (service, state) in broken {
        break_(edge, *service, *state);
    }
}

/// Sends a request; what came, and after how many milliseconds it began.
async fn timed(edge: &Edge, sent: Sent) -> (Received, i64) {
    let time = &edge.world.time;
    let began_ms = time.now_ms();
    let reply = time.drive(edge.begin(sent)).await;
    let first_byte_ms = time.now_ms() - began_ms;
    let received = time.drive(read(reply)).await;
    time.drive(edge.settle()).await;
    (received, first_byte_ms)
}

fn problem_name(received: &Received) -> String {
    let name = received.problem().type_uri;
    name.rsplit(':').next().unwrap().to_owned()
}

async fn outcome(edge: &Edge) -> Outcome {
    let (received, first_byte_ms) = timed(edge, edge.question(FIRST_STUDENT, "scales?")).await;
    let gets = if received.status == 200 {
        assert!(received.is_done(), "{}", received.body);
        let degraded = serde_json::to_value(received.meta().degraded).unwrap();
        Gets::Answer(serde_json::from_value(degraded).unwrap())
    } else {
        Gets::Problem(received.status, problem_name(&received))
    };
    Outcome {
        gets,
        first_byte_ms,
    }
}

/// A question that the edge meets for the first time, as it meets everything: it has just started.
async fn new_question(broken: &[(Service, State)]) -> Outcome {
    let edge = Edge::new(Library::of_two_teachers());
    break_all(&edge, broken);
    outcome(&edge).await
}

/// The same question again, within the minute in which the asker's scope is remembered.
async fn asked_again(broken: &[(Service, State)]) -> Outcome {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "scales?").await;
    break_all(&edge, broken);
    outcome(&edge).await
}

fn alone() -> Vec<(Service, State)> {
    let states = |service| STATES.map(|state| (service, state));
    SERVICES.into_iter().flat_map(states).collect()
}

fn pairs() -> Vec<[(Service, State); 2]> {
    let place = |service| SERVICES.iter().position(|s| *s == service);
    let mut pairs = Vec::new();
    for first in alone() {
        for second in alone() {
            if place(first.0) < place(second.0) {
                pairs.push([first, second]);
            }
        }
    }
    pairs
}

/// Two troubles at once are the one and the other: the first that allows no answer decides, and
/// otherwise the answer names both.
fn both(first: &Gets, second: &Gets) -> Gets {
    match (first, second) {
        (Gets::Problem(..), _) => first.clone(),
        (_, Gets::Problem(..)) => second.clone(),
        (Gets::Answer(a), Gets::Answer(b)) => Gets::Answer(a.union(b).cloned().collect()),
    }
}

#[tokio::test]
async fn each_trouble_alone_is_as_the_table_says() {
    let mut table = String::new();
    for (service, state) in alone() {
        let broken = [(service, state)];
        let (new, again) = (new_question(&broken).await, asked_again(&broken).await);
        writeln!(table, "| {service} | {state} | {new} | {again} |").unwrap();
    }
    assert!(DOC.contains(&table), "docs/DEGRADATION.md lacks\n{table}");
}

#[tokio::test]
async fn two_silences_at_once_are_as_the_table_says() {
    let mut table = String::new();
    for pair in pairs() {
        if pair.iter().all(|(_, state)| *state == State::Silent) {
            let (new, again) = (new_question(&pair).await, asked_again(&pair).await);
            let [(first, _), (second, _)] = pair;
            writeln!(table, "| {first}, {second} | {new} | {again} |").unwrap();
        }
    }
    assert!(DOC.contains(&table), "docs/DEGRADATION.md lacks\n{table}");
}

/// What one trouble does to a question that is asked again, while there is another one.
async fn again_beside(trouble: (Service, State), other: (Service, State)) -> Gets {
    let remembers_nothing = other.0 == Service::Caches && other.1 != State::Slow;
    // Keys are remembered by the isolate itself.
    if remembers_nothing && trouble.0 != Service::Auth {
        new_question(&[trouble]).await.gets
    } else {
        asked_again(&[trouble]).await.gets
    }
}

#[tokio::test]
async fn two_troubles_at_once_are_no_more_than_both_of_them() {
    for [first, second] in pairs() {
        let pair = [first, second];
        let expected = both(
            &new_question(&[first]).await.gets,
            &new_question(&[second]).await.gets,
        );
        assert_eq!(new_question(&pair).await.gets, expected, "{pair:?}, new");
        let expected = both(
            &again_beside(first, second).await,
            &again_beside(second, first).await,
        );
        assert_eq!(asked_again(&pair).await.gets, expected, "{pair:?}, again");
    }
}

#[tokio::test]
async fn every_answer_begins_in_time_in_both_forms() {
    let limit_ms = i64::from(Timeouts::default().answer_ms);
    for pair in pairs() {
        let edge = Edge::new(Library::of_two_teachers());
        break_all(&edge, &pair);
        let mut question = edge.question(FIRST_STUDENT, "scales?");
        question.headers.accept = Some("application/json".to_owned());
        let (_, json_ms) = timed(&edge, question).await;
        let events_ms = new_question(&pair).await.first_byte_ms;
        assert!(events_ms.max(json_ms) <= limit_ms, "{pair:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_in_time_is_no_answer_as_json() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(150)));
    let mut question = edge.question(FIRST_STUDENT, "scales?");
    question.headers.accept = Some("application/json".to_owned());
    let (received, took_ms) = timed(&edge, question).await;
    assert!(received.problem().is(ProblemKind::AnswerInterrupted));
    assert_eq!(took_ms, i64::from(Timeouts::default().answer_ms));
}

#[tokio::test]
async fn with_everything_as_slow_as_may_be_there_is_an_answer_in_time() {
    let everything = SERVICES.map(|service| (service, State::Slow));
    let outcome = new_question(&everything).await;
    assert_eq!(outcome.gets, Gets::Answer(BTreeSet::new()));
    assert!(outcome.first_byte_ms <= i64::from(Timeouts::default().answer_ms));
}

#[tokio::test]
async fn ordinary_calls_end_in_time() {
    let limit_ms = i64::from(Timeouts::default().ordinary_ms);
    let documents = |edge: &Edge| edge.signed_in(FIRST_STUDENT, Method::GET, "/api/documents", "");
    let me = |edge: &Edge| edge.signed_in(FIRST_STUDENT, Method::GET, "/api/auth/me", "");
    let health = |_: &Edge| request(Method::GET, "/api/health", "");
    let file = |edge: &Edge| edge.signed_in(FIRST_STUDENT, Method::GET, HANDBOOK_PATH, "");
    let calls: [fn(&Edge) -> Sent; 4] = [documents, me, health, file];
    for pair in pairs() {
        for call in calls {
            let edge = Edge::new(Library::of_two_teachers());
            edge.world.files.add(HANDBOOK, "handbook.pdf", "%PDF");
            break_all(&edge, &pair);
            edge.break_(|faults| {
                let t = Timeouts::default();
                faults.origin(HANDBOOK_FILE, slow(t.file_access_ms));
                faults.store = Some(Failure::Stalls);
                faults.limiter = Some(Failure::Stalls);
                faults.origin("/v1/documents", Failure::Stalls);
                faults.origin("/api/health", Failure::Stalls);
            });
            let (received, took_ms) = timed(&edge, call(&edge)).await;
            assert!(took_ms <= limit_ms, "{pair:?}: {took_ms} ms");
            assert!(matches!(received.status, 200 | 503), "{}", received.body);
        }
    }
}

/// What somebody gets who opens a file, or asks again for one that the browser has.
async fn opened(fail: impl FnOnce(&mut Faults), is_known: bool) -> String {
    let edge = Edge::new(Library::of_two_teachers());
    let etag = edge.world.files.add(HANDBOOK, "handbook.pdf", "%PDF");
    edge.break_(fail);
    let mut sent = edge.signed_in(FIRST_STUDENT, Method::GET, HANDBOOK_PATH, "");
    sent.headers.selection.if_none_match = is_known.then_some(etag);
    let (received, first_byte_ms) = timed(&edge, sent).await;
    let gets = match received.status {
        200 => "file".to_owned(),
        304 => "304".to_owned(),
        status => format!("{status} `{}`", problem_name(&received)),
    };
    format!("{gets} | {:.1} s", first_byte_ms as f64 / 1_000.0)
}

#[tokio::test]
async fn a_file_is_opened_as_the_table_says() {
    type Fail = fn(&mut Faults, Failure);
    let t = Timeouts::default();
    let services: [(&str, u32, Fail); 3] = [
        ("Key set", t.jwks_ms, |faults, how| faults.auth = Some(how)),
        ("Origin", t.file_access_ms, |faults, how| {
            faults.origin(HANDBOOK_FILE, how);
        }),
        ("Object storage", t.file_head_ms, |faults, how| {
            faults.store = Some(how);
        }),
    ];
    let mut table = String::new();
    for (service, share_ms, fail) in services {
        for state in STATES {
            let broken = |faults: &mut Faults| fail(faults, failing(state, share_ms));
            let (new, known) = (opened(broken, false).await, opened(broken, true).await);
            writeln!(table, "| {service} | {state} | {new} | {known} |").unwrap();
        }
    }
    assert!(DOC.contains(&table), "docs/DEGRADATION.md lacks\n{table}");
}
