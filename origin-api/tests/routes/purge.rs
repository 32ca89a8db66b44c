//! Purges: who may, what they say, and what changes for whom.

use crate::origin::{Origin, problem};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    headers::REQUEST_ID,
    origin::{RetrieveResponse, Scope},
    problem::ProblemKind,
    purge::PurgeRecord,
};
use uuid::Uuid;

const PURGE: &str = "/v1/admin/cache/purge";
const WRIST: &str = "Keep the wrist level when you play scales.";

fn everything() -> Value {
    json!({"everything": true, "reason": "the model was wrong all day"})
}

fn of_teacher(teacher: &AccessClaims) -> Value {
    json!({"teacher": teacher.sub, "reason": "a misprint in the handbook"})
}

async fn recorded(response: Response) -> PurgeRecord {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn scope(origin: &Origin, person: &AccessClaims) -> Scope {
    origin.get(person, "/v1/scope").await.json().await.unwrap()
}

async fn search(origin: &Origin, person: &AccessClaims) -> RetrieveResponse {
    let search = json!({"query": WRIST, "embedding": null, "embedding_model": "m"});
    let response = origin.post(person, "/v1/retrieve", &search).await;
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_purge_is_on_record_under_the_name_of_its_request() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let name = Uuid::from_u128(0x7d4e);
    let request = origin
        .by(&admin, Method::POST, PURGE)
        .header(REQUEST_ID, name.to_string())
        .json(&everything());
    let record = recorded(request.send().await.unwrap()).await;
    assert_eq!((record.generation, record.readers), (1, vec![admin.sub]));

    let kept: (i64, Uuid, String, String, Uuid) =
        sqlx::query_as("select number, admin_id, target, reason, request_id from cache_purges")
            .fetch_one(&origin.database.owner)
            .await
            .unwrap();
    let reason = "the model was wrong all day".to_owned();
    assert_eq!(kept, (1, admin.sub.0, "everything".into(), reason, name));
}

#[tokio::test]
async fn nobody_but_an_admin_purges() {
    let origin = Origin::start().await;
    for role in [Role::Student, Role::Teacher] {
        let person = origin.database.person(role).await;
        let own = json!({"user": person.sub, "reason": "mine"});
        for body in [everything(), own] {
            let refused = origin.post(&person, PURGE, &body).await;
            problem(refused, ProblemKind::Forbidden).await;
        }
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from cache_purges")
        .fetch_one(&origin.database.owner)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_purge_of_nothing_or_of_somebody_unknown_is_refused() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let student = origin.database.person(Role::Student).await;
    let nobody = Uuid::from_u128(0xdead);
    for (body, kind) in [
        (json!({"reason": "why not"}), ProblemKind::BodyInvalid),
        (json!({"everything": true}), ProblemKind::BodyInvalid),
        (
            json!({"answer": "5c", "reason": "r"}),
            ProblemKind::BodyInvalid,
        ),
        (
            json!({"user": nobody, "reason": "r"}),
            ProblemKind::NotFound,
        ),
        (
            json!({"teacher": nobody, "reason": "r"}),
            ProblemKind::NotFound,
        ),
        (of_teacher(&student), ProblemKind::NotFound),
    ] {
        let refused = problem(origin.post(&admin, PURGE, &body).await, kind).await;
        assert!(refused.detail.is_some(), "{body}");
    }
}

#[tokio::test]
async fn a_purged_corpus_is_searched_anew_and_its_passages_tell() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let teacher = origin.database.person(Role::Teacher).await;
    let colleague = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    origin
        .database
        .ready(&teacher, Visibility::Private, &[WRIST])
        .await;
    origin
        .database
        .ready(&colleague, Visibility::Public, &["Drop the wrist."])
        .await;
    let before = search(&origin, &student).await;
    assert!(
        before
            .passages
            .iter()
            .all(|passage| passage.generation == 0)
    );

    let record = recorded(origin.post(&admin, PURGE, &of_teacher(&teacher)).await).await;
    assert_eq!(record.readers[0], admin.sub);
    assert!(record.readers.contains(&student.sub) && record.readers.contains(&teacher.sub));

    let after = search(&origin, &student).await;
    let mut generations: Vec<u64> = after.passages.iter().map(|p| p.generation).collect();
    generations.sort_unstable();
    assert_eq!(generations, [0, record.generation]);
    assert_ne!(after.scope.version, before.scope.version);
    assert_eq!(after.scope, scope(&origin, &student).await);
}

#[tokio::test]
async fn a_purged_answer_is_named_in_everybodys_scope_and_changes_nobodys_version() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let student = origin.database.person(Role::Student).await;
    let before = scope(&origin, &student).await;
    let body = json!({"answer": "5c".repeat(32), "reason": "it names a pupil"});
    let first = recorded(origin.post(&admin, PURGE, &body).await).await;
    let second = recorded(origin.post(&admin, PURGE, &body).await).await;
    assert_eq!((first.earlier, second.earlier), (None, Some(1)));

    let after = scope(&origin, &student).await;
    assert_eq!(after.version, before.version);
    let id = "5c".repeat(32).parse().unwrap();
    assert_eq!(after.purges.of_answer(&id), Some(2));
    assert_eq!(after.purges.answers.len(), 1);
}

#[tokio::test]
async fn more_single_answers_than_a_scope_names_are_refused_in_words_that_help() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let purge = async |number: usize| {
        let body = json!({"answer": format!("{number:064x}"), "reason": "r"});
        origin.post(&admin, PURGE, &body).await
    };
    for number in 0..32 {
        recorded(purge(number).await).await;
    }
    let refused = problem(purge(32).await, ProblemKind::Conflict).await;
    assert!(refused.detail.unwrap().contains("or everything"));
    // One of them again is none more, and of everything there is always room.
    recorded(purge(7).await).await;
    recorded(origin.post(&admin, PURGE, &everything()).await).await;
    assert_eq!(scope(&origin, &admin).await.purges.answers.len(), 32);
}
