//! Takes `[3]` out of a model's words while they are still arriving: what a statement is, and which lines it rests on.
//!
//! A mark is `[`, numbers with commas, semicolons, blanks or dashes between them, and `]`. It ends the statement
//! before it; a full stop behind it still belongs to that statement, and so do marks that follow at once. A sentence
//! that ends without a mark is a statement that rests on nothing. All other brackets are text.

/// Anything longer is text, and so is more white space than that before it.
const MAX_MARK_BYTES: usize = 64;
/// `[1-99]` names no lines: nobody reads that many for one statement.
const MAX_RANGE: usize = 16;

/// A piece of marked text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Some words, without marks.
    Text(String),
    /// The statement since the last such piece is over.
    Claim(Marks),
}

/// The marks of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The lines that it names, each once, in order; counted from 1.
    pub(super) lines: Vec<usize>,
    /// Numbers of lines that there are not.
    pub(super) unknown: u32,
}

/// Reads marked text, wherever it is cut.
#[derive(Debug)]
pub(super) struct MarkReader {
    lines: usize,
    /// White space that may stand before a mark, and the beginning of a mark.
    held: String,
    /// The marks since the last word, where there are any.
    marks: Option<Marks>,
    /// Whether there are words since the last claim.
    spoken: bool,
    /// Whether the last word ended a sentence.
    sentence_over: bool,
}

impl MarkReader {
    /// A reader at the start of a text about lines `1..=lines`.
    pub(super) fn new(lines: usize) -> Self {
        Self {
            lines,
            held: String::new(),
            marks: None,
            spoken: false,
            sentence_over: false,
        }
    }

    /// The pieces that these words complete.
    pub(super) fn push(&mut self, words: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for character in words.chars() {
            self.held.push(character);
            match Held::of(&self.held) {
                Held::Maybe => {}
                Held::Mark(numbers) => {
                    self.held.clear();
                    self.mark(&numbers);
                }
                Held::Text => {
                    // What breaks a mark off may itself begin one.
                    let begins = character == '[' || character.is_whitespace();
                    let begun = begins.then(|| self.held.pop()).flatten();
                    let text = std::mem::take(&mut self.held);
                    self.say(&text, &mut pieces);
                    self.held.extend(begun);
                }
            }
        }
        pieces
    }

    /// The rest. A mark that was cut off says nothing.
    pub(super) fn finish(mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let held = std::mem::take(&mut self.held);
        if !held.contains(|character: char| character.is_ascii_digit()) {
            self.say(held.trim_end(), &mut pieces);
        }
        if self.spoken || self.marks.is_some() {
            self.end_claim(&mut pieces);
        }
        pieces
    }

    fn mark(&mut self, numbers: &[Option<usize>]) {
        let marks = self.marks.get_or_insert_default();
        for number in numbers {
            match number {
                Some(line) if (1..=self.lines).contains(line) => {
                    if !marks.lines.contains(line) {
                        marks.lines.push(*line);
                    }
                }
                _ => marks.unknown += 1,
            }
        }
    }

    /// `text` is white space, then the beginning of something that is no mark.
    fn say(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        let words = text.trim_start();
        let space = &text[..text.len() - words.len()];
        let Some(first) = words.chars().next() else {
            self.tell(text, pieces);
            return;
        };
        let is_new = if self.marks.is_some() {
            !space.is_empty() || !closes(first)
        } else {
            // "e.g. the thumb" goes on.
            space.contains('\n')
                || (self.sentence_over && !space.is_empty() && !first.is_lowercase())
        };
        if is_new && (self.spoken || self.marks.is_some()) {
            self.end_claim(pieces);
        }
        self.tell(text, pieces);
        for character in words.chars() {
            self.sentence_over = match character {
                '.' | '!' | '?' | '…' | '。' | '！' | '？' => true,
                other => self.sentence_over && closes(other),
            };
        }
    }

    fn tell(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        self.spoken |= !text.trim().is_empty();
        match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn end_claim(&mut self, pieces: &mut Vec<Piece>) {
        self.spoken = false;
        self.sentence_over = false;
        pieces.push(Piece::Claim(self.marks.take().unwrap_or_default()));
    }
}

/// Whether a character belongs to the words before it, and may stand behind their mark.
fn closes(character: char) -> bool {
    matches!(
        character,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | ')'
            | '"'
            | '\''
            | '”'
            | '’'
            | '»'
            | '*'
            | '。'
            | '！'
            | '？'
    )
}

/// What held characters are.
enum Held {
    /// A mark, if the right ones follow.
    Maybe,
    /// A whole mark: its numbers, `None` for one that no line can have.
    Mark(Vec<Option<usize>>),
    /// No mark.
    Text,
}

impl Held {
    fn of(held: &str) -> Self {
        let mark = held.trim_start();
        if mark.len() > MAX_MARK_BYTES || held.len() - mark.len() > MAX_MARK_BYTES {
            return Self::Text;
        }
        let Some(inner) = mark.strip_prefix('[') else {
            return if mark.is_empty() {
                Self::Maybe
            } else {
                Self::Text
            };
        };
        match inner.strip_suffix(']') {
            Some(inner) => numbers(inner).map_or(Self::Text, Self::Mark),
            None if inner.chars().all(is_of_mark) => Self::Maybe,
            None => Self::Text,
        }
    }
}

fn is_of_mark(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, ' ' | ',' | ';' | '-' | '–')
}

/// The numbers in a mark; at least one, else it is none.
fn numbers(inner: &str) -> Option<Vec<Option<usize>>> {
    let mut numbers = Vec::new();
    for part in inner.split([',', ';']) {
        if let Some((from, to)) = part.split_once(['-', '–']) {
            match (number(from)?, number(to)?) {
                (Some(from), Some(to)) if from <= to && to - from < MAX_RANGE => {
                    numbers.extend((from..=to).map(Some));
                }
                _ => numbers.push(None),
            }
        } else {
            for part in part.split_whitespace() {
                numbers.push(number(part)?);
            }
        }
    }
    (!numbers.is_empty()).then_some(numbers)
}

/// The number, or `Some(None)` where it is greater than any line's.
#[expect(clippy::option_option, reason = "no number at all is something else")]
fn number(digits: &str) -> Option<Option<usize>> {
    let digits = digits.trim();
    let are_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit());
    are_digits.then(|| digits.parse().ok())
}

#[cfg(test)]
mod tests;
