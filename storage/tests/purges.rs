//! Purges: the record that only grows, and whom each of them concerns.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::scope::{ScopeFacts, scope_version};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{ChunkId, RequestId},
    purge::{PurgeRecord, PurgeRequest, PurgeTarget},
};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use storage::{Error, passages, purges, scope};
use support::{Database, fresh_id};
use uuid::Uuid;

async fn purge(
    db: &Database,
    admin: &AccessClaims,
    target: PurgeTarget,
) -> Result<PurgeRecord, Error> {
    let request = PurgeRequest {
        target,
        reason: "a misprint".into(),
    };
    let mut tx = db.reader(admin).await;
    let record = purges::record(&mut tx, &request, RequestId(fresh_id())).await?;
    tx.commit().await?;
    Ok(record)
}

async fn facts(db: &Database, person: &AccessClaims) -> ScopeFacts {
    scope::facts(&mut db.reader(person).await).await.unwrap()
}

async fn latest(db: &Database, person: &AccessClaims) -> u64 {
    purges::latest(&mut db.reader(person).await).await.unwrap()
}

fn answer(number: u32) -> PurgeTarget {
    PurgeTarget::Answer(format!("{number:064x}").parse().unwrap())
}

#[tokio::test]
async fn each_purge_concerns_its_own_readers_and_nobody_else() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    let people = [&admin, &teacher, &student];
    // Whose scope version changes, whose passages and answers are new as such, whose embeddings are.
    let cases = [
        (PurgeTarget::Everything, vec![0, 1, 2], vec![0, 1, 2], true),
        (
            PurgeTarget::Teacher(teacher.sub),
            vec![0, 1, 2],
            vec![],
            false,
        ),
        (PurgeTarget::User(student.sub), vec![2], vec![2], false),
        (answer(1), vec![], vec![], false),
    ];
    for (target, new_scope, new_reader, new_everything) in cases {
        let mut before = Vec::new();
        for person in people {
            before.push(facts(&db, person).await);
        }
        let number = purge(&db, &admin, target.clone()).await.unwrap().generation;
        for (at, (person, before)) in people.iter().zip(&before).enumerate() {
            let after = facts(&db, person).await;
            let changed = scope_version(&after) != scope_version(before);
            assert_eq!(changed, new_scope.contains(&at), "{target:?} {at}");
            assert_eq!(after.purges.reader == number, new_reader.contains(&at));
            assert_eq!(after.purges.everything == number, new_everything);
            let concerns = new_scope.contains(&at) || matches!(target, PurgeTarget::Answer(_));
            assert_eq!(
                latest(&db, person).await == number,
                concerns,
                "{target:?} {at}"
            );
        }
    }
}

#[tokio::test]
async fn passages_bear_the_number_of_their_owners_last_purge() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let teacher = db.person(Role::Teacher).await;
    let colleague = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    db.ready(&colleague, Visibility::Public, &["Sit upright."])
        .await;
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from document_chunks order by content")
        .fetch_all(&db.owner)
        .await
        .unwrap();
    let ids: Vec<ChunkId> = ids.into_iter().map(ChunkId).collect();
    let generations = async || -> Vec<u64> {
        let mut tx = db.reader(&colleague).await;
        let found = passages::by_ids(&mut tx, &ids).await.unwrap();
        found
            .into_iter()
            .map(|passage| passage.generation)
            .collect()
    };
    assert_eq!(generations().await, [0, 0]);
    purge(&db, &admin, PurgeTarget::Everything).await.unwrap();
    assert_eq!(generations().await, [0, 0], "the scope bears that one");
    for number in [2, 3] {
        let target = PurgeTarget::Teacher(teacher.sub);
        purge(&db, &admin, target).await.unwrap();
        assert_eq!(generations().await, [number, 0]);
    }
}

#[tokio::test]
async fn purges_at_the_same_moment_take_effect_in_the_order_of_their_numbers() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let student = db.person(Role::Student).await;
    let request = |target| PurgeRequest {
        target,
        reason: "a misprint".into(),
    };
    let mut first = db.reader(&admin).await;
    let everything = request(PurgeTarget::Everything);
    let id = RequestId(fresh_id());
    let begun = purges::record(&mut first, &everything, id).await.unwrap();
    // The second can't get its number, and with it be seen, before the first.
    let second = purge(&db, &admin, PurgeTarget::User(student.sub));
    let mut second = std::pin::pin!(second);
    let waits = tokio::time::timeout(std::time::Duration::from_millis(300), &mut second).await;
    assert!(waits.is_err());
    assert_eq!(latest(&db, &student).await, 0, "readers do not wait");
    first.commit().await.unwrap();
    assert_eq!(begun.generation, 1);
    assert_eq!(second.await.unwrap().generation, 2);
}

#[tokio::test]
async fn many_purges_at_once_get_a_number_each() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let purges = (0..12).map(|_| purge(&db, &admin, PurgeTarget::Everything));
    let numbers = futures_util::future::join_all(purges).await;
    let numbers: BTreeSet<u64> = numbers.into_iter().map(|r| r.unwrap().generation).collect();
    assert_eq!(numbers, (1..=12).collect());
}

#[tokio::test]
async fn the_readers_to_tell_are_the_admin_and_those_concerned_where_they_can_be_listed() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    for (target, others) in [
        (PurgeTarget::Everything, vec![]),
        (answer(1), vec![]),
        (PurgeTarget::User(student.sub), vec![student.sub]),
        (PurgeTarget::User(admin.sub), vec![]),
        (
            PurgeTarget::Teacher(teacher.sub),
            vec![teacher.sub, student.sub],
        ),
    ] {
        let mut readers = purge(&db, &admin, target).await.unwrap().readers;
        assert_eq!(readers.remove(0), admin.sub);
        readers.sort();
        assert_eq!(readers, others);
    }
}

#[tokio::test]
async fn only_an_admin_purges_and_reads_the_record() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    purge(&db, &admin, PurgeTarget::Everything).await.unwrap();
    for role in [Role::Student, Role::Teacher] {
        let person = db.person(role).await;
        let refused = purge(&db, &person, PurgeTarget::Everything).await;
        assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
        let refused = purge(&db, &person, PurgeTarget::User(person.sub)).await;
        assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
        assert_eq!(seen(&db, &person).await, 0);
        assert_eq!(latest(&db, &person).await, 1, "a refused purge is none");
    }
    assert_eq!(seen(&db, &admin).await, 1);
}

async fn seen(db: &Database, person: &AccessClaims) -> i64 {
    let mut tx = db.reader(person).await;
    sqlx::query_scalar("select count(*) from cache_purges")
        .fetch_one(tx.connection())
        .await
        .unwrap()
}

#[tokio::test]
async fn nobody_changes_the_record_or_the_numbers() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    purge(&db, &admin, PurgeTarget::Everything).await.unwrap();
    for statement in [
        "update cache_purges set reason = 'none'",
        "delete from cache_purges",
        "truncate cache_purges",
    ] {
        let by_owner = sqlx::query(statement).execute(&db.owner).await;
        assert!(matches!(
            by_owner.map_err(Error::from),
            Err(Error::Forbidden)
        ));
        refuses(&db, &admin, statement).await;
    }
    refuses(&db, &admin, "update purge_generations set number = 0").await;
    refuses(&db, &admin, "delete from purge_generations").await;
    refuses(
        &db,
        &admin,
        "insert into cache_purges (number, admin_id, purged_at, target, reason, request_id) \
         values (9, gen_random_uuid(), now(), 'everything', 'r', gen_random_uuid())",
    )
    .await;
    assert_eq!(seen(&db, &admin).await, 1);
}

async fn refuses(db: &Database, person: &AccessClaims, statement: &str) {
    let mut tx = db.reader(person).await;
    let done = sqlx::query(AssertSqlSafe(statement))
        .execute(tx.connection())
        .await;
    let done = done.map_err(Error::from);
    assert!(
        matches!(done, Err(Error::Forbidden)),
        "{statement}: {done:?}"
    );
}

#[tokio::test]
async fn the_unknown_can_not_be_purged() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let student = db.person(Role::Student).await;
    let nobody = shared_types::ids::UserId(fresh_id());
    for target in [
        PurgeTarget::User(nobody),
        PurgeTarget::Teacher(nobody),
        PurgeTarget::Teacher(student.sub),
    ] {
        let refused = purge(&db, &admin, target).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    assert_eq!(seen(&db, &admin).await, 0);
}

#[tokio::test]
async fn somebody_who_lost_the_role_still_has_a_corpus_to_purge() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    sqlx::query("update users set role = 'student' where id = $1")
        .bind(teacher.sub.0)
        .execute(&db.owner)
        .await
        .unwrap();
    let purged = purge(&db, &admin, PurgeTarget::Teacher(teacher.sub)).await;
    assert_eq!(purged.unwrap().generation, 1);
}

#[tokio::test]
async fn the_purge_of_an_answer_is_remembered_for_as_long_as_any_answer_is_kept() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let age = async |hours: i32| {
        sqlx::query(
            "update purge_generations set purged_at = purged_at - make_interval(hours => $1)",
        )
        .bind(hours)
        .execute(&db.owner)
        .await
        .unwrap();
    };
    purge(&db, &admin, answer(1)).await.unwrap();
    age(24).await;
    assert_eq!(facts(&db, &admin).await.purges.answers.len(), 1);
    let again = purge(&db, &admin, answer(1)).await.unwrap();
    assert_eq!(again.earlier, Some(1));
    age(26).await;
    assert!(facts(&db, &admin).await.purges.answers.is_empty());
    purge(&db, &admin, answer(2)).await.unwrap();
    let kept: i64 = sqlx::query_scalar("select count(*) from purge_generations")
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(kept, 1, "what is past is cleared away");
    assert_eq!(seen(&db, &admin).await, 3, "and stays on record");
}

#[tokio::test]
async fn the_record_outlives_the_people_in_it() {
    let db = Database::new().await;
    let admin = db.person(Role::Admin).await;
    let other = db.person(Role::Admin).await;
    let teacher = db.person(Role::Teacher).await;
    purge(&db, &admin, PurgeTarget::Teacher(teacher.sub))
        .await
        .unwrap();
    for person in [&teacher, &admin] {
        sqlx::query("delete from auth.users where id = $1")
            .bind(person.sub.0)
            .execute(&db.owner)
            .await
            .unwrap();
    }
    assert_eq!(seen(&db, &other).await, 1);
    assert_eq!(
        purge(&db, &other, PurgeTarget::Everything)
            .await
            .unwrap()
            .generation,
        2
    );
}
