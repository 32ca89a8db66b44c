//! Streams of the shapes that Anthropic documents, whole, cut and broken.

use super::{
    events::{ClaudeEvents, finish_reason},
    *,
};
use crate::llm::{ModelError, ModelEvent, PromptPassage, Quote, reader::AnswerReader};
use proptest::prelude::*;
use shared_types::chat::{FinishReason, Usage};

/// Two text blocks, the first of them cited; a ping, an event and a delta that nobody knows.
const STREAM: &str = concat!(
    "event: vertex_event\ndata: {\"region\":\"us-east5\"}\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_vrtx_01\",",
    "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-haiku-4-5-20251001\",\"content\":[],",
    "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":412,",
    "\"cache_creation_input_tokens\":3,\"cache_read_input_tokens\":8,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
    "\"content_block\":{\"type\":\"text\",\"text\":\"\",\"citations\":[]}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"citations_delta\",\"citation\":{\"type\":\"search_result_location\",",
    "\"cited_text\":\"Keep the wrist level.\",\"source\":\"passage-1\",\"title\":\"Posture\",",
    "\"search_result_index\":0,\"start_block_index\":1,\"end_block_index\":2}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"Halte das Handgelenk \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"ruhig – für Geläufigkeit.\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,",
    "\"content_block\":{\"type\":\"text\",\"text\":\" \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"Übe langsam.\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",",
    "\"stop_sequence\":null},\"usage\":{\"output_tokens\":37}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

fn read(pieces: &[&[u8]]) -> (Vec<ModelEvent>, Result<(), ModelError>, AnswerReader) {
    let mut reader = reader();
    let mut events = Vec::new();
    for piece in pieces {
        let step = reader.push(piece);
        events.extend(step.events);
        if step.outcome.is_err() {
            return (events, step.outcome, reader);
        }
    }
    (events, Ok(()), reader)
}

fn reader() -> AnswerReader {
    AnswerReader::new(ClaudeEvents::default())
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.to_owned())
}

fn usage(output_tokens: u32) -> Usage {
    Usage {
        input_tokens: 423,
        output_tokens,
        cache_read_tokens: 8,
        cache_write_tokens: 3,
        cost_microusd: None,
    }
}

fn expected() -> Vec<ModelEvent> {
    vec![
        ModelEvent::Counted(usage(1)),
        text("Halte das Handgelenk "),
        text("ruhig – für Geläufigkeit."),
        ModelEvent::Cited(vec![Quote {
            passage: 0,
            start_block: 1,
            end_block: 2,
            text: "Keep the wrist level.".into(),
        }]),
        text(" "),
        text("Übe langsam."),
        ModelEvent::Cited(vec![]),
        ModelEvent::Counted(usage(37)),
        ModelEvent::End {
            finish_reason: FinishReason::Complete,
            usage: usage(37),
        },
    ]
}

#[test]
fn an_answer_reads_the_same_wherever_the_network_cuts_it() {
    let bytes = STREAM.as_bytes();
    for cut in 0..=bytes.len() {
        let (events, outcome, reader) = read(&[&bytes[..cut], &bytes[cut..]]);
        assert!(outcome.is_ok());
        assert!(reader.ended());
        assert_eq!(events, expected(), "cut at byte {cut}");
    }
}

#[test]
fn a_stream_that_breaks_off_anywhere_never_passes_for_a_whole_answer() {
    // The last byte is the line feed that ends the blank line after `message_stop`.
    for end in 0..STREAM.len() {
        let (events, _, reader) = read(&[&STREAM.as_bytes()[..end]]);
        assert!(!reader.ended(), "ended at byte {end}");
        assert!(expected().starts_with(&events));
    }
}

#[test]
fn an_overloaded_model_is_an_interruption_after_what_it_said() {
    let middle = STREAM.find("event: content_block_stop").unwrap();
    let stream = format!(
        "{}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\
         \"message\":\"Overloaded\"}}}}\n\n",
        &STREAM[..middle]
    );
    let (events, outcome, _) = read(&[stream.as_bytes()]);
    assert_eq!(events, expected()[..3]);
    assert!(matches!(
        outcome,
        Err(ModelError::Interrupted { kind }) if kind == "overloaded_error"
    ));
}

#[test]
fn a_ping_is_not_yet_speech() {
    let (_, _, reader) = read(&[b"event: ping\ndata: {\"type\": \"ping\"}\n\n"]);
    assert!(!reader.begun());
    let start = STREAM.find("event: content_block_start").unwrap();
    let (_, _, reader) = read(&[&STREAM.as_bytes()[..start]]);
    assert!(reader.begun());
}

#[test]
fn a_known_event_of_another_shape_ends_the_answer() {
    let (_, outcome, _) = read(&[b"event: content_block_delta\ndata: {\"index\":0}\n\n"]);
    assert!(matches!(outcome, Err(ModelError::Malformed(_))));
}

#[test]
fn an_endless_answer_is_cut() {
    let piece = format!(
        "event: content_block_delta\ndata: {{\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
        "la ".repeat(10_000)
    );
    let (_, outcome, _) = read(&[piece.as_bytes(); 10]);
    assert!(matches!(outcome, Err(ModelError::TooLong)));
}

#[test]
fn stop_reasons_become_reasons_for_readers() {
    for (stop, expected) in [
        ("end_turn", FinishReason::Complete),
        ("max_tokens", FinishReason::Length),
        ("refusal", FinishReason::Declined),
        ("something_new", FinishReason::Complete),
    ] {
        assert_eq!(finish_reason(stop), expected);
    }
}

#[test]
fn a_passage_goes_in_as_a_search_result_of_sentences() {
    let prompt = Prompt {
        system: "Answer from the search results.",
        passages: vec![PromptPassage {
            title: "Posture".into(),
            blocks: vec!["Sit tall.".into(), "Keep the wrist level.".into()],
        }],
        question: "How do I hold my wrist?".into(),
    };
    let mut request = MessagesRequest::new(&prompt, 1_024);
    request.anthropic_version = Some(VERTEX_VERSION);
    insta::assert_json_snapshot!(request, @r#"
    {
      "anthropic_version": "vertex-2023-10-16",
      "max_tokens": 1024,
      "stream": true,
      "system": [
        {
          "type": "text",
          "text": "Answer from the search results.",
          "cache_control": {
            "type": "ephemeral"
          }
        }
      ],
      "messages": [
        {
          "role": "user",
          "content": [
            {
              "type": "search_result",
              "source": "passage-1",
              "title": "Posture",
              "content": [
                {
                  "type": "text",
                  "text": "Sit tall."
                },
                {
                  "type": "text",
                  "text": "Keep the wrist level."
                }
              ],
              "citations": {
                "enabled": true
              }
            },
            {
              "type": "text",
              "text": "How do I hold my wrist?"
            }
          ]
        }
      ]
    }
    "#);
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = reader().push(&bytes);
    }
}
