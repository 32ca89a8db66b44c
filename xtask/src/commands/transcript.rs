//! An answer on the terminal: the text as it streams in, numbered citations, the time of every stage.

use crate::terminal;
use anyhow::{Result, bail};
use comfy_table::Table;
use local_stack::{Client, client::Answer};
use shared_types::{
    chat::{CacheOutcome, Usage},
    event::AnswerEvent,
};
use std::io::{Write, stdout};

/// How much of a long quote is shown, in characters.
const QUOTE_CHARS: usize = 240;

/// Asks and prints.
pub async fn print_answer(client: &Client, question: &str) -> Result<Answer> {
    println!("\n? {question}\n");
    let mut out = stdout();
    let mut has_begun = false;
    let answer = client
        .ask_persistently(question, |moment| {
            let text = match &moment.event {
                AnswerEvent::Delta(delta) => delta.text.as_str(),
                AnswerEvent::Meta(meta) if has_begun && !meta.resumed => {
                    "\n\nThe connection broke. Once more, from the beginning:\n\n"
                }
                _ => "",
            };
            has_begun = true;
            // A closed terminal ends the command elsewhere.
            let _ = write!(out, "{text}").and_then(|()| out.flush());
        })
        .await?;
    println!("\n");
    for citation in &answer.citations {
        println!(
            "  [{}] {}, page {}: “{}”",
            citation.marker,
            citation.document_title,
            citation.page,
            excerpt(&citation.quote)
        );
    }
    println!("\n{}", timing_table(&answer));
    if let Some(done) = &answer.done {
        println!("{}", usage_line(&done.usage));
    }
    if let Some(problem) = &answer.error {
        bail!("the answer broke off: {}", problem.title);
    }
    if answer.done.is_none() {
        bail!("the answer broke off without an end");
    }
    Ok(answer)
}

/// The time of every stage.
fn timing_table(answer: &Answer) -> Table {
    let mut table = terminal::table(&["stage", "milliseconds", ""]);
    for (stage, duration, description) in &answer.stages {
        let duration = duration.map(milliseconds).unwrap_or_default();
        let note = description.clone().or_else(|| cache_note(answer, stage));
        table.add_row([stage.replace('_', " "), duration, note.unwrap_or_default()]);
    }
    if let Some(done) = &answer.done {
        let model = [
            ("model, first text", done.model_first_token_ms),
            ("model, whole answer", done.model_total_ms),
        ];
        for (stage, duration) in model {
            if let Some(duration) = duration {
                table.add_row([stage.to_owned(), milliseconds(duration), String::new()]);
            }
        }
    }
    if let Some(first) = answer.first_text {
        let row = [
            "here, first text".to_owned(),
            milliseconds(first.as_secs_f64() * 1e3),
            String::new(),
        ];
        table.add_row(row);
    }
    let confidence = answer
        .done
        .as_ref()
        .map(|done| format!("confidence {:.2}", done.confidence));
    let total = milliseconds(answer.total.as_secs_f64() * 1e3);
    table.add_row([
        "here, whole answer".to_owned(),
        total,
        confidence.unwrap_or_default(),
    ]);
    terminal::aligned(table, &[1])
}

/// What the model used when it made the answer, which may have been for somebody else.
fn usage_line(usage: &Usage) -> String {
    let Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cost_microusd,
        ..
    } = usage;
    let cost = cost_microusd.map(|cost| format!(", ${:.6}", cost as f64 / 1e6));
    format!(
        "model: {input_tokens} tokens read, {cache_read_tokens} of them cached, {output_tokens} written{}",
        cost.unwrap_or_default()
    )
}

fn cache_note(answer: &Answer, stage: &str) -> Option<String> {
    let cache = answer.meta.as_ref()?.cache;
    let outcome = match stage {
        "scope" => cache.scope,
        "search" => cache.search,
        "embed" => cache.embedding,
        "answer" => cache.answer,
        _ => return None,
    };
    let note = match outcome {
        CacheOutcome::Hit => "from the cache",
        CacheOutcome::Miss => "made",
        CacheOutcome::Skipped => "not needed",
        CacheOutcome::Failed => "cache failed",
    };
    Some(note.to_owned())
}

fn milliseconds(duration: f64) -> String {
    format!("{duration:.1}")
}

fn excerpt(quote: &str) -> String {
    let folded: Vec<&str> = quote.split_whitespace().collect();
    let folded = folded.join(" ");
    if folded.chars().count() <= QUOTE_CHARS {
        return folded;
    }
    let start: String = folded.chars().take(QUOTE_CHARS).collect();
    format!("{} …", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_told_in_dollars_where_it_is_known() {
        let mut usage = Usage {
            input_tokens: 1_480,
            output_tokens: 212,
            cache_read_tokens: 1_000,
            ..Usage::default()
        };
        let tokens = "model: 1480 tokens read, 1000 of them cached, 212 written";
        assert_eq!(usage_line(&usage), tokens);
        usage.cost_microusd = Some(2_001_660);
        assert_eq!(usage_line(&usage), format!("{tokens}, $2.001660"));
    }

    #[test]
    fn a_quote_is_shown_on_one_line_and_shortened_when_long() {
        assert_eq!(excerpt("Keep the\nwrist  level."), "Keep the wrist level.");
        let long = "legato ".repeat(100);
        assert!(excerpt(&long).ends_with('…'));
        assert!(excerpt(&long).chars().count() <= QUOTE_CHARS + 2);
    }
}
