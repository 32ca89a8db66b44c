//! A history played through the real gateway, and what must be true of every response in it.

use super::{
    history::{Form, History, Person, Port, Question, Step, Store, Target, Then, Within},
    host::{Sabotage, School},
    judge::{Asked, Judge, Tally, Told},
    library::Library,
    oracle::Oracle,
    origin::readers_of,
    purges::person,
};
use crate::support::{EDGE_TOKEN, Failure, config, simulation::Tasks};
use edge_worker::config::EdgeConfig;
use edge_worker::gateway::{
    Gateway,
    exchange::{Incoming, IncomingHeaders, ReplyBody},
};
use futures_util::{StreamExt, stream};
use http::Method;
use serde_json::json;
use shared_types::{
    cache::{AnswerId, STALENESS_BOUND_S},
    documents::Visibility,
    ids::{RequestId, UserId},
    purge::{PurgeRequest, PurgeTarget},
};
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};
use uuid::Uuid;

const BOUND_MS: i64 = STALENESS_BOUND_S as i64 * 1_000;

/// A history under way.
struct Play {
    school: Rc<School>,
    gateway: Rc<Gateway>,
    store: Store,
    oracle: Oracle,
    tasks: Tasks,
    asked: Vec<Asked>,
    /// Who is to hear of new content, oldest first.
    mail: VecDeque<Vec<UserId>>,
    /// When the edge last forgot what each may read, while nothing else was going on.
    forgotten_ms: HashMap<Person, i64>,
}

/// Plays a history; the error says which response is wrong.
pub fn play(history: &History, sabotage: Option<Sabotage>) -> Result<Tally, String> {
    let school = School::new(history.store, history.chance, sabotage);
    let mut play = Play {
        oracle: Oracle::default(),
        school: Rc::new(school),
        gateway: Rc::new(Gateway::new(EdgeConfig {
            memory_values: history.memory_values,
            ..config()
        })),
        store: history.store,
        tasks: Tasks::default(),
        asked: Vec::new(),
        mail: VecDeque::new(),
        forgotten_ms: HashMap::new(),
    };
    play.observe();
    for (step, then) in &history.steps {
        // No two things happen in the same moment, so that each is before or after the other.
        play.school.time.pass_ms(1);
        play.step(*step);
        match then {
            Then::Settle => play.settle(),
            Then::Turns(turns) => play.take_turns(*turns),
        }
    }
    play.school.fault.set(None);
    play.settle();
    let library = play.school.library.borrow();
    let judge = Judge {
        oracle: &play.oracle,
        purges: &library.purges,
    };
    let mut tally = Tally::default();
    for asked in &play.asked {
        tally += judge.judge(asked)?;
    }
    Ok(tally)
}

impl Play {
    fn step(&mut self, step: Step) {
        let school = Rc::clone(&self.school);
        match step {
            Step::Ask(question) => self.ask(question),
            Step::Wait { seconds } => school.time.pass_ms(i64::from(seconds) * 1_000),
            Step::Upload {
                owner,
                topic,
                visibility,
            } => {
                self.change(|library| library.upload(owner, topic, visibility));
                self.write_to_readers(owner);
            }
            Step::Revise(nth) => {
                let owner = school
                    .library
                    .borrow()
                    .nth(nth)
                    .map(|document| document.owner);
                self.change(|library| library.revise(nth));
                if let Some(owner) = owner {
                    self.write_to_readers(owner);
                }
            }
            Step::Publish(nth) => self.change(|library| library.show_to(nth, Visibility::Public)),
            Step::Withdraw(nth) => self.change(|library| library.show_to(nth, Visibility::Private)),
            Step::Delete(nth) => self.change(|library| library.delete(nth)),
            Step::Enrol(student, teacher) => self.change(|library| {
                let pair = (Person::Student(student), Person::Teacher(teacher));
                library.enrolments.insert(pair);
            }),
            Step::Part(student, teacher) => self.change(|library| {
                let pair = (Person::Student(student), Person::Teacher(teacher));
                library.enrolments.remove(&pair);
            }),
            Step::Purge(target) => self.purge(target),
            Step::Deliver => self.deliver(),
            Step::HangUp => {
                let choice = self.choose();
                self.tasks.drop_one(|number| choice % number);
            }
            Step::Break(port) => school.fault.set(Some((port, Failure::Fails))),
            Step::Stall(port) => school.fault.set(Some((port, Failure::Stalls))),
            Step::Repair => school.fault.set(None),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Library)) {
        change(&mut self.school.library.borrow_mut());
        self.observe();
    }

    fn observe(&mut self) {
        let now_ms = self.school.time.now_ms();
        self.oracle.observe(now_ms, &self.school.library.borrow());
    }

    /// As the ingest worker does: to the owner and the owner's students.
    fn write_to_readers(&mut self, owner: Person) {
        let library = self.school.library.borrow();
        let students = library.enrolments.iter();
        let students = students.filter_map(|(s, t)| (*t == owner).then_some(*s));
        let readers = students.chain([owner]).map(Person::user_id);
        self.mail.push_back(readers.collect());
    }

    fn take_turns(&mut self, turns: u8) {
        for _ in 0..turns {
            if !self.take_turn() {
                return;
            }
        }
    }

    fn take_turn(&mut self) -> bool {
        for work in self.school.background.borrow_mut().drain(..) {
            self.tasks.add(work, false);
        }
        let choice = self.choose();
        self.tasks.take_turn(|number| choice % number)
    }

    /// A number to choose by. Drawn before a turn, in which others draw from the same source.
    fn choose(&self) -> usize {
        self.school.chance.borrow_mut().below(u32::MAX) as usize
    }

    fn settle(&mut self) {
        loop {
            while self.take_turn() {}
            if self.tasks.is_empty() {
                return;
            }
            let moved = self.school.time.pass_to_next_waking();
            assert!(moved, "somebody waits for what never comes");
        }
    }

    fn ask(&mut self, question: Question) {
        let library = self.school.library.borrow();
        let filters = question.within.and_then(|within| match within {
            Within::Document(nth) => {
                let document = library.nth(nth)?;
                Some(json!({"document_ids": [document.document_id()]}))
            }
            Within::OwnerOf(nth) => {
                let owner = library.nth(nth)?.owner;
                Some(json!({"owner_ids": [owner.user_id()]}))
            }
        });
        let is_narrowed = filters.is_some();
        let body = json!({
            "query": format!("What about {}?", question.topic.word()),
            "filters": filters.unwrap_or_else(|| json!({})),
        });
        let mut headers = IncomingHeaders {
            authorization: Some(self.school.authorization(question.who)),
            ..IncomingHeaders::default()
        };
        if question.form == Form::Json {
            headers.accept = Some("application/json".to_owned());
        }
        let at_ms = self.school.time.now_ms();
        let told: Rc<RefCell<Told>> = Rc::default();
        self.asked.push(Asked {
            question,
            is_narrowed,
            at_ms,
            horizon_ms: self.horizon_ms(question.who, at_ms),
            told: Rc::clone(&told),
        });
        let number = self.asked.len() as u128;
        let incoming = incoming("/api/chat/query", headers, body.to_string());
        let (gateway, school) = (Rc::clone(&self.gateway), Rc::clone(&self.school));
        let asking = async move {
            let id = RequestId(Uuid::from_u128(number));
            let reply = gateway.handle(Rc::clone(&school), id, incoming).await;
            {
                let mut told = told.borrow_mut();
                told.head_ms = Some(school.time.now_ms());
                told.status = reply.status.as_u16();
            }
            match reply.body {
                ReplyBody::Stream(mut stream) => {
                    while let Some(piece) = stream.next().await {
                        told.borrow_mut().body.extend_from_slice(&piece);
                    }
                }
                ReplyBody::Whole(bytes) => told.borrow_mut().body = bytes.into(),
                ReplyBody::Empty | ReplyBody::File(_) => {}
            }
        };
        drop(library);
        self.tasks.add(Box::pin(asking), true);
    }

    /// The edge forgets scopes at once where the store is prompt and nobody is on the way with an
    /// older one; else within the bound.
    fn horizon_ms(&self, who: Person, asked_ms: i64) -> i64 {
        let bound_ms = asked_ms - BOUND_MS;
        match (self.store, self.forgotten_ms.get(&who)) {
            (Store::Prompt, Some(forgotten_ms)) => bound_ms.max(*forgotten_ms),
            _ => bound_ms,
        }
    }

    fn deliver(&mut self) {
        let Some(people) = self.mail.pop_front() else {
            return;
        };
        let headers = IncomingHeaders {
            edge_token: Some(EDGE_TOKEN.to_owned()),
            ..IncomingHeaders::default()
        };
        let body = json!({ "user_ids": people }).to_string();
        let incoming = incoming("/internal/scope/invalidate", headers, body);
        let people: Vec<Person> = people.into_iter().map(person).collect();
        self.tell(incoming, &people);
    }

    fn purge(&mut self, target: Target) {
        let target = match target {
            Target::Answer(back) => match self.shown(back) {
                Some(id) => PurgeTarget::Answer(id),
                None => return,
            },
            Target::Reader(reader) => PurgeTarget::User(reader.user_id()),
            Target::Owner(owner) => PurgeTarget::Teacher(owner.user_id()),
            Target::Everything => PurgeTarget::Everything,
        };
        let readers = readers_of(&self.school.library.borrow(), &target);
        let headers = IncomingHeaders {
            authorization: Some(self.school.authorization(Person::Admin)),
            ..IncomingHeaders::default()
        };
        let request = PurgeRequest {
            target,
            reason: "it was wrong".to_owned(),
        };
        let body = serde_json::to_string(&request).unwrap();
        let incoming = incoming("/api/admin/cache/purge", headers, body);
        self.tell(incoming, &readers);
    }

    /// The answer that was shown last but so many.
    fn shown(&self, back: u8) -> Option<AnswerId> {
        let shown = self.asked.iter().rev();
        let mut shown = shown.filter_map(|asked| asked.told.borrow().answer_id());
        shown.nth(back.into())
    }

    /// Sends the edge what makes it forget the scopes of these.
    fn tell(&mut self, incoming: Incoming, people: &[Person]) {
        let is_quiet = self.tasks.is_empty() && self.school.background.borrow().is_empty();
        let (gateway, school) = (Rc::clone(&self.gateway), Rc::clone(&self.school));
        let status: Rc<Cell<u16>> = Rc::default();
        let telling = {
            let status = Rc::clone(&status);
            async move {
                let id = RequestId(Uuid::nil());
                let reply = gateway.handle(school, id, incoming).await;
                status.set(reply.status.as_u16());
            }
        };
        self.tasks.add(Box::pin(telling), false);
        if is_quiet {
            self.settle();
            // A purge is in force at once only where the caches took the news.
            let caches_work = !matches!(self.school.fault.get(), Some((Port::Caches, _)));
            if status.get() / 100 == 2 && caches_work {
                let now_ms = self.school.time.now_ms();
                for person in people {
                    self.forgotten_ms.insert(*person, now_ms);
                }
            }
        }
    }
}

fn incoming(path: &str, headers: IncomingHeaders, body: String) -> Incoming {
    Incoming {
        method: Method::POST,
        path: path.to_owned(),
        query: String::new(),
        headers,
        body: stream::once(async { Ok(body.into()) }).boxed_local(),
    }
}
