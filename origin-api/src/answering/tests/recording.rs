//! What goes on record of a call of the model, and on whose account.

use super::*;
use std::time::Duration;
use tokio::time::timeout;

fn usage(output_tokens: u32) -> Usage {
    Usage {
        input_tokens: 900,
        output_tokens,
        cost_microusd: Some(1_000),
        ..Usage::default()
    }
}

async fn ask(answers: &Answers, number: u128) -> AnswerEvents {
    let passages = vec![passage(1)];
    let request = request(QUESTION, &passages, SCORE);
    let (context, caller, chosen) = (context(number), payer(number), chosen(passages, 0));
    let events = answers.answer(&context, &caller, &request, chosen);
    events.await.unwrap()
}

/// The next record: whose account, and what was used.
async fn next(entries: &mut Receiver<Entry>) -> (u128, Usage) {
    let entry = timeout(Duration::from_secs(5), entries.recv()).await;
    match entry.expect("it is recorded soon") {
        Some(Entry::Call(claims, usage)) => (claims.sub.0.as_u128(), usage),
        _ => panic!("nothing goes on record any more"),
    }
}

#[tokio::test]
async fn an_answer_that_several_are_told_is_on_the_account_of_the_first_once() {
    let (answers, model, mut entries) = recorded_answers(1, 1);
    let call = model.will_speak();
    call.say(ModelEvent::Counted(usage(1)));
    call.say(text("Sit tall."));
    let listeners = [ask(&answers, 1).await, ask(&answers, 2).await];
    call.say(ModelEvent::End {
        finish_reason: FinishReason::Complete,
        usage: usage(40),
    });
    for events in listeners {
        let told: Vec<AnswerEvent> = events.collect().await;
        assert!(matches!(told.last(), Some(AnswerEvent::Done(done)) if done.usage == usage(40)));
    }
    assert_eq!(next(&mut entries).await, (1, usage(40)));
    assert!(entries.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_breaks_off_was_not_free() {
    let (answers, model, mut entries) = recorded_answers(1, 1);
    let call = model.will_speak();
    call.say(ModelEvent::Counted(usage(1)));
    call.say(text("Sit "));
    let events = ask(&answers, 1).await;
    call.break_off();
    let told: Vec<AnswerEvent> = events.collect().await;
    assert!(matches!(told.last(), Some(AnswerEvent::Error(_))));
    assert_eq!(next(&mut entries).await, (1, usage(1)));
}

#[tokio::test]
async fn nor_was_one_that_nobody_listens_to_any_more() {
    let (answers, model, mut entries) = recorded_answers(1, 1);
    let call = model.will_speak();
    call.say(ModelEvent::Counted(usage(1)));
    call.say(text("Sit "));
    let mut events = ask(&answers, 7).await;
    assert!(events.next().await.is_some());
    drop(events);
    assert_eq!(next(&mut entries).await, (7, usage(1)));
}

#[tokio::test]
async fn where_no_model_has_begun_nothing_is_recorded() {
    let (answers, model, mut entries) = recorded_answers(1, 1);
    let passages = vec![passage(1)];
    let doubtful = request(QUESTION, &passages, 0.1);
    let (context, caller) = (context(1), payer(1));
    let refused = answers.answer(&context, &caller, &doubtful, chosen(passages.clone(), 0));
    drop(refused.await.unwrap());

    model.will(Script::Refuse(ModelError::Truncated));
    let request = request(QUESTION, &passages, SCORE);
    let failed = answers.answer(&context, &caller, &request, chosen(passages, 0));
    assert!(failed.await.is_err());
    drop(answers);
    assert!(entries.recv().await.is_none());
}
