//! A passage must be small enough, lose nothing, and know its pages to the character.

use super::*;
use crate::prompt::sentence_blocks;
use proptest::prelude::*;

fn words_as_tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

fn page(page: u32, text: &str) -> PageText {
    PageText {
        page,
        text: text.into(),
    }
}

fn config(max_tokens: usize, overlap_tokens: usize) -> ChunkConfig {
    ChunkConfig {
        max_tokens: max_tokens + 2,
        overlap_tokens,
        min_section_tokens: 4,
    }
}

fn contents(chunks: &[Chunk]) -> Vec<&str> {
    chunks.iter().map(|chunk| chunk.content.as_str()).collect()
}

#[test]
fn a_passage_ends_with_a_sentence_and_the_next_repeats_its_last_words() {
    let text = "Sit tall. Drop the shoulders. Keep the wrist level. Breathe out slowly.";
    let chunks = chunk(&[page(1, text)], &config(8, 3), &words_as_tokens);
    assert_eq!(
        contents(&chunks),
        [
            "Sit tall. Drop the shoulders.",
            "Drop the shoulders. Keep the wrist level.",
            "Breathe out slowly."
        ]
    );
}

#[test]
fn a_sentence_that_crosses_a_page_becomes_two_units() {
    let pages = [
        page(4, "Lift the foot and"),
        page(5, "press it again. Listen."),
    ];
    let chunks = chunk(&pages, &ChunkConfig::default(), &words_as_tokens);
    let pages: Vec<u32> = chunks[0].units.iter().map(|unit| unit.page).collect();
    assert_eq!(pages, [4, 5, 5]);
    assert_eq!((chunks[0].page_start, chunks[0].page_end), (4, 5));
    assert_eq!(
        chunks[0].content,
        "Lift the foot and\npress it again. Listen."
    );
}

#[test]
fn a_heading_begins_a_new_passage_and_names_it() {
    let text =
        "1 Posture\nSit tall and breathe out.\n1.1 The wrist\nKeep it level.\n2. Play a scale.";
    let chunks = chunk(&[page(1, text)], &config(50, 10), &words_as_tokens);
    let sections: Vec<_> = chunks
        .iter()
        .map(|chunk| chunk.section.as_deref())
        .collect();
    assert_eq!(sections, [Some("1 Posture"), Some("1.1 The wrist")]);
    assert_eq!(
        chunks[1].content,
        "1.1 The wrist\nKeep it level.\n2. Play a scale."
    );
}

#[test]
fn a_sentence_longer_than_a_passage_is_cut_between_words() {
    let chunks = chunk(
        &[page(1, "one two three four five")],
        &config(2, 0),
        &words_as_tokens,
    );
    assert_eq!(contents(&chunks), ["one two", "three four", "five"]);
}

#[test]
fn blank_pages_yield_nothing() {
    assert!(
        chunk(
            &[page(1, ""), page(2, " \n\n ")],
            &ChunkConfig::default(),
            &words_as_tokens
        )
        .is_empty()
    );
}

fn any_page_text() -> impl Strategy<Value = String> {
    prop::collection::vec("[A-Za-zäé0-9]{1,9}[.?!]{0,1}", 0..60).prop_map(|words| {
        let mut text = String::new();
        for (at, word) in words.iter().enumerate() {
            text.push_str(word);
            text.push_str(if at % 11 == 10 { "\n" } else { " " });
        }
        text
    })
}

proptest! {
    #[test]
    fn every_word_lands_in_a_small_enough_passage_at_its_true_place(
        texts in prop::collection::vec(any_page_text(), 1..4),
        max_tokens in 1usize..40,
        overlap in 0usize..20,
    ) {
        let pages: Vec<PageText> = texts.iter().zip(1..).map(|(text, n)| page(n, text)).collect();
        let chunks = chunk(&pages, &config(max_tokens, overlap), &words_as_tokens);
        let mut covered: Vec<Vec<bool>> =
            texts.iter().map(|text| vec![false; text.chars().count()]).collect();
        for chunk in &chunks {
            prop_assert!(words_as_tokens(&chunk.content) <= max_tokens);
            for (unit, block) in chunk.units.iter().zip(sentence_blocks(&chunk.content, &chunk.units)) {
                let text = &texts[unit.page as usize - 1];
                let range = unit.page_start_char as usize..unit.page_end_char as usize;
                let on_page: String = text.chars().skip(range.start).take(range.len()).collect();
                prop_assert_eq!(block, on_page);
                covered[unit.page as usize - 1][range].fill(true);
            }
        }
        for (text, covered) in texts.iter().zip(covered) {
            let lost = text.chars().zip(covered).any(|(c, covered)| !c.is_whitespace() && !covered);
            prop_assert!(!lost);
        }
    }

    #[test]
    fn no_text_makes_the_chunker_panic(text in "\\PC{0,300}", max_tokens in 1usize..9) {
        let _ = chunk(&[page(1, &text)], &config(max_tokens, 3), &words_as_tokens);
    }
}
