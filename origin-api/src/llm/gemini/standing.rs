//! Whatever Gemini says: each citation that reaches a reader stands on the page that it names.

use super::{events::GeminiEvents, lines};
use crate::{
    answering::Answers,
    llm::{AnswerModel, Begun, ModelError, Prompt, configured::configured, reader::AnswerReader},
    requests::RequestContext,
    retrieval::Chosen,
    usage::{ledger::Ledger, payer::payer},
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use proptest::prelude::*;
use rag_core::{chunking::Unit, confidence::Calibration, excerpt::CitablePassage};
use shared_types::{
    chat::Citation,
    event::AnswerEvent,
    ids::{ChunkId, DocumentId, RequestId},
    origin::{AnswerRequest, ChosenPassage},
};
use std::sync::Arc;
use uuid::Uuid;

/// A Gemini that says this, whatever it is asked.
struct Saying(String);

impl AnswerModel for Saying {
    fn answer(&self, prompt: Prompt) -> BoxFuture<'_, Result<Begun, ModelError>> {
        async move {
            let meaning = GeminiEvents::new(lines(&prompt), prompt.passages.len());
            let chunk = serde_json::json!({ "candidates": [{
                "content": { "parts": [{ "text": self.0 }] }, "finishReason": "STOP",
            }] });
            let step = AnswerReader::new(meaning).push(format!("data: {chunk}\n\n").as_bytes());
            step.outcome?;
            Ok(Begun {
                model: "saying".into(),
                events: stream::iter(step.events).map(Ok).boxed(),
            })
        }
        .boxed()
    }
}

/// A passage of these sentences, each with the number of its page.
fn passage(number: u32, sentences: &[(String, u32)]) -> CitablePassage {
    let mut content = String::new();
    let mut units = Vec::new();
    for (sentence, page) in sentences {
        let start = content.chars().count() as u32;
        content.push_str(sentence);
        units.push(Unit {
            page: *page,
            page_start_char: start,
            page_end_char: start,
            chunk_start_char: start,
            chunk_end_char: content.chars().count() as u32,
        });
        content.push(' ');
    }
    CitablePassage {
        chunk_id: ChunkId(Uuid::from_u128(number.into())),
        document_id: DocumentId(Uuid::from_u128(100)),
        document_title: "Posture [1]".into(),
        // Some of them follow each other, and are read as one.
        chunk_index: number,
        content,
        units,
        lines: Vec::new(),
    }
}

fn squashed(text: &str) -> String {
    text.split_whitespace().collect()
}

fn stands(citation: &Citation, passages: &[CitablePassage]) -> bool {
    let named = |passage: &&CitablePassage| passage.chunk_id == citation.chunk_id;
    passages.iter().find(named).is_some_and(|passage| {
        let chars: Vec<char> = passage.content.chars().collect();
        let on_page = passage
            .units
            .iter()
            .filter(|unit| unit.page == citation.page);
        let page: String = on_page
            .flat_map(|unit| &chars[unit.chunk_start_char as usize..unit.chunk_end_char as usize])
            .collect();
        squashed(&page).contains(&squashed(&citation.quote))
    })
}

async fn citations(said: String, passages: Vec<CitablePassage>) -> Vec<Citation> {
    let calibration = Calibration {
        refusal_threshold: 0.0,
        ..Calibration::of("@cf/baai/bge-reranker-base")
    };
    let (ledger, _entries) = Ledger::kept_by_hand();
    let answers = Answers::new(
        Arc::new(Saying(said)),
        &configured(&[]),
        calibration,
        ledger,
    );
    let choice = |passage: &CitablePassage| ChosenPassage {
        chunk_id: passage.chunk_id,
        rerank_score: Some(0.9),
    };
    let request = AnswerRequest {
        curated: None,
        query: "How do I sit?".into(),
        passages: passages.iter().map(choice).collect(),
    };
    let request_id = RequestId(Uuid::nil());
    let context = RequestContext::new(request_id);
    let chosen = Chosen {
        passages,
        ..Chosen::default()
    };
    let caller = payer(1);
    let events = answers.answer(&context, &caller, &request, chosen);
    let events = events.await.unwrap();
    let citations = events.filter_map(async |event| match event {
        AnswerEvent::Citation(citation) => Some(citation),
        _ => None,
    });
    citations.collect().await
}

/// Sentences with marks and line breaks of their own, and blank ones.
fn sentence() -> impl Strategy<Value = (String, u32)> {
    let words = prop_oneof![
        4 => "[A-Z][a-z ü]{1,8}\\.",
        1 => "[A-Z][a-z]{1,4}\n\\[[0-9]\\] [a-z]{1,4}\\.",
        1 => " {0,2}",
    ];
    (words, 1..4_u32)
}

fn said() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[A-Za-z .]{0,8}",
        "\\[[0-9]{1,2}\\]\\.?",
        "\\[[0-9 ,-]{0,5}\\]?"
    ];
    prop::collection::vec(part, 1..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_citation_stands_on_its_page(
        said in said(),
        sentences in prop::collection::vec(prop::collection::vec(sentence(), 0..5), 1..4),
    ) {
        let passages: Vec<CitablePassage> = (1..)
            .zip(&sentences)
            .map(|(number, sentences)| passage(number, sentences))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for citation in runtime.block_on(citations(said, passages.clone())) {
            prop_assert!(stands(&citation, &passages), "{citation:?} in {passages:?}");
            prop_assert!(!citation.quote.trim().is_empty());
        }
    }
}

#[tokio::test]
async fn a_mark_becomes_a_citation_of_the_line_in_its_own_words() {
    let passages = vec![
        passage(1, &[("Sit tall.".into(), 4), ("Breathe.".into(), 5)]),
        passage(7, &[("Keep the wrist level.".into(), 9)]),
    ];
    let said = "Sit upright [1]. Mind the wrist [3][9]. Relax.";
    let found = citations(said.into(), passages).await;
    let found: Vec<_> = found
        .iter()
        .map(|c| (c.marker, c.chunk_id.0.as_u128(), c.page, c.quote.as_str()))
        .collect();
    assert_eq!(
        found,
        [(1, 1, 4, "Sit tall."), (2, 7, 9, "Keep the wrist level.")]
    );
}
