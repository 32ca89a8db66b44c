//! Whoever goes away while a reader's transaction begins leaves nothing of it on the connection.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use chrono::{DateTime, Utc};
use shared_types::claims::Role;
use std::time::Duration;
use storage::{PgPool, PoolSettings, reader};
use support::{Database, leave_after};

async fn one_connection(url: &str) -> PgPool {
    let settings = PoolSettings {
        max_connections: 1,
        acquire_timeout: Duration::from_secs(30),
        ..PoolSettings::default()
    };
    storage::connect(url, settings).await.unwrap()
}

/// The role in which the next statement runs, and whether it runs in a transaction that somebody else has begun.
async fn found(pool: &PgPool) -> (String, bool) {
    let mut moments = Vec::new();
    let mut role = String::new();
    for _ in 0..2 {
        let (who, moment): (String, DateTime<Utc>) =
            sqlx::query_as("select current_user::text, now()")
                .fetch_one(pool)
                .await
                .unwrap();
        role = who;
        moments.push(moment);
    }
    (role, moments[0] == moments[1])
}

#[tokio::test]
async fn whoever_leaves_while_a_transaction_begins_leaves_the_connection_as_it_was() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let pool = one_connection(&db.origin_url()).await;
    let mut left = 0;
    for polls in 1..=6 {
        for _ in 0..10 {
            left += usize::from(!leave_after(polls, reader::begin(&pool, &student)).await);
            assert_eq!(found(&pool).await, ("etude_origin".to_owned(), false));
            left += usize::from(!leave_after(polls, reader::begin_snapshot(&pool, &student)).await);
            assert_eq!(found(&pool).await, ("etude_origin".to_owned(), false));
        }
    }
    assert!(left >= 20, "only {left} left before the end");
    let reader = reader::begin_snapshot(&pool, &student).await.unwrap();
    reader.commit().await.unwrap();
}
