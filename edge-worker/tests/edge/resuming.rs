//! A reader who was cut off comes back and goes on where they were.

use crate::support::{
    Edge, Received, Sent, StreamFault,
    library::{FIRST_STUDENT, Library},
};
use edge_worker::ports::Layer;
use http::Method;
use serde_json::json;
use shared_types::{
    conversation::{Answered, Ask},
    event::AnswerEvent,
    problem::ProblemKind,
};
use uuid::Uuid;

const QUESTION: &str = "scales?";

fn edge() -> Edge {
    Edge::new(Library::of_two_teachers())
}

/// The question once more, from somebody who was told the event of this id last.
fn again(edge: &Edge, last_event_id: &str) -> Sent {
    let mut sent = edge.question(FIRST_STUDENT, QUESTION);
    sent.headers.last_event_id = Some(last_event_id.to_owned());
    sent
}

/// The events of a reply as they went over the wire, without `meta`.
fn wire(received: &Received) -> Vec<&str> {
    received.body.split_inclusive("\n\n").skip(1).collect()
}

fn id(event: &str) -> &str {
    let id = event.lines().find_map(|line| line.strip_prefix("id: "));
    id.expect("each event has an id")
}

/// What the reader has in the end.
fn read(events: &[AnswerEvent]) -> String {
    let text = events.iter().map(|event| match event {
        AnswerEvent::Delta(delta) => delta.text.clone(),
        AnswerEvent::Citation(citation) => format!("[{}]", citation.marker),
        AnswerEvent::Meta(_) => String::new(),
        other => other.name().to_owned(),
    });
    text.collect()
}

#[tokio::test]
async fn wherever_it_was_cut_the_rest_comes_from_the_origin_or_from_a_cache_and_is_kept() {
    let whole = edge().ask(FIRST_STUDENT, QUESTION).await;
    let all = read(&whole.events());
    let events = wire(&whole);
    // Whoever has the last event asks for nothing more.
    for (at, event) in events[..events.len() - 1].iter().enumerate() {
        // `meta`, and what came up to this event.
        let known = read(&whole.events()[..at + 2]);
        let edge = edge();
        for from in ["origin", "cache"] {
            let rest = edge.send(again(&edge, id(event))).await;
            assert!(rest.meta().resumed, "{from}, behind event {at}");
            assert_eq!(known.clone() + &read(&rest.events()), all, "{from}, {at}");
            assert_eq!(edge.kept(Layer::Answer), 1, "{from}, {at}");
            let last = |events: &[&str]| id(events[events.len() - 1]).to_owned();
            assert_eq!(last(&wire(&rest)), last(&events), "{from}, {at}");
        }
        let calls = edge.calls();
        let answers = calls.iter().filter(|call| *call == "/v1/answer");
        assert_eq!(answers.count(), 1, "the second came from the cache");
    }
}

#[tokio::test]
async fn another_answer_or_no_id_of_ours_is_told_from_the_beginning() {
    let edge = edge();
    let whole = edge.ask(FIRST_STUDENT, QUESTION).await;
    let forged = ["4-0-1", "999999-99-7", "", "0-0-0", "yesterday", "1-2-3-4"];
    for isolate in [&edge, &Edge::new(Library::of_two_teachers())] {
        for last_event_id in forged {
            let told = isolate.send(again(isolate, last_event_id)).await;
            assert!(!told.meta().resumed, "{last_event_id:?}");
            let told = read(&told.events());
            assert_eq!(told, read(&whole.events()), "{last_event_id:?}");
        }
    }
}

#[tokio::test]
async fn another_answer_is_told_as_soon_as_it_is_known_to_be_one() {
    let whole = edge().ask(FIRST_STUDENT, QUESTION).await;
    let events = wire(&whole);
    let edge = edge();
    // The model has said one thing and thinks about the next.
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(events[0].len())));
    let told = edge.send(again(&edge, "4-0-1")).await;
    assert!(!told.meta().resumed);
    assert_eq!(wire(&told)[0], events[0]);
    assert!(told.final_problem().is_some());
}

#[tokio::test]
async fn what_breaks_off_again_takes_nothing_away_and_can_be_tried_once_more() {
    let whole = edge().ask(FIRST_STUDENT, QUESTION).await;
    let all = read(&whole.events());
    let events = wire(&whole);
    let last_known = events.len() - 2;
    let bytes: usize = events.iter().map(|event| event.len()).sum();
    for cut in 0..bytes {
        let edge = edge();
        edge.break_(|faults| faults.stream = Some(StreamFault::EndsAfter(cut)));
        let broken = edge.send(again(&edge, id(events[last_known]))).await;
        let problem = broken.final_problem().expect("it ends in an error");
        assert!(problem.is(ProblemKind::AnswerInterrupted));
        assert!(broken.meta().resumed, "cut after {cut}");
        assert_eq!(broken.events().len(), 2, "cut after {cut}");
        assert_eq!(edge.kept(Layer::Answer), 0);

        edge.repair();
        let rest = edge.send(again(&edge, id(events[last_known]))).await;
        let known = read(&whole.events()[..last_known + 2]);
        assert_eq!(known + &read(&rest.events()), all);
    }
}

#[tokio::test]
async fn a_reader_who_waits_for_the_rest_sees_signs_of_life() {
    let whole = edge().ask(FIRST_STUDENT, QUESTION).await;
    let events = wire(&whole);
    let edge = edge();
    edge.break_(|faults| faults.stream = Some(StreamFault::SilentAfter(events[0].len())));
    let silent = edge.send(again(&edge, id(events[events.len() - 2]))).await;
    assert_eq!(silent.body.matches(": keep-alive\n\n").count(), 2);
    assert!(silent.meta().resumed);
    assert!(silent.final_problem().is_some());
}

#[tokio::test]
async fn in_a_conversation_it_is_the_same_question_and_its_answer_is_written_down_whole() {
    let whole = edge().ask(FIRST_STUDENT, QUESTION).await;
    let edge = edge();
    let body = json!({ "query": QUESTION, "session_id": Uuid::from_u128(77) }).to_string();
    let mut asked = edge.signed_in(FIRST_STUDENT, Method::POST, "/api/chat/query", &body);
    asked.headers.last_event_id = Some(id(wire(&whole)[0]).to_owned());
    let rest = edge.send(asked).await;
    assert!(rest.meta().resumed);
    let put: Vec<Ask> = edge.world.put.borrow_mut().drain(..).collect();
    assert!(put.iter().all(|ask| ask.resumes) && put.len() == 1);
    let written: Vec<Answered> = edge.world.written.borrow_mut().drain(..).collect();
    let (text, _) = rag_core::answer::written(&written[0].answer);
    let cited = read(&whole.events()).replace("done", "").replace('[', " [");
    assert_eq!(text, cited);
}
