//! A service that Etude leans on gives way: the browser is told clearly, and nothing wrong is kept.

use journeys::{School, journey};
use local_stack::{
    StackConfig, StackError,
    faults::{Fault, Target},
};
use shared_types::{
    chat::{CacheOutcome, Degradation},
    documents::Visibility,
    problem::{Problem, ProblemKind},
};

const QUESTION: &str = "On which beat do I release the pedal in a light waltz?";

/// An origin that does not wait long for the language model.
fn impatient(config: StackConfig) -> StackConfig {
    config
        .with_variable("origin", "LLM_FIRST_EVENT_TIMEOUT_MS", "1000")
        .with_variable("origin", "LLM_IDLE_TIMEOUT_MS", "1000")
}

async fn fill(school: &School) {
    school
        .teacher
        .adds_booklet("04-pedalling.pdf", Visibility::Public)
        .await;
}

async fn refusal(school: &School) -> Problem {
    match school.student.browser.ask_to_end(QUESTION).await {
        Err(StackError::Refused { problem, .. }) => *problem,
        other => panic!("the question was not refused: {other:?}"),
    }
}

#[test]
fn a_model_that_fails_or_stalls_is_a_clear_problem() {
    journey(impatient, async |school| {
        fill(school).await;
        let faults = school.stack.faults();
        for fault in [
            Fault::Status { status: 500 },
            Fault::Status { status: 429 },
            Fault::Stall { ms: 60_000 },
        ] {
            faults
                .arm(Target::Vertex, fault.clone(), None)
                .await
                .unwrap();
            let problem = refusal(school).await;
            assert!(
                problem.is(ProblemKind::ModelUnavailable),
                "{fault:?}: {problem:?}"
            );
            assert!(problem.retry_after_s.is_some());
            faults.clear().await.unwrap();
        }
        let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
        assert!(answer.done.is_some());
    });
}

#[test]
fn one_failure_of_the_model_is_not_noticed() {
    journey(
        |config| config,
        async |school| {
            fill(school).await;
            let fault = Fault::Status { status: 529 };
            school
                .stack
                .faults()
                .arm(Target::Vertex, fault, Some(1))
                .await
                .unwrap();
            let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
            assert!(answer.done.is_some());
        },
    );
}

#[test]
fn an_answer_that_breaks_off_ends_with_an_error_event_and_is_not_kept() {
    journey(impatient, async |school| {
        fill(school).await;
        let faults = school.stack.faults();
        let overloaded = Fault::ErrorEventAfter {
            events: 4,
            error_type: "overloaded_error".into(),
        };
        for fault in [Fault::CutAfterEvents { events: 4 }, overloaded] {
            faults
                .arm(Target::Vertex, fault.clone(), None)
                .await
                .unwrap();
            let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
            assert!(answer.done.is_none(), "{fault:?}");
            let problem = answer
                .error
                .unwrap_or_else(|| panic!("{fault:?}: no error event"));
            let named = problem.is(ProblemKind::AnswerInterrupted)
                || problem.is(ProblemKind::ModelUnavailable);
            assert!(named, "{fault:?}: {problem:?}");
            faults.clear().await.unwrap();
        }
        let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
        assert_eq!(answer.meta.unwrap().cache.answer, CacheOutcome::Miss);
        assert!(answer.done.is_some());
    });
}

#[test]
fn without_the_reranker_the_question_is_answered_in_the_order_of_fusion() {
    journey(
        |config| config,
        async |school| {
            fill(school).await;
            let fault = Fault::Status { status: 500 };
            school
                .stack
                .faults()
                .arm(Target::Rerank, fault, None)
                .await
                .unwrap();
            let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
            let meta = answer.meta.unwrap();
            assert_eq!(meta.degraded, [Degradation::RerankerUnavailable]);
            assert!(meta.sources.iter().all(|source| source.score.is_none()));
            assert!(answer.done.is_some());
        },
    );
}

#[test]
fn without_the_encoder_the_question_is_answered_by_words() {
    journey(
        |config| config,
        async |school| {
            fill(school).await;
            let fault = Fault::Status { status: 500 };
            school
                .stack
                .faults()
                .arm(Target::Embedding, fault, None)
                .await
                .unwrap();
            let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
            assert!(
                answer
                    .meta
                    .unwrap()
                    .degraded
                    .contains(&Degradation::EmbeddingUnavailable)
            );
            assert!(answer.text.contains("beat 2"), "{}", answer.text);
        },
    );
}

#[test]
fn without_the_sign_in_service_those_signed_in_go_on_and_others_are_told() {
    journey(
        |config| config,
        async |school| {
            fill(school).await;
            let fault = Fault::Status { status: 500 };
            school
                .stack
                .faults()
                .arm(Target::Auth, fault.clone(), None)
                .await
                .unwrap();
            school
                .stack
                .faults()
                .arm(Target::Jwks, fault, None)
                .await
                .unwrap();
            let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
            assert!(answer.done.is_some());
            match school
                .stack
                .client()
                .sign_in("student@school.example", "whatever")
                .await
            {
                Err(StackError::Refused { problem, .. }) => {
                    assert!(problem.is(ProblemKind::AuthUnavailable), "{problem:?}");
                }
                other => panic!("{other:?}"),
            }
        },
    );
}
