//! Which lines of a text are headings by their numbers.
//!
//! A number and some words are a heading, an address, a piece's name or an item of a list, and the line alone does not say
//! which. The text does: headings count up, and something stands under them.

use super::{MAX_HEADING_WORDS, lone, paragraphs};
use crate::{Limits, Refusal};

/// Numbers within one another: `1.2.3` has three.
const MAX_DEPTH: usize = 6;
/// What teachers call the parts of a text that they number.
const PARTS: [&str; 6] = ["part", "chapter", "unit", "lesson", "week", "section"];

/// Whether each line that [`Number::of`] finds one in, alone between empty lines, is a heading, in the order of the text.
///
/// It is if it belongs to a run of such lines that count up from 1 (`1 Scales`, `1.1 The thumb`, `2 Chords`; one number
/// may be missing between two), and more than half of the run have something under them: a paragraph, or parts of their
/// own. So neither `12 Quiet Lane` is one, nor an item of a list that is set with empty lines between.
pub(super) fn headings(text: &str, limits: &Limits) -> Result<Vec<bool>, Refusal> {
    let mut lines: Vec<Numbered> = Vec::new();
    for paragraph in text.split('\u{c}').flat_map(paragraphs) {
        match lone(paragraph).and_then(Number::of) {
            // Each becomes a block.
            Some(_) if lines.len() == limits.max_blocks => return Err(Refusal::TooMuchText),
            Some(number) => lines.push(Numbered {
                number,
                run: None,
                over_text: false,
            }),
            None => {
                if let Some(line) = lines.last_mut() {
                    line.over_text = true;
                }
            }
        }
    }
    let mut runs = Runs::default();
    for line in &mut lines {
        line.run = runs.take(line.number);
    }
    for at in 0..lines.len() {
        let line = &lines[at];
        let Some(run) = line.run else { continue };
        let is_over = line.over_text
            || lines
                .get(at + 1)
                .is_some_and(|next| next.run != line.run || next.number.depth > line.number.depth);
        runs.tallies[run].lines += 1;
        runs.tallies[run].over_text += usize::from(is_over);
    }
    let is_heading = |line: &Numbered| line.run.is_some_and(|run| runs.tallies[run].is_outline());
    Ok(lines.iter().map(is_heading).collect())
}

/// A line that may be a heading.
struct Numbered {
    number: Number,
    run: Option<usize>,
    /// A paragraph that is none of these lines comes next.
    over_text: bool,
}

/// The number that a line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    parts: [u16; MAX_DEPTH],
    /// How many of them there are.
    depth: usize,
    mark: Mark,
}

/// What stands behind a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    Point,
    Parenthesis,
}

impl Number {
    /// Of a line such as `2 Scales`, `2. Scales`, `2) Scales` or `2.1 The thumb`; no sentence.
    pub(super) fn of(line: &str) -> Option<Self> {
        let (number, title) = line.split_once(char::is_whitespace)?;
        let title = title.trim_start();
        let is_title = title.starts_with(char::is_uppercase)
            && !title.ends_with(['.', ':', ';', ','])
            && title.split_whitespace().count() <= MAX_HEADING_WORDS;
        if !is_title {
            return None;
        }
        let (number, mark) = if let Some(number) = number.strip_suffix('.') {
            (number, Mark::Point)
        } else if let Some(number) = number.strip_suffix(')') {
            (number, Mark::Parenthesis)
        } else {
            (number, Mark::None)
        };
        let mut parts = [0; MAX_DEPTH];
        let mut depth = 0;
        for part in number.split('.') {
            *parts.get_mut(depth)? = small(part)?;
            depth += 1;
        }
        Some(Self { parts, depth, mark })
    }

    /// The level of its heading.
    pub(super) fn level(self) -> u8 {
        self.depth as u8
    }

    fn last(self) -> u16 {
        self.parts[self.depth - 1]
    }

    /// Whether it goes on from another: with the next number of its own, or an outer level, or the first within it.
    fn follows(self, before: Self) -> bool {
        let at = self.depth - 1;
        // Of what it does not have, a number has none: 0.
        let next = before.parts[at] + 1..=before.parts[at] + 2;
        self.depth <= before.depth + 1
            && self.parts[..at] == before.parts[..at]
            && next.contains(&self.parts[at])
    }
}

/// A number of one to three digits.
fn small(digits: &str) -> Option<u16> {
    let is_small = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_small)
}

/// The runs that numbers belong to.
#[derive(Default)]
struct Runs {
    tallies: Vec<Tally>,
    /// The last number of the run that goes on, for each mark: a list within a section ends no run of headings.
    open: [Option<(usize, Number)>; 3],
}

#[derive(Default)]
struct Tally {
    lines: usize,
    over_text: usize,
}

impl Tally {
    fn is_outline(&self) -> bool {
        self.lines > 1 && 2 * self.over_text > self.lines
    }
}

impl Runs {
    /// The run that a number goes on, or begins.
    fn take(&mut self, number: Number) -> Option<usize> {
        let own = number.mark as usize;
        let is_followed = |at: &usize| self.open[*at].is_some_and(|(_, last)| number.follows(last));
        // `1.` may be followed by `1.1`.
        let followed = [own, 0, 1, 2].into_iter().find(is_followed);
        let slot = followed.unwrap_or(own);
        let run = match self.open[slot] {
            Some((run, _)) if followed.is_some() => run,
            _ if number.last() == 1 => {
                self.tallies.push(Tally::default());
                self.tallies.len() - 1
            }
            _ => return None,
        };
        self.open[slot] = Some((run, number));
        Some(run)
    }
}

/// Whether a line is a heading such as `Lesson 4`, `CHAPTER IV` or `Part 2: Scales`: no sentence.
pub(super) fn names_part(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (Some(part), Some(number)) = (words.next(), words.next()) else {
        return false;
    };
    let is_part = part.starts_with(char::is_uppercase)
        && PARTS.iter().any(|known| known.eq_ignore_ascii_case(part));
    let numeral = number.trim_end_matches(['.', ':', ')']);
    let is_roman =
        (1..=6).contains(&numeral.len()) && numeral.bytes().all(|b| b"IVXLC".contains(&b));
    let is_number = small(numeral).is_some() || is_roman;
    let is_title = match words.next() {
        None => true,
        Some(first) => {
            let is_parted = number.ends_with(':') || matches!(first, "-" | "–" | "—");
            (is_parted || first.starts_with(char::is_uppercase))
                && !line.ends_with(['.', ':', ';', ','])
        }
    };
    is_part && is_number && is_title && words.count() < MAX_HEADING_WORDS
}

#[cfg(test)]
mod tests {
    use super::{Number, headings, names_part};
    use crate::{Limits, Refusal};

    /// The headings of a text whose lines stand apart.
    fn of(lines: &[&str]) -> Vec<String> {
        let text = lines.join("\n\n");
        let found = headings(&text, &Limits::DEFAULT).unwrap();
        let numbered = lines.iter().filter(|line| Number::of(line).is_some());
        let mut headings = Vec::new();
        for (line, is_heading) in numbered.zip(found) {
            if is_heading {
                headings.push((*line).to_owned());
            }
        }
        headings
    }

    #[test]
    fn numbers_that_count_up_over_text_are_headings() {
        let book = [
            "1 Scales",
            "Daily.",
            "1.1 The thumb",
            "Pass it under.",
            "1.2 Both hands",
            "Later.",
            "2 Chords",
            "2.1 Triads",
            "Three keys.",
            "4 Arpeggios",
            "A chord, one by one.",
        ];
        let expected = [
            "1 Scales",
            "1.1 The thumb",
            "1.2 Both hands",
            "2 Chords",
            "2.1 Triads",
            "4 Arpeggios",
        ];
        assert_eq!(of(&book), expected, "3 may be missing");
        let handout = [
            "1. Warm up",
            "Five notes.",
            "1.1 Left hand",
            "Low.",
            "2. Why so slowly?",
            "To hear.",
        ];
        assert_eq!(
            of(&handout),
            ["1. Warm up", "1.1 Left hand", "2. Why so slowly?"]
        );
        let plan = ["1) Warm up", "Five notes.", "2) Play", "Scales."];
        assert_eq!(of(&plan), ["1) Warm up", "2) Play"]);
    }

    #[test]
    fn numbers_that_do_not_count_up_from_one_are_none() {
        let letter = [
            "Anna Meyer",
            "12 Quiet Lane",
            "Bremen",
            "13 Little Pieces",
            "For you.",
        ];
        assert_eq!(of(&letter), [""; 0]);
        assert_eq!(of(&["1 Quiet Lane", "Bremen"]), [""; 0]);
        let timetable = [
            "9.30 Warm up",
            "Scales.",
            "10.00 Sonata",
            "Slowly.",
            "10.30 Tea",
            "Rest.",
        ];
        assert_eq!(of(&timetable), [""; 0]);
        let within = [
            "1 Scales",
            "Daily.",
            "12 Quiet Lane",
            "Bremen.",
            "2 Chords",
            "Weekly.",
        ];
        assert_eq!(of(&within), ["1 Scales", "2 Chords"]);
    }

    #[test]
    fn items_of_a_list_with_empty_lines_between_are_none() {
        let list = [
            "Before you play:",
            "1. Sit low",
            "2. Let go",
            "3. Breathe",
            "Now begin.",
        ];
        assert_eq!(of(&list), [""; 0]);
        let mut lesson = vec!["1 Posture", "Read this:"];
        lesson.extend(&list[1..]);
        lesson.extend(["2 Touch", "Curve the fingers.", "3 Sound", "Listen."]);
        assert_eq!(of(&lesson), ["1 Posture", "2 Touch", "3 Sound"]);
    }

    #[test]
    fn each_chapter_may_count_from_one() {
        let chapters = [
            "1. Warm up",
            "Slowly.",
            "2. Play",
            "Softly.",
            "1. Warm up",
            "Fast.",
            "2. Rest",
            "Long.",
        ];
        assert_eq!(of(&chapters).len(), 4);
    }

    #[test]
    fn more_such_lines_than_blocks_are_refused_before_they_are_kept() {
        let limits = Limits {
            max_blocks: 3,
            ..Limits::DEFAULT
        };
        assert_eq!(headings(&"7 Up\n\n".repeat(3), &limits), Ok(vec![false; 3]));
        let refused = headings(&"7 Up\n\n".repeat(4), &limits);
        assert_eq!(refused, Err(Refusal::TooMuchText));
    }

    #[test]
    fn named_parts_are_headings_and_sentences_about_them_are_none() {
        for heading in [
            "Chapter 3",
            "LESSON 4",
            "Part II",
            "Week 2:",
            "Lesson 4: the thumb",
            "Unit 5 – at the pedal",
            "Section 6 Scales",
            "Chapter 7. The Wrist",
        ] {
            assert!(names_part(heading), "{heading}");
        }
        for text in [
            "Lesson 4 is about the thumb",
            "lesson 4",
            "Lesson",
            "Lesson four",
            "Lessons 4",
            "Chapter 3 Sit down.",
            "Part 2024",
            "Bar 4",
            "Week 2 begins",
        ] {
            assert!(!names_part(text), "{text}");
        }
    }
}
