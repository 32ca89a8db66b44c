//! People come by themselves, are invited, part, and leave.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{InvitationId, UserId},
    people::{Invitation, LinkedPerson, MAX_INVITATIONS},
};
use storage::{
    Error, documents, files,
    invitations::{self, Chosen, Way},
    people, scope,
};
use support::{Database, announcement, claims, fresh_id};

const DIGEST: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

async fn invite(db: &Database, teacher: &AccessClaims, way: Way<'_>) -> Result<Invitation, Error> {
    let mut tx = db.reader(teacher).await;
    let invitation = invitations::create(&mut tx, InvitationId(fresh_id()), way).await?;
    tx.commit().await?;
    Ok(invitation)
}

async fn accept(
    db: &Database,
    student: &AccessClaims,
    chosen: Chosen<'_>,
) -> Result<LinkedPerson, Error> {
    let mut tx = db.reader(student).await;
    let teacher = invitations::accept(&mut tx, chosen).await?;
    tx.commit().await?;
    Ok(teacher)
}

async fn open(db: &Database, who: &AccessClaims) -> Vec<InvitationId> {
    let listed = invitations::list(&mut db.reader(who).await, None, 200).await;
    let invitations = listed.unwrap().items.into_iter();
    invitations.map(|invitation| invitation.id).collect()
}

/// As many invitations as may be open, but for one.
async fn send_all_but_one(db: &Database, teacher: &AccessClaims) {
    sqlx::query(
        "insert into invitations (id, teacher_id, email) \
         select gen_random_uuid(), $1, n || '@example.com' from generate_series(2, $2) as n",
    )
    .bind(teacher.sub.0)
    .bind(i32::try_from(MAX_INVITATIONS).unwrap())
    .execute(&db.owner)
    .await
    .unwrap();
}

fn by_code(places: u16) -> Way<'static> {
    Way::Code {
        digest: DIGEST,
        places,
    }
}

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
async fn an_invitation_to_an_address_is_seen_and_accepted_by_nobody_else() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let (student, stranger) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    let id = db.ready(&teacher, Visibility::Private, &["Curve."]).await;
    let address = student.email.clone().unwrap();
    let sent = invite(&db, &teacher, Way::Address(&address)).await.unwrap();
    assert_eq!(sent.teacher_name, "A. Person");
    // The sign-in service keeps an address in small letters; a token need not.
    let student = AccessClaims {
        email: Some(address.to_uppercase()),
        ..student
    };
    assert_eq!(open(&db, &student).await, [sent.id]);
    assert_eq!(open(&db, &stranger).await, []);
    let refused = accept(&db, &stranger, Chosen::Sent(sent.id)).await;
    assert!(matches!(refused, Err(Error::NotFound)));
    assert!(
        documents::open(&mut db.reader(&student).await, id)
            .await
            .is_err()
    );

    let met = accept(&db, &student, Chosen::Sent(sent.id)).await.unwrap();
    assert_eq!((met.id, &*met.full_name), (teacher.sub, "A. Person"));
    assert!(
        documents::open(&mut db.reader(&student).await, id)
            .await
            .is_ok()
    );
    assert_eq!(open(&db, &teacher).await, []);
    let again = accept(&db, &student, Chosen::Sent(sent.id)).await;
    assert!(matches!(again, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_code_brings_as_many_students_as_it_has_places_for() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    invite(&db, &teacher, by_code(2)).await.unwrap();
    let students = [
        db.person(Role::Student).await,
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    ];
    let other = "e5".repeat(32);
    let wrong = accept(&db, &students[0], Chosen::Code(&other)).await;
    assert!(matches!(wrong, Err(Error::NotFound)));
    accept(&db, &students[0], Chosen::Code(DIGEST))
        .await
        .unwrap();
    // Once more, the same student takes no second place.
    accept(&db, &students[0], Chosen::Code(DIGEST))
        .await
        .unwrap();
    accept(&db, &students[1], Chosen::Code(DIGEST))
        .await
        .unwrap();
    let late = accept(&db, &students[2], Chosen::Code(DIGEST)).await;
    assert!(matches!(late, Err(Error::NotFound)));
    let mut tx = db.reader(&teacher).await;
    let listed = people::students(&mut tx, None, 200).await.unwrap();
    let taught: Vec<UserId> = listed.items.iter().map(|student| student.id).collect();
    assert_eq!(taught, [students[1].sub, students[0].sub]);
}

#[tokio::test]
async fn whoever_was_sent_away_does_not_come_back_by_the_same_code_and_nobody_empties_it() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let (student, other) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    invite(&db, &teacher, by_code(2)).await.unwrap();
    accept(&db, &student, Chosen::Code(DIGEST)).await.unwrap();
    let mut tx = db.reader(&teacher).await;
    people::end_relationship(&mut tx, student.sub)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for _ in 0..3 {
        let again = accept(&db, &student, Chosen::Code(DIGEST)).await;
        assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
    }
    accept(&db, &other, Chosen::Code(DIGEST)).await.unwrap();
}

#[tokio::test]
async fn invitations_that_have_ended_are_forgotten_with_their_addresses() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let ended = invite(&db, &teacher, Way::Address("old@example.com"))
        .await
        .unwrap();
    let open_still = invite(&db, &teacher, Way::Address("new@example.com"))
        .await
        .unwrap();
    sqlx::query("update invitations set expires_at = now() where id = $1")
        .bind(ended.id.0)
        .execute(&db.owner)
        .await
        .unwrap();
    assert_eq!(invitations::expire(&db.ingest).await.unwrap(), 1);
    assert_eq!(open(&db, &teacher).await, [open_still.id]);
}

#[tokio::test]
async fn of_invitations_made_at_once_no_more_are_open_than_may_be() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    send_all_but_one(&db, &teacher).await;
    let addresses: Vec<String> = (0..6).map(|n| format!("new-{n}@example.com")).collect();
    let at_once = addresses
        .iter()
        .map(|address| invite(&db, &teacher, Way::Address(address)));
    let made = futures_util::future::join_all(at_once).await;
    assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1);
    // The same address twice at once is one invitation, and no refusal.
    sqlx::query("delete from invitations")
        .execute(&db.owner)
        .await
        .unwrap();
    let twice = ["a@example.com"; 2].map(|address| invite(&db, &teacher, Way::Address(address)));
    let made = futures_util::future::join_all(twice).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(open(&db, &teacher).await.len(), 1);
}

#[tokio::test]
async fn of_many_who_want_the_last_place_one_gets_it() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    invite(&db, &teacher, by_code(1)).await.unwrap();
    let mut students = Vec::new();
    for _ in 0..6 {
        students.push(db.person(Role::Student).await);
    }
    let at_once = students
        .iter()
        .map(|student| accept(&db, student, Chosen::Code(DIGEST)));
    let accepted = futures_util::future::join_all(at_once).await;
    assert_eq!(accepted.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn only_students_accept_and_only_what_is_still_open() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let (colleague, admin) = (db.person(Role::Teacher).await, db.person(Role::Admin).await);
    invite(&db, &teacher, by_code(50)).await.unwrap();
    let pretender = AccessClaims {
        // A token from before the server made him a teacher.
        app_metadata: claims(colleague.sub, Role::Student).app_metadata,
        ..colleague.clone()
    };
    let unknown = claims(UserId(fresh_id()), Role::Student);
    for person in [&teacher, &colleague, &admin, &pretender, &unknown] {
        let refused = accept(&db, person, Chosen::Code(DIGEST)).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    let student = db.person(Role::Student).await;
    for (spoil, mend) in [
        (
            "expires_at = now()",
            "expires_at = now() + interval '1 day'",
        ),
        ("teacher_id = teacher_id", "teacher_id = teacher_id"),
    ] {
        let set = |what: &str| format!("update invitations set {what}");
        sqlx::query(sqlx::AssertSqlSafe(set(spoil)))
            .execute(&db.owner)
            .await
            .unwrap();
        if spoil != mend {
            let late = accept(&db, &student, Chosen::Code(DIGEST)).await;
            assert!(matches!(late, Err(Error::NotFound)), "{spoil}");
            assert_eq!(open(&db, &teacher).await, []);
        }
        sqlx::query(sqlx::AssertSqlSafe(set(mend)))
            .execute(&db.owner)
            .await
            .unwrap();
    }
    accept(&db, &student, Chosen::Code(DIGEST)).await.unwrap();
}

#[tokio::test]
async fn an_invitation_is_taken_back_by_its_teacher_and_declined_by_its_student() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let student = db.person(Role::Student).await;
    let address = student.email.clone().unwrap();
    for (withdraws, other) in [(&teacher, &colleague), (&student, &colleague)] {
        let sent = invite(&db, &teacher, Way::Address(&address)).await.unwrap();
        let refused = invitations::withdraw(&mut db.reader(other).await, sent.id).await;
        assert!(matches!(refused, Err(Error::NotFound)));
        let mut tx = db.reader(withdraws).await;
        invitations::withdraw(&mut tx, sent.id).await.unwrap();
        tx.commit().await.unwrap();
        let late = accept(&db, &student, Chosen::Sent(sent.id)).await;
        assert!(matches!(late, Err(Error::NotFound)));
    }
}

#[tokio::test]
async fn the_same_address_is_invited_once_and_a_teacher_has_a_bounded_number_open() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let way = Way::Address("somebody@example.com");
    let first = invite(&db, &teacher, way).await.unwrap();
    let second = invite(&db, &teacher, way).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(open(&db, &teacher).await, [second.id]);
    send_all_but_one(&db, &teacher).await;
    let refused = invite(&db, &teacher, by_code(1)).await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    // Sending one again is no new one.
    invite(&db, &teacher, way).await.unwrap();
}

#[tokio::test]
async fn students_invite_nobody() {
    let db = Database::new().await;
    for role in [Role::Student, Role::Admin] {
        let person = db.person(role).await;
        let refused = invite(&db, &person, by_code(1)).await;
        assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
    }
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
