//! Row-level security is the last wall: statements without any condition, through every table, as
//! every role.
//!
//! The tables come from the catalogue, so one that is added and not described here fails. What each
//! caller is to be shown is worked out here, from the rows that the owner of the tables sees.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::RequestId,
    purge::{PurgeRequest, PurgeTarget},
};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use storage::{
    Error,
    jobs::{self, Failure},
    purges,
    reembedding::{self, Place},
};
use support::{Database, LEASE, embedding, fresh_id};
use uuid::Uuid;

/// A row as the owner of the tables sees it.
type Row = Value;

/// A table and who is to be shown what of it.
struct Table {
    name: &'static str,
    /// Tells its rows apart; made of columns that whoever reads any may read.
    key: &'static str,
    /// Whether a person is shown a row; none: people have no right to the table.
    people: Option<fn(&Person, &Row) -> bool>,
    /// Whether the ingest worker is shown all of it; otherwise it has no right to the table.
    ingest: bool,
    /// The columns that people and the ingest worker may read; none: all.
    columns: Option<(&'static [&'static str], &'static [&'static str])>,
    writes: &'static [Write],
}

/// A right to change rows.
struct Write {
    role: &'static str,
    verb: Verb,
    /// Which rows, of those that are there.
    rows: fn(&Person, &Row) -> bool,
}

#[derive(Clone, Copy)]
enum Verb {
    /// Of these columns.
    Update(&'static [&'static str]),
    Delete,
    /// With these columns; none: all.
    Insert(Option<&'static [&'static str]>),
}

/// What the claims say, and who teaches whom.
struct Person {
    id: Uuid,
    role: &'static str,
    teachers: BTreeSet<Uuid>,
    students: BTreeSet<Uuid>,
}

impl Person {
    fn is(&self, row: &Row, column: &str) -> bool {
        id(row, column) == Some(self.id)
    }

    fn uploads(&self) -> bool {
        ["teacher", "admin"].contains(&self.role)
    }

    /// The access rule for what is searchable and private.
    fn reads_private(&self, owner: Uuid) -> bool {
        self.id == owner
            || self.role == "admin"
            || self.role == "student" && self.teachers.contains(&owner)
    }

    fn reads_corpus(&self, row: &Row) -> bool {
        row["is_public"] == json!(true) || self.reads_private(id(row, "owner_id").unwrap())
    }
}

fn id(row: &Row, column: &str) -> Option<Uuid> {
    row[column].as_str().map(|text| text.parse().unwrap())
}

const ALL: fn(&Person, &Row) -> bool = |_, _| true;

const REPLACES: &[Write] = &[
    Write {
        role: "etude_ingest",
        verb: Verb::Delete,
        rows: ALL,
    },
    Write {
        role: "etude_ingest",
        verb: Verb::Insert(None),
        rows: ALL,
    },
];

const TABLES: &[Table] = &[
    Table {
        name: "_sqlx_migrations",
        key: "version::text",
        people: None,
        ingest: false,
        columns: None,
        writes: &[],
    },
    Table {
        name: "cache_purges",
        key: "number::text",
        people: Some(|person, _| person.role == "admin"),
        ingest: false,
        columns: None,
        writes: &[Write {
            role: "authenticated",
            verb: Verb::Insert(Some(&[
                "target",
                "person_id",
                "answer_id",
                "reason",
                "request_id",
            ])),
            rows: ALL,
        }],
    },
    Table {
        name: "corpus_versions",
        key: "coalesce(owner_id::text, 'public')",
        people: Some(|person, row| {
            id(row, "owner_id").is_none_or(|owner| person.reads_private(owner))
        }),
        ingest: false,
        columns: None,
        writes: &[],
    },
    Table {
        name: "document_chunks",
        key: "id::text",
        people: Some(Person::reads_corpus),
        ingest: true,
        columns: None,
        writes: REPLACES,
    },
    Table {
        name: "document_postings",
        key: "concat_ws(' ', stem, doc_id, block)",
        people: Some(Person::reads_corpus),
        ingest: true,
        columns: None,
        writes: REPLACES,
    },
    Table {
        name: "embedding_models",
        key: "name",
        people: Some(|_, _| true),
        ingest: true,
        columns: None,
        writes: &[Write {
            role: "etude_ingest",
            verb: Verb::Insert(Some(&["model", "pooling", "status", "shelf", "live_since"])),
            rows: ALL,
        }],
    },
    Table {
        name: "ingest_jobs",
        key: "id::text",
        people: None,
        ingest: true,
        columns: None,
        writes: &[Write {
            role: "etude_ingest",
            verb: Verb::Update(&[
                "state",
                "attempts",
                "run_after",
                "worker",
                "heartbeat_at",
                "lease_expires_at",
                "reason",
                "finished_at",
            ]),
            rows: ALL,
        }],
    },
    Table {
        name: "knowledge_base_docs",
        key: "id::text",
        people: Some(|person, row| {
            person.is(row, "owner_id")
                || person.role == "admin"
                || row["status"] == json!("ready") && person.reads_corpus(row)
        }),
        ingest: true,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Update(&["title", "is_public"]),
                rows: |person, row| person.uploads() && person.is(row, "owner_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&[
                    "id",
                    "owner_id",
                    "title",
                    "file_name",
                    "size_bytes",
                    "sha256",
                    "is_public",
                ])),
                rows: ALL,
            },
            Write {
                role: "etude_ingest",
                verb: Verb::Update(&[
                    "status",
                    "stage",
                    "progress_done",
                    "progress_total",
                    "page_count",
                    "chunk_count",
                    "stem_count",
                    "failure",
                    "ready_at",
                ]),
                rows: ALL,
            },
        ],
    },
    Table {
        name: "purge_generations",
        key: "concat_ws(' ', target, person_id, answer_id)",
        people: Some(|person, row| row["target"] != json!("user") || person.is(row, "person_id")),
        ingest: false,
        columns: None,
        writes: &[],
    },
    Table {
        name: "standby_document_chunks",
        key: "id::text",
        people: Some(Person::reads_corpus),
        ingest: true,
        columns: None,
        writes: REPLACES,
    },
    Table {
        name: "teacher_student_relationships",
        key: "concat_ws(' ', teacher_id, student_id)",
        people: Some(|person, row| {
            person.role == "admin" || person.is(row, "teacher_id") || person.is(row, "student_id")
        }),
        ingest: true,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Delete,
                rows: |person, row| person.role == "teacher" && person.is(row, "teacher_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&["teacher_id", "student_id"])),
                rows: ALL,
            },
        ],
    },
    Table {
        name: "users",
        key: "id::text",
        people: Some(|person, row| {
            let other = id(row, "id").unwrap();
            person.id == other
                || person.role == "admin"
                || person.role == "teacher" && person.students.contains(&other)
                || person.role == "student" && person.teachers.contains(&other)
        }),
        ingest: true,
        columns: Some((&["id", "role", "full_name", "created_at"], &["id", "role"])),
        writes: &[],
    },
];

/// Who sends a statement.
struct Caller {
    name: &'static str,
    role: &'static str,
    person: Option<Person>,
}

/// What a statement came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused,
    Rows(BTreeSet<String>),
}

/// A school in which every table has rows, for every relation between people that a policy knows.
struct School {
    db: Database,
    callers: Vec<Caller>,
    /// Every row of every table, by its key.
    rows: BTreeMap<&'static str, BTreeMap<String, Row>>,
    /// The columns of every table, generated ones apart.
    columns: BTreeMap<&'static str, Vec<String>>,
}

impl School {
    async fn new() -> Self {
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
    async fn send(&self, caller: &Caller, statement: String) -> Outcome {
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

    async fn acting_as(&self, caller: &Caller) -> Transaction<'static, Postgres> {
        let claims = caller.person.as_ref().map(|person| {
            json!({
                "sub": person.id,
                "role": "authenticated",
                "app_metadata": { "role": person.role },
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

    fn rows_where(
        &self,
        caller: &Caller,
        table: &Table,
        rule: fn(&Person, &Row) -> bool,
    ) -> Outcome {
        let nobody = Person {
            id: Uuid::nil(),
            role: "",
            teachers: BTreeSet::new(),
            students: BTreeSet::new(),
        };
        let person = caller.person.as_ref();
        let shown = self.rows[table.name].iter().filter(|(_, row)| {
            let is_anybody = person.is_some() || caller.role == "etude_ingest";
            is_anybody && rule(person.unwrap_or(&nobody), row)
        });
        Outcome::Rows(shown.map(|(key, _)| key.clone()).collect())
    }

    /// What the caller is to be shown of a table.
    fn expected(&self, caller: &Caller, table: &Table) -> Outcome {
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
    for owner in [&first, &second, &admin, &demoted] {
        for visibility in [Visibility::Private, Visibility::Public] {
            db.ready(owner, visibility, &["Curve the fingers.", "Sit upright."])
                .await;
        }
    }
    reembedding::begin(&db.ingest, "@test/another", "cls")
        .await
        .unwrap();
    let bare = reembedding::bare(&db.ingest, Place::START, 100)
        .await
        .unwrap();
    let embedded: Vec<_> = bare
        .into_iter()
        .map(|bare| {
            let embedding = embedding(&bare.content);
            (bare, embedding)
        })
        .collect();
    reembedding::store(&db.ingest, "@test/another#cls", &embedded)
        .await
        .unwrap();
    for owner in [&first, &demoted] {
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
    for owner in [&first, &second] {
        db.queue(owner, Visibility::Public).await;
    }
    for target in [
        PurgeTarget::User(own.sub),
        PurgeTarget::User(first.sub),
        PurgeTarget::Teacher(second.sub),
        PurgeTarget::Answer("ab".repeat(32).parse().unwrap()),
        PurgeTarget::Everything,
    ] {
        let request = PurgeRequest {
            target,
            reason: "a misprint".into(),
        };
        let mut tx = db.reader(&admin).await;
        purges::record(&mut tx, &request, RequestId(fresh_id()))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    let person = |claims: &AccessClaims, role| Person {
        id: claims.sub.0,
        role,
        teachers: links
            .iter()
            .filter(|(_, student)| student.sub == claims.sub)
            .map(|(teacher, _)| teacher.sub.0)
            .collect(),
        students: links
            .iter()
            .filter(|(teacher, _)| teacher.sub == claims.sub)
            .map(|(_, student)| student.sub.0)
            .collect(),
    };
    let unknown = |role| Person {
        id: fresh_id(),
        role,
        teachers: BTreeSet::new(),
        students: BTreeSet::new(),
    };
    let people = [
        ("the first teacher", person(&first, "teacher")),
        ("the second teacher", person(&second, "teacher")),
        ("a teacher who was a student", person(&graduate, "teacher")),
        ("a student who was a teacher", person(&demoted, "student")),
        ("the first teacher's student", person(&own, "student")),
        ("the student of both", person(&shared, "student")),
        ("a student of a former teacher", person(&alone, "student")),
        ("the admin", person(&admin, "admin")),
        (
            "a teacher with a role of no meaning",
            person(&first, "root"),
        ),
        ("a teacher without a role", person(&first, "")),
        ("a student who was deleted", unknown("student")),
        ("a teacher who was deleted", unknown("teacher")),
    ];
    let mut callers: Vec<Caller> = people
        .into_iter()
        .map(|(name, person)| Caller {
            name,
            role: "authenticated",
            person: Some(person),
        })
        .collect();
    for (name, role) in [
        ("somebody who is not signed in", "anon"),
        ("somebody signed in without claims", "authenticated"),
        ("the origin without a person", "etude_origin"),
        ("the ingest worker", "etude_ingest"),
    ] {
        let person = None;
        callers.push(Caller { name, role, person });
    }
    // Claims are nothing without the role that they are read in.
    for role in ["anon", "etude_origin"] {
        callers.push(Caller {
            name: "the admin's claims in another role",
            role,
            person: Some(person(&admin, "admin")),
        });
    }
    callers
}

#[tokio::test]
async fn a_select_without_a_condition_shows_exactly_what_the_caller_may_read() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let statement = format!("select {} from {}", table.key, table.name);
            assert_eq!(
                school.send(caller, statement).await,
                school.expected(caller, table),
                "{} as {} ({})",
                table.name,
                caller.name,
                caller.role
            );
        }
    }
}

#[tokio::test]
async fn a_column_is_shown_to_those_alone_who_may_read_it() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let of_role = table.columns.map(|(people, ingest)| match caller.role {
                "etude_ingest" => ingest,
                _ => people,
            });
            let may_read_any = school.expected(caller, table) != Outcome::Refused;
            for column in &school.columns[table.name] {
                let statement = format!("select {column}::text from {} limit 0", table.name);
                let may_read =
                    may_read_any && of_role.is_none_or(|names| names.contains(&column.as_str()));
                assert_eq!(
                    school.send(caller, statement).await != Outcome::Refused,
                    may_read,
                    "{}.{column} as {} ({})",
                    table.name,
                    caller.name,
                    caller.role
                );
            }
        }
    }
}

#[tokio::test]
async fn a_change_without_a_condition_changes_exactly_what_the_caller_may_change() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let allowed = |column: Option<&str>| {
                let write = table.writes.iter().find(|write| {
                    write.role == caller.role
                        && match (write.verb, column) {
                            (Verb::Update(columns), Some(column)) => columns.contains(&column),
                            (Verb::Delete, None) => true,
                            _ => false,
                        }
                });
                write.map_or(Outcome::Refused, |write| {
                    school.rows_where(caller, table, write.rows)
                })
            };
            let what = |verb: &str| {
                let Caller { name, role, .. } = caller;
                format!("{verb} in {} as {name} ({role})", table.name)
            };
            // Without a right to read there is nothing to return.
            let key = match school.expected(caller, table) {
                Outcome::Refused => "'a row'",
                Outcome::Rows(_) => table.key,
            };
            for column in &school.columns[table.name] {
                let statement = format!(
                    "update {} set {column} = default returning {key}",
                    table.name
                );
                let statement = match allowed(Some(column)) {
                    Outcome::Refused => statement,
                    // Keeps every constraint.
                    Outcome::Rows(_) => statement.replace("default", column),
                };
                assert_eq!(
                    school.send(caller, statement).await,
                    allowed(Some(column)),
                    "{}",
                    what(&format!("an update of {column}"))
                );
            }
            let statement = format!("delete from {} returning {key}", table.name);
            assert_eq!(
                school.send(caller, statement).await,
                allowed(None),
                "{}",
                what("a deletion")
            );
        }
    }
}

#[tokio::test]
async fn an_insertion_names_no_column_that_is_not_the_callers_to_fill() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let granted = table.writes.iter().find_map(|write| match write.verb {
                Verb::Insert(columns) if write.role == caller.role => Some(columns),
                _ => None,
            });
            for column in &school.columns[table.name] {
                let is_granted =
                    granted.is_some_and(|c| c.is_none_or(|c| c.contains(&column.as_str())));
                if is_granted {
                    continue;
                }
                let statement = format!(
                    "insert into {} ({column}) values (default) returning 'a row'",
                    table.name
                );
                assert_eq!(
                    school.send(caller, statement).await,
                    Outcome::Refused,
                    "{}.{column} as {} ({})",
                    table.name,
                    caller.name,
                    caller.role
                );
            }
        }
    }
}

#[tokio::test]
async fn nobody_inserts_in_the_name_of_another() {
    let school = School::new().await;
    let known: BTreeSet<Uuid> = school.rows["users"]
        .values()
        .filter_map(|row| id(row, "id"))
        .collect();
    let pupil = Uuid::from_u128(u128::MAX);
    sqlx::query("insert into auth.users (id) values ($1)")
        .bind(pupil)
        .execute(&school.db.owner)
        .await
        .unwrap();
    for caller in &school.callers {
        let person = caller
            .person
            .as_ref()
            .filter(|_| caller.role == "authenticated");
        let is = |id: Uuid| person.is_some_and(|person| person.id == id);
        let has = |roles: &[&str]| person.is_some_and(|person| roles.contains(&person.role));
        for &other in &known {
            let document = format!(
                "insert into knowledge_base_docs (id, owner_id, title, file_name, size_bytes, sha256) \
                 values ('{}', '{other}', 't', 'f', 1, repeat('0', 64))",
                fresh_id()
            );
            let link = format!(
                "insert into teacher_student_relationships (teacher_id, student_id) \
                 values ('{other}', '{pupil}')"
            );
            let purge = format!(
                "insert into cache_purges (target, person_id, reason, request_id) \
                 values ('user', '{other}', 'r', '{pupil}')"
            );
            for (statement, is_allowed) in [
                (document, has(&["teacher", "admin"]) && is(other)),
                (link, has(&["teacher"]) && is(other)),
                (purge, has(&["admin"])),
            ] {
                let mut tx = school.acting_as(caller).await;
                let done = sqlx::query(AssertSqlSafe(statement.clone()))
                    .execute(&mut *tx)
                    .await
                    .map_err(Error::from);
                let is_right = match &done {
                    Ok(_) => is_allowed,
                    Err(error) => !is_allowed && matches!(error, Error::Forbidden),
                };
                assert!(is_right, "{statement} as {}: {done:?}", caller.name);
            }
        }
    }
}
