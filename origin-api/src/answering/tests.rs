//! What a person sees of an answer, over models that say what a test tells them to.

use super::*;
use rag_core::chunking::Unit;
use shared_types::{
    ids::{ChunkId, DocumentId},
    origin::ChosenPassage,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

fn passage(id: u128) -> CitablePassage {
    let unit = |page, start, end| Unit {
        page,
        page_start_char: 0,
        page_end_char: 0,
        chunk_start_char: start,
        chunk_end_char: end,
    };
    CitablePassage {
        chunk_id: ChunkId(Uuid::from_u128(id)),
        document_id: DocumentId(Uuid::from_u128(100)),
        document_title: "Posture".into(),
        content: "Sit tall. Keep the wrist level.".into(),
        units: vec![unit(1, 0, 9), unit(2, 10, 31)],
    }
}

fn quote(passage: usize, block: usize, text: &str) -> Quote {
    Quote {
        passage,
        start_block: block,
        end_block: block + 1,
        text: text.into(),
    }
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.into())
}

fn end(finish_reason: FinishReason) -> ModelEvent {
    ModelEvent::End {
        finish_reason,
        usage: Usage::default(),
    }
}

async fn told(said: Vec<ModelEvent>, broken: Option<ModelError>) -> Vec<AnswerEvent> {
    let permit = std::sync::Arc::new(Semaphore::new(1))
        .try_acquire_owned()
        .unwrap();
    let telling = Telling {
        request_id: RequestId(Uuid::nil()),
        passages: vec![passage(1), passage(2)],
        best_score: Some(0.8),
        asked: Instant::now(),
        _permit: permit,
        citations: Citations::new(),
        of_no_passage: 0,
        chars: 0,
        cited_chars: 0,
        claim_chars: 0,
        first_token: None,
    };
    let said = said.into_iter().map(Ok).chain(broken.map(Err));
    let model = futures_util::stream::iter(said.collect::<Vec<_>>()).boxed();
    telling.events(model).collect().await
}

fn shape(events: &[AnswerEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            AnswerEvent::Delta(delta) => delta.text.clone(),
            AnswerEvent::Citation(c) => format!("[{}] p. {}: {}", c.marker, c.page, c.quote),
            AnswerEvent::Done(done) => {
                format!("{:?} {:.2}", done.finish_reason, done.confidence)
            }
            AnswerEvent::Error(problem) => problem.type_uri.clone(),
            AnswerEvent::Meta(_) => "meta".into(),
        })
        .collect()
}

#[tokio::test]
async fn each_claim_is_followed_by_the_pages_it_rests_on() {
    let events = told(
        vec![
            text("Sit "),
            text("upright."),
            ModelEvent::Cited(vec![
                quote(0, 0, "Sit tall."),
                // The same words in an overlapping passage are the same place in the library.
                quote(1, 0, "Sit tall."),
            ]),
            text(" Relax."),
            ModelEvent::Cited(vec![]),
            end(FinishReason::Complete),
        ],
        None,
    )
    .await;
    insta::assert_snapshot!(shape(&events).join("\n"), @"
    Sit 
    upright.
    [1] p. 1: Sit tall.
     Relax.
    Complete 0.65
    ");
}

#[tokio::test]
async fn an_invented_citation_is_not_shown_and_carries_nothing() {
    let events = told(
        vec![
            text("Play faster."),
            ModelEvent::Cited(vec![
                quote(0, 0, "Play as fast as you can."),
                quote(9, 0, "Sit tall."),
            ]),
            end(FinishReason::Complete),
        ],
        None,
    )
    .await;
    assert_eq!(shape(&events), ["Play faster.", "NotCovered 0.40"]);
}

#[tokio::test]
async fn a_model_that_breaks_off_ends_the_answer_with_a_problem() {
    let overloaded = ModelError::Interrupted {
        kind: "overloaded_error".into(),
    };
    for broken in [Some(overloaded), None] {
        let events = told(vec![text("Sit ")], broken).await;
        assert_eq!(
            shape(&events),
            ["Sit ", "urn:etude:problem:answer-interrupted"]
        );
    }
}

#[test]
fn a_score_counts_only_for_a_passage_that_the_caller_may_read() {
    let chosen = |id, score| ChosenPassage {
        chunk_id: ChunkId(Uuid::from_u128(id)),
        rerank_score: score,
    };
    let request = AnswerRequest {
        query: "How do I sit?".into(),
        passages: vec![chosen(7, Some(0.9)), chosen(1, Some(0.3)), chosen(2, None)],
    };
    assert_eq!(best_score(&request, &[passage(1), passage(2)]), Some(0.3));
    assert_eq!(best_score(&request, &[passage(2)]), None);
}

#[test]
fn a_block_that_fits_nothing_is_never_sent_blank() {
    let mut broken = passage(1);
    broken.units[1].chunk_end_char = 9_999;
    let mut empty = passage(2);
    empty.units.clear();
    let prompt = prompt("How do I sit?", &[broken, empty]);
    assert_eq!(prompt.passages[0].blocks, ["Sit tall.", BLANK_BLOCK]);
    assert_eq!(prompt.passages[1].blocks, [BLANK_BLOCK]);
}
