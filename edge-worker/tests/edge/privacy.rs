//! Nobody is shown a word of a document that they may not read, whatever the caches hold.

use crate::support::{
    EDGE_TOKEN, Edge,
    library::{ANNA, BEN, CARA, Library},
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
    let anna = edge.ask(ANNA, QUESTION).await;
    assert!(anna.body.contains("First teacher"));

    let ben = edge.ask(BEN, QUESTION).await;
    assert_eq!(ben.meta().cache.search, Miss);
    assert_eq!(
        ben.meta().cache.embedding,
        Hit,
        "a question's embedding tells nothing"
    );
    assert!(!ben.body.contains("First teacher"), "{}", ben.body);
    assert!(ben.body.contains("Second teacher"));
}

#[tokio::test]
async fn students_who_may_read_the_same_share_the_work() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(ANNA, QUESTION).await;
    edge.calls();
    let cara = edge.ask(CARA, QUESTION).await;
    assert_eq!(
        (cara.meta().cache.search, cara.meta().cache.answer),
        (Hit, Hit)
    );
    assert_eq!(edge.calls(), ["/v1/scope"]);
}

#[tokio::test]
async fn what_is_withdrawn_is_gone_after_a_minute_everywhere() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(ANNA, QUESTION).await;
    edge.world.library.clear(ANNA);
    edge.wait_s(60);
    let after = edge.ask(ANNA, QUESTION).await;
    assert!(!after.body.contains("First teacher"), "{}", after.body);
}

#[tokio::test]
async fn a_store_that_keeps_a_scope_for_too_long_extends_nobodys_rights() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(ANNA, QUESTION).await;
    edge.world.library.clear(ANNA);
    for (value, ends_s) in edge.world.cached.borrow_mut().values_mut() {
        assert!(!value.is_empty());
        *ends_s = i64::MAX;
    }
    edge.wait_s(60);
    let after = edge.ask(ANNA, QUESTION).await;
    assert_eq!(after.meta().cache.scope, Miss);
    assert!(!after.body.contains("First teacher"), "{}", after.body);
}

#[tokio::test]
async fn what_is_withdrawn_is_gone_at_once_where_the_origin_says_so() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(ANNA, QUESTION).await;
    edge.ask(BEN, QUESTION).await;
    edge.world.library.clear(ANNA);

    let reply = edge.send(invalidate(&[ANNA], Some(EDGE_TOKEN))).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(edge.kept(Layer::Scope), 1);

    let after = edge.ask(ANNA, QUESTION).await;
    assert!(!after.body.contains("First teacher"), "{}", after.body);
    assert_eq!(edge.ask(BEN, QUESTION).await.meta().cache.scope, Hit);
}

#[tokio::test]
async fn only_the_origin_may_have_scopes_forgotten() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(ANNA, QUESTION).await;
    for token in [None, Some(""), Some("guess")] {
        let refused = edge.send(invalidate(&[ANNA], token)).await;
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
