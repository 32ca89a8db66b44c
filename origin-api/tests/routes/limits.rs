//! How much the origin takes on at once, and what everybody else is told.

use crate::{
    answer::{ANSWER, asking, library, names, paused},
    database::Database,
    origin::{Origin, events, problem},
};
use shared_types::{claims::Role, problem::ProblemKind};
use std::time::Duration;
use tokio::time::Instant;

const SCOPE: &str = "/v1/scope";

#[tokio::test]
async fn an_answer_is_in_work_until_its_last_byte_and_what_comes_beyond_the_limit_is_put_off() {
    let origin = Origin::start_with(&[("ORIGIN_CONCURRENCY", "1")]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let told = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;

    let put_off = origin.get(&student, SCOPE).await;
    assert_eq!(put_off.headers()["retry-after"], "2");
    problem(put_off, ProblemKind::Overloaded).await;
    let health = origin.bare(reqwest::Method::GET, "/api/health");
    assert_eq!(health.send().await.unwrap().status(), 200);
    // Who is not the edge is told so, and takes nobody's place.
    let stranger = origin.bare(reqwest::Method::GET, SCOPE);
    problem(stranger.send().await.unwrap(), ProblemKind::NotFromEdge).await;

    origin.clouds.go_on();
    assert_eq!(names(&events(told).await), ["delta", "citation", "done"]);
    assert_eq!(origin.get(&student, SCOPE).await.status(), 200);
}

#[tokio::test]
async fn a_caller_who_goes_away_makes_room() {
    let origin = Origin::start_with(&[("ORIGIN_CONCURRENCY", "1")]).await;
    let (student, chunk) = library(&origin).await;
    origin.clouds.will(paused());
    let told = origin.post(&student, ANSWER, &asking(chunk, 0.8)).await;
    problem(origin.get(&student, SCOPE).await, ProblemKind::Overloaded).await;
    drop(told);
    let deadline = Instant::now() + Duration::from_secs(10);
    while origin.get(&student, SCOPE).await.status() != 200 {
        assert!(Instant::now() < deadline, "the place is never given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_a_connection_to_the_database_without_end() {
    let mut database = Database::new().await;
    let options = database.origin.options().clone();
    database.origin = options
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(200))
        .connect_with((*database.origin.connect_options()).clone())
        .await
        .unwrap();
    let origin = Origin::start_on(database, &[]).await;
    let student = origin.database.person(Role::Student).await;
    let held = origin.database.origin.acquire().await.unwrap();
    let told = problem(
        origin.get(&student, SCOPE).await,
        ProblemKind::OriginUnavailable,
    )
    .await;
    assert_eq!(told.retry_after_s, Some(1));
    drop(held);
    assert_eq!(origin.get(&student, SCOPE).await.status(), 200);
}
