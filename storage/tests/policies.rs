//! How the policies and the roles under them are made, read from the catalogue.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use sqlx::AssertSqlSafe;
use support::Database;

/// The roles that requests come in, and the ones that connect.
const SERVING: &str = "'anon', 'authenticated', 'etude_origin', 'etude_ingest'";

/// The only three ways to ask who the caller is, as PostgreSQL prints them: sub-selects, so that each
/// is asked once a statement and not once a row.
const ONCE_A_STATEMENT: [&str; 3] = [
    "( SELECT auth.uid() AS uid)",
    "( SELECT ((auth.jwt() -> 'app_metadata'::text) ->> 'role'::text))",
    "( SELECT lower((auth.jwt() ->> 'email'::text)) AS lower)",
];

/// Columns of policies that no index leads with, and why.
const NOT_INDEXED: [(&str, &str); 2] = [
    // Its readers come with a stem, which leads the primary key; these two follow in it.
    ("document_postings", "is_public"),
    ("document_postings", "owner_id"),
];

async fn list(db: &Database, statement: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(statement.to_owned()))
        .fetch_all(&db.owner)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_policy_asks_who_the_caller_is_once_a_statement() {
    let db = Database::new().await;
    let policies: Vec<(String, String)> = sqlx::query_as(
        "select tablename || ': ' || policyname, coalesce(qual, '') || ' ' || coalesce(with_check, '') \
         from pg_policies where schemaname = 'public'",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    let mut asked = 0;
    for (name, mut expression) in policies {
        for form in ONCE_A_STATEMENT {
            asked += expression.matches(form).count();
            expression = expression.replace(form, "$");
        }
        for asks in ["auth.", "current_setting", "current_user", "session_user"] {
            assert!(!expression.contains(asks), "{name}: {expression}");
        }
    }
    assert!(asked > 0);
}

#[tokio::test]
async fn a_policy_is_for_people_or_for_the_ingest_worker_and_never_for_everybody() {
    let db = Database::new().await;
    let others = list(
        &db,
        "select tablename || ': ' || policyname from pg_policies \
         where schemaname = 'public' \
           and not (roles = '{authenticated}' or roles = '{etude_ingest}')",
    )
    .await;
    assert_eq!(others, [""; 0]);
}

/// A policy that is only asked of a row that is being inserted needs no index.
#[tokio::test]
async fn every_column_that_a_policy_looks_at_leads_an_index() {
    let db = Database::new().await;
    let columns: Vec<(String, String, bool)> = sqlx::query_as(
        "select distinct c.relname::text, a.attname::text, exists ( \
             select from pg_index i \
             where i.indrelid = c.oid and i.indisvalid \
               and (i.indkey[0] = a.attnum \
                    or pg_get_expr(i.indpred, i.indrelid) ~ ('\\m' || a.attname || '\\M')) \
         ) \
         from pg_policy p \
         join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid \
              and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 \
         join pg_class c on c.oid = d.refobjid \
         join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid \
         where c.relnamespace = 'public'::regnamespace and p.polcmd <> 'a' \
         order by 1, 2",
    )
    .fetch_all(&db.owner)
    .await
    .unwrap();
    assert!(columns.len() > NOT_INDEXED.len());
    let bare: Vec<(&str, &str)> = columns
        .iter()
        .filter(|(_, _, is_indexed)| !is_indexed)
        .map(|(table, column, _)| (table.as_str(), column.as_str()))
        .collect();
    assert_eq!(bare, NOT_INDEXED);
}

#[tokio::test]
async fn no_role_that_serves_can_get_around_a_policy() {
    let db = Database::new().await;
    let strong = list(
        &db,
        &format!(
            "select rolname::text from pg_roles \
             where rolname in ({SERVING}) \
               and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication) \
             union all \
             select relname::text from pg_class where pg_get_userbyid(relowner) in ({SERVING}) \
             union all \
             select proname::text from pg_proc where pg_get_userbyid(proowner) in ({SERVING}) \
             union all \
             select nspname::text from pg_namespace where has_schema_privilege('etude_origin', oid, 'create') \
                 or has_schema_privilege('etude_ingest', oid, 'create') \
                 or has_schema_privilege('authenticated', oid, 'create') \
                 or has_schema_privilege('anon', oid, 'create')"
        ),
    )
    .await;
    assert_eq!(strong, [""; 0]);
    let members = list(
        &db,
        &format!(
            "select pg_get_userbyid(member) || ' as ' || pg_get_userbyid(roleid) \
             from pg_auth_members where pg_get_userbyid(member) in ({SERVING})"
        ),
    )
    .await;
    assert_eq!(members, ["etude_origin as authenticated"]);
}

#[tokio::test]
async fn no_role_that_serves_has_a_right_that_no_policy_covers() {
    let db = Database::new().await;
    // `truncate` asks no policy, and a trigger or a foreign key would tell of hidden rows.
    let uncovered = list(
        &db,
        &format!(
            "select c.relname || ': ' || g.privilege_type || ' to ' || g.grantee::regrole \
             from pg_class c, aclexplode(c.relacl) as g \
             where c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace) \
               and g.grantee <> 0 and g.grantee::regrole::text in ({SERVING}) \
               and (c.relnamespace = 'auth'::regnamespace \
                    or g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) \
             union all \
             select c.relname || ': ' || g.privilege_type || ' to everybody' \
             from pg_class c, aclexplode(c.relacl) as g \
             where c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace) \
               and g.grantee = 0"
        ),
    )
    .await;
    assert_eq!(uncovered, [""; 0]);
    // A function with its owner's rights sees every row.
    let callable = list(
        &db,
        &format!(
            "select f.oid::regprocedure || ' by ' || r.rolname \
             from pg_proc f, pg_roles r \
             where f.pronamespace = 'public'::regnamespace and r.rolname in ({SERVING}) \
               and has_function_privilege(r.oid, f.oid, 'execute') \
             order by 1"
        ),
    )
    .await;
    assert_eq!(
        callable,
        [
            "accept_invitation(uuid,text) by authenticated",
            "clear_standby_embeddings() by etude_ingest",
            "confirm_upload(uuid) by authenticated",
            "delete_account() by authenticated",
            "expire_invitations() by etude_ingest",
            "expire_uploads(interval) by etude_ingest",
            "ingest_queue() by etude_origin",
            "nearest_public(extensions.halfvec,text) by authenticated",
            "nearest_public(extensions.halfvec,text,integer) by authenticated",
            "passage_words(text) by authenticated",
            "passage_words(text) by etude_ingest",
            "read_document_again(uuid) by authenticated",
            "record_model_usage(bigint,bigint,bigint,bigint,bigint) by authenticated",
            "requeue_stuck_documents() by etude_ingest",
            "retry_document(uuid) by authenticated",
            "schema_version() by etude_origin",
            "switch_embedding_model(text) by etude_ingest",
            "unanswered_questions(timestamp with time zone,uuid,bigint) by authenticated",
        ]
    );
}
