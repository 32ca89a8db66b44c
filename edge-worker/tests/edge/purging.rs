//! `POST /api/admin/cache/purge`: who may, what they are told, and what happens where the store fails.

use crate::support::{
    Edge, Failure, Received,
    issuer::claims,
    library::{CLASSMATE, FIRST_STUDENT, Library},
    request,
};
use edge_worker::ports::Layer;
use http::Method;
use serde_json::{Value, json};
use shared_types::{
    cache::{AnswerId, answer_key_text},
    problem::{Problem, ProblemKind},
};
use uuid::Uuid;

const ADMIN: Uuid = Uuid::from_u128(0xAD);
const QUESTION: &str = "How fast should I practise scales?";

async fn purge(edge: &Edge, role: &str, body: &Value) -> Received {
    let mut claims = claims(ADMIN, edge.now_s());
    claims["app_metadata"]["role"] = role.into();
    let token = {
        let issuer = edge.world.issuer.borrow();
        issuer.sign(&issuer.header(), &claims)
    };
    let mut sent = request(Method::POST, "/api/admin/cache/purge", &body.to_string());
    sent.headers.authorization = Some(format!("Bearer {token}"));
    edge.send(sent).await
}

fn everything() -> Value {
    json!({"everything": true, "reason": "The model was wrong all day."})
}

fn of_answer(id: &AnswerId) -> Value {
    json!({"answer": id, "reason": "It names a pupil."})
}

/// The answer that was told, and kept.
async fn answered(edge: &Edge) -> AnswerId {
    let id = edge.ask(FIRST_STUDENT, QUESTION).await.meta().answer_id;
    id.unwrap()
}

#[tokio::test]
async fn an_admin_is_told_what_was_purged_and_for_how_many_at_once() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, QUESTION).await;
    edge.ask(CLASSMATE, QUESTION).await;
    edge.calls();
    let told = purge(&edge, "admin", &everything()).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let told: Value = serde_json::from_str(&told.body).unwrap();
    insta::assert_json_snapshot!(told, @r#"
    {
      "generation": 7,
      "purged": {
        "everything": true
      },
      "request_id": "00000000-0000-0000-0000-00000000002a",
      "scopes_dropped": 2
    }
    "#);
    assert_eq!(edge.calls(), ["/v1/admin/cache/purge"]);
    assert_eq!(
        edge.kept(Layer::Scope),
        1,
        "the classmate's is left to the bound"
    );
}

#[tokio::test]
async fn nobody_else_purges_and_the_origin_is_not_bothered() {
    let edge = Edge::new(Library::of_two_teachers());
    for role in ["student", "teacher"] {
        let refused = purge(&edge, role, &everything()).await;
        assert!(
            refused.problem().is(ProblemKind::Forbidden),
            "{}",
            refused.body
        );
    }
    let nobody = request(Method::POST, "/api/admin/cache/purge", "{}");
    let refused = edge.send(nobody).await;
    assert!(refused.problem().is(ProblemKind::TokenMissing));
    assert!(!edge.calls().contains(&"/v1/admin/cache/purge".to_owned()));
}

#[tokio::test]
async fn a_body_that_asks_for_no_purge_is_refused_and_says_what_would() {
    let edge = Edge::new(Library::of_two_teachers());
    for body in [
        json!({"reason": "r"}),
        json!({"everything": true}),
        json!({"everything": true, "user": ADMIN, "reason": "r"}),
        json!({"everything": true, "reason": "r".repeat(501)}),
        json!({"answer": "llm:v1:5c", "reason": "r"}),
    ] {
        let refused = purge(&edge, "admin", &body).await;
        assert_eq!(refused.status, 422, "{body}");
        assert!(refused.problem().detail.is_some(), "{body}");
    }
    let known = Problem::new(ProblemKind::NotFound).with_detail("There is no such teacher.");
    edge.break_(|faults| faults.refusal("/v1/admin/cache/purge", known.clone()));
    let body = json!({"teacher": FIRST_STUDENT, "reason": "r"});
    let refused = purge(&edge, "admin", &body).await;
    assert_eq!(refused.problem().detail, known.detail);
    assert_eq!(refused.status, 404);
}

#[tokio::test]
async fn a_purged_answer_is_deleted_where_it_was_kept_before_and_after_its_last_purge() {
    let edge = Edge::new(Library::of_two_teachers());
    let id = answered(&edge).await;
    let of = |purged| (Layer::Answer, answer_key_text(&id, purged));
    let kept = edge.world.cached.borrow()[&of(None)].clone();
    let after_third = of(Some(3));
    edge.world.cached.borrow_mut().insert(after_third, kept);
    assert_eq!(edge.kept(Layer::Answer), 2);
    let told = purge(&edge, "admin", &of_answer(&id)).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(edge.kept(Layer::Answer), 0);
}

#[tokio::test]
async fn where_the_store_fails_the_purge_holds_and_the_admin_is_told_to_come_again() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = Edge::new(Library::of_two_teachers());
        let id = answered(&edge).await;
        edge.break_(|faults| faults.caches = Some(failure));
        let told = purge(&edge, "admin", &everything()).await;
        assert_eq!(told.status, 200, "{}", told.body);
        assert!(told.body.contains("\"scopes_dropped\":0"), "{}", told.body);

        let refused = purge(&edge, "admin", &of_answer(&id)).await;
        let problem = refused.problem();
        assert!(
            problem.is(ProblemKind::StorageUnavailable),
            "{}",
            refused.body
        );
        let words = "The purge is in force. Send it again to have the text deleted.";
        assert_eq!(problem.detail.as_deref(), Some(words));

        edge.repair();
        let told = purge(&edge, "admin", &of_answer(&id)).await;
        assert_eq!(told.status, 200, "{}", told.body);
        assert_eq!(edge.kept(Layer::Answer), 0);
    }
}

#[tokio::test]
async fn without_the_origin_nothing_is_purged() {
    for failure in [Failure::Fails, Failure::Stalls] {
        let edge = Edge::new(Library::of_two_teachers());
        let id = answered(&edge).await;
        edge.break_(|faults| faults.origin("/v1/admin/cache/purge", failure));
        let refused = purge(&edge, "admin", &of_answer(&id)).await;
        assert!(refused.problem().is(ProblemKind::OriginUnavailable));
        assert_eq!((edge.kept(Layer::Answer), edge.kept(Layer::Scope)), (1, 1));
    }
}
