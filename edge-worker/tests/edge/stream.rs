//! An answer on its way: whole events only, an end in every case, and nothing kept but what is whole.

use crate::support::{
    Edge, StreamFault,
    library::{FIRST_STUDENT, Library},
};
use edge_worker::{gateway::exchange::ReplyBody, ports::Layer};
use futures_util::StreamExt;
use shared_types::{
    event::AnswerEvent,
    problem::{Problem, ProblemKind},
};

/// The bytes of a student's whole answer, without `meta`.
async fn answer_length() -> usize {
    let whole = Edge::new(Library::of_two_teachers())
        .ask(FIRST_STUDENT, "scales?")
        .await;
    let meta = whole.body.find("\n\n").unwrap() + 2;
    whole.body.len() - meta
}

#[tokio::test]
async fn an_answer_cut_anywhere_ends_in_an_error_and_is_never_kept() {
    let length = answer_length().await;
    for bytes in 0..length {
        let edge = Edge::new(Library::of_two_teachers());
        edge.break_(|faults| faults.stream = Some(StreamFault::EndsAfter(bytes)));
        let received = edge.ask(FIRST_STUDENT, "scales?").await;
        let problem = received
            .final_problem()
            .expect("the last event is an error");
        assert!(
            problem.is(ProblemKind::AnswerInterrupted),
            "cut after {bytes}"
        );
        assert_eq!(edge.kept(Layer::Answer), 0, "cut after {bytes}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_interruption_in_both_forms() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::BreaksAfter(200)));
    let events = edge.ask(FIRST_STUDENT, "scales?").await;
    assert!(
        events
            .final_problem()
            .unwrap()
            .is(ProblemKind::AnswerInterrupted)
    );
    let json = edge.ask_json(FIRST_STUDENT, "scales?").await;
    assert_eq!(json.status, 503);
    assert!(json.problem().is(ProblemKind::AnswerInterrupted));
    assert_eq!(edge.kept(Layer::Answer), 0);
}

#[tokio::test]
async fn silence_is_filled_with_comments_and_then_ended() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(150)));
    let received = edge.ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(received.body.matches(": keep-alive\n\n").count(), 2);
    assert!(
        received
            .final_problem()
            .unwrap()
            .is(ProblemKind::AnswerInterrupted)
    );
    assert_eq!(edge.kept(Layer::Answer), 0);
}

#[tokio::test]
async fn a_failure_of_the_model_is_passed_on_as_it_is() {
    let edge = Edge::new(Library::of_two_teachers());
    let overloaded = Problem::new(ProblemKind::ModelUnavailable);
    edge.break_(|faults| faults.stream = Some(StreamFault::ErrorEvent(overloaded.clone())));
    let events = edge.ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(events.final_problem(), Some(overloaded));
    let ends = events
        .events()
        .into_iter()
        .filter(|e| matches!(e, AnswerEvent::Error(_)));
    assert_eq!(ends.count(), 1);
    let json = edge.ask_json(FIRST_STUDENT, "scales?").await;
    assert!(json.problem().is(ProblemKind::ModelUnavailable));
    assert_eq!(edge.kept(Layer::Answer), 0);
}

#[tokio::test]
async fn what_is_no_event_of_ours_reaches_nobody() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::Garbage));
    let received = edge.ask(FIRST_STUDENT, "scales?").await;
    assert!(
        received
            .final_problem()
            .unwrap()
            .is(ProblemKind::AnswerInterrupted)
    );
    assert_eq!(edge.kept(Layer::Answer), 0);
}

#[tokio::test]
async fn the_sources_are_told_before_the_model_has_said_a_word() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(0)));
    let ReplyBody::Stream(mut stream) = edge
        .begin(edge.question(FIRST_STUDENT, "scales?"))
        .await
        .body
    else {
        panic!("a live answer is a stream");
    };
    let first = stream.next().await.unwrap();
    assert!(first.starts_with(b"event: meta\n"));
    drop(stream);
    edge.settle().await;
    assert_eq!(
        edge.kept(Layer::Answer),
        0,
        "a reader who leaves ends the answer"
    );
}
