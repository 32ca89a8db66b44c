//! A file is for those who may read its words, and its owner's and admins' alone before there are any.
//!
//! As in `access.rs`, two walls are tested apart: with the policies in force, and with policies that
//! let everything through.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::access::{DocumentAccess, Reader, may_open};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{DocumentStatus, Visibility},
    ids::DocumentId,
};
use sqlx::Executor;
use storage::{Error, documents};
use support::{Database, as_reader, fresh_id};

const STATES: [DocumentStatus; 5] = [
    DocumentStatus::Uploading,
    DocumentStatus::Queued,
    DocumentStatus::Processing,
    DocumentStatus::Ready,
    DocumentStatus::Failed,
];

struct School {
    db: Database,
    teacher: AccessClaims,
    people: Vec<(AccessClaims, Reader)>,
    documents: Vec<(DocumentId, DocumentAccess, DocumentStatus)>,
}

impl School {
    /// A teacher's documents, a private and a public one in each state, and everybody around: her
    /// student, a student turned colleague, another teacher and his student, and an admin.
    async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let other = db.person(Role::Teacher).await;
        let mut people = Vec::new();
        for (role, taught_by) in [
            (Role::Student, &teacher),
            (Role::Teacher, &teacher),
            (Role::Student, &other),
        ] {
            let person = db.person(role).await;
            db.link(taught_by, &person).await;
            people.push(as_reader(person, &[taught_by]));
        }
        let admin = db.person(Role::Admin).await;
        people.extend([
            as_reader(teacher.clone(), &[]),
            as_reader(other, &[]),
            as_reader(admin, &[]),
        ]);
        let mut documents = Vec::new();
        for status in STATES {
            for visibility in [Visibility::Private, Visibility::Public] {
                let id = db.announce(&teacher, visibility).await;
                put_into(&db, id, status).await;
                let access = DocumentAccess {
                    owner_id: teacher.sub,
                    visibility,
                };
                documents.push((id, access, status));
            }
        }
        Self {
            db,
            teacher,
            people,
            documents,
        }
    }

    async fn assert_the_rule_holds(&self) {
        for (person, reader) in &self.people {
            for (id, access, status) in &self.documents {
                let mut tx = self.db.reader(person).await;
                let opened = documents::open(&mut tx, *id).await;
                let is_open = match opened {
                    Ok(stored) => {
                        assert_eq!((stored.document.id, stored.document.status), (*id, *status));
                        true
                    }
                    Err(Error::NotFound) => false,
                    Err(error) => panic!("{error}"),
                };
                let expected = may_open(reader, access, *status);
                assert_eq!(is_open, expected, "{access:?} {status:?} for {reader:?}");
            }
        }
    }
}

async fn put_into(db: &Database, id: DocumentId, status: DocumentStatus) {
    let failure = (status == DocumentStatus::Failed).then_some("It has no text.");
    sqlx::query("update knowledge_base_docs set status = $2, failure = $3 where id = $1")
        .bind(id.0)
        .bind(status.as_str())
        .bind(failure)
        .execute(&db.owner)
        .await
        .unwrap();
}

#[tokio::test]
async fn in_every_state_a_file_is_for_those_whom_the_rule_names() {
    School::new().await.assert_the_rule_holds().await;
}

#[tokio::test]
async fn the_statement_states_the_rule_itself_where_policies_would_let_everything_through() {
    let school = School::new().await;
    school
        .db
        .owner
        .execute(
            "create policy open on knowledge_base_docs for select to authenticated using (true)",
        )
        .await
        .unwrap();
    school.assert_the_rule_holds().await;
}

#[tokio::test]
async fn a_file_is_closed_to_a_student_who_has_left_her_teacher() {
    let school = School::new().await;
    let (student, reader) = &school.people[0];
    let private = school.documents.iter().find(|(_, access, status)| {
        *status == DocumentStatus::Ready && access.visibility == Visibility::Private
    });
    let (id, access, status) = private.unwrap();
    assert!(may_open(reader, access, *status));
    let mut tx = school.db.reader(student).await;
    documents::open(&mut tx, *id).await.unwrap();
    drop(tx);

    sqlx::query("delete from teacher_student_relationships where student_id = $1")
        .bind(student.sub.0)
        .execute(&school.db.owner)
        .await
        .unwrap();
    let mut tx = school.db.reader(student).await;
    let closed = documents::open(&mut tx, *id).await;
    assert!(matches!(closed, Err(Error::NotFound)), "{closed:?}");
}

#[tokio::test]
async fn there_is_no_file_of_a_document_that_does_not_exist() {
    let school = School::new().await;
    let mut tx = school.db.reader(&school.teacher).await;
    let missing = documents::open(&mut tx, DocumentId(fresh_id())).await;
    assert!(matches!(missing, Err(Error::NotFound)), "{missing:?}");
}

/// Inserts a document as an origin does, and as one from before there were formats where `format` is none.
async fn announce(db: &Database, person: &AccessClaims, format: Option<&str>) -> DocumentId {
    let id = DocumentId(fresh_id());
    let mut tx = db.reader(person).await;
    let column = if format.is_some() { ", format" } else { "" };
    let value = if format.is_some() { ", $3" } else { "" };
    let insert = format!(
        "insert into knowledge_base_docs (id, owner_id, title, file_name, size_bytes, sha256{column}) \
         values ($1, $2, 'Scales', 'scales.pdf', 9, repeat('0a', 32){value})"
    );
    let mut insert = sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(id.0)
        .bind(person.sub.0);
    if let Some(format) = format {
        insert = insert.bind(format.to_owned());
    }
    insert.execute(tx.connection()).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_file_lies_where_the_origin_that_announced_it_puts_it_and_stays_there() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let admin = db.person(Role::Admin).await;
    let mut announced = Vec::new();
    for (person, format, is_base) in [
        (&teacher, Some("docx"), false),
        (&admin, Some("docx"), true),
        (&admin, None, false),
    ] {
        let id = announce(&db, person, format).await;
        announced.push((person, id, format.unwrap_or("pdf"), is_base));
    }
    sqlx::query("update users set role = 'teacher' where id = $1")
        .bind(admin.sub.0)
        .execute(&db.owner)
        .await
        .unwrap();
    for (person, id, format, is_base) in announced {
        let file = documents::get(&mut db.reader(person).await, id)
            .await
            .unwrap()
            .file;
        assert_eq!((file.format.as_str(), file.is_base), (format, is_base));
    }
}
