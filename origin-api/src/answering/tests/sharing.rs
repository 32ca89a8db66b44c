//! The same question from many at the same moment.

use super::*;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::timeout;

/// What one caller gets.
async fn ask(answers: &Answers, number: u128) -> Result<AnswerEvents, ApiError> {
    ask_after(answers, number, 0).await
}

/// What one caller gets after so many purges.
async fn ask_after(answers: &Answers, number: u128, purges: u64) -> Result<AnswerEvents, ApiError> {
    let passages = vec![passage(1)];
    let request = request(QUESTION, &passages, SCORE);
    let chosen = chosen(passages, purges);
    let context = context(number);
    answers
        .answer(&context, &payer(number), &request, chosen)
        .await
}

#[tokio::test]
async fn who_asks_after_a_purge_is_not_told_what_was_begun_before_it() {
    let (answers, model) = answers(2, 2);
    let [before, after] = [(); 2].map(|()| model.will_speak());
    before.say(text("Slouch."));
    after.say(text("Sit tall."));
    let mut begun = ask_after(&answers, 1, 0).await.unwrap();
    let mut anew = ask_after(&answers, 2, 1).await.unwrap();
    let mut joined = ask_after(&answers, 3, 1).await.unwrap();
    assert_eq!(next(&mut begun).await, "Slouch.");
    assert_eq!(next(&mut anew).await, "Sit tall.");
    assert_eq!(next(&mut joined).await, "Sit tall.");
    assert_eq!(model.calls(), 2);
}

/// What is left of an answer.
async fn rest(events: Result<AnswerEvents, ApiError>) -> Vec<AnswerEvent> {
    events.unwrap().collect().await
}

async fn next(events: &mut AnswerEvents) -> String {
    match events.next().await {
        Some(AnswerEvent::Delta(delta)) => delta.text,
        other => panic!("{other:?}"),
    }
}

async fn soon(what: impl Future<Output = ()>) {
    timeout(Duration::from_secs(5), what)
        .await
        .expect("it happens soon");
}

fn is_done(event: Option<&AnswerEvent>) -> bool {
    matches!(event, Some(AnswerEvent::Done(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_who_ask_at_once_are_told_one_answer() {
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    let everybody = (0..50).map(|number| {
        let answers = answers.clone();
        tokio::spawn(async move { rest(ask(&answers, number).await).await })
    });
    let everybody: Vec<_> = everybody.collect();
    for word in ["Sit ", "tall", "."] {
        call.say(text(word));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    call.say(end(FinishReason::Complete));
    let told: Vec<_> = join_all(everybody).await;
    let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    assert_eq!(model.calls(), 1);
    assert_eq!(told[0].len(), 4);
    assert!(is_done(told[0].last()));
    assert!(told.iter().all(|events| *events == told[0]));
}

#[tokio::test]
async fn who_asks_while_an_answer_is_told_hears_the_whole_of_it() {
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    call.say(text("Sit "));
    let mut first = ask(&answers, 1).await.unwrap();
    assert_eq!(next(&mut first).await, "Sit ");
    let mut late = ask(&answers, 2).await.unwrap();
    assert_eq!(next(&mut late).await, "Sit ");
    call.say(text("tall."));
    call.say(end(FinishReason::Complete));
    let first: Vec<_> = first.collect().await;
    assert_eq!(first.len(), 2);
    assert!(is_done(first.last()));
    assert_eq!(late.collect::<Vec<_>>().await, first);
    assert_eq!(model.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_on_without_the_one_who_asked_first_and_ends_soon_after_the_last_who_listens()
 {
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    let first = ask(&answers, 1).await.unwrap();
    let mut second = ask(&answers, 2).await.unwrap();
    drop(first);
    call.say(text("Sit "));
    assert_eq!(next(&mut second).await, "Sit ");
    assert!(!call.0.is_closed());
    drop(second);
    soon(call.is_dropped()).await;

    // The one permit is free again, and nobody is told the rest of what was dropped.
    let again = model.will_speak();
    again.say(end(FinishReason::Complete));
    assert_eq!(rest(ask(&answers, 3).await).await.len(), 1);
    assert_eq!(model.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_hears_the_whole_of_it_from_the_same_call_also_with_the_days_share_used_up()
{
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    call.say(text("Sit "));
    let mut cut = ask(&answers, 1).await.unwrap();
    assert_eq!(next(&mut cut).await, "Sit ");
    drop(cut);
    call.say(text("tall."));
    call.say(end(FinishReason::Complete));
    tokio::time::sleep(LINGER / 2).await;

    let passages = vec![passage(1)];
    let request = request(QUESTION, &passages, SCORE);
    let without_a_share = || Chosen {
        used_up: Some(used_up()),
        ..chosen(passages.clone(), 0)
    };
    let again = answers
        .answer(&context(2), &payer(1), &request, without_a_share())
        .await;
    assert_eq!(rest(again).await.len(), 3);
    assert_eq!(model.calls(), 1);

    tokio::time::sleep(2 * LINGER).await;
    let late = answers
        .answer(&context(3), &payer(1), &request, without_a_share())
        .await;
    assert!(late.is_err());
    assert_eq!(model.calls(), 1);
}

#[tokio::test]
async fn a_model_that_still_ponders_is_let_go_with_the_last_who_waits() {
    let (answers, model) = answers(1, 1);
    let (sender, words) = unbounded_channel();
    model.will(Script::Ponder(words));
    let impatient = [1, 2].map(|number| {
        let answers = answers.clone();
        tokio::spawn(async move { ask(&answers, number).await.map(drop) })
    });
    while model.calls() == 0 {
        tokio::task::yield_now().await;
    }
    for caller in impatient {
        assert!(!sender.is_closed());
        caller.abort();
        let _ = caller.await;
    }
    soon(sender.closed()).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_so_for_all_who_hear_it_and_for_nobody_after_them() {
    let (answers, model) = answers(1, 2);
    let call = model.will_speak();
    let listeners = [ask(&answers, 1).await, ask(&answers, 2).await];
    call.say(text("Sit "));
    call.break_off();
    soon(call.is_dropped()).await;

    // The listeners have not read on yet, so the broken answer is still there; it is joined by nobody.
    let again = model.will_speak();
    again.say(text("Sit tall."));
    again.say(end(FinishReason::Complete));
    let fresh = rest(ask(&answers, 3).await).await;
    assert_eq!(fresh.len(), 2);
    assert!(is_done(fresh.last()));
    assert_eq!(model.calls(), 2);

    for (number, listener) in (1..).zip(listeners) {
        let told = rest(listener).await;
        assert_eq!(told.len(), 2);
        let problem = Problem::new(ProblemKind::AnswerInterrupted)
            .with_instance(RequestId(Uuid::from_u128(number)));
        assert_eq!(told[1], AnswerEvent::Error(problem));
    }
}

#[tokio::test]
async fn a_model_that_can_not_be_had_is_the_same_problem_for_all_who_wait() {
    let (answers, model) = answers(1, 1);
    model.will(Script::Refuse(ModelError::Status {
        status: 429,
        kind: "rate_limit_error".into(),
        retry_after: Some(Duration::from_secs(30)),
        should_retry: None,
    }));
    for refused in join_all((0..3).map(|number| ask(&answers, number))).await {
        let error = refused.err().unwrap();
        assert!(error.problem().is(ProblemKind::ModelUnavailable));
        assert_eq!(error.problem().retry_after_s, Some(30));
        assert!(error.cause().unwrap().contains("429"));
    }
    assert_eq!(model.calls(), 1);
    let call = model.will_speak();
    call.say(end(FinishReason::Complete));
    assert!(is_done(rest(ask(&answers, 4).await).await.last()));
}

#[tokio::test]
async fn a_fault_of_ours_in_the_telling_is_a_problem_and_not_a_wait() {
    let (answers, model) = answers(1, 1);
    model.will(Script::Panic);
    let error = ask(&answers, 1).await.err().unwrap();
    assert!(error.problem().is(ProblemKind::Internal));
    let call = model.will_speak();
    call.say(end(FinishReason::Complete));
    assert!(is_done(rest(ask(&answers, 2).await).await.last()));
}

#[tokio::test]
async fn another_question_other_passages_or_other_scores_are_another_answer() {
    let (answers, model) = answers(16, 16);
    let (one, two) = (passage(1), passage(2));
    let mut renamed = passage(1);
    renamed.document_title = "How to sit".into();
    let mut rewritten = passage(1);
    rewritten.content = "Sit tall. Keep the wrist loose.".into();
    let mut moved = passage(1);
    moved.units[0].page = 7;
    let asked = [
        (QUESTION, vec![one.clone()], SCORE),
        ("How do I sit", vec![one.clone()], SCORE),
        (QUESTION, vec![one.clone()], 0.81),
        (QUESTION, vec![two.clone()], SCORE),
        (QUESTION, vec![one.clone(), two.clone()], SCORE),
        (QUESTION, vec![two, one], SCORE),
        (QUESTION, vec![renamed], SCORE),
        (QUESTION, vec![rewritten], SCORE),
        (QUESTION, vec![moved], SCORE),
    ];
    let mut open = Vec::new();
    for (number, (question, passages, score)) in asked.iter().enumerate() {
        let call = model.will_speak();
        call.say(text(&number.to_string()));
        let request = request(question, passages, *score);
        let events = answers
            .answer(
                &context(1),
                &payer(1),
                &request,
                chosen(passages.clone(), 0),
            )
            .await;
        open.push((call, events.unwrap()));
    }
    assert_eq!(model.calls(), asked.len());
    for (number, (_call, events)) in open.iter_mut().enumerate() {
        assert_eq!(next(events).await, number.to_string());
    }
}

#[tokio::test]
async fn where_no_more_answers_can_be_shared_a_caller_has_one_alone() {
    let (answers, model) = answers(3, 1);
    let _calls = [(); 3].map(|()| model.will_speak());
    let other = request("How do I hold my wrist?", &[passage(1)], SCORE);
    let ask_other = async |number| {
        let context = context(number);
        let events = answers
            .answer(
                &context,
                &payer(number),
                &other,
                chosen(vec![passage(1)], 0),
            )
            .await;
        events.unwrap()
    };
    let _led = ask(&answers, 1).await.unwrap();
    let _alone = [ask_other(2).await, ask_other(3).await];
    assert_eq!(model.calls(), 3);
    let _joined = ask(&answers, 4).await.unwrap();
    assert_eq!(model.calls(), 3);
}

#[tokio::test]
async fn more_calls_of_the_model_than_may_be_are_put_off_and_joining_is_none() {
    let (answers, model) = answers(1, 16);
    let _call = model.will_speak();
    let _first = ask(&answers, 1).await.unwrap();
    let other = request("How do I hold my wrist?", &[passage(1)], SCORE);
    let refused = answers
        .answer(&context(2), &payer(2), &other, chosen(vec![passage(1)], 0))
        .await;
    let error = refused.err().unwrap();
    assert!(error.problem().is(ProblemKind::ModelUnavailable));
    assert_eq!(error.problem().retry_after_s, Some(3));
    assert!(ask(&answers, 3).await.is_ok());
}
