//! A class asks the same thing at the same moment.

use futures_util::future::join_all;
use journeys::{School, WALTZ, journey};
use local_stack::{
    Client, Role,
    faults::{Fault, Target},
};
use shared_types::chat::{CacheOutcome, FinishReason};

const STUDENTS: usize = 6;

/// Students who have never met, signed in.
async fn class(school: &School) -> Vec<Client> {
    let mut browsers = Vec::new();
    for number in 0..STUDENTS {
        let email = format!("student-{number}@school.example");
        browsers.push(school.newcomer(&email, Role::Student).await.browser);
    }
    browsers
}

#[test]
fn a_class_that_asks_the_same_at_once_costs_one_call_of_the_model() {
    journey(async |school| {
        school.shows_pedalling().await;
        let browsers = class(school).await;
        // The model takes its time, so that everybody has asked before it speaks.
        let slow = Fault::Stall { ms: 3_000 };
        let faults = school.stack.faults();
        faults.arm(Target::Vertex, slow, Some(1)).await.unwrap();
        let before = faults.calls().await.unwrap()[&Target::Vertex];

        let answers = join_all(browsers.iter().map(|browser| browser.ask_to_end(WALTZ))).await;

        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let calls = faults.calls().await.unwrap()[&Target::Vertex] - before;
        assert_eq!(calls, 1);
        for answer in &answers {
            let meta = answer.meta.as_ref().unwrap();
            assert_eq!(meta.cache.answer, CacheOutcome::Miss);
            let done = answer.done.as_ref().unwrap();
            assert_eq!(done.finish_reason, FinishReason::Complete);
            assert_eq!(answer.text, answers[0].text);
            assert_eq!(answer.citations, answers[0].citations);
            assert!(!answer.citations.is_empty());
        }
    });
}
