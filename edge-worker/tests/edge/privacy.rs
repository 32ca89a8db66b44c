//! Nobody is shown a word of a document that they may not read, whatever the caches hold.

use crate::support::{
    EDGE_TOKEN, Edge,
    library::{CLASSMATE, FIRST_STUDENT, Library, OTHER_STUDENT},
    request,
};
use edge_worker::ports::Layer;
use http::Method;
use shared_types::{
    chat::CacheOutcome::{Hit, Miss},
    problem::ProblemKind,
};
use uuid::Uuid;

const QUESTION: &str = "How fast should I practise scales?";

#[tokio::test]
async fn another_teachers_student_gets_nothing_out_of_warm_caches() {
    let edge = Edge::new(Library::of_two_teachers());
    let first_student = edge.ask(FIRST_STUDENT, QUESTION).await;
    assert!(first_student.body.contains("First teacher"));

    let other_student = edge.ask(OTHER_STUDENT, QUESTION).await;
    assert_eq!(other_student.meta().cache.search, Miss);
    assert_eq!(
        other_student.meta().cache.embedding,
        Hit,
        "a question's embedding tells nothing"
    );
    assert!(
        !other_student.body.contains("First teacher"),
        "{}",
        other_student.body
    );
    assert!(other_student.body.contains("Second teacher"));
}

#[tokio::test]
async fn students_who_may_read_the_same_share_the_work() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.calls();
    let classmate = edge.ask(CLASSMATE, QUESTION).await;
    assert_eq!(
        (classmate.meta().cache.search, classmate.meta().cache.answer),
        (Hit, Hit)
    );
    assert_eq!(edge.calls(), ["/v1/scope"]);
}

#[tokio::test]
async fn what_is_withdrawn_is_gone_after_a_minute_everywhere() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.world.library.clear(FIRST_STUDENT);
    edge.wait_s(60);
    let after = edge.ask(FIRST_STUDENT, QUESTION).await;
    assert!(!after.body.contains("First teacher"), "{}", after.body);
}

#[tokio::test]
async fn a_store_that_keeps_a_scope_for_too_long_extends_nobodys_rights() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.world.library.clear(FIRST_STUDENT);
    for (value, ends_s) in edge.world.cached.borrow_mut().values_mut() {
        assert!(!value.is_empty());
        *ends_s = i64::MAX;
    }
    edge.wait_s(60);
    let after = edge.ask(FIRST_STUDENT, QUESTION).await;
    assert_eq!(after.meta().cache.scope, Miss);
    assert!(!after.body.contains("First teacher"), "{}", after.body);
}

#[tokio::test]
async fn what_is_withdrawn_is_gone_at_once_where_the_origin_says_so() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.ask(OTHER_STUDENT, QUESTION).await;
    edge.world.library.clear(FIRST_STUDENT);

    let reply = edge
        .send(invalidate(&[FIRST_STUDENT], Some(EDGE_TOKEN)))
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(edge.kept(Layer::Scope), 1);

    let after = edge.ask(FIRST_STUDENT, QUESTION).await;
    assert!(!after.body.contains("First teacher"), "{}", after.body);
    assert_eq!(
        edge.ask(OTHER_STUDENT, QUESTION).await.meta().cache.scope,
        Hit
    );
}

#[tokio::test]
async fn only_the_origin_may_have_scopes_forgotten() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    for token in [None, Some(""), Some("guess")] {
        let refused = edge.send(invalidate(&[FIRST_STUDENT], token)).await;
        assert!(refused.problem().is(ProblemKind::Forbidden));
    }
    let many: Vec<Uuid> = (0..1_001).map(Uuid::from_u128).collect();
    let refused = edge.send(invalidate(&many, Some(EDGE_TOKEN))).await;
    assert!(refused.problem().is(ProblemKind::BodyInvalid));
    assert_eq!(edge.kept(Layer::Scope), 1);
}

fn invalidate(people: &[Uuid], token: Option<&str>) -> crate::support::Sent {
    let body = serde_json::json!({ "user_ids": people }).to_string();
    let mut sent = request(Method::POST, "/internal/scope/invalidate", &body);
    sent.headers.edge_token = token.map(str::to_owned);
    sent
}

#[tokio::test]
async fn a_right_that_comes_and_goes_within_a_minute_leaves_nothing_behind() {
    let edge = Edge::new(Library::of_two_teachers());
    let library = &edge.world.library;
    edge.ask(OTHER_STUDENT, "another question").await;

    library.lend(OTHER_STUDENT, CLASSMATE);
    library.lend(FIRST_STUDENT, OTHER_STUDENT);
    let meanwhile = edge.ask(OTHER_STUDENT, QUESTION).await;
    assert_eq!(
        meanwhile.meta().cache.scope,
        Hit,
        "the old scope is remembered"
    );
    assert!(meanwhile.body.contains("First teacher"));
    library.lend(CLASSMATE, OTHER_STUDENT);

    let after = edge.ask(OTHER_STUDENT, QUESTION).await;
    assert!(!after.body.contains("First teacher"), "{}", after.body);
    assert!(after.body.contains("Second teacher"), "{}", after.body);
}
