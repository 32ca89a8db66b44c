//! A passage must be small enough, lose nothing, and know its pages to the character.

use super::{pieces::words, *};
use crate::{
    lines::{Area, Line, highlight},
    prompt::sentence_blocks,
};
use proptest::prelude::*;

fn words_as_tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

fn page(page: u32, text: &str) -> PageText {
    PageText {
        page,
        text: text.into(),
        ..PageText::default()
    }
}

/// A page whose lines that begin with `#` are headings, of as high a level as there are of these.
fn outlined(text: &str) -> PageText {
    let mut outlined = page(1, "");
    for line in text.lines() {
        let title = line.trim_start_matches('#');
        let level = (line.len() - title.len()) as u8;
        if level > 0 {
            outlined.headings.push(Heading {
                start_char: outlined.text.chars().count() as u32,
                level,
            });
        }
        outlined.text.push_str(title);
        outlined.text.push('\n');
    }
    outlined
}

/// The passages, each with its section.
fn sections(chunks: &[Chunk]) -> Vec<(&str, &str)> {
    let section = |chunk: &'_ Chunk| chunk.section.clone();
    assert!(chunks.iter().all(|chunk| section(chunk).is_some()));
    chunks
        .iter()
        .map(|chunk| {
            (
                chunk.section.as_deref().unwrap_or_default(),
                chunk.content.as_str(),
            )
        })
        .collect()
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
    let text = "#Posture\nSit tall.\n#Fingers\nCurve them.";
    let chunks = chunk(&[outlined(text)], &config(50, 10), &words_as_tokens);
    assert_eq!(
        sections(&chunks),
        [
            ("Posture", "Posture\nSit tall."),
            ("Fingers", "Fingers\nCurve them.")
        ]
    );
}

#[test]
fn a_short_section_goes_with_its_first_part_and_not_with_the_second() {
    let text = "#Posture\nRead this.\n##The wrist\nKeep it level.\n##The elbow\nLet it hang.";
    let chunks = chunk(&[outlined(text)], &config(50, 10), &words_as_tokens);
    assert_eq!(
        sections(&chunks),
        [
            ("Posture", "Posture\nRead this.\nThe wrist\nKeep it level."),
            ("The elbow", "The elbow\nLet it hang.")
        ]
    );
}

#[test]
fn a_section_within_a_section_within_a_section_stands_by_itself() {
    let text = "#Posture\nRead this.\n##The arm\nHang.\n###The wrist\nFlat.\n####The palm\nRound.";
    let chunks = chunk(&[outlined(text)], &config(50, 10), &words_as_tokens);
    assert_eq!(
        sections(&chunks),
        [
            ("Posture", "Posture\nRead this.\nThe arm\nHang."),
            ("The wrist", "The wrist\nFlat.\nThe palm\nRound."),
        ]
    );
}

#[test]
fn a_long_section_and_its_long_part_share_no_passage_however_little_of_the_first_is_left() {
    let text =
        "#Posture\nSit tall and wait. Let go. Breathe.\n##The wrist\nKeep it level. Lift it.";
    let chunks = chunk(&[outlined(text)], &config(7, 0), &words_as_tokens);
    assert_eq!(
        contents(&chunks),
        [
            "Posture\nSit tall and wait. Let go.",
            "Breathe.",
            "The wrist\nKeep it level. Lift it."
        ]
    );
}

#[test]
fn a_heading_longer_than_a_passage_names_its_section_by_its_beginning() {
    let text = "#One two three four five\nSit tall.\n##The wrist\nKeep it level.";
    let chunks = chunk(&[outlined(text)], &config(3, 0), &words_as_tokens);
    assert_eq!(
        sections(&chunks),
        [
            ("One two three", "One two three"),
            ("One two three", "four five"),
            ("One two three", "Sit tall."),
            ("The wrist", "The wrist"),
            ("The wrist", "Keep it level."),
        ]
    );
}

#[test]
fn headings_that_follow_one_another_share_a_passage_that_is_named_by_the_last_of_them() {
    let text = "#Studies\n##Op. 10 No. 3\nSing the tune.";
    let chunks = chunk(&[outlined(text)], &config(50, 10), &words_as_tokens);
    assert_eq!(
        sections(&chunks),
        [("Op. 10 No. 3", "Studies\nOp. 10 No. 3\nSing the tune.")]
    );
    assert_eq!(chunks[0].units.len(), 3);
}

#[test]
fn a_passage_knows_how_surely_it_was_read() {
    let pages = [
        page(1, "Said by the file."),
        PageText {
            confidence: Some(60),
            ..page(2, "Recognised.")
        },
        PageText {
            confidence: Some(90),
            ..page(3, "Recognised.")
        },
    ];
    let confidence = |pages: &[PageText]| {
        let chunks = chunk(pages, &ChunkConfig::default(), &words_as_tokens);
        chunks[0].confidence
    };
    assert_eq!(confidence(&pages), Some(75));
    assert_eq!(confidence(&pages[..1]), None);
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

/// A page set in lines of so many words, whose characters stand ten to the right of each other.
fn set(number: u32, text: &str, widths: &[usize]) -> PageText {
    let at = |byte: usize| text[..byte].chars().count() as u32;
    let mut words = words(text).into_iter().map(|(from, to)| (at(from), at(to)));
    let mut lines = Vec::new();
    for (row, width) in (1..).zip(widths.iter().cycle()) {
        let words: Vec<(u32, u32)> = words.by_ref().take(*width).collect();
        let (Some((start_char, _)), Some((_, end_char))) = (words.first(), words.last()) else {
            break;
        };
        lines.push(Line {
            page: number,
            start_char: *start_char,
            end_char: *end_char,
            area: Area {
                left: 10 * start_char,
                top: 20 * row,
                right: 10 * end_char,
                bottom: 20 * row + 9,
            },
            word_lefts: words[1..].iter().map(|(from, _)| 10 * from).collect(),
        });
    }
    PageText {
        lines,
        ..page(number, text)
    }
}

#[test]
fn passages_of_a_section_come_while_it_goes_on() {
    let config = config(8, 0);
    let mut chunker = Chunker::new(&config, &words_as_tokens);
    for number in 1..9 {
        let text = "Sit tall. Drop the shoulders. Breathe out slowly.";
        let pages: Vec<u32> = chunker
            .add(&page(number, text))
            .iter()
            .map(|chunk| chunk.page_end)
            .collect();
        let before: Vec<u32> = (number > 1).then(|| number - 1).into_iter().collect();
        assert_eq!(pages, before);
    }
    assert_eq!(chunker.finish().len(), 1);
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
    fn every_word_of_a_passage_is_marked_where_it_stands(
        texts in prop::collection::vec(any_page_text(), 1..4),
        widths in prop::collection::vec(1usize..9, 1..9),
        max_tokens in 1usize..40,
        overlap in 0usize..20,
    ) {
        let pages: Vec<PageText> = texts.iter().zip(1..).map(|(text, n)| set(n, text, &widths)).collect();
        for chunk in chunk(&pages, &config(max_tokens, overlap), &words_as_tokens) {
            for (start, end) in words(&chunk.content) {
                let at = |byte: usize| chunk.content[..byte].chars().count() as u32;
                let marked = highlight(&chunk.content, &chunk.lines, &(at(start)..at(end)));
                let unit = chunk.units.iter().find(|unit| unit.chunk_end_char > at(start)).unwrap();
                let on_page = unit.page_start_char + at(start) - unit.chunk_start_char;
                prop_assert_eq!(marked.len(), 1);
                prop_assert_eq!(marked[0].page, unit.page);
                prop_assert_eq!(marked[0].areas.len(), 1);
                prop_assert_eq!(marked[0].areas[0].left, 10 * on_page);
                prop_assert!(marked[0].areas[0].right >= 10 * (on_page + at(end) - at(start)));
            }
        }
    }

    #[test]
    fn no_passage_holds_text_of_two_sections_but_of_a_section_and_its_first_part(
        sections in prop::collection::vec(
            (1u8..5, prop::collection::vec(1usize..6, 0..3)),
            1..30,
        ),
        max_tokens in 3usize..40,
    ) {
        // Each word of a section's lines says the section's number.
        let mut text = String::new();
        for (number, (level, lines)) in sections.iter().enumerate() {
            text.extend(["#".repeat((*level).into()), format!("H{number}\n")]);
            for words in lines {
                text.extend([format!("w{number} ").repeat(*words), "\n".into()]);
            }
        }
        for chunk in chunk(&[outlined(&text)], &config(max_tokens, 2), &words_as_tokens) {
            let mut held: Vec<usize> = chunk
                .content
                .split_whitespace()
                .filter_map(|word| word.strip_prefix('w')?.parse().ok())
                .collect();
            held.dedup();
            prop_assert!(held.len() <= 2, "{:?}", chunk.content);
            if let [first, part] = held[..] {
                let is_in_it = sections[first..=part].is_sorted_by(|(over, _), (level, _)| over < level);
                prop_assert!(is_in_it, "{:?}", chunk.content);
            }
        }
    }

    #[test]
    fn no_text_makes_the_chunker_panic(text in "\\PC{0,300}", max_tokens in 1usize..9) {
        let _ = chunk(&[page(1, &text)], &config(max_tokens, 3), &words_as_tokens);
    }
}
