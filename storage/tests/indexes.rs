//! What whoever runs the database is told of its indexes.

mod support;

use shared_types::{claims::Role, documents::Visibility};
use std::time::Duration;
use storage::indexes;
use support::Database;

#[tokio::test]
async fn the_origin_that_may_read_nothing_is_told_how_indexes_fare() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Public, &["Curve the fingers."])
        .await;
    let before = indexes::figures(&db.origin).await.unwrap();
    assert!(before.graph_bytes > 0, "{before:?}");

    let mut looks = db.owner.begin().await.unwrap();
    for statement in [
        "set local enable_seqscan = off",
        "select count(*) from knowledge_base_docs where id = gen_random_uuid()",
        "select pg_stat_force_next_flush()",
    ] {
        sqlx::raw_sql(statement).execute(&mut *looks).await.unwrap();
    }
    looks.commit().await.unwrap();
    // The server counts behind its answers.
    loop {
        let after = indexes::figures(&db.origin).await.unwrap();
        if after.blocks_hit + after.blocks_read > before.blocks_hit + before.blocks_read {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
