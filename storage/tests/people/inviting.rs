//! How somebody becomes a teacher's student.

use crate::support::{Database, claims, fresh_id};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{InvitationId, UserId},
    people::{Invitation, LinkedPerson, MAX_INVITATIONS},
};
use storage::{
    Error, ReaderTx, documents,
    invitations::{self, Chosen, Way},
    people, reader,
};

const DIGEST: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

pub async fn invite(
    db: &Database,
    teacher: &AccessClaims,
    way: Way<'_>,
) -> Result<Invitation, Error> {
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

pub async fn open(db: &Database, who: &AccessClaims) -> Vec<InvitationId> {
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

/// By a code that so many may accept.
pub fn by_code(places: u16) -> Way<'static> {
    Way::Code {
        digest: DIGEST,
        places,
    }
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
async fn the_database_learns_an_address_only_where_invitations_ask_for_it() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let told = async |reader: &mut ReaderTx| -> Value {
        let claims = sqlx::query_scalar("select auth.jwt()");
        claims.fetch_one(reader.connection()).await.unwrap()
    };
    let who = json!({
        "sub": student.sub,
        "role": "authenticated",
        "app_metadata": { "role": "student" },
    });
    let mut reader = db.reader(&student).await;
    assert_eq!(told(&mut reader).await, who);
    reader.end_reading();
    let mut reader = reader::begin_snapshot(&db.origin, &student).await.unwrap();
    assert_eq!(told(&mut reader).await, who);

    invitations::list(&mut reader, None, 1).await.unwrap();
    let mut with_address = who;
    with_address["email"] = json!(student.email.unwrap());
    assert_eq!(told(&mut reader).await, with_address);
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
