//! The train goes into a tunnel in the middle of an answer.

use journeys::{School, WALTZ, journey};
use local_stack::{
    client::Moment,
    faults::{Fault, Target},
};
use shared_types::{
    chat::{ChatQuery, FinishReason},
    conversation::MessageReply,
    event::AnswerEvent,
};
use std::time::Duration;

async fn model_calls(school: &School) -> u64 {
    let calls = school.stack.faults().calls().await.unwrap();
    calls.get(&Target::Vertex).copied().unwrap_or_default()
}

/// What stands on the page: text, with markers where citations stand.
fn page(moments: &[Moment]) -> String {
    let text = moments.iter().map(|moment| match &moment.event {
        AnswerEvent::Delta(delta) => delta.text.clone(),
        AnswerEvent::Citation(citation) => format!(" [{}]", citation.marker),
        _ => String::new(),
    });
    text.collect()
}

/// Whether it goes on from what was known.
fn is_resumed(moments: &[Moment]) -> bool {
    matches!(&moments[0].event, AnswerEvent::Meta(meta) if meta.resumed)
}

#[test]
fn a_student_who_was_cut_off_goes_on_reading_and_nobody_pays_twice() {
    journey(async |school| {
        school.shows_pedalling().await;
        let student = &school.student.browser;
        let session = student.begin_conversation().await.unwrap();
        let query = ChatQuery {
            query: WALTZ.to_owned(),
            session_id: Some(session.id),
            ..ChatQuery::default()
        };
        // The model stops to think in the middle of its answer.
        let thought = Fault::PauseAfter {
            events: 4,
            ms: 1_500,
        };
        let faults = school.stack.faults();
        faults.arm(Target::Vertex, thought, Some(1)).await.unwrap();

        let mut answering = student.ask_query(&query).await.unwrap();
        let mut known = Vec::new();
        while page(&known).is_empty() {
            known.push(answering.next().await.unwrap().unwrap());
        }
        drop(answering);
        tokio::time::sleep(Duration::from_millis(500)).await;

        let last = &known.last().unwrap().id;
        let mut again = student.ask_behind(&query, last).await.unwrap();
        let mut rest = Vec::new();
        while let Some(moment) = again.next().await.unwrap() {
            rest.push(moment);
        }

        assert!(is_resumed(&rest), "{rest:?}");
        let AnswerEvent::Done(done) = &rest.last().unwrap().event else {
            panic!("{rest:?}");
        };
        assert_eq!(done.finish_reason, FinishReason::Complete);
        assert_eq!(model_calls(school).await, 1);

        // It is one question, and its answer is written down whole.
        let messages = student.sees_answers_in(session.id).await.unwrap();
        assert_eq!(messages.len(), 1);
        let MessageReply::Answered { answer } = &messages[0].reply else {
            panic!("{messages:?}");
        };
        let read = page(&known) + &page(&rest);
        assert_eq!(read, answer.text);

        // The next day it comes out of a cache, cut into other pieces, and goes on from the same place.
        let mut kept = student.ask_behind(&query, last).await.unwrap();
        let mut rest = Vec::new();
        while let Some(moment) = kept.next().await.unwrap() {
            rest.push(moment);
        }
        assert!(is_resumed(&rest), "{rest:?}");
        assert_eq!(page(&known) + &page(&rest), read);
        assert_eq!(model_calls(school).await, 1);
    });
}

#[test]
fn an_answer_that_its_model_broke_off_is_picked_up_where_it_broke() {
    journey(async |school| {
        school.shows_pedalling().await;
        let faults = school.stack.faults();
        let cut = Fault::CutAfterEvents { events: 5 };
        faults.arm(Target::Vertex, cut, Some(1)).await.unwrap();
        let student = &school.student.browser;
        let mut metas = Vec::new();
        let answer = student.ask_persistently(WALTZ, |moment| {
            if let AnswerEvent::Meta(meta) = &moment.event {
                metas.push(meta.resumed);
            }
        });
        let answer = answer.await.unwrap();
        assert!(answer.done.is_some() && answer.error.is_none());
        assert_eq!(metas, [false, true]);
        let whole = student.ask_json(WALTZ).await.unwrap();
        let bare = whole.citations.iter().fold(whole.answer, |text, citation| {
            text.replace(&format!(" [{}]", citation.marker), "")
        });
        assert_eq!(answer.text, bare);
    });
}
