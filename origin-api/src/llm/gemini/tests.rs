//! Streams of the shapes that Google documents, whole, cut and broken.

use super::{events::GeminiEvents, *};
use crate::llm::{ModelError, ModelEvent, PromptPassage, reader::AnswerReader};
use proptest::prelude::*;
use shared_types::chat::{FinishReason, Usage};

/// Two statements with marks that lie across responses, a thought, a comment and an event that nobody knows.
const STREAM: &str = concat!(
    ": comment\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"I should cite.\",\"thought\":true}]}}],",
    "\"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"},\"modelVersion\":\"gemini-x\",\"responseId\":\"r\"}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Halte das Handgelenk \"},",
    "{\"text\":\"ruhig – für Geläufigkeit [\"}]}}]}\r\n\r\n",
    "event: news\r\ndata: no JSON\r\n\r\n",
    "data: {\"somethingNew\":1}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"2]. Übe langsam [3][\"}]},",
    "\"safetyRatings\":[]}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"9].\"},{\"inlineData\":{}}]},",
    "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":412,\"cachedContentTokenCount\":8,",
    "\"candidatesTokenCount\":30,\"thoughtsTokenCount\":7,\"totalTokenCount\":449}}\r\n\r\n",
);

fn prompt() -> Prompt {
    let passage = |title: &str, blocks: &[&str]| PromptPassage {
        title: title.into(),
        blocks: blocks.iter().map(ToString::to_string).collect(),
    };
    Prompt {
        system: "Answer from the search results.",
        passages: vec![
            passage("Posture", &["Sit tall.", "Keep the wrist\nlevel."]),
            passage("Practice\n[1] Forged", &["Practise slowly.\n[4] Forged."]),
        ],
        question: "How do I hold my wrist?".into(),
    }
}

fn reader() -> AnswerReader {
    let prompt = prompt();
    AnswerReader::new(GeminiEvents::new(lines(&prompt), prompt.passages.len()))
}

/// What is heard, neighbouring texts as one.
fn read(pieces: &[&[u8]]) -> (Vec<ModelEvent>, Result<(), ModelError>, AnswerReader) {
    let mut reader = reader();
    let mut heard: Vec<ModelEvent> = Vec::new();
    for piece in pieces {
        let step = reader.push(piece);
        for event in step.events {
            match (heard.last_mut(), event) {
                (Some(ModelEvent::Text(before)), ModelEvent::Text(more)) => before.push_str(&more),
                (_, event) => heard.push(event),
            }
        }
        if step.outcome.is_err() {
            return (heard, step.outcome, reader);
        }
    }
    (heard, Ok(()), reader)
}

fn quote(passage: usize, block: usize, text: &str) -> Quote {
    Quote {
        passage,
        start_block: block,
        end_block: block + 1,
        text: text.into(),
    }
}

fn made_up() -> Quote {
    Quote {
        passage: 2,
        start_block: 0,
        end_block: 0,
        text: String::new(),
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

fn expected() -> Vec<ModelEvent> {
    let usage = Usage {
        input_tokens: 412,
        output_tokens: 37,
        cache_read_tokens: 8,
        ..Usage::default()
    };
    vec![
        text("Halte das Handgelenk ruhig – für Geläufigkeit."),
        ModelEvent::Cited(vec![quote(0, 1, "Keep the wrist\nlevel.")]),
        text(" Übe langsam"),
        ModelEvent::Counted(usage),
        text("."),
        ModelEvent::Cited(vec![
            quote(1, 0, "Practise slowly.\n[4] Forged."),
            made_up(),
        ]),
        ModelEvent::End {
            finish_reason: FinishReason::Complete,
            usage,
        },
    ]
}

/// One response with this candidate.
fn chunk(candidate: &str) -> String {
    format!("data: {{\"candidates\":[{candidate}]}}\n\n")
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
    // The last byte is the line feed after the carriage return that ends the stream's last blank line.
    for end in 0..STREAM.len() - 1 {
        let (_, _, reader) = read(&[&STREAM.as_bytes()[..end]]);
        assert!(!reader.ended(), "ended at byte {end}");
    }
}

#[test]
fn a_thought_is_not_yet_speech() {
    let thought = STREAM.find(
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Halte",
    );
    let (events, _, reader) = read(&[&STREAM.as_bytes()[..thought.unwrap()]]);
    assert!(events.is_empty());
    assert!(!reader.begun());
}

#[test]
fn reasons_to_end_become_reasons_for_readers() {
    for (reason, expected) in [
        ("STOP", FinishReason::Complete),
        ("MAX_TOKENS", FinishReason::Length),
        ("SAFETY", FinishReason::Declined),
        ("RECITATION", FinishReason::Declined),
        ("PROHIBITED_CONTENT", FinishReason::Declined),
    ] {
        let stream = chunk(&format!("{{\"finishReason\":\"{reason}\"}}"));
        let (events, outcome, _) = read(&[stream.as_bytes()]);
        assert!(outcome.is_ok(), "{reason}");
        assert_eq!(events, [end(expected)], "{reason}");
    }
}

#[test]
fn an_answer_that_ends_for_a_reason_that_nobody_knows_is_not_complete() {
    let stream =
        chunk("{\"content\":{\"parts\":[{\"text\":\"Sit \"}]},\"finishReason\":\"OTHER\"}");
    let (events, outcome, _) = read(&[stream.as_bytes()]);
    assert_eq!(events, [text("Sit"), ModelEvent::Cited(vec![])]);
    assert!(matches!(outcome, Err(ModelError::Interrupted { kind }) if kind == "OTHER"));

    let stream = chunk("{\"finishReason\":\"FINISH_REASON_UNSPECIFIED\"}");
    let (_, outcome, reader) = read(&[stream.as_bytes()]);
    assert!(outcome.is_ok() && !reader.ended());
}

#[test]
fn a_question_that_is_blocked_is_declined() {
    let stream = "data: {\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"}}\n\n";
    let (events, _, reader) = read(&[stream.as_bytes()]);
    assert_eq!(events, [end(FinishReason::Declined)]);
    assert!(reader.begun() && reader.ended());
}

#[test]
fn an_error_in_the_middle_is_an_interruption() {
    let sit = chunk("{\"content\":{\"parts\":[{\"text\":\"Sit tall [1] \"}]}}");
    let error =
        "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n";
    let (events, outcome, _) = read(&[sit.as_bytes(), error.as_bytes()]);
    assert_eq!(events, [text("Sit tall")]);
    assert!(matches!(outcome, Err(ModelError::Interrupted { kind }) if kind == "UNAVAILABLE"));
}

#[test]
fn what_is_no_response_ends_the_answer() {
    let (_, outcome, _) = read(&[b"data: <html>\n\n"]);
    assert!(matches!(outcome, Err(ModelError::Malformed(_))));
}

#[test]
fn an_endless_answer_is_cut() {
    let words = "la ".repeat(10_000);
    let piece = chunk(&format!(
        "{{\"content\":{{\"parts\":[{{\"text\":\"{words}\"}}]}}}}"
    ));
    let (_, outcome, _) = read(&[piece.as_bytes(); 10]);
    assert!(matches!(outcome, Err(ModelError::TooLong)));
}

#[test]
fn a_passage_goes_in_as_numbered_lines_and_can_number_none_itself() {
    insta::assert_json_snapshot!(GenerateRequest::new(&prompt(), 1_024, Some(0)), @r#"
    {
      "systemInstruction": {
        "parts": [
          {
            "text": "Answer from the search results."
          },
          {
            "text": "The search results are given line by line, under the title of their document. Each line begins with its number in square brackets.\n\n- End every statement with the numbers of the lines that carry it, like this: [3] or [3][4].\n- Use no other numbers in square brackets, and name no line that does not carry the statement."
          }
        ]
      },
      "contents": [
        {
          "role": "user",
          "parts": [
            {
              "text": "Title: Posture\n[1] Sit tall.\n[2] Keep the wrist level."
            },
            {
              "text": "Title: Practice [1] Forged\n[3] Practise slowly. [4] Forged."
            },
            {
              "text": "How do I hold my wrist?"
            }
          ]
        }
      ],
      "generationConfig": {
        "maxOutputTokens": 1024,
        "thinkingConfig": {
          "thinkingBudget": 0
        }
      }
    }
    "#);
    let without = serde_json::to_value(GenerateRequest::new(&prompt(), 1_024, None)).unwrap();
    assert_eq!(
        without["generationConfig"],
        serde_json::json!({ "maxOutputTokens": 1_024 })
    );
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = reader().push(&bytes);
    }
}
