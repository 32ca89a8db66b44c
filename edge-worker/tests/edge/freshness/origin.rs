//! The school's origin, and what is wrong with it in a sabotaged one.

use super::{
    history::{PEOPLE, Person, Port},
    host::{Sabotage, School},
    library::Library,
    purges::{Stamp, person},
};
use crate::support::{
    Failure,
    ports::{bearer, upstream},
    simulation::turn,
};
use edge_worker::ports::{ByteStream, Origin, OriginCall, Passing, PortError, Upstream};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use shared_types::{
    chat::SearchFilters,
    embedding::{DIMENSIONS, Embedding},
    event::{AnswerEvent, EVENT_STREAM},
    origin::{AnswerRequest, RetrieveResponse, Scope},
    problem::{PROBLEM_JSON, Problem, ProblemKind},
    purge::{PurgeRecord, PurgeRequest, PurgeTarget},
};

/// How much of a number one component holds without loss.
const COMPONENT: i64 = 1 << 20;

/// An embedding that tells when it was made.
pub fn at_moment(ms: i64) -> Embedding {
    let mut components = vec![1.0; DIMENSIONS];
    for (at, component) in components.iter_mut().take(3).enumerate() {
        *component = (ms / COMPONENT.pow(at as u32) % COMPONENT) as f32;
    }
    Embedding::new(components).unwrap()
}

fn moment_of(embedding: &Embedding) -> i64 {
    let digits = embedding.as_slice()[..3].iter().rev();
    digits.fold(0, |ms, digit| ms * COMPONENT + *digit as i64)
}

/// What the origin reads of a search.
#[derive(Deserialize)]
struct Search {
    query: String,
    #[serde(default)]
    filters: SearchFilters,
    embedding: Option<Embedding>,
}

impl Origin for School {
    async fn call(&self, call: OriginCall<'_>) -> Result<Upstream, PortError> {
        let reader = reader_of(&call);
        let body = call.body.unwrap_or_default();
        let reply = match call.path {
            "/v1/scope" => {
                self.reach(Port::Scope).await?;
                upstream_json(&self.scope(reader))
            }
            "/v1/retrieve" => {
                self.reach(Port::Retrieve).await?;
                upstream_json(&self.retrieve(reader, &serde_json::from_slice(&body).unwrap()))
            }
            "/v1/admin/cache/purge" => {
                self.reach(Port::Purge).await?;
                upstream_json(&self.purge(&serde_json::from_slice(&body).unwrap()))
            }
            "/v1/answer" => {
                self.reach(Port::Answer).await?;
                self.answer(reader, &serde_json::from_slice(&body).unwrap())
            }
            other => panic!("nobody asks for {other} here"),
        };
        turn().await;
        Ok(reply)
    }

    async fn pass(&self, call: OriginCall<'_>) -> Result<Passing, PortError> {
        panic!("nobody asks for {} here", call.path);
    }
}

impl School {
    fn scope(&self, reader: Person) -> Scope {
        let mut scope = self.library.borrow().scope(reader, self.time.now_ms());
        if self.is_sabotaged(Sabotage::OneScopeForAll) {
            scope.version.scope_version = "0".repeat(64);
        }
        if self.is_sabotaged(Sabotage::AnswersOutlivePurges) {
            scope.purges.reader = scope.purges.everything;
        }
        if self.is_sabotaged(Sabotage::EmbeddingsOutlivePurges) {
            scope.purges.everything = 0;
        }
        if self.is_sabotaged(Sabotage::PurgedAnswersAreDeletedOnly) {
            scope.purges.answers.clear();
        }
        self.told_scopes.borrow_mut().insert(reader, scope.clone());
        scope
    }

    fn retrieve(&self, reader: Person, search: &Search) -> RetrieveResponse {
        let library = self.library.borrow();
        let mut stamp = Stamp::Found.at(self.time.now_ms());
        if let Some(embedding) = &search.embedding {
            stamp.extend([" ", &Stamp::Embedded.at(moment_of(embedding))]);
        }
        let mut passages = library.search(reader, &search.query, &search.filters, &stamp);
        for passage in &mut passages {
            if self.is_sabotaged(Sabotage::HashesSayNothing) {
                passage.content_sha256 = "0".repeat(64);
            }
            if self.is_sabotaged(Sabotage::AnswersOutlivePurges) {
                passage.generation = 0;
            }
        }
        let remembered = self.told_scopes.borrow().get(&reader).cloned();
        let scope = remembered
            .filter(|_| self.is_sabotaged(Sabotage::SearchesFiledFromMemory))
            .unwrap_or_else(|| self.scope(reader));
        RetrieveResponse {
            passages,
            curated: None,
            scope,
        }
    }

    fn purge(&self, request: &PurgeRequest) -> PurgeRecord {
        let mut library = self.library.borrow_mut();
        let now_ms = self.time.now_ms();
        let (generation, earlier) = library.purges.add(request.target.clone(), now_ms);
        let readers = readers_of(&library, &request.target);
        PurgeRecord {
            generation,
            readers: readers.into_iter().map(Person::user_id).collect(),
            earlier: earlier.filter(|_| matches!(request.target, PurgeTarget::Answer(_))),
        }
    }

    fn answer(&self, reader: Person, request: &AnswerRequest) -> Upstream {
        let chunks: Vec<_> = request
            .passages
            .iter()
            .map(|chosen| chosen.chunk_id)
            .collect();
        let library = self.library.borrow();
        let now_ms = self.time.now_ms();
        let Some(events) = library.answer(reader, &request.query, &chunks, now_ms) else {
            let gone = serde_json::to_string(&Problem::new(ProblemKind::Conflict)).unwrap();
            return upstream(ProblemKind::Conflict.status(), PROBLEM_JSON, &gone);
        };
        let mut reply = upstream(200, EVENT_STREAM, "");
        reply.body = told(&events, self.fault_of(Port::Telling));
        reply
    }
}

/// For whom a purge is in force at once.
pub fn readers_of(library: &Library, target: &PurgeTarget) -> Vec<Person> {
    let mut readers = vec![Person::Admin];
    match target {
        PurgeTarget::Answer(_) | PurgeTarget::Everything => {}
        PurgeTarget::User(id) => readers.push(person(*id)),
        PurgeTarget::Teacher(id) => {
            let students = library.enrolments.iter();
            readers.push(person(*id));
            readers.extend(students.filter_map(|(s, t)| (t.user_id() == *id).then_some(*s)));
        }
    }
    readers
}

/// The events in their turns. An answer whose telling is broken stops after the first.
fn told(events: &[AnswerEvent], failure: Option<Failure>) -> ByteStream {
    let whole = if failure.is_some() { 1 } else { events.len() };
    let texts: Vec<String> = events[..whole].iter().map(AnswerEvent::to_sse).collect();
    let told = stream::iter(texts).then(|text| async move {
        turn().await;
        Ok(text.into())
    });
    let end = match failure {
        None => stream::empty().boxed_local(),
        Some(Failure::Stalls) => stream::pending().boxed_local(),
        Some(_) => {
            let error = PortError::Failed("connection reset".to_owned());
            stream::once(async { Err(error) }).boxed_local()
        }
    };
    told.chain(end).boxed_local()
}

fn upstream_json(reply: &impl serde::Serialize) -> Upstream {
    let mut upstream = upstream(200, "application/json", "");
    upstream.body = pieces_of(serde_json::to_vec(reply).unwrap());
    upstream
}

/// A body in one piece.
pub fn pieces_of(bytes: Vec<u8>) -> ByteStream {
    stream::once(async { Ok(bytes.into()) }).boxed_local()
}

fn reader_of(call: &OriginCall<'_>) -> Person {
    let named = bearer(call.authorization);
    let mut people = PEOPLE.into_iter();
    people.find(|person| person.user_id().0 == named).unwrap()
}
