//! A school in which every table has rows, and everybody who may send a statement to it.

use super::{
    support::{Database, LEASE, embedding, fresh_id},
    tables::{ALL, Person, Row, TABLES, Table},
};
use serde_json::json;
use shared_types::{
    cache::StoredAnswer,
    chat::{FinishReason, Usage},
    claims::{AccessClaims, Role},
    conversation::Answered,
    documents::Visibility,
    feedback::{Feedback, Rating},
    ids::{ChatSessionId, CuratedAnswerId, InvitationId, MessageId, RequestId},
    purge::{PurgeRequest, PurgeTarget},
};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use storage::{
    Error, conversations, curated, documents, feedback,
    invitations::{self, Way},
    jobs::{self, Failure},
    purges,
    reembedding::{self, Place},
    usage,
};

/// Who sends a statement.
pub struct Caller {
    pub name: &'static str,
    pub role: &'static str,
    pub person: Option<Person>,
}

/// What a statement came to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Refused,
    Rows(BTreeSet<String>),
}

/// A school in which every table has rows, for every relation between people that a policy knows.
pub struct School {
    pub db: Database,
    pub callers: Vec<Caller>,
    /// Every row of every table, by its key.
    pub rows: BTreeMap<&'static str, BTreeMap<String, Row>>,
    /// The columns of every table, generated ones apart.
    pub columns: BTreeMap<&'static str, Vec<String>>,
}

impl School {
    pub async fn new() -> Self {
        let db = Database::new().await;
        let callers = populate(&db).await;
        let mut rows = BTreeMap::new();
        let mut columns = BTreeMap::new();
        for name in tables(&db).await {
            let table = TABLES.iter().find(|table| table.name == name);
            let table = table.unwrap_or_else(|| panic!("nothing is said here of {name}"));
            // What is wide and decides nothing is left out.
            let statement = format!(
                "select {}, to_jsonb(t) - '{{embedding,signs,postings}}'::text[] from {name} t",
                table.key
            );
            let all: Vec<(String, Row)> = sqlx::query_as(AssertSqlSafe(statement))
                .fetch_all(&db.owner)
                .await
                .unwrap();
            assert!(!all.is_empty(), "no row is kept from anybody in {name}");
            let total = all.len();
            let all: BTreeMap<_, _> = all.into_iter().collect();
            assert_eq!(all.len(), total, "the key tells the rows of {name} apart");
            rows.insert(table.name, all);
            columns.insert(table.name, columns_of(&db, &name).await);
        }
        assert_eq!(rows.len(), TABLES.len(), "a table is gone");
        Self {
            db,
            callers,
            rows,
            columns,
        }
    }

    /// Sends one statement, which returns a text for each row, and takes it back.
    pub async fn send(&self, caller: &Caller, statement: String) -> Outcome {
        let mut tx = self.acting_as(caller).await;
        match sqlx::query_scalar(AssertSqlSafe(statement.clone()))
            .fetch_all(&mut *tx)
            .await
            .map_err(Error::from)
        {
            Ok(keys) => Outcome::Rows(keys.into_iter().collect()),
            Err(Error::Forbidden) => Outcome::Refused,
            Err(error) => panic!("{statement}, as {}: {error:?}", caller.name),
        }
    }

    pub async fn acting_as(&self, caller: &Caller) -> Transaction<'static, Postgres> {
        let claims = caller.person.as_ref().map(|person| {
            json!({
                "sub": person.id,
                "role": "authenticated",
                "app_metadata": { "role": person.role },
                "email": person.email,
                // What a person may write about himself gives no rights.
                "user_metadata": { "role": "admin" },
            })
        });
        let mut tx = self.db.owner.begin().await.unwrap();
        sqlx::query(
            "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)",
        )
        .bind(caller.role)
        .bind(claims.map_or_else(String::new, |claims| claims.to_string()))
        .execute(&mut *tx)
        .await
        .unwrap();
        tx
    }

    pub fn rows_where(
        &self,
        caller: &Caller,
        table: &Table,
        rule: fn(&Person, &Row) -> bool,
    ) -> Outcome {
        let nobody = Person::unknown("");
        let person = caller.person.as_ref();
        let shown = self.rows[table.name].iter().filter(|(_, row)| {
            let is_anybody = person.is_some() || caller.role == "etude_ingest";
            is_anybody && rule(person.unwrap_or(&nobody), row)
        });
        Outcome::Rows(shown.map(|(key, _)| key.clone()).collect())
    }

    /// What the caller is to be shown of a table.
    pub fn expected(&self, caller: &Caller, table: &Table) -> Outcome {
        let rule = match caller.role {
            "authenticated" => table.people,
            "etude_ingest" => table.ingest.then_some(ALL),
            _ => None,
        };
        rule.map_or(Outcome::Refused, |rule| {
            self.rows_where(caller, table, rule)
        })
    }
}

async fn tables(db: &Database) -> Vec<String> {
    sqlx::query_scalar(
        "select relname::text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') \
         order by relname",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap()
}

async fn columns_of(db: &Database, table: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select attname::text from pg_attribute \
         where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' \
         order by attnum",
    )
    .bind(table)
    .fetch_all(&db.owner)
    .await
    .unwrap()
}

/// Two teachers who share a student and have one each, people whose claims have changed since, and
/// people whom the database does not know.
/// A document of each, deleted.
async fn discard(db: &Database, owners: [&AccessClaims; 2]) {
    for owner in owners {
        let id = db.announce(owner, Visibility::Private).await;
        let mut tx = db.reader(owner).await;
        documents::delete(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn populate(db: &Database) -> Vec<Caller> {
    let (first, second) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let (admin, demoted) = (db.person(Role::Admin).await, db.person(Role::Teacher).await);
    let (own, shared, alone) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    let graduate = db.person(Role::Teacher).await;
    let links = [
        (&first, &own),
        (&first, &shared),
        (&second, &shared),
        (&first, &graduate),
        (&demoted, &alone),
    ];
    for (teacher, student) in links {
        db.link(teacher, student).await;
    }
    write(db, [&first, &demoted], [&second, &admin]).await;
    discard(db, [&first, &admin]).await;
    let invited = [(&second, &alone), (&demoted, &own), (&first, &graduate)];
    for (teacher, student) in invited {
        invite(db, teacher, Way::Address(student.email.as_deref().unwrap())).await;
    }
    share_code(db, &first, &own).await;
    curate(db, [&first, &second, &demoted]).await;
    converse(db, [&first, &own, &shared, &admin]).await;
    purge(
        db,
        &admin,
        [
            PurgeTarget::User(own.sub),
            PurgeTarget::User(first.sub),
            PurgeTarget::Teacher(second.sub),
            PurgeTarget::Answer("ab".repeat(32).parse().unwrap()),
            PurgeTarget::Everything,
        ],
    )
    .await;

    let taught = |claims: &AccessClaims, role| {
        let teachers = links
            .iter()
            .filter(|(_, student)| student.sub == claims.sub);
        let students = links
            .iter()
            .filter(|(teacher, _)| teacher.sub == claims.sub);
        Person {
            id: claims.sub.0,
            role,
            email: claims.email.clone().unwrap(),
            invited_by: invited
                .iter()
                .filter(|(_, student)| student.sub == claims.sub)
                .map(|(teacher, _)| teacher.sub.0)
                .collect(),
            teachers: teachers.map(|(teacher, _)| teacher.sub.0).collect(),
            students: students.map(|(_, student)| student.sub.0).collect(),
        }
    };
    let people = [
        ("the first teacher", taught(&first, "teacher")),
        ("the second teacher", taught(&second, "teacher")),
        ("a teacher who was a student", taught(&graduate, "teacher")),
        ("a student who was a teacher", taught(&demoted, "student")),
        ("the first teacher's student", taught(&own, "student")),
        ("the student of both", taught(&shared, "student")),
        ("a student of a former teacher", taught(&alone, "student")),
        ("the admin", taught(&admin, "admin")),
        (
            "a teacher with a role of no meaning",
            taught(&first, "root"),
        ),
        ("a teacher without a role", taught(&first, "")),
        ("a student who was deleted", Person::unknown("student")),
        ("a teacher who was deleted", Person::unknown("teacher")),
    ];
    let caller = |name, role, person| Caller { name, role, person };
    let mut callers: Vec<Caller> = people
        .into_iter()
        .map(|(name, person)| caller(name, "authenticated", Some(person)))
        .collect();
    callers.extend([
        caller("somebody who is not signed in", "anon", None),
        caller("somebody signed in without claims", "authenticated", None),
        caller("the origin without a person", "etude_origin", None),
        caller("the ingest worker", "etude_ingest", None),
    ]);
    // Claims are nothing without the role that they are read in.
    for role in ["anon", "etude_origin"] {
        callers.push(caller(
            "the admin's claims",
            role,
            Some(taught(&admin, "admin")),
        ));
    }
    callers
}

async fn invite(db: &Database, teacher: &AccessClaims, way: Way<'_>) {
    let mut tx = db.reader(teacher).await;
    invitations::create(&mut tx, InvitationId(fresh_id()), way)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// A conversation of each, with a question that was answered and one that was not, and what that used.
async fn converse(db: &Database, people: [&AccessClaims; 4]) {
    for person in people {
        converse_as(db, person).await;
    }
}

/// An answer of each teacher's own.
async fn curate(db: &Database, teachers: [&AccessClaims; 3]) {
    for teacher in teachers {
        curate_as(db, teacher).await;
    }
}

async fn converse_as(db: &Database, person: &AccessClaims) {
    let session = ChatSessionId(fresh_id());
    let mut tx = db.reader(person).await;
    conversations::create(&mut tx, session, "").await.unwrap();
    for is_answered in [true, false] {
        let id = MessageId(fresh_id());
        let question = conversations::Question {
            id,
            asked: "What is legato?",
            question: "What is legato?",
            normalised: "what is legato?",
            title: "Legato",
        };
        conversations::ask(&mut tx, session, &question)
            .await
            .unwrap();
        if is_answered {
            let answered = Answered {
                answer: StoredAnswer {
                    pieces: Vec::new(),
                    confidence: 0.1,
                    finish_reason: FinishReason::NotCovered,
                    usage: Usage::default(),
                    curated_by: None,
                },
                sources: Vec::new(),
            };
            conversations::answered(&mut tx, id, &answered)
                .await
                .unwrap();
            let feedback = Feedback {
                rating: Rating::Down,
                reason: Some("No answer.".into()),
                shares_name: false,
            };
            feedback::give(&mut tx, id, &feedback).await.unwrap();
            usage::record(&mut tx, &Usage::default()).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

async fn curate_as(db: &Database, teacher: &AccessClaims) {
    let mut tx = db.reader(teacher).await;
    let new = curated::New {
        id: CuratedAnswerId(fresh_id()),
        question: "what is legato?",
        answer: "Joined.",
    };
    curated::create(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
}

/// An invitation by a code, which the student has accepted.
async fn share_code(db: &Database, teacher: &AccessClaims, student: &AccessClaims) {
    let digest = &"5e".repeat(32);
    invite(db, teacher, Way::Code { digest, places: 30 }).await;
    sqlx::query(
        "insert into invitation_uses (invitation_id, student_id) \
         select id, $1 from invitations where email is null",
    )
    .bind(student.sub.0)
    .execute(&db.owner)
    .await
    .unwrap();
}

/// Documents in every state, and the vectors of another model beside some of them.
async fn write(db: &Database, in_all_states: [&AccessClaims; 2], ready: [&AccessClaims; 2]) {
    for owner in in_all_states.iter().chain(&ready) {
        for visibility in [Visibility::Private, Visibility::Public] {
            db.ready(owner, visibility, &["Curve the fingers.", "Sit upright."])
                .await;
        }
    }
    reembedding::begin(&db.ingest, "@test/another", "cls")
        .await
        .unwrap();
    let bare = reembedding::bare(&db.ingest, Place::START, 100).await;
    let embedded: Vec<_> = bare
        .unwrap()
        .into_iter()
        .map(|bare| {
            let embedding = embedding(&bare.content);
            (bare, embedding)
        })
        .collect();
    reembedding::store(&db.ingest, "@test/another#cls", &embedded)
        .await
        .unwrap();
    for owner in in_all_states {
        for visibility in [Visibility::Private, Visibility::Public] {
            db.queue(owner, visibility).await;
            let job = jobs::claim(&db.ingest, "a worker", LEASE).await.unwrap();
            let reason = "no text";
            jobs::fail(&db.ingest, &job.unwrap().lease, Failure::ForGood { reason })
                .await
                .unwrap();
            db.announce(owner, visibility).await;
        }
    }
    for owner in in_all_states {
        db.queue(owner, Visibility::Public).await;
    }
}

async fn purge(db: &Database, admin: &AccessClaims, targets: [PurgeTarget; 5]) {
    for target in targets {
        let request = PurgeRequest {
            target,
            reason: "a misprint".into(),
        };
        let mut tx = db.reader(admin).await;
        purges::record(&mut tx, &request, RequestId(fresh_id()))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}
