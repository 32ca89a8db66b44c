//! Plain text: lines into paragraphs.
//!
//! Empty lines part paragraphs. Within a paragraph a line break is soft, as in the pages of a PDF, if the
//! next line's first word would not have fitted into the width of the paragraph's longest line. Lists,
//! tables, verse and short lines keep their breaks.
//!
//! A heading is a line that is underlined with `===` or `---`, or one alone between empty lines that names a numbered part
//! (`Lesson 4`) or belongs to an outline of numbers ([`numbering::headings`]).
//!
//! Lines are read anew wherever they are looked at, and not kept: a file may have more of them than fit into the memory.

mod numbering;

use crate::{Limits, Refusal, blocks::Blocks};
use numbering::Number;
use std::iter;

/// A paragraph of which no line reaches this column was not broken to fit a page: an address, verse, a table.
const NARROW: usize = 45;
/// A heading has at most this many words.
const MAX_HEADING_WORDS: usize = 14;
const TAB_WIDTH: usize = 8;
/// What ends a line, on any system.
const LINE_ENDS: [char; 5] = ['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}'];

/// Adds the blocks of a text.
pub(crate) fn read(text: &str, limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    let mut headings = numbering::headings(text, limits)?.into_iter();
    for (at, page) in text.split('\u{c}').enumerate() {
        if at > 0 {
            blocks.page_break();
        }
        for paragraph in paragraphs(page) {
            match lone(paragraph).and_then(Number::of) {
                Some(number) if headings.next() == Some(true) => {
                    blocks.heading(number.level(), paragraph)?;
                }
                _ => add(paragraph, blocks)?,
            }
        }
    }
    Ok(())
}

/// The parts of a page between its empty lines.
fn paragraphs(page: &str) -> impl Iterator<Item = &str> {
    let mut rest = page;
    iter::from_fn(move || {
        let paragraph = loop {
            let (line, after) = first_line(rest)?;
            if !line.is_empty() {
                break rest;
            }
            rest = after;
        };
        while let Some((line, after)) = first_line(rest) {
            if line.is_empty() {
                break;
            }
            rest = after;
        }
        Some(&paragraph[..paragraph.len() - rest.len()])
    })
}

/// The lines without white space at their ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        let (line, after) = first_line(rest)?;
        rest = after;
        Some(line)
    })
}

/// A text's first line, without white space at its end, and what comes after it.
fn first_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let Some((line, mut rest)) = text.split_once(LINE_ENDS) else {
        return Some((text.trim_end(), ""));
    };
    if text[line.len()..].starts_with("\r\n") {
        rest = &rest[1..];
    }
    Some((line.trim_end(), rest))
}

/// The only line of a paragraph, without white space around it.
fn lone(paragraph: &str) -> Option<&str> {
    let (line, rest) = first_line(paragraph)?;
    rest.is_empty().then(|| line.trim_start())
}

struct Line<'a> {
    /// Without its indentation.
    text: &'a str,
    indent: usize,
    /// The column in which it ends.
    end: usize,
    marker: Marker,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Bullet,
    Number,
}

impl<'a> Line<'a> {
    fn new(line: &'a str) -> Self {
        let text = line.trim_start();
        let width = |c: char| if c == '\t' { TAB_WIDTH } else { 1 };
        let indent = line[..line.len() - text.len()].chars().map(width).sum();
        Self {
            text,
            indent,
            end: indent + text.chars().map(width).sum::<usize>(),
            marker: marker(text),
        }
    }

    fn first_word_width(&self) -> usize {
        let word = self.text.split_whitespace().next().unwrap_or_default();
        word.chars().count()
    }

    /// Whether it is drawn under or around something.
    fn is_rule(&self) -> bool {
        self.text.chars().all(|c| "-=_*~#+.|: \t".contains(c))
    }

    fn is_row(&self) -> bool {
        self.text.contains('\t') || self.text.contains("   ")
    }

    fn has_leader(&self) -> bool {
        self.text.contains("....") || self.text.contains(". . . .")
    }
}

fn add(mut text: &str, blocks: &mut Blocks) -> Result<(), Refusal> {
    if lone(text).is_some_and(numbering::names_part) {
        return blocks.heading(1, text);
    }
    if let Some((title, rest)) = first_line(text)
        && let Some((line, rest)) = first_line(rest)
        && let Some(level) = underline(&Line::new(title), &Line::new(line))
    {
        blocks.heading(level, title)?;
        text = rest;
    }
    let edge = lines(text).map(|line| Line::new(line).end).max();
    let edge = edge.unwrap_or_default();
    let keeps_lines = edge < NARROW || is_verse(text);
    let mut paragraph = String::new();
    let mut before: Option<Line<'_>> = None;
    for line in lines(text).map(Line::new) {
        if line.is_rule() {
            blocks.text(&paragraph)?;
            paragraph.clear();
            before = None;
            continue;
        }
        if let Some(before) = &before {
            if keeps_lines || is_hard_break(before, &line, edge) {
                blocks.text(&paragraph)?;
                paragraph.clear();
            } else if !ends_in_hyphen(&paragraph) {
                paragraph.push(' ');
            }
        }
        paragraph.push_str(line.text);
        before = Some(line);
    }
    blocks.text(&paragraph)
}

/// Whether the halves of a word stand on either side of the line break: the hyphen may be part of it, and stays.
fn ends_in_hyphen(text: &str) -> bool {
    text.strip_suffix('-')
        .is_some_and(|word| word.ends_with(char::is_alphabetic))
}

fn is_hard_break(line: &Line<'_>, next: &Line<'_>, edge: usize) -> bool {
    let needed = next.first_word_width() + 1;
    // Those who break lines by hand don't fill them to the last column.
    let would_fit = line.end + needed + edge / 12 < edge && !ends_in_hyphen(line.text);
    if would_fit || (line.is_row() && next.is_row()) || line.has_leader() || next.has_leader() {
        return true;
    }
    match next.marker {
        Marker::Bullet => true,
        // A sentence may go on with a number at the start of a line.
        Marker::Number => line.indent != next.indent || ends_sentence(line.text),
        // An indented first line; the lines of a list item are indented under its marker.
        Marker::None => {
            ends_sentence(line.text) && next.indent > line.indent && line.marker == Marker::None
        }
    }
}

/// Lines that each begin with a capital letter, as any line may where nouns have one, and mostly end at a pause.
fn is_verse(text: &str) -> bool {
    let mut lines = lines(text).map(str::trim_start).peekable();
    let (mut before_last, mut pausing) = (0, 0);
    while let Some(line) = lines.next() {
        if !line.starts_with(char::is_uppercase) {
            return false;
        }
        if lines.peek().is_some() {
            let pauses = ends_sentence(line) || line.ends_with([',', '–', '—']);
            before_last += 1;
            pausing += usize::from(pauses);
        }
    }
    before_last > 1 && 2 * pausing > before_last
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', ')', ']', '»']);
    text.ends_with(['.', '!', '?', ':', ';', '…'])
}

/// Whether a line opens with the mark of a list item.
fn marker(text: &str) -> Marker {
    let Some((first, _)) = text.split_once(char::is_whitespace) else {
        return Marker::None;
    };
    if matches!(
        first,
        "•" | "‣" | "◦" | "▪" | "–" | "—" | "-" | "*" | "+" | "·" | "●" | "○" | "■"
    ) {
        return Marker::Bullet;
    }
    let Some(inner) = first.strip_suffix(['.', ')']) else {
        return Marker::None;
    };
    let inner = inner.trim_start_matches('(');
    let is_number = (1..=3).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_digit());
    let is_letter = inner.len() == 1 && inner.bytes().all(|b| b.is_ascii_lowercase());
    if is_number || is_letter {
        Marker::Number
    } else {
        Marker::None
    }
}

/// The level of a heading that is underlined with `===` or `---`.
fn underline(title: &Line<'_>, line: &Line<'_>) -> Option<u8> {
    let is_of = |mark: char| line.text.chars().all(|c| c == mark);
    let level = match () {
        () if is_of('=') => 1,
        () if is_of('-') => 2,
        () => return None,
    };
    let long = line.text.len() >= 3 && 2 * line.text.len() >= title.text.chars().count();
    let is_title = !title.is_rule() && title.text.split_whitespace().count() <= MAX_HEADING_WORDS;
    (long && is_title).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::{Block, Limits, blocks::Blocks};

    fn blocks(text: &str) -> Vec<String> {
        let mut blocks = Blocks::new(&Limits::DEFAULT);
        read(text, &Limits::DEFAULT, &mut blocks).unwrap();
        let shown = |block| match block {
            Block::Text(text) => text,
            Block::Heading { level, text } => format!("{level}# {text}"),
            Block::PageBreak => "----".to_owned(),
        };
        blocks.finish().unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn broken_lines_of_a_paragraph_are_joined() {
        let text = "Begin each scale with one hand alone and listen to the weight of\r\n\
            every finger. The thumb passes under the palm early, long before\r\n\
            it is needed.\r\n\r\n\
            Only then put the hands together.\r\n";
        let expected = [
            "Begin each scale with one hand alone and listen to the weight of every finger. \
             The thumb passes under the palm early, long before it is needed.",
            "Only then put the hands together.",
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn a_word_broken_at_the_end_of_a_line_keeps_its_hyphen() {
        let text = "A phrase breathes where a singer would breathe, and a good left-\n\
            hand part breathes with it.";
        assert!(blocks(text)[0].contains("left-hand part"));
    }

    #[test]
    fn items_of_lists_stay_apart_and_keep_their_own_lines_together() {
        let text = "Every lesson has the same four parts, in this order and no other:\n\
            - warming up with long notes, during which the shoulders are let down\n  \
            and the breath is slow\n\
            - a piece that is known\n\
            1. something new that is read at sight, however short it has to be at\n   \
            this time of the day\n\
            b) what is to be practised until next week";
        let expected = [
            "Every lesson has the same four parts, in this order and no other:",
            "- warming up with long notes, during which the shoulders are let down and the breath is slow",
            "- a piece that is known",
            "1. something new that is read at sight, however short it has to be at this time of the day",
            "b) what is to be practised until next week",
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn verse_short_lines_and_tables_keep_their_lines() {
        let verse = "Slowly the left hand learns to walk across the bass,\n\
            And slower still the right one learns to let it pass,\n\
            Till both can sing";
        assert_eq!(blocks(verse).len(), 3);
        assert_eq!(blocks("Anna Meyer\n12 Quiet Lane\nBremen").len(), 3);
        let table = "C major      two octaves, hands together       sixty beats a minute\n\
            A minor      one octave, hands separately      fifty-two beats a minute";
        assert_eq!(
            blocks(table)[0],
            "C major two octaves, hands together sixty beats a minute"
        );
        assert_eq!(blocks(table).len(), 2);
    }

    #[test]
    fn prose_whose_lines_begin_with_nouns_is_no_verse() {
        let text = "Die linke Hand beginnt allein und hört auf das Gewicht der\n\
            Finger, bis jeder Ton so klingt, wie er gedacht war, und die\n\
            Schulter dabei ruhig bleibt.";
        assert_eq!(blocks(text).len(), 1);
    }

    #[test]
    fn underlined_lines_are_headings() {
        let text =
            "Practice\n========\nDaily.\n\nScales\n------\n\n2 Play it. Again.\n\n----\n\n2. Sit";
        let expected = [
            "1# Practice",
            "Daily.",
            "2# Scales",
            "2 Play it. Again.",
            "2. Sit",
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn lone_lines_that_number_the_text_are_headings() {
        let text = "Lesson 4: Scales\n\n  1 Before you play\n\nSit low.\n\n1.1 The thumb\n\n\u{c}Pass it\nunder.\n\n\
            2 Rest\n\nBreathe.\n\n12 Quiet Lane\n\nLesson 5\nwill come.";
        let expected = [
            "1# Lesson 4: Scales",
            "1# 1 Before you play",
            "Sit low.",
            "2# 1.1 The thumb",
            "----",
            "Pass it",
            "under.",
            "1# 2 Rest",
            "Breathe.",
            "12 Quiet Lane",
            "Lesson 5",
            "will come.",
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn lines_end_as_on_any_system() {
        assert_eq!(
            blocks("one\r\ntwo\rthree\u{2028}four\u{85}five\r\r\nsix\n \t\nseven"),
            ["one", "two", "three", "four", "five", "six", "seven"]
        );
    }

    #[test]
    fn a_form_feed_ends_the_page() {
        assert_eq!(
            blocks("\u{c}one\n\u{c}\u{c}two\rthree\n\u{c}"),
            ["one", "----", "two", "three"]
        );
    }
}
