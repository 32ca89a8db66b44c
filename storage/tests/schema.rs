//! What must hold of the schema as a whole.

mod support;

use shared_types::{claims::Role, documents::Visibility};
use sqlx::AssertSqlSafe;
use support::Database;

const TABLES: [&str; 20] = [
    "cache_purges",
    "chat_answers",
    "chat_messages",
    "chat_sessions",
    "corpus_versions",
    "curated_answers",
    "discarded_files",
    "document_chunks",
    "document_postings",
    "embedding_models",
    "ingest_jobs",
    "invitation_uses",
    "invitations",
    "knowledge_base_docs",
    "message_feedback",
    "model_usage",
    "purge_generations",
    "standby_document_chunks",
    "teacher_student_relationships",
    "users",
];

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let db = Database::new().await;
    storage::MIGRATOR.run(&db.owner).await.unwrap();
    storage::MIGRATOR.run(&db.owner).await.unwrap();
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success")
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(
        usize::try_from(applied).unwrap(),
        storage::MIGRATOR.iter().count()
    );
}

/// What the migration wrote anew is what ingestion writes.
#[tokio::test]
async fn words_that_were_stored_before_they_parted_are_counted_as_those_stored_after() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    for visibility in [Visibility::Private, Visibility::Public] {
        let texts = [
            "Legato/staccato, two-note slurs.",
            "Legato legato.",
            "and/or",
        ];
        db.ready(&teacher, visibility, &texts).await;
    }
    let stored = async || -> Vec<String> {
        sqlx::query_scalar(
            "select p::text from document_postings p \
             union all select id::text || ' ' || stem_count from knowledge_base_docs \
             union all select coalesce(owner_id::text, '') || ' ' || stem_count \
                       from corpus_versions \
             order by 1",
        )
        .fetch_all(&db.owner)
        .await
        .unwrap()
    };
    let by_ingestion = stored().await;
    assert!(by_ingestion.len() > 4);

    let migration = include_str!("../../migrations/20261126070000_words.sql");
    let mut tx = db.owner.begin().await.unwrap();
    for statement in [
        "drop function passage_words(text)",
        "update document_postings set stem = 'x' || stem",
        "update knowledge_base_docs set stem_count = stem_count + 7",
        migration,
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();

    assert_eq!(stored().await, by_ingestion);
}

#[tokio::test]
async fn every_table_forces_row_level_security_even_on_its_owner() {
    let db = Database::new().await;
    let forced: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') \
           and relrowsecurity and relforcerowsecurity order by relname",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    assert_eq!(forced, TABLES);
    let open: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm') \
           and not relrowsecurity",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    assert_eq!(
        open, [""; 0],
        "each is served to anybody by Supabase's REST API"
    );
}

#[tokio::test]
async fn somebody_who_is_not_signed_in_may_touch_no_table_and_call_no_function() {
    let db = Database::new().await;
    let granted: Vec<String> = sqlx::query_scalar(
        "select c.relname || ': ' || p.privilege \
         from pg_class c, unnest(array['select', 'insert', 'update', 'delete', 'truncate', \
                                       'references', 'trigger']) as p(privilege) \
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm') \
           and has_table_privilege('anon', c.oid, p.privilege) \
         union all \
         select c.relname || ': ' || p.privilege || ' of a column' \
         from pg_class c, unnest(array['select', 'insert', 'update', 'references']) \
                          as p(privilege) \
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm') \
           and has_any_column_privilege('anon', c.oid, p.privilege) \
         union all \
         select f.oid::regprocedure::text from pg_proc f \
         where f.pronamespace = 'public'::regnamespace \
           and has_function_privilege('anon', f.oid, 'execute')",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    assert_eq!(granted, [""; 0]);
}

#[tokio::test]
async fn a_function_with_its_owners_rights_pins_its_search_path() {
    let db = Database::new().await;
    let loose: Vec<String> = sqlx::query_scalar(
        "select oid::regprocedure::text from pg_proc \
         where pronamespace = 'public'::regnamespace and prosecdef \
           and not coalesce('search_path=\"\"' = any(proconfig), false)",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    assert_eq!(loose, [""; 0]);
}

#[tokio::test]
async fn a_token_of_supabase_gets_the_role_that_the_server_gave_the_person() {
    let db = Database::new().await;
    let teacher = db.person(shared_types::claims::Role::Teacher).await;
    let event = serde_json::json!({
        "user_id": teacher.sub,
        "claims": {
            "sub": teacher.sub,
            "role": "authenticated",
            "app_metadata": { "provider": "email" },
        },
    });
    let event: serde_json::Value = sqlx::query_scalar("select access_token_with_role($1)")
        .bind(event)
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(
        event["claims"]["app_metadata"],
        serde_json::json!({ "provider": "email", "role": "teacher" })
    );
    assert_eq!(event["claims"]["role"], "authenticated");
}
