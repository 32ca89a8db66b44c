//! A service that Etude leans on gives way: the browser is told clearly, and nothing wrong is kept.

use journeys::{School, WALTZ, journey, journey_with};
use local_stack::{
    StackConfig, StackError,
    client::Answer,
    faults::{Fault, Target},
};
use shared_types::{
    chat::{CacheOutcome, Degradation},
    problem::{Problem, ProblemKind},
};
use std::time::Duration;

/// An origin that does not wait long for the language model.
fn impatient(config: StackConfig) -> StackConfig {
    config
        .with_variable("origin", "LLM_FIRST_EVENT_TIMEOUT_MS", "1000")
        .with_variable("origin", "LLM_IDLE_TIMEOUT_MS", "1000")
}

async fn arm(school: &School, target: Target, fault: Fault, times: Option<u32>) {
    let faults = school.stack.faults();
    faults.arm(target, fault, times).await.unwrap();
}

async fn answer(school: &School) -> Answer {
    school.student.browser.ask_to_end(WALTZ).await.unwrap()
}

/// The answer to somebody who asks again when the reply says so: after several failures a model is left alone.
async fn patient_answer(school: &School) -> Answer {
    for _ in 0..5 {
        match school.student.browser.ask_to_end(WALTZ).await {
            Err(StackError::Refused { problem, .. }) => {
                let wait_s = problem.retry_after_s.unwrap();
                tokio::time::sleep(Duration::from_secs(wait_s.into())).await;
            }
            other => return other.unwrap(),
        }
    }
    panic!("the model is left alone for ever");
}

async fn refusal(school: &School) -> Problem {
    match school.student.browser.ask_to_end(WALTZ).await {
        Err(StackError::Refused { problem, .. }) => *problem,
        other => panic!("the question was not refused: {other:?}"),
    }
}

#[test]
fn a_model_that_fails_or_stalls_is_a_clear_problem() {
    journey_with(impatient, async |school| {
        school.shows_pedalling().await;
        for fault in [
            Fault::Status { status: 500 },
            Fault::Status { status: 429 },
            Fault::Stall { ms: 60_000 },
        ] {
            arm(school, Target::Vertex, fault.clone(), None).await;
            let problem = refusal(school).await;
            assert!(
                problem.is(ProblemKind::ModelUnavailable),
                "{fault:?}: {problem:?}"
            );
            assert!(problem.retry_after_s.is_some());
            school.stack.faults().clear().await.unwrap();
        }
        let answer = patient_answer(school).await;
        assert!(answer.done.is_some());
    });
}

#[test]
fn one_failure_of_the_model_is_not_noticed() {
    journey(async |school| {
        school.shows_pedalling().await;
        arm(
            school,
            Target::Vertex,
            Fault::Status { status: 529 },
            Some(1),
        )
        .await;
        let answer = answer(school).await;
        assert!(answer.done.is_some());
    });
}

#[test]
fn an_answer_that_breaks_off_ends_with_an_error_event_and_is_not_kept() {
    journey_with(impatient, async |school| {
        school.shows_pedalling().await;
        let overloaded = Fault::ErrorEventAfter {
            events: 4,
            error_type: "overloaded_error".into(),
        };
        for fault in [Fault::CutAfterEvents { events: 4 }, overloaded] {
            arm(school, Target::Vertex, fault.clone(), None).await;
            let answer = answer(school).await;
            assert!(answer.done.is_none(), "{fault:?}");
            let problem = answer
                .error
                .unwrap_or_else(|| panic!("{fault:?}: no error event"));
            let named = problem.is(ProblemKind::AnswerInterrupted)
                || problem.is(ProblemKind::ModelUnavailable);
            assert!(named, "{fault:?}: {problem:?}");
            school.stack.faults().clear().await.unwrap();
        }
        let answer = answer(school).await;
        assert_eq!(answer.meta.unwrap().cache.answer, CacheOutcome::Miss);
        assert!(answer.done.is_some());
    });
}

#[test]
fn without_the_reranker_the_question_is_answered_in_the_order_of_fusion() {
    journey(async |school| {
        school.shows_pedalling().await;
        arm(school, Target::Rerank, Fault::Status { status: 500 }, None).await;
        let answer = answer(school).await;
        let meta = answer.meta.unwrap();
        assert_eq!(meta.degraded, [Degradation::RerankerUnavailable]);
        assert!(meta.sources.iter().all(|source| source.score.is_none()));
        assert!(answer.done.is_some());
    });
}

#[test]
fn without_the_encoder_the_question_is_answered_by_words() {
    journey(async |school| {
        school.shows_pedalling().await;
        arm(
            school,
            Target::Embedding,
            Fault::Status { status: 500 },
            None,
        )
        .await;
        let answer = answer(school).await;
        assert!(
            answer
                .meta
                .unwrap()
                .degraded
                .contains(&Degradation::EmbeddingUnavailable)
        );
        assert!(answer.text.contains("beat 2"), "{}", answer.text);
    });
}

#[test]
fn without_the_sign_in_service_those_signed_in_go_on_and_others_are_told() {
    journey(async |school| {
        school.shows_pedalling().await;
        let fault = Fault::Status { status: 500 };
        arm(school, Target::Auth, fault.clone(), None).await;
        arm(school, Target::Jwks, fault, None).await;
        let answer = answer(school).await;
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
    });
}
