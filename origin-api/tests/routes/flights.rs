//! The same question from many at the same moment: one search, one call of the model, and nobody gets what
//! is not meant for them.

use crate::{
    answer::{ANSWER, asking, library, names, paused},
    database::MODEL,
    origin::{Origin, events, problem},
};
use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::ChunkId,
    origin::{RetrieveResponse, Scope},
    problem::ProblemKind,
};
use sqlx::{Executor, Postgres, Transaction};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const WRIST: &str = "Keep the wrist level when you play scales.";
const PEDAL: &str = "Change the pedal after the chord has sounded.";

/// Waits until something is so; a test that waits in vain has failed.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap();
}

async fn ask(origin: &Origin, person: &AccessClaims, chunk: ChunkId) -> Response {
    origin.post(person, ANSWER, &asking(chunk, 0.8)).await
}

#[tokio::test]
async fn all_who_ask_while_an_answer_is_told_hear_the_whole_of_it_from_one_call() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    let other = origin.database.person(Role::Student).await;
    origin.clouds.will(paused());
    let mut open = Vec::new();
    for person in [&student, &other, &student, &other] {
        open.push(ask(&origin, person, chunk).await);
    }
    origin.clouds.go_on();
    let told = join_all(open.into_iter().map(events)).await;
    assert_eq!(names(&told[0]), ["delta", "citation", "done"]);
    assert!(told.iter().all(|events| *events == told[0]));
    assert_eq!(origin.clouds.inside().model_calls.len(), 1);
}

#[tokio::test]
async fn the_call_of_the_model_ends_soon_after_the_last_listener_has_left_and_not_before() {
    let origin = Origin::start_with(&[("ANSWER_LINGER_MS", "300")]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let first = ask(&origin, &student, chunk).await;
    let second = ask(&origin, &student, chunk).await;
    drop(first);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(origin.clouds.inside().abandoned_calls, 0);
    drop(second);
    until(async || origin.clouds.inside().abandoned_calls == 1).await;

    origin.clouds.will(paused());
    let again = ask(&origin, &student, chunk).await;
    origin.clouds.go_on();
    assert_eq!(names(&events(again).await), ["delta", "citation", "done"]);
    assert_eq!(origin.clouds.inside().model_calls.len(), 2);
}

/// The ids of a stream's events, in order.
fn ids(stream: &str) -> Vec<String> {
    let lines = stream.lines();
    let ids = lines.filter_map(|line| line.strip_prefix("id: "));
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn who_was_cut_off_is_told_the_same_answer_by_the_same_call_though_it_has_ended_meanwhile() {
    let origin = Origin::start().await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let mut cut = ask(&origin, &student, chunk).await;
    let mut known = String::new();
    while !known.ends_with("\n\n") {
        let bytes = cut.chunk().await.unwrap().unwrap();
        known.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    drop(cut);
    origin.clouds.go_on();
    sleep(Duration::from_millis(200)).await;

    let again = ask(&origin, &student, chunk).await.text().await.unwrap();
    assert_eq!(origin.clouds.inside().abandoned_calls, 0);
    assert_eq!(origin.clouds.inside().model_calls.len(), 1);
    assert!(again.starts_with(&known), "{again}");
    // Where it breaks off in text, in a citation, before its end.
    let ids = ids(&again);
    assert_eq!(ids.len(), 3);
    assert!(ids[0].starts_with("14-0-") && ids[1].starts_with("14-1-"));
    assert_eq!(ids[1], ids[2]);
}

#[tokio::test]
async fn who_may_not_read_a_passage_hears_nothing_of_the_answer_that_others_are_told() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let stranger = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let private = Visibility::Private;
    origin.database.ready(&teacher, private, &[WRIST]).await;
    let chunk = retrieved(search(&origin, &student).await).await.passages[0].chunk_id;
    origin.clouds.will(paused());
    let told = ask(&origin, &student, chunk).await;
    let refused = ask(&origin, &stranger, chunk).await;
    problem(refused, ProblemKind::Conflict).await;

    // Nor does who might a moment ago, and asks once more.
    let mut tx = origin.database.reader(&teacher).await;
    storage::people::end_relationship(&mut tx, student.sub)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let refused = ask(&origin, &student, chunk).await;
    problem(refused, ProblemKind::Conflict).await;
    origin.clouds.go_on();
    assert_eq!(names(&events(told).await).last(), Some(&"done"));
    assert_eq!(origin.clouds.inside().model_calls.len(), 1);
}

fn near_the_wrist() -> Value {
    json!({"query": "wrist pedal", "embedding": null, "embedding_model": MODEL})
}

async fn search(origin: &Origin, person: &AccessClaims) -> Response {
    origin.post(person, "/v1/retrieve", &near_the_wrist()).await
}

async fn retrieved(response: Response) -> RetrieveResponse {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn scope(origin: &Origin, person: &AccessClaims) -> Scope {
    let response = origin.get(person, "/v1/scope").await;
    response.json().await.unwrap()
}

/// A search that is made in memory can't be held up, and reading corpora into it would be.
const IN_NO_MEMORY: (&str, &str) = ("CORPUS_MEMORY_MB", "0");

/// Holds up every search by words, and nothing that is read before it.
async fn hold_up_searches(origin: &Origin) -> Transaction<'static, Postgres> {
    let mut tx = origin.database.owner.begin().await.unwrap();
    tx.execute("lock table document_postings in access exclusive mode")
        .await
        .unwrap();
    tx
}

async fn searches_held_up(origin: &Origin) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(&origin.database.owner)
    .await
    .unwrap()
}

#[tokio::test]
async fn readers_of_the_same_library_share_a_search_and_the_connection_under_it() {
    let origin = Origin::start_with(&[IN_NO_MEMORY]).await;
    let teacher = origin.database.person(Role::Teacher).await;
    let students = [
        origin.database.person(Role::Student).await,
        origin.database.person(Role::Student).await,
    ];
    let public = Visibility::Public;
    let text = [WRIST, PEDAL];
    origin.database.ready(&teacher, public, &text).await;

    let held_up = hold_up_searches(&origin).await;
    // Five times as many as there are connections.
    let searches = (0..20).map(|number| search(&origin, &students[number % 2]));
    let release = async {
        until(async || searches_held_up(&origin).await == 1).await;
        sleep(Duration::from_millis(500)).await;
        assert_eq!(searches_held_up(&origin).await, 1);
        held_up.rollback().await.unwrap();
    };
    let (found, ()) = tokio::join!(join_all(searches), release);
    let found = join_all(found.into_iter().map(retrieved)).await;
    assert_eq!(found[0].passages.len(), 2);
    assert!(found.iter().all(|response| *response == found[0]));
}

#[tokio::test]
async fn nobody_joins_a_search_of_another_scope_than_their_own_at_that_moment() {
    let origin = Origin::start_with(&[IN_NO_MEMORY]).await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let stranger = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let private = Visibility::Private;
    let document = origin.database.ready(&teacher, private, &[WRIST]).await;

    let held_up = hold_up_searches(&origin).await;
    let after = async |searches| until(async || searches_held_up(&origin).await == searches).await;
    let first = search(&origin, &student);
    let by_stranger = async {
        after(1).await;
        search(&origin, &stranger).await
    };
    let renamed = async {
        after(2).await;
        sqlx::query("update knowledge_base_docs set title = 'Loose wrists' where id = $1")
            .bind(document.0)
            .execute(&origin.database.owner)
            .await
            .unwrap();
        search(&origin, &student).await
    };
    let dismissed = async {
        after(3).await;
        let mut tx = origin.database.reader(&teacher).await;
        storage::people::end_relationship(&mut tx, student.sub)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        search(&origin, &student).await
    };
    let release = async {
        after(3).await;
        sleep(Duration::from_millis(500)).await;
        // Who may read as little as the stranger has joined the stranger's search.
        assert_eq!(searches_held_up(&origin).await, 3);
        held_up.rollback().await.unwrap();
    };
    let (first, by_stranger, renamed, dismissed, ()) =
        tokio::join!(first, by_stranger, renamed, dismissed, release);
    let titles = |found: &RetrieveResponse| -> Vec<String> {
        let titles = found.passages.iter().map(|p| p.document_title.clone());
        titles.collect()
    };
    let first = retrieved(first).await;
    let by_stranger = retrieved(by_stranger).await;
    let renamed = retrieved(renamed).await;
    let dismissed = retrieved(dismissed).await;
    assert_eq!(titles(&first), ["Hand position"]);
    assert_eq!(titles(&renamed), ["Loose wrists"]);
    assert!(by_stranger.passages.is_empty() && dismissed.passages.is_empty());
    assert_ne!(first.scope, renamed.scope);
    assert_ne!(renamed.scope, dismissed.scope);
    assert_eq!(dismissed.scope, scope(&origin, &student).await);
}
