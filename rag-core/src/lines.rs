//! Where the words of a passage stand on its pages.
//!
//! A page's text keeps a box for each stretch of a line and the place where each of its words begins. A passage keeps
//! those of its units, so whoever has a passage and a range of its characters knows what to highlight. Lengths are
//! tenths of a point; the origin is the upper left corner of the page as a reader sees it, as in a browser.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Area {
    /// From the page's left edge.
    pub left: u32,
    /// From the page's upper edge.
    pub top: u32,
    /// From the page's left edge; not less than `left`.
    pub right: u32,
    /// From the page's upper edge; not less than `top`.
    pub bottom: u32,
}

impl Area {
    /// The smallest one around both.
    #[must_use]
    pub fn around(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A stretch of text on one baseline. Stored as an array of numbers: page, first character, one past the last one, the
/// four sides, and `word_lefts`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct Line {
    /// From 1.
    pub page: u32,
    /// First character, in the page's text or in the passage.
    pub start_char: u32,
    /// One past the last character.
    pub end_char: u32,
    /// Around all of it.
    pub area: Area,
    /// Where each word after the first begins; ascending. Empty where that is unknown: of a line that does not stand
    /// upright, for instance. Words are what white space parts.
    pub word_lefts: Vec<u32>,
}

/// Numbers that are no [`Line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a line of text is at least seven numbers, its ranges in order")]
pub struct NoLine;

impl TryFrom<Vec<u32>> for Line {
    type Error = NoLine;

    fn try_from(numbers: Vec<u32>) -> Result<Self, NoLine> {
        let [
            page,
            start_char,
            end_char,
            left,
            top,
            right,
            bottom,
            word_lefts @ ..,
        ] = numbers.as_slice()
        else {
            return Err(NoLine);
        };
        let edges = word_lefts.iter().chain([right]);
        if start_char >= end_char || top > bottom || !std::iter::once(left).chain(edges).is_sorted()
        {
            return Err(NoLine);
        }
        Ok(Self {
            page: *page,
            start_char: *start_char,
            end_char: *end_char,
            area: Area {
                left: *left,
                top: *top,
                right: *right,
                bottom: *bottom,
            },
            word_lefts: word_lefts.to_vec(),
        })
    }
}

impl From<Line> for Vec<u32> {
    fn from(line: Line) -> Self {
        let Area {
            left,
            top,
            right,
            bottom,
        } = line.area;
        let mut numbers = vec![
            line.page,
            line.start_char,
            line.end_char,
            left,
            top,
            right,
            bottom,
        ];
        numbers.extend(line.word_lefts);
        numbers
    }
}

impl Line {
    /// The words of the line that `chars` touches, as a line of their own; `None` where there are none. `text` is the
    /// line's text, and `chars` counts as the line itself does.
    #[must_use]
    pub fn part(&self, text: &str, chars: &Range<u32>) -> Option<Self> {
        let start = chars.start.max(self.start_char);
        let end = chars.end.min(self.end_char);
        let (mut words, mut touched) = (0, None::<(usize, usize)>);
        let (mut start_char, mut end_char) = (start, end);
        let mut in_word = false;
        for (at, character) in (self.start_char..self.end_char).zip(text.chars()) {
            if character.is_whitespace() {
                in_word = false;
                continue;
            }
            words += usize::from(!in_word);
            in_word = true;
            if (start..end).contains(&at) {
                let first = touched.map_or(words - 1, |(first, _)| first);
                if touched.is_none() {
                    start_char = at;
                }
                end_char = at + 1;
                touched = Some((first, words - 1));
            }
        }
        let (first, last) = touched?;
        let mut part = Self {
            page: self.page,
            start_char,
            end_char,
            area: self.area,
            word_lefts: Vec::new(),
        };
        if self.word_lefts.len() + 1 == words {
            if let Some(before) = first.checked_sub(1) {
                part.area.left = self.word_lefts[before];
            }
            if let Some(after) = self.word_lefts.get(last) {
                part.area.right = *after;
            }
            part.word_lefts = self.word_lefts[first..last].to_vec();
        }
        Some(part)
    }
}

/// What to highlight on one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highlight {
    /// From 1.
    pub page: u32,
    /// One for each line, or for each cell of a row.
    pub areas: Vec<Area>,
}

/// Where the characters `chars` of a passage stand, page by page. `lines` are the passage's own; words of which only a
/// part is in `chars` are shown whole. Lines that do not lie within `content` are passed over.
#[must_use]
pub fn highlight(content: &str, lines: &[Line], chars: &Range<u32>) -> Vec<Highlight> {
    let offsets = CharOffsets::of(content);
    let mut pages: Vec<Highlight> = Vec::new();
    for line in lines {
        let text = offsets.slice(content, line.start_char..line.end_char);
        let Some(part) = text.and_then(|text| line.part(text, chars)) else {
            continue;
        };
        match pages.last_mut() {
            Some(page) if page.page == part.page => add(&mut page.areas, part.area),
            _ => pages.push(Highlight {
                page: part.page,
                areas: vec![part.area],
            }),
        }
    }
    pages
}

/// Two sentences on one line are one stretch of it.
fn add(areas: &mut Vec<Area>, area: Area) {
    match areas.last_mut() {
        Some(last)
            if (last.top, last.bottom) == (area.top, area.bottom)
                && (last.left..=last.right).contains(&area.left) =>
        {
            *last = last.around(area);
        }
        _ => areas.push(area),
    }
}

/// Where each character of a text begins.
pub(crate) struct CharOffsets(Vec<usize>);

impl CharOffsets {
    pub(crate) fn of(text: &str) -> Self {
        let starts = text.char_indices().map(|(at, _)| at);
        Self(starts.chain([text.len()]).collect())
    }

    /// The characters of a range; `None` where the text is shorter.
    pub(crate) fn slice<'a>(&self, text: &'a str, chars: Range<u32>) -> Option<&'a str> {
        let at = |char: u32| self.0.get(char as usize).copied();
        text.get(at(chars.start)?..at(chars.end)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(start_char: u32, end_char: u32, top: u32, word_lefts: &[u32]) -> Line {
        Line {
            page: 3,
            start_char,
            end_char,
            area: Area {
                left: 500,
                top,
                right: 1_500,
                bottom: top + 120,
            },
            word_lefts: word_lefts.to_vec(),
        }
    }

    fn area(left: u32, top: u32, right: u32) -> Area {
        Area {
            left,
            top,
            right,
            bottom: top + 120,
        }
    }

    #[test]
    fn a_cited_sentence_is_marked_from_its_first_word_to_its_last() {
        let content = "Sit tall. Drop the shoulders.";
        let lines = [line(0, 14, 700, &[700, 1_100]), line(15, 29, 840, &[800])];
        let marked = highlight(content, &lines, &(10..29));
        assert_eq!(
            marked,
            [Highlight {
                page: 3,
                areas: vec![area(1_100, 700, 1_500), area(500, 840, 1_500)],
            }]
        );
        let marked = highlight(content, &lines, &(0..9));
        assert_eq!(marked[0].areas, [area(500, 700, 1_100)]);
        assert_eq!(highlight(content, &lines, &(9..10)), []);
    }

    #[test]
    fn sentences_that_share_a_line_are_marked_as_one() {
        let content = "Sit tall. Drop them.";
        let whole = line(0, 20, 700, &[700, 1_000, 1_200]);
        let lines: Vec<Line> = [0..9, 10..20]
            .iter()
            .filter_map(|chars| whole.part(content, chars))
            .collect();
        assert_eq!(
            highlight(content, &lines, &(0..20))[0].areas,
            [area(500, 700, 1_500)]
        );
        assert_eq!(
            highlight(content, &lines, &(4..14))[0].areas,
            [area(700, 700, 1_200)]
        );
    }

    #[test]
    fn a_line_whose_words_have_no_place_is_marked_whole() {
        let lines = [line(0, 14, 700, &[])];
        let marked = highlight("Sit tall. Drop", &lines, &(4..8));
        assert_eq!(marked[0].areas, [area(500, 700, 1_500)]);
    }

    #[test]
    fn lines_are_stored_as_plain_numbers() {
        let line = line(15, 29, 840, &[800]);
        let stored = serde_json::to_string(&line).unwrap();
        assert_eq!(stored, "[3,15,29,500,840,1500,960,800]");
        assert_eq!(serde_json::from_str::<Line>(&stored).unwrap(), line);
        for broken in [
            "[3,15,29,500,840,1500]",
            "[3,29,15,500,840,1500,960]",
            "[3,15,29,500,840,1500,960,400]",
        ] {
            assert!(serde_json::from_str::<Line>(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_marked_stands_on_its_line(
            words in prop::collection::vec("[a-zé]{1,6}", 1..9),
            widths in prop::collection::vec(1u32..90, 9),
            chars in (0u32..60, 0u32..60),
        ) {
            let content = words.join(" ");
            let lefts: Vec<u32> = widths.iter().scan(500, |at, width| { *at += width; Some(*at) }).collect();
            let mut whole = line(0, content.chars().count() as u32, 700, &lefts[..words.len() - 1]);
            whole.area.right = lefts[words.len() - 1];
            let marked = highlight(&content, std::slice::from_ref(&whole), &(chars.0..chars.1));
            let mut start = 0;
            for (at, word) in words.iter().enumerate() {
                let end = start + word.chars().count() as u32;
                let is_wanted = start.max(chars.0) < end.min(chars.1);
                let left = at.checked_sub(1).map_or(500, |before| lefts[before]);
                let is_marked = marked.iter().flat_map(|page| &page.areas)
                    .any(|area| area.left <= left && lefts[at] <= area.right);
                prop_assert_eq!(is_marked, is_wanted);
                start = end + 1;
            }
        }

        #[test]
        fn foreign_numbers_never_panic(
            numbers in prop::collection::vec(0u32..40, 0..12),
            content in "\\PC{0,30}",
            chars in (any::<u32>(), any::<u32>()),
        ) {
            if let Ok(line) = Line::try_from(numbers) {
                let _ = highlight(&content, &[line], &(chars.0..chars.1));
            }
        }
    }
}
