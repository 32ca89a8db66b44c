//! The facts behind a scope version change with everything that a person may read.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::scope::{ScopeFacts, scope_version};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
};
use storage::{documents, people, scope};
use support::Database;

async fn facts(db: &Database, person: &AccessClaims) -> ScopeFacts {
    scope::facts(&mut db.reader(person).await).await.unwrap()
}

/// A teacher with her student, a colleague, a student of nobody, and an admin.
async fn school(db: &Database) -> [AccessClaims; 5] {
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    let colleague = db.person(Role::Teacher).await;
    let stranger = db.person(Role::Student).await;
    let admin = db.person(Role::Admin).await;
    [teacher, student, colleague, stranger, admin]
}

#[tokio::test]
async fn a_private_upload_changes_the_scope_of_its_readers_alone() {
    let db = Database::new().await;
    let [teacher, student, colleague, stranger, admin] = school(&db).await;
    let people = [&teacher, &student, &admin, &colleague, &stranger];
    let mut before = Vec::new();
    for person in people {
        before.push(scope_version(&facts(&db, person).await));
    }

    db.ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;

    for (person, before) in people.iter().zip(&before) {
        let reads_it = [teacher.sub, student.sub, admin.sub].contains(&person.sub);
        let changed = scope_version(&facts(&db, person).await) != *before;
        assert_eq!(changed, reads_it, "{:?}", person.app_metadata.role);
    }
}

#[tokio::test]
async fn a_public_upload_changes_the_scope_of_everybody() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let stranger = db.person(Role::Student).await;
    let before = facts(&db, &stranger).await;
    db.ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    let after = facts(&db, &stranger).await;
    assert_eq!(after.public_version, before.public_version + 1);
    assert_eq!(after.owners, before.owners);
}

#[tokio::test]
async fn an_upload_that_is_not_searchable_yet_changes_nothing() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let before = facts(&db, &teacher).await;
    db.queue(&teacher, Visibility::Private).await;
    assert_eq!(facts(&db, &teacher).await, before);
}

#[tokio::test]
async fn publishing_and_withdrawing_a_document_change_both_corpora() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let document = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    for visibility in [Visibility::Public, Visibility::Private] {
        let before = facts(&db, &teacher).await;
        let mut tx = db.reader(&teacher).await;
        documents::set_visibility(&mut tx, document, visibility)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let after = facts(&db, &teacher).await;
        assert_eq!(after.public_version, before.public_version + 1);
        assert_eq!(after.owners[0].1, before.owners[0].1 + 1);
    }
}

#[tokio::test]
async fn deleting_a_searchable_document_changes_its_corpus() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let document = db
        .ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    let before = facts(&db, &teacher).await;
    sqlx::query("delete from knowledge_base_docs where id = $1")
        .bind(document.0)
        .execute(&db.owner)
        .await
        .unwrap();
    assert_eq!(
        facts(&db, &teacher).await.public_version,
        before.public_version + 1
    );
}

#[tokio::test]
async fn a_deleted_teacher_takes_the_corpus_along() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    db.ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    db.ready(&teacher, Visibility::Public, &["Sit upright."])
        .await;
    let before = facts(&db, &student).await;
    sqlx::query("delete from auth.users where id = $1")
        .bind(teacher.sub.0)
        .execute(&db.owner)
        .await
        .unwrap();
    let after = facts(&db, &student).await;
    assert_eq!(after.owners, []);
    assert_eq!(after.public_version, before.public_version + 1);
}

#[tokio::test]
async fn a_student_gains_and_loses_a_teachers_corpus_with_the_relationship() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    db.ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let alone = facts(&db, &student).await;
    db.link(&teacher, &student).await;
    db.link(&teacher, &student).await;
    let linked = facts(&db, &student).await;
    assert_eq!(linked.owners.len(), alone.owners.len() + 1);

    let mut tx = db.reader(&teacher).await;
    people::end_relationship(&mut tx, student.sub)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(facts(&db, &student).await, alone);
}

#[tokio::test]
async fn the_readers_of_an_owner_are_the_owner_the_students_and_the_admins() {
    let db = Database::new().await;
    let [teacher, student, colleague, stranger, admin] = school(&db).await;
    db.link(&colleague, &stranger).await;
    let mut readers = people::readers_of(&db.ingest, teacher.sub).await.unwrap();
    readers.sort();
    assert_eq!(readers, [teacher.sub, student.sub, admin.sub]);

    let mut tx = db.reader(&teacher).await;
    let mut known_to_her = people::readers_of(tx.connection(), teacher.sub)
        .await
        .unwrap();
    known_to_her.sort();
    assert_eq!(known_to_her, [teacher.sub, student.sub]);
}

#[tokio::test]
async fn two_students_of_one_teacher_share_a_scope_and_a_stranger_does_not() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let (student, classmate, stranger) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    db.ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    db.link(&teacher, &student).await;
    db.link(&teacher, &classmate).await;
    let own = scope_version(&facts(&db, &student).await);
    assert_eq!(own, scope_version(&facts(&db, &classmate).await));
    assert_ne!(own, scope_version(&facts(&db, &stranger).await));
}
