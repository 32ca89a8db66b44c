//! What people's questions took of the language model.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use futures_util::future::join_all;
use shared_types::{
    chat::Usage,
    claims::{AccessClaims, Role},
    ids::UserId,
    usage::UsageSums,
};
use storage::{Error, usage};
use support::{Database, claims, fresh_id};

const CALL: Usage = Usage {
    input_tokens: 1_480,
    output_tokens: 212,
    cache_read_tokens: 1_000,
    cache_write_tokens: 80,
    cost_microusd: Some(1_660),
};

async fn record(db: &Database, who: &AccessClaims, call: &Usage) -> Result<(), Error> {
    let mut tx = db.reader(who).await;
    usage::record(&mut tx, call).await?;
    tx.commit().await
}

async fn today(db: &Database, who: &AccessClaims) -> UsageSums {
    usage::today(&mut db.reader(who).await).await.unwrap().sums
}

/// So many calls like [`CALL`].
fn sums(calls: u64) -> UsageSums {
    UsageSums {
        calls,
        input_tokens: 1_480 * calls,
        output_tokens: 212 * calls,
        cache_read_tokens: 1_000 * calls,
        cache_write_tokens: 80 * calls,
        cost_microusd: 1_660 * calls,
    }
}

#[tokio::test]
async fn calls_add_up_on_the_account_of_whoever_made_them() {
    let db = Database::new().await;
    let (student, other) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    assert_eq!(today(&db, &student).await, sums(0));
    record(&db, &student, &CALL).await.unwrap();
    record(&db, &student, &CALL).await.unwrap();
    record(&db, &other, &CALL).await.unwrap();
    assert_eq!(today(&db, &student).await, sums(2));
    assert_eq!(today(&db, &other).await, sums(1));

    let unpriced = Usage {
        cost_microusd: None,
        ..CALL
    };
    record(&db, &other, &unpriced).await.unwrap();
    let expected = UsageSums {
        cost_microusd: 1_660,
        ..sums(2)
    };
    assert_eq!(today(&db, &other).await, expected);
}

#[tokio::test]
async fn calls_that_end_at_the_same_moment_are_all_counted() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let calls = join_all((0..20).map(|_| record(&db, &student, &CALL))).await;
    assert!(calls.into_iter().all(|recorded| recorded.is_ok()));
    assert_eq!(today(&db, &student).await, sums(20));
}

#[tokio::test]
async fn a_day_ends_at_midnight_utc_and_stays_in_the_list() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    record(&db, &student, &CALL).await.unwrap();
    // What was recorded is made older: the clock is the database's own.
    for (from, to) in [(0, 3), (0, 1)] {
        sqlx::query(
            "update model_usage set day = day - $2::int \
             where user_id = $1 and day = (now() at time zone 'utc')::date - $3::int",
        )
        .bind(student.sub.0)
        .bind(to)
        .bind(from)
        .execute(&db.owner)
        .await
        .unwrap();
        assert_eq!(today(&db, &student).await, sums(0));
        record(&db, &student, &CALL).await.unwrap();
    }
    let mut reader = db.reader(&student).await;
    // The server's time zone changes nothing, whichever day it is there.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        sqlx::query("select set_config('timezone', $1, true)")
            .bind(zone)
            .execute(reader.connection())
            .await
            .unwrap();
        let today = usage::today(&mut reader).await.unwrap();
        assert_eq!(today.sums, sums(1), "{zone}");
        let days = usage::days(&mut reader, 90).await.unwrap();
        let ages: Vec<i64> = days
            .iter()
            .map(|day| (today.now.date_naive() - day.day).num_days())
            .collect();
        assert_eq!(ages, [0, 1, 3]);
        assert!(days.iter().all(|day| day.sums == sums(1)));
    }
    let newest = usage::days(&mut reader, 1).await.unwrap();
    assert_eq!(newest.len(), 1);
}

#[tokio::test]
async fn nothing_is_ever_taken_off_an_account() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    record(&db, &student, &CALL).await.unwrap();
    for arguments in [
        "-1, 0, 0, 0, 0",
        "0, -1, 0, 0, 0",
        "0, 0, -1, 0, 0",
        "0, 0, 0, -1, 0",
        "0, 0, 0, 0, -1",
        "10000001, 0, 0, 0, 0",
        "0, 0, 0, 0, 1000000000001",
        "null, 0, 0, 0, 0",
        "0, 0, 0, 0, null",
    ] {
        let mut reader = db.reader(&student).await;
        let statement = format!("select record_model_usage({arguments})");
        let done = sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(reader.connection())
            .await;
        assert!(done.is_err(), "{arguments}");
    }
    assert_eq!(today(&db, &student).await, sums(1));
}

#[tokio::test]
async fn an_account_that_is_gone_takes_its_usage_along_and_gets_no_more() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    record(&db, &student, &CALL).await.unwrap();
    let mut tx = db.reader(&student).await;
    storage::people::delete_account(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from model_usage")
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(left, 0);
    let stranger = claims(UserId(fresh_id()), Role::Student);
    for gone in [&student, &stranger] {
        let refused = record(&db, gone, &CALL).await.unwrap_err();
        assert!(matches!(refused, Error::UnknownPerson), "{refused:?}");
    }
}
