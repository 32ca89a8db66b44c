//! What is left of an account that was deleted, and what its token still opens.

use crate::{
    inviting::{by_code, invite, open},
    support::{Database, announcement, fresh_id},
};
use shared_types::{claims::Role, documents::Visibility, ids::UserId};
use storage::{Error, documents, files, invitations::Way, people, scope};

/// How often somebody's id stands anywhere in the database.
async fn mentions(db: &Database, person: UserId) -> Vec<String> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select c.oid::regclass::text, a.attname::text from pg_class c \
         join pg_attribute a on a.attrelid = c.oid \
         where c.relkind = 'r' and a.attnum > 0 and a.atttypid = 'uuid'::regtype \
           and c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace) \
         order by 1, 2",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    let mut found = Vec::new();
    for (table, column) in columns {
        let statement = format!("select count(*) from {table} where {column} = $1");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .bind(person.0)
            .fetch_one(&db.owner)
            .await
            .unwrap();
        if count > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test]
async fn of_a_deleted_account_nothing_is_left_but_files_to_remove() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    invite(&db, &teacher, by_code(3)).await.unwrap();
    let address = teacher.email.clone().unwrap();
    invite(&db, &colleague, Way::Address(&address))
        .await
        .unwrap();
    let public = db.ready(&teacher, Visibility::Public, &["Curve."]).await;
    let private = db.ready(&teacher, Visibility::Private, &["Sit."]).await;
    let other = db.ready(&colleague, Visibility::Public, &["Wait."]).await;
    sqlx::query(
        "insert into auth.refresh_tokens (token, user_id, session_id) values ('t', $1, $1)",
    )
    .bind(teacher.sub.0)
    .execute(&db.owner)
    .await
    .unwrap();
    assert!(mentions(&db, teacher.sub).await.len() > 8);
    let before = scope::facts(&mut db.reader(&student).await).await.unwrap();

    let mut tx = db.reader(&teacher).await;
    people::delete_account(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(
        mentions(&db, teacher.sub).await,
        ["discarded_files.owner_id"]
    );
    assert_eq!(
        open(&db, &colleague).await,
        [],
        "whoever has the address next is somebody else"
    );
    let mut due: Vec<_> = files::due(&db.ingest).await.unwrap();
    due.sort_by_key(|file| file.document_id);
    let mut files = [public, private];
    files.sort_unstable();
    assert_eq!(
        due.iter().map(|file| file.document_id).collect::<Vec<_>>(),
        files
    );
    let after = scope::facts(&mut db.reader(&student).await).await.unwrap();
    assert!(after.owners.is_empty());
    assert!(
        after.public_version > before.public_version,
        "answers from it are out of reach"
    );
    assert!(
        documents::open(&mut db.reader(&student).await, other)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_token_that_outlived_its_account_asks_and_uploads_nothing() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut tx = db.reader(&teacher).await;
    people::delete_account(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.reader(&teacher).await;
    let asked = scope::facts(&mut tx).await;
    assert!(matches!(asked, Err(Error::UnknownPerson)), "{asked:?}");
    let id = shared_types::ids::DocumentId(fresh_id());
    let uploaded = documents::create(
        &mut tx,
        id,
        &announcement(Visibility::Private),
        shared_types::documents::SourceFormat::Pdf,
    )
    .await;
    assert!(
        matches!(uploaded, Err(Error::UnknownPerson)),
        "{uploaded:?}"
    );
    let invited = invite(&db, &teacher, by_code(1)).await;
    assert!(matches!(invited, Err(Error::UnknownPerson)), "{invited:?}");
    let again = people::delete_account(&mut db.reader(&teacher).await).await;
    assert!(matches!(again, Err(Error::UnknownPerson)));
}

#[tokio::test]
async fn a_token_that_outlived_an_admin_opens_and_deletes_nothing_of_others() {
    let db = Database::new().await;
    let (teacher, admin) = (db.person(Role::Teacher).await, db.person(Role::Admin).await);
    let id = db.ready(&teacher, Visibility::Private, &["Curve."]).await;
    assert!(
        documents::open(&mut db.reader(&admin).await, id)
            .await
            .is_ok()
    );
    for statement in [
        "update auth.users set raw_app_meta_data = '{\"role\": \"teacher\"}' where id = $1",
        "delete from auth.users where id = $1",
    ] {
        sqlx::query(statement)
            .bind(admin.sub.0)
            .execute(&db.owner)
            .await
            .unwrap();
        let opened = documents::open(&mut db.reader(&admin).await, id).await;
        assert!(matches!(opened, Err(Error::NotFound)), "{opened:?}");
        let deleted = documents::delete(&mut db.reader(&admin).await, id).await;
        assert!(matches!(deleted, Err(Error::NotFound)), "{deleted:?}");
    }
}
