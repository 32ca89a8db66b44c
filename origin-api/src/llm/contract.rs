//! What every adapter keeps, whoever its provider is: one list of tests, against a server that sends what the provider
//! is known to send.

mod bench;
mod server;
mod shapes;

use super::{ModelError, ModelEvent};
use bench::Bench;
use bytes::Bytes;
use server::{Asked, Reply, Then};
use shapes::{Shape, anthropic, vertex_claude, vertex_gemini};
use shared_types::chat::FinishReason;
use std::time::Duration;
use tokio::time::Instant;

async fn the_request_brings_instructions_passages_question_and_authority(shape: Shape) {
    let bench = Bench::new(shape).await;
    bench.server.will(Reply::whole(&bench.shape.answer));
    bench.answers().await;
    let [Asked { uri, headers, body }] = &bench.server.asked()[..] else {
        panic!("it was asked once");
    };
    assert_eq!(uri.to_string(), bench.shape.path);
    assert_eq!(headers["content-type"], "application/json");
    if bench.shape.has_tokens {
        assert_eq!(headers["authorization"], "Bearer token-1");
    } else {
        assert_eq!(headers["x-api-key"], "the-key");
    }
    let body = body.to_string();
    for part in [
        "Answer from the search results.",
        "Posture",
        "Sit tall.",
        "Keep the wrist level.",
        "Wie halte ich mein Handgelenk?",
        "1024",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
}

async fn an_answer_reads_the_same_wherever_it_is_cut(shape: Shape) {
    let bench = Bench::new(shape).await;
    let bytes = Bytes::from(bench.shape.answer.clone());
    let cuts = (1..bytes.len()).map(|cut| vec![bytes.slice(..cut), bytes.slice(cut..)]);
    let single = (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect();
    for pieces in cuts.chain([single]) {
        bench.server.will(Reply::Events(pieces, Then::End));
        bench.answers().await;
    }
}

fn assert_nothing_began(error: &ModelError) {
    assert!(
        matches!(
            error,
            ModelError::Timeout {
                stage: "first event",
                ..
            }
        ),
        "{error}"
    );
}

async fn a_sign_of_life_is_not_yet_an_answer(shape: Shape) {
    let bench = Bench::with(shape, &[("LLM_FIRST_EVENT_TIMEOUT_MS", "1000")]).await;
    let ping = Bytes::from(bench.shape.ping.clone());
    bench
        .server
        .will(Reply::Drip(ping, Duration::from_millis(20)));
    let error = bench.refused().await;
    assert_nothing_began(&error);
    assert_eq!(bench.calls(), 1);
}

async fn a_provider_that_says_nothing_is_waited_for_once(shape: Shape) {
    let bench = Bench::with(shape, &[("LLM_FIRST_EVENT_TIMEOUT_MS", "800")]).await;
    for reply in [Reply::Silence, Reply::Events(vec![], Then::Stall)] {
        bench.server.will(reply);
        let error = bench.refused().await;
        assert_nothing_began(&error);
    }
    assert_eq!(bench.calls(), 2);
}

async fn an_answer_that_falls_silent_is_waited_for_no_longer_than_told(shape: Shape) {
    let limits = [
        ("LLM_IDLE_TIMEOUT_MS", "600"),
        ("LLM_TOTAL_TIMEOUT_MS", "1500"),
    ];
    let bench = Bench::with(shape, &limits).await;
    let (events, outcome) = bench
        .told(Reply::broken(&bench.shape.beginning, Then::Stall))
        .await;
    assert!(matches!(
        outcome,
        Err(ModelError::Timeout {
            stage: "next event",
            ..
        })
    ));
    assert!(matches!(&events[..], [ModelEvent::Text(said)] if said.starts_with("Sit tall.")));

    let beginning = Bytes::from(bench.shape.beginning.clone());
    let (_, outcome) = bench
        .told(Reply::Drip(beginning, Duration::from_millis(40)))
        .await;
    assert!(matches!(
        outcome,
        Err(ModelError::Timeout {
            stage: "whole answer",
            ..
        })
    ));
}

async fn what_fails_before_the_first_word_is_tried_again(shape: Shape) {
    let bench = Bench::new(shape).await;
    for reply in [
        Reply::whole(&bench.shape.error),
        Reply::whole(""),
        Reply::broken(&bench.shape.ping, Then::Cut),
        Reply::status(529, &[("retry-after-ms", "10")]),
        Reply::status(503, &[]),
    ] {
        let before = bench.calls();
        bench.server.will(reply.clone());
        bench.server.will(Reply::whole(&bench.shape.answer));
        bench.answers().await;
        assert_eq!(bench.calls() - before, 2, "{reply:?}");
    }
}

async fn the_providers_own_hints_are_followed(shape: Shape) {
    let bench = Bench::new(shape).await;
    bench
        .server
        .will(Reply::status(429, &[("retry-after", "1.5")]));
    bench.server.will(Reply::whole(&bench.shape.answer));
    let asked = Instant::now();
    bench.answers().await;
    assert!(asked.elapsed() >= Duration::from_millis(1_500));

    let hopeless: [&[_]; 2] = [&[("retry-after", "30")], &[("x-should-retry", "false")]];
    for headers in hopeless {
        let before = bench.calls();
        bench.server.will(Reply::status(429, headers));
        let error = bench.refused().await;
        let asked = (headers[0].0 == "retry-after").then_some(Duration::from_secs(30));
        assert_eq!(error.retry_after(), asked);
        assert_eq!(bench.calls() - before, 1, "{headers:?}");
    }
}

async fn a_refusal_is_not_tried_again(shape: Shape) {
    let bench = Bench::new(shape).await;
    for (calls, refusal) in [400, 403, 404, 413].into_iter().enumerate() {
        bench.server.will(Reply::status(refusal, &[]));
        let error = bench.refused().await;
        assert!(
            matches!(error, ModelError::Status { status, .. } if status == refusal),
            "{error}"
        );
        assert_eq!(bench.calls(), calls + 1);
    }
}

async fn a_refused_token_is_replaced_once(shape: Shape) {
    let bench = Bench::new(shape).await;
    let authority = |asked: &Asked| {
        let header = asked.headers.get("authorization");
        header.map(|value| value.to_str().unwrap().to_owned())
    };
    bench.server.will(Reply::status(401, &[]));
    if bench.shape.has_tokens {
        bench.server.will(Reply::whole(&bench.shape.answer));
        bench.answers().await;
        bench.server.will(Reply::status(401, &[]));
        bench.server.will(Reply::status(401, &[]));
    }
    let error = bench.refused().await;
    assert!(
        matches!(error, ModelError::Status { status: 401, .. }),
        "{error}"
    );
    let seen: Vec<_> = bench.server.asked().iter().map(authority).collect();
    if bench.shape.has_tokens {
        let token = |number| Some(format!("Bearer token-{number}"));
        assert_eq!(seen, [token(1), token(2), token(2), token(3)]);
    } else {
        assert_eq!(seen, [None]);
    }
}

async fn a_reply_of_another_kind_is_none(shape: Shape) {
    let bench = Bench::new(shape).await;
    let page = ("content-type", "text/html; charset=utf-8");
    for headers in [
        vec![page],
        vec![("content-type", "application/json")],
        vec![],
    ] {
        let reply = Reply::Status(200, headers, bench.shape.answer.clone());
        bench.server.will(reply);
        let error = bench.refused().await;
        assert!(matches!(error, ModelError::NotEvents { .. }), "{error}");
    }
    assert_eq!(bench.calls(), 3, "none of them is tried again");
}

async fn an_answer_that_breaks_off_says_so_after_what_was_said(shape: Shape) {
    let bench = Bench::new(shape).await;
    let beginning = &bench.shape.beginning;
    let error = format!("{beginning}{}", bench.shape.error);
    let malformed = format!("{beginning}{}", bench.shape.malformed);
    let kind_of = |error: &ModelError| match error {
        ModelError::Interrupted { kind } => kind.clone(),
        ModelError::Malformed(_) => "malformed".into(),
        ModelError::Truncated => "truncated".into(),
        ModelError::Connection(_) => "connection".into(),
        other => other.to_string(),
    };
    for (reply, kind) in [
        (Reply::whole(&error), bench.shape.error_name),
        (Reply::whole(&malformed), "malformed"),
        (Reply::whole(beginning), "truncated"),
        (Reply::broken(beginning, Then::Cut), "connection"),
    ] {
        // The beginning by itself, so that the answer has begun.
        let reply = match reply {
            Reply::Events(pieces, then) => {
                let piece = pieces.concat();
                let (first, rest) = piece.split_at(beginning.len());
                let parts = [first, rest].map(Bytes::copy_from_slice);
                Reply::Events(parts.into_iter().filter(|p| !p.is_empty()).collect(), then)
            }
            other => other,
        };
        let (events, outcome) = bench.told(reply).await;
        assert_eq!(kind_of(&outcome.unwrap_err()), kind);
        assert!(matches!(&events[..], [ModelEvent::Text(said)] if said.starts_with("Sit tall.")));
    }
    assert_eq!(bench.calls(), 4, "nothing is tried again once it has begun");
}

async fn nothing_is_read_without_end(shape: Shape) {
    let bench = Bench::new(shape).await;
    let flood = Bytes::from(bench.shape.flood.clone());
    let (_, outcome) = bench
        .told(Reply::Flood(200, "text/event-stream", flood))
        .await;
    assert!(matches!(outcome, Err(ModelError::TooLong)));

    let line = Bytes::from(format!("data: {}", "la".repeat(50_000)));
    for (piece, too_long) in [
        (line, "a line"),
        (Bytes::from(bench.shape.ping.repeat(500)), "pings"),
    ] {
        bench
            .server
            .will(Reply::Flood(200, "text/event-stream", piece));
        let error = bench.refused().await;
        assert!(
            matches!(error, ModelError::Stream(_) | ModelError::TooLong),
            "{too_long}: {error}"
        );
    }

    let page = Bytes::from("<p>Bad gateway</p>".repeat(1_000));
    bench.server.will(Reply::Flood(418, "text/html", page));
    let error = bench.refused().await;
    assert!(
        matches!(error, ModelError::Status { status: 418, .. }),
        "{error}"
    );
}

async fn an_answer_may_end_for_other_reasons_than_being_complete(shape: Shape) {
    let bench = Bench::new(shape).await;
    for (stream, expected) in [
        (&bench.shape.too_long, FinishReason::Length),
        (&bench.shape.declined, FinishReason::Declined),
    ] {
        let (events, outcome) = bench.told(Reply::whole(stream)).await;
        outcome.unwrap();
        assert!(matches!(
            events.last(),
            Some(ModelEvent::End { finish_reason, .. }) if *finish_reason == expected
        ));
    }
}

async fn a_listener_who_leaves_ends_the_call(shape: Shape) {
    let bench = Bench::new(shape).await;
    let beginning = Bytes::from(bench.shape.beginning.clone());
    bench
        .server
        .will(Reply::Drip(beginning, Duration::from_millis(10)));
    drop(bench.ask().await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), bench.server.is_left())
        .await
        .expect("the connection is closed");
}

/// The whole list, for each of the adapters.
macro_rules! adapters {
    ($($adapter:ident)*) => { $(
        adapters! { $adapter:
            the_request_brings_instructions_passages_question_and_authority
            an_answer_reads_the_same_wherever_it_is_cut
            a_sign_of_life_is_not_yet_an_answer
            a_provider_that_says_nothing_is_waited_for_once
            an_answer_that_falls_silent_is_waited_for_no_longer_than_told
            what_fails_before_the_first_word_is_tried_again
            the_providers_own_hints_are_followed
            a_refusal_is_not_tried_again
            a_refused_token_is_replaced_once
            a_reply_of_another_kind_is_none
            an_answer_that_breaks_off_says_so_after_what_was_said
            nothing_is_read_without_end
            an_answer_may_end_for_other_reasons_than_being_complete
            a_listener_who_leaves_ends_the_call
        }
    )* };
    ($adapter:ident: $($promise:ident)*) => {
        mod $adapter {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(super::$adapter()).await;
            })*
        }
    };
}

adapters! { vertex_claude anthropic vertex_gemini }
