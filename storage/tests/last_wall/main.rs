//! Row-level security is the last wall: statements without any condition, through every table, as
//! every role.
//!
//! The tables come from the catalogue, so one that is added and not described in `tables.rs` fails.
//! What each caller is to be shown is worked out there, from the rows that the owner of the tables sees.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod school;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use school::{Caller, Outcome, School};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use storage::Error;
use support::fresh_id;
use tables::{TABLES, Verb, id};
use uuid::Uuid;

#[tokio::test]
async fn a_select_without_a_condition_shows_exactly_what_the_caller_may_read() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let statement = format!("select {} from {}", table.key, table.name);
            assert_eq!(
                school.send(caller, statement).await,
                school.expected(caller, table),
                "{} as {} ({})",
                table.name,
                caller.name,
                caller.role
            );
        }
    }
}

#[tokio::test]
async fn a_column_is_shown_to_those_alone_who_may_read_it() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let of_role = table.columns.map(|(people, ingest)| match caller.role {
                "etude_ingest" => ingest,
                _ => people,
            });
            let may_read_any = school.expected(caller, table) != Outcome::Refused;
            for column in &school.columns[table.name] {
                let statement = format!("select {column}::text from {} limit 0", table.name);
                let may_read =
                    may_read_any && of_role.is_none_or(|names| names.contains(&column.as_str()));
                assert_eq!(
                    school.send(caller, statement).await != Outcome::Refused,
                    may_read,
                    "{}.{column} as {} ({})",
                    table.name,
                    caller.name,
                    caller.role
                );
            }
        }
    }
}

#[tokio::test]
async fn a_change_without_a_condition_changes_exactly_what_the_caller_may_change() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let allowed = |column: Option<&str>| {
                let write = table.writes.iter().find(|write| {
                    write.role == caller.role
                        && match (write.verb, column) {
                            (Verb::Update(columns), Some(column)) => columns.contains(&column),
                            (Verb::Delete, None) => true,
                            _ => false,
                        }
                });
                write.map_or(Outcome::Refused, |write| {
                    school.rows_where(caller, table, write.rows)
                })
            };
            let what = |verb: &str| {
                let Caller { name, role, .. } = caller;
                format!("{verb} in {} as {name} ({role})", table.name)
            };
            // Without a right to read there is nothing to return.
            let key = match school.expected(caller, table) {
                Outcome::Refused => "'a row'",
                Outcome::Rows(_) => table.key,
            };
            for column in &school.columns[table.name] {
                let statement = format!(
                    "update {} set {column} = default returning {key}",
                    table.name
                );
                let statement = match allowed(Some(column)) {
                    Outcome::Refused => statement,
                    // Keeps every constraint.
                    Outcome::Rows(_) => statement.replace("default", column),
                };
                assert_eq!(
                    school.send(caller, statement).await,
                    allowed(Some(column)),
                    "{}",
                    what(&format!("an update of {column}"))
                );
            }
            let statement = format!("delete from {} returning {key}", table.name);
            assert_eq!(
                school.send(caller, statement).await,
                allowed(None),
                "{}",
                what("a deletion")
            );
        }
    }
}

#[tokio::test]
async fn an_insertion_names_no_column_that_is_not_the_callers_to_fill() {
    let school = School::new().await;
    for caller in &school.callers {
        for table in TABLES {
            let granted = table.writes.iter().find_map(|write| match write.verb {
                Verb::Insert(columns) if write.role == caller.role => Some(columns),
                _ => None,
            });
            for column in &school.columns[table.name] {
                let is_granted =
                    granted.is_some_and(|c| c.is_none_or(|c| c.contains(&column.as_str())));
                if is_granted {
                    continue;
                }
                let statement = format!(
                    "insert into {} ({column}) values (default) returning 'a row'",
                    table.name
                );
                assert_eq!(
                    school.send(caller, statement).await,
                    Outcome::Refused,
                    "{}.{column} as {} ({})",
                    table.name,
                    caller.name,
                    caller.role
                );
            }
        }
    }
}

#[tokio::test]
async fn nobody_inserts_in_the_name_of_another() {
    let school = School::new().await;
    let known: BTreeSet<Uuid> = school.rows["users"]
        .values()
        .filter_map(|row| id(row, "id"))
        .collect();
    let pupil = Uuid::from_u128(u128::MAX);
    sqlx::query("insert into auth.users (id) values ($1)")
        .bind(pupil)
        .execute(&school.db.owner)
        .await
        .unwrap();
    for caller in &school.callers {
        let person = caller
            .person
            .as_ref()
            .filter(|_| caller.role == "authenticated");
        let is = |id: Uuid| person.is_some_and(|person| person.id == id);
        let has = |roles: &[&str]| person.is_some_and(|person| roles.contains(&person.role));
        for &other in &known {
            let document = format!(
                "insert into knowledge_base_docs (id, owner_id, title, file_name, size_bytes, sha256) \
                 values ('{}', '{other}', 't', 'f', 1, repeat('0', 64))",
                fresh_id()
            );
            let link = format!(
                "insert into teacher_student_relationships (teacher_id, student_id) \
                 values ('{other}', '{pupil}')"
            );
            let invitation = format!(
                "insert into invitations (id, teacher_id, email) \
                 values ('{}', '{other}', 'somebody@example.com')",
                fresh_id()
            );
            let purge = format!(
                "insert into cache_purges (target, person_id, reason, request_id) \
                 values ('user', '{other}', 'r', '{pupil}')"
            );
            for (statement, is_allowed) in [
                (document, has(&["teacher", "admin"]) && is(other)),
                // Only an invitation that was accepted makes one.
                (link, false),
                (invitation, has(&["teacher"]) && is(other)),
                (purge, has(&["admin"])),
            ] {
                let mut tx = school.acting_as(caller).await;
                let done = sqlx::query(AssertSqlSafe(statement.clone()))
                    .execute(&mut *tx)
                    .await
                    .map_err(Error::from);
                let is_right = match &done {
                    Ok(_) => is_allowed,
                    Err(error) => !is_allowed && matches!(error, Error::Forbidden),
                };
                assert!(is_right, "{statement} as {}: {done:?}", caller.name);
            }
        }
    }
}
