//! People come by themselves, are invited, part, and leave.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod inviting;
mod leaving;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use shared_types::{claims::Role, documents::Visibility, ids::UserId};
use storage::{Error, people, scope};
use support::{Database, claims, fresh_id};

/// Whoever registers by herself, with these words about herself.
async fn register(db: &Database, about: Value, app_metadata: Value) -> (UserId, String) {
    let id = UserId(fresh_id());
    let role: Value = sqlx::query_scalar(
        "insert into auth.users (id, raw_user_meta_data, raw_app_meta_data) \
         values ($1, $2, $3) returning raw_app_meta_data -> 'role'",
    )
    .bind(id.0)
    .bind(about)
    .bind(app_metadata)
    .fetch_one(&db.owner)
    .await
    .unwrap();
    (id, role.as_str().unwrap().to_owned())
}

async fn role_on_record(db: &Database, id: UserId) -> String {
    sqlx::query_scalar("select role from users where id = $1")
        .bind(id.0)
        .fetch_one(&db.owner)
        .await
        .unwrap()
}

#[tokio::test]
async fn whoever_registers_becomes_a_teacher_or_a_student_and_nobody_an_admin() {
    let db = Database::new().await;
    let provider = json!({ "provider": "email" });
    for (about, app_metadata, role) in [
        (json!({ "role": "teacher" }), provider.clone(), "teacher"),
        (json!({ "role": "student" }), provider.clone(), "student"),
        (json!({}), provider.clone(), "student"),
        (json!({ "role": "admin" }), provider.clone(), "student"),
        (json!({ "role": ["teacher"] }), provider.clone(), "student"),
        (json!({ "role": { "role": "admin" } }), json!({}), "student"),
        // What the server says stands.
        (
            json!({ "role": "teacher" }),
            json!({ "role": "student" }),
            "student",
        ),
        (json!({}), json!({ "role": "admin" }), "admin"),
    ] {
        let (id, given) = register(&db, about.clone(), app_metadata).await;
        assert_eq!(
            (&*given, &*role_on_record(&db, id).await),
            (role, role),
            "{about}"
        );
    }
}

#[tokio::test]
async fn what_a_person_says_of_herself_later_gives_no_role() {
    let db = Database::new().await;
    let (id, _) = register(&db, json!({}), json!({})).await;
    sqlx::query(
        "update auth.users set raw_user_meta_data = '{\"role\": \"teacher\"}' where id = $1",
    )
    .bind(id.0)
    .execute(&db.owner)
    .await
    .unwrap();
    assert_eq!(role_on_record(&db, id).await, "student");
}

#[tokio::test]
async fn either_side_ends_a_relationship_and_nobody_else() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let (student, stranger) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    db.ready(&teacher, Visibility::Private, &["Curve."]).await;
    let owners = async |who| {
        let facts = scope::facts(&mut db.reader(who).await).await.unwrap();
        facts.owners.len()
    };
    for (ends, other) in [(&teacher, &student), (&student, &teacher)] {
        db.link(&teacher, &student).await;
        assert_eq!(owners(&student).await, 1);
        for (person, from) in [
            (&colleague, &student),
            (&stranger, &teacher),
            (ends, &stranger),
        ] {
            let refused = people::end_relationship(&mut db.reader(person).await, from.sub).await;
            assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        }
        let mut tx = db.reader(ends).await;
        people::end_relationship(&mut tx, other.sub).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(owners(&student).await, 0);
    }
}

#[tokio::test]
async fn a_list_of_students_goes_on_where_it_ended_and_shows_nobody_elses() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let mut own = Vec::new();
    for number in 0..5 {
        let student = db.person(Role::Student).await;
        db.link(
            if number % 2 == 0 {
                &teacher
            } else {
                &colleague
            },
            &student,
        )
        .await;
        if number % 2 == 0 {
            own.insert(0, student.sub);
        }
    }
    let mut tx = db.reader(&teacher).await;
    let first = people::students(&mut tx, None, 2).await.unwrap();
    let second = people::students(&mut tx, first.next, 2).await.unwrap();
    assert_eq!(second.next, None);
    let listed = first.items.iter().chain(&second.items);
    assert_eq!(listed.map(|person| person.id).collect::<Vec<_>>(), own);
    let mut tx = db.reader(&claims(own[0], Role::Student)).await;
    let teachers = people::teachers(&mut tx, None, 9).await.unwrap();
    assert_eq!(teachers.items[0].id, teacher.sub);
    assert_eq!((teachers.items.len(), teachers.next), (1, None));
}

#[tokio::test]
async fn an_account_says_what_is_known_of_its_owner() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut tx = db.reader(&teacher).await;
    let account = people::account(&mut tx, teacher.email.clone())
        .await
        .unwrap();
    assert_eq!(account.id, teacher.sub);
    assert_eq!(
        (account.role, &*account.full_name),
        (Role::Teacher, "A. Person")
    );
}
