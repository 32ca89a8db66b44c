//! Every table, and who is to be shown and may change what of it.

use super::support::fresh_id;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A row as the owner of the tables sees it.
pub type Row = Value;

/// A table and who is to be shown what of it.
pub struct Table {
    pub name: &'static str,
    /// Tells its rows apart; made of columns that whoever reads any may read.
    pub key: &'static str,
    /// Whether a person is shown a row; none: people have no right to the table.
    pub people: Option<fn(&Person, &Row) -> bool>,
    /// Whether the ingest worker is shown all of it; otherwise it has no right to the table.
    pub ingest: bool,
    /// The columns that people and the ingest worker may read; none: all.
    pub columns: Option<(&'static [&'static str], &'static [&'static str])>,
    pub writes: &'static [Write],
}

/// A right to change rows.
pub struct Write {
    pub role: &'static str,
    pub verb: Verb,
    /// Which rows, of those that are there.
    pub rows: fn(&Person, &Row) -> bool,
}

#[derive(Clone, Copy)]
pub enum Verb {
    /// Of these columns.
    Update(&'static [&'static str]),
    Delete,
    /// With these columns; none: all.
    Insert(Option<&'static [&'static str]>),
}

/// What the claims say, and who teaches whom.
pub struct Person {
    pub id: Uuid,
    pub role: &'static str,
    /// The address that the person signed in with.
    pub email: String,
    pub teachers: BTreeSet<Uuid>,
    pub students: BTreeSet<Uuid>,
    /// Who has sent an invitation to this address.
    pub invited_by: BTreeSet<Uuid>,
}

impl Person {
    /// Somebody whom the database does not know.
    pub fn unknown(role: &'static str) -> Self {
        Self {
            id: fresh_id(),
            role,
            email: "nobody@example.com".into(),
            teachers: BTreeSet::new(),
            students: BTreeSet::new(),
            invited_by: BTreeSet::new(),
        }
    }

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

    /// Sent by the person, or to the person as a student.
    fn has_invitation(&self, row: &Row) -> bool {
        self.is(row, "teacher_id") || self.role == "student" && row["email"] == json!(self.email)
    }

    fn reads_corpus(&self, row: &Row) -> bool {
        row["is_public"] == json!(true) || self.reads_private(id(row, "owner_id").unwrap())
    }
}

pub fn id(row: &Row, column: &str) -> Option<Uuid> {
    row[column].as_str().map(|text| text.parse().unwrap())
}

pub const ALL: fn(&Person, &Row) -> bool = |_, _| true;

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

pub const TABLES: &[Table] = &[
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
        name: "chat_answers",
        key: "message_id::text",
        // All of them are of documents and teachers that their people may read: `storage/tests/conversations.rs` plays
        // the others.
        people: Some(|person, row| person.is(row, "user_id")),
        ingest: false,
        columns: None,
        writes: &[Write {
            role: "authenticated",
            verb: Verb::Insert(None),
            rows: ALL,
        }],
    },
    Table {
        name: "chat_messages",
        key: "id::text",
        people: Some(|person, row| person.is(row, "user_id")),
        ingest: false,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Update(&["finish_reason", "answered_at", "shares_name"]),
                rows: |person, row| person.is(row, "user_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&[
                    "id",
                    "session_id",
                    "user_id",
                    "number",
                    "asked",
                    "question",
                    "normalised",
                ])),
                rows: ALL,
            },
        ],
    },
    Table {
        name: "chat_sessions",
        key: "id::text",
        people: Some(|person, row| person.is(row, "user_id")),
        ingest: false,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Update(&["title", "message_count", "last_asked_at"]),
                rows: |person, row| person.is(row, "user_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Delete,
                rows: |person, row| person.is(row, "user_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&["id", "user_id", "title"])),
                rows: ALL,
            },
        ],
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
        name: "curated_answers",
        key: "id::text",
        people: Some(|person, row| {
            let teacher = id(row, "teacher_id").unwrap();
            person.id == teacher || person.role == "student" && person.teachers.contains(&teacher)
        }),
        ingest: true,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Delete,
                rows: |person, row| person.is(row, "teacher_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&["id", "teacher_id", "question", "answer"])),
                rows: ALL,
            },
            Write {
                role: "etude_ingest",
                verb: Verb::Update(&["embedding", "embedding_model"]),
                rows: ALL,
            },
        ],
    },
    Table {
        name: "discarded_files",
        key: "doc_id::text",
        people: None,
        ingest: true,
        columns: None,
        writes: &[
            Write {
                role: "etude_ingest",
                verb: Verb::Update(&["due_at"]),
                rows: ALL,
            },
            Write {
                role: "etude_ingest",
                verb: Verb::Delete,
                rows: ALL,
            },
        ],
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
                "handed_back",
            ]),
            rows: ALL,
        }],
    },
    Table {
        name: "invitation_uses",
        key: "concat_ws(' ', invitation_id, student_id)",
        people: None,
        ingest: false,
        columns: None,
        writes: &[],
    },
    Table {
        name: "invitations",
        key: "id::text",
        people: Some(|person, row| person.role == "admin" || person.has_invitation(row)),
        ingest: false,
        columns: Some((
            &[
                "id",
                "teacher_id",
                "email",
                "places",
                "created_at",
                "expires_at",
            ],
            &[],
        )),
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Delete,
                rows: Person::has_invitation,
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&[
                    "id",
                    "teacher_id",
                    "email",
                    "code_sha256",
                    "places",
                ])),
                rows: ALL,
            },
        ],
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
                verb: Verb::Update(&["title", "is_public", "upload_id"]),
                rows: |person, row| person.uploads() && person.is(row, "owner_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Delete,
                rows: |person, row| person.is(row, "owner_id") || person.role == "admin",
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
                    "format",
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
                    "scanned_pages",
                    "scan_confidence",
                    "unreadable_pages",
                    "charset",
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
        name: "message_feedback",
        key: "message_id::text",
        people: Some(|person, row| person.is(row, "user_id")),
        ingest: false,
        columns: None,
        writes: &[
            Write {
                role: "authenticated",
                verb: Verb::Update(&["is_helpful", "reason", "given_at"]),
                rows: |person, row| person.is(row, "user_id"),
            },
            Write {
                role: "authenticated",
                verb: Verb::Insert(Some(&["message_id", "user_id", "is_helpful", "reason"])),
                rows: ALL,
            },
        ],
    },
    Table {
        name: "model_usage",
        key: "concat_ws(' ', user_id, day)",
        people: Some(|person, row| person.role == "admin" || person.is(row, "user_id")),
        ingest: false,
        columns: None,
        writes: &[],
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
        writes: &[Write {
            role: "authenticated",
            verb: Verb::Delete,
            rows: |person, row| {
                person.role == "teacher" && person.is(row, "teacher_id")
                    || person.role == "student" && person.is(row, "student_id")
            },
        }],
    },
    Table {
        name: "users",
        key: "id::text",
        people: Some(|person, row| {
            let other = id(row, "id").unwrap();
            person.id == other
                || person.role == "admin"
                || person.role == "teacher" && person.students.contains(&other)
                || person.role == "student"
                    && (person.teachers.contains(&other) || person.invited_by.contains(&other))
        }),
        ingest: true,
        columns: Some((&["id", "role", "full_name", "created_at"], &["id", "role"])),
        writes: &[],
    },
];
