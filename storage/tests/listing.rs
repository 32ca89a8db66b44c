//! A long list in parts.

mod support;

use shared_types::{claims::Role, documents::Visibility, ids::DocumentId};
use storage::{
    Cursor, Listed,
    cursor::CursorError,
    documents::{self, StoredDocument},
};
use support::Database;

fn ids(listed: &Listed<StoredDocument>) -> Vec<DocumentId> {
    let id = |stored: &StoredDocument| stored.document.id;
    listed.items.iter().map(id).collect()
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_whatever_comes_and_goes() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut announced = Vec::new();
    for _ in 0..7 {
        announced.push(db.announce(&teacher, Visibility::Private).await);
    }
    // Of the same moment, they are told apart by their ids.
    sqlx::query("update knowledge_base_docs set created_at = $2 where id = any($1)")
        .bind(announced[2..5].iter().map(|id| id.0).collect::<Vec<_>>())
        .bind(chrono::DateTime::from_timestamp_micros(
            1_790_000_000_000_001,
        ))
        .execute(&db.owner)
        .await
        .unwrap();
    let mut tx = db.reader(&teacher).await;
    let whole = ids(&documents::list(&mut tx, None, 9).await.unwrap());
    assert_eq!(whole.len(), 7);

    let first = documents::list(&mut tx, None, 3).await.unwrap();
    assert_eq!(ids(&first), whole[..3]);
    // The document that the cursor stands behind is deleted, and a new one comes.
    documents::delete(&mut tx, whole[2]).await.unwrap();
    tx.commit().await.unwrap();
    db.announce(&teacher, Visibility::Private).await;
    let mut tx = db.reader(&teacher).await;
    let cursor: Cursor = first.next.unwrap().to_string().parse().unwrap();
    let second = documents::list(&mut tx, Some(cursor), 3).await.unwrap();
    assert_eq!(ids(&second), whole[3..6]);
    let third = documents::list(&mut tx, second.next, 3).await.unwrap();
    assert_eq!((ids(&third), third.next), (whole[6..].to_vec(), None));
}

#[tokio::test]
async fn a_list_is_the_readers_own_behind_any_cursor() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    for _ in 0..2 {
        db.announce(&teacher, Visibility::Public).await;
        db.announce(&colleague, Visibility::Public).await;
    }
    let mut tx = db.reader(&teacher).await;
    let theirs = documents::list(&mut tx, None, 1).await.unwrap();
    let mut tx = db.reader(&colleague).await;
    let own = documents::list(&mut tx, theirs.next, 9).await.unwrap();
    assert!(!own.items.is_empty());
    assert!(
        own.items
            .iter()
            .all(|stored| stored.document.owner_id == colleague.sub)
    );
}

#[test]
fn what_is_no_cursor_is_refused() {
    let id = "00000000-0000-0000-0000-000000000007";
    for text in [
        "",
        ".",
        id,
        "1790000000000000",
        "1790000000000000.x",
        &format!("x.{id}"),
        &format!("-1.{id}"),
        &format!("{}.{id}", i64::MAX),
        &format!("{}.{id}", i64::MIN),
        &format!("253402300800000000.{id}"),
    ] {
        assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
    }
    let cursor: Cursor = format!("1790000000000001.{id}").parse().unwrap();
    assert_eq!(cursor.to_string(), format!("1790000000000001.{id}"));
}
