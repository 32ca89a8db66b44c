//! What can happen: to people, to documents, to the caches, and to those who ask meanwhile.

use proptest::{collection::vec, prelude::*};
use shared_types::{claims::Role, documents::Visibility, ids::UserId};
use std::fmt;
use uuid::Uuid;

/// Somebody at the school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// Reads public documents and those of her teachers.
    Student(u8),
    /// Reads public documents and his own.
    Teacher(u8),
    /// Reads everything.
    Admin,
}

/// Everybody.
pub const PEOPLE: [Person; 6] = [
    Person::Student(1),
    Person::Student(2),
    Person::Student(3),
    Person::Teacher(1),
    Person::Teacher(2),
    Person::Admin,
];

impl Person {
    /// The account.
    pub fn user_id(self) -> UserId {
        UserId(Uuid::from_u128(match self {
            Self::Student(n) => 0x100 + u128::from(n),
            Self::Teacher(n) => 0x200 + u128::from(n),
            Self::Admin => 0x300,
        }))
    }

    /// The role that the person's token names.
    pub fn role(self) -> Role {
        match self {
            Self::Student(_) => Role::Student,
            Self::Teacher(_) => Role::Teacher,
            Self::Admin => Role::Admin,
        }
    }
}

/// What a document is about, and what is asked about. Few, so that the same is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// How to change the pedal.
    Pedal,
    /// How to practise scales.
    Scales,
    /// How to hold the wrist.
    Wrist,
}

impl Topic {
    /// The word that questions and documents share.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pedal => "pedal",
            Self::Scales => "scales",
            Self::Wrist => "wrist",
        }
    }
}

/// One of the documents that there are, whatever their number: taken modulo.
pub type Nth = usize;

/// Something outside the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Every cache.
    Caches,
    /// The embedding model.
    Embedder,
    /// The reranker.
    Reranker,
    /// `GET /v1/scope`.
    Scope,
    /// `POST /v1/retrieve`.
    Retrieve,
    /// `POST /v1/admin/cache/purge`.
    Purge,
    /// `POST /v1/answer` before its first byte.
    Answer,
    /// `POST /v1/answer` after its first bytes.
    Telling,
    /// The sign-in service.
    Auth,
    /// The counters.
    Limiter,
}

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// One JSON object.
    Json,
}

/// What a question is narrowed to, where there is such a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// A document.
    Document(Nth),
    /// The documents of its owner.
    OwnerOf(Nth),
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub who: Person,
    /// About what.
    pub topic: Topic,
    /// In a part of the library.
    pub within: Option<Within>,
    /// In which form.
    pub form: Form,
}

/// What an admin has purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The answer that was shown last but so many.
    Answer(u8),
    /// What was found and told for somebody.
    Reader(Person),
    /// What was made from somebody's documents.
    Owner(Person),
    /// Everything.
    Everything,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A question is asked.
    Ask(Question),
    /// Time passes.
    Wait {
        /// So long.
        seconds: u32,
    },
    /// A document becomes searchable. News of it are on the way to the edge.
    Upload {
        /// Whose.
        owner: Person,
        /// About what.
        topic: Topic,
        /// For whom.
        visibility: Visibility,
    },
    /// A document gets another text under the same ids. News of it are on the way to the edge.
    Revise(Nth),
    /// A document is shown to everybody.
    Publish(Nth),
    /// A document is shown to its owner's students alone.
    Withdraw(Nth),
    /// A document is deleted.
    Delete(Nth),
    /// A student begins with a teacher.
    Enrol(u8, u8),
    /// A student leaves a teacher.
    Part(u8, u8),
    /// The admin purges the caches.
    Purge(Target),
    /// The oldest news arrive at the edge. Without this they are lost, or late.
    Deliver,
    /// Somebody who waits for an answer leaves.
    HangUp,
    /// One thing outside fails at once from now on.
    Break(Port),
    /// One thing outside never answers from now on.
    Stall(Port),
    /// Everything works again.
    Repair,
}

/// How far those who are under way get before the next thing happens.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// To the end.
    Settle,
    /// So many turns, which are given out at random.
    Turns(u8),
}

/// How the store behind the caches behaves. It loses things in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// What it knows, it knows at once.
    Prompt,
    /// It may answer as of a minute ago.
    Lagging,
}

/// A story.
#[derive(Clone, Debug)]
pub struct History {
    /// How the store behaves.
    pub store: Store,
    /// Decides everything that is left to chance: the order of turns, and what the store forgets.
    pub chance: u64,
    /// How much the isolate keeps of what it has read.
    pub memory_values: usize,
    /// What happens.
    pub steps: Vec<(Step, Then)>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "store {:?}, chance {}, memory {}",
            self.store, self.chance, self.memory_values
        )?;
        let mut steps = self.steps.iter();
        steps.try_for_each(|(step, then)| writeln!(f, "({step:?}, {then:?}),"))
    }
}

/// Stories of at most `length` steps.
pub fn histories(length: usize) -> impl Strategy<Value = History> {
    let store = prop_oneof![Just(Store::Prompt), Just(Store::Lagging)];
    let steps = vec((step(), then()), 1..=length);
    let memory = prop_oneof![Just(0), Just(2), Just(500)];
    (store, any::<u64>(), memory, steps).prop_map(|(store, chance, memory_values, steps)| History {
        store,
        chance,
        memory_values,
        steps,
    })
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        2 => Just(Then::Settle),
        1 => (0..24_u8).prop_map(Then::Turns),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let nth = || 0..8_usize;
    let (student, teacher) = (|| 1..=3_u8, || 1..=2_u8);
    prop_oneof![
        14 => question().prop_map(Step::Ask),
        4 => seconds().prop_map(|seconds| Step::Wait { seconds }),
        5 => upload(),
        1 => nth().prop_map(Step::Revise),
        1 => nth().prop_map(Step::Publish),
        2 => nth().prop_map(Step::Withdraw),
        1 => nth().prop_map(Step::Delete),
        3 => (student(), teacher()).prop_map(|(s, t)| Step::Enrol(s, t)),
        2 => (student(), teacher()).prop_map(|(s, t)| Step::Part(s, t)),
        2 => target().prop_map(Step::Purge),
        3 => Just(Step::Deliver),
        1 => Just(Step::HangUp),
        1 => port().prop_map(Step::Break),
        1 => port().prop_map(Step::Stall),
        2 => Just(Step::Repair),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let who = prop::sample::select(&PEOPLE[..]);
    let nth = || 0..8_usize;
    let within = prop_oneof![
        10 => Just(None),
        1 => nth().prop_map(|nth| Some(Within::Document(nth))),
        1 => nth().prop_map(|nth| Some(Within::OwnerOf(nth))),
    ];
    let form = prop_oneof![Just(Form::Events), Just(Form::Json)];
    (who, topic(), within, form).prop_map(|(who, topic, within, form)| Question {
        who,
        topic,
        within,
        form,
    })
}

fn upload() -> impl Strategy<Value = Step> {
    let owner = prop::sample::select(vec![Person::Teacher(1), Person::Teacher(2), Person::Admin]);
    let visibility = prop_oneof![
        2 => Just(Visibility::Private),
        1 => Just(Visibility::Public)
    ];
    (owner, topic(), visibility).prop_map(|(owner, topic, visibility)| Step::Upload {
        owner,
        topic,
        visibility,
    })
}

fn target() -> impl Strategy<Value = Target> {
    let owners = vec![Person::Teacher(1), Person::Teacher(2), Person::Admin];
    prop_oneof![
        2 => (0..3_u8).prop_map(Target::Answer),
        1 => prop::sample::select(&PEOPLE[..]).prop_map(Target::Reader),
        1 => prop::sample::select(owners).prop_map(Target::Owner),
        1 => Just(Target::Everything),
    ]
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof![
        3 => Just(Topic::Pedal),
        2 => Just(Topic::Scales),
        1 => Just(Topic::Wrist)
    ]
}

/// Around the bound, far below it, and beyond the lives of the other caches.
fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 1..40_u32,
        4 => 55..65_u32,
        1 => 66..400_u32,
        1 => Just(3_600_u32),
        1 => Just(86_400_u32),
    ]
}

fn port() -> impl Strategy<Value = Port> {
    prop::sample::select(vec![
        Port::Caches,
        Port::Embedder,
        Port::Reranker,
        Port::Scope,
        Port::Retrieve,
        Port::Purge,
        Port::Answer,
        Port::Telling,
        Port::Auth,
        Port::Limiter,
    ])
}
