//! What the origin says of itself to whoever runs it: whether it is ready, and what the edge tells.

use crate::origin::{Origin, SECRET, problem};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared_types::{headers::EDGE_TOKEN, problem::ProblemKind};

async fn readiness(origin: &Origin) -> (StatusCode, Value) {
    let reply = origin.bare(Method::GET, "/api/ready").send().await.unwrap();
    (reply.status(), reply.json().await.unwrap())
}

#[tokio::test]
async fn an_origin_is_ready_with_everything_that_it_needs_and_says_how_long_each_took() {
    let origin = Origin::start().await;
    let (status, report) = readiness(&origin).await;
    assert_eq!(
        (status, &report["status"]),
        (StatusCode::OK, &json!("ready"))
    );
    for check in ["database", "migrations", "files", "model"] {
        let check = &report["checks"][check];
        assert_eq!(check["ok"], true, "{report}");
        assert!(check["latency_ms"].is_number(), "{report}");
    }
    // Within a second nobody looks again.
    assert_eq!(readiness(&origin).await.1, report);
}

#[tokio::test]
async fn an_origin_whose_database_lacks_a_migration_is_not_ready() {
    let origin = Origin::start().await;
    let undone =
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)";
    sqlx::query(undone)
        .execute(&origin.database.owner)
        .await
        .unwrap();
    let (status, report) = readiness(&origin).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(report["status"], "not ready");
    assert_eq!(report["checks"]["migrations"]["ok"], false, "{report}");
    assert_eq!(report["checks"]["database"]["ok"], true, "{report}");
}

#[tokio::test]
async fn without_object_storage_an_origin_still_takes_questions_and_says_what_is_missing() {
    // Nobody listens there.
    let origin = Origin::start_with(&[("R2_ENDPOINT", "http://127.0.0.1:1")]).await;
    let (status, report) = readiness(&origin).await;
    assert_eq!(
        (status, &report["status"]),
        (StatusCode::OK, &json!("degraded"))
    );
    assert_eq!(report["checks"]["files"]["ok"], false, "{report}");
}

#[tokio::test]
async fn the_edge_alone_tells_of_itself_and_a_line_that_can_not_be_read_does_no_harm() {
    let origin = Origin::start().await;
    let tell = |body: Value| origin.bare(Method::POST, "/v1/edge-lines").json(&body);
    let lines = json!({"invocations": [
        {"outcome": "ok", "at_ms": 1, "line": false},
        {"line": {"route": 7}},
        {"outcome": "exceededMemory"},
    ]});
    let stranger = tell(lines.clone()).send().await.unwrap();
    problem(stranger, ProblemKind::NotFromEdge).await;
    let taken = tell(lines).header(EDGE_TOKEN, SECRET).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::NO_CONTENT);
    let too_large = json!({"invocations": [{"outcome": "x".repeat(2 * 1024 * 1024)}]});
    let refused = tell(too_large)
        .header(EDGE_TOKEN, SECRET)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
