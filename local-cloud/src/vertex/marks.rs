//! Turns `[3]` in a model's words into citations, while the words are still arriving.

use super::answer::{Piece, SentenceRef};

/// A mark is `[`, numbers with commas, `]`; anything longer is text.
const MAX_MARK_CHARS: usize = 24;

/// Reads marked text piece by piece.
pub(super) struct MarkReader {
    sentences: Vec<SentenceRef>,
    /// White space that may stand before a mark, and the beginning of a mark.
    held: String,
    /// Whether the open block has citations, so that the next word begins another block.
    cited: bool,
    open: bool,
}

impl MarkReader {
    /// Mark `n` stands for `sentences[n - 1]`; other marks stand for nothing and vanish.
    pub(super) fn new(sentences: Vec<SentenceRef>) -> Self {
        Self {
            sentences,
            held: String::new(),
            cited: false,
            open: false,
        }
    }

    /// The pieces that these words complete.
    pub(super) fn push(&mut self, words: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for character in words.chars() {
            self.held.push(character);
            match mark(&self.held) {
                Held::Maybe => {}
                Held::Mark(numbers) => {
                    self.held.clear();
                    self.cite(&numbers, &mut pieces);
                }
                Held::Text => {
                    // What broke a mark off may itself begin one.
                    let keep = if character == '[' || character.is_whitespace() {
                        self.held.pop();
                        Some(character)
                    } else {
                        None
                    };
                    let text = std::mem::take(&mut self.held);
                    self.say(text, &mut pieces);
                    self.held.extend(keep);
                }
            }
        }
        pieces
    }

    /// The rest, and the end of the open block.
    pub(super) fn finish(mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let rest = std::mem::take(&mut self.held);
        if !rest.trim().is_empty() {
            self.say(rest, &mut pieces);
        }
        if self.open {
            pieces.push(Piece::BlockEnd);
        }
        pieces
    }

    fn cite(&mut self, numbers: &[usize], pieces: &mut Vec<Piece>) {
        for number in numbers {
            let place = number.checked_sub(1).and_then(|at| self.sentences.get(at));
            // A mark before any word rests nothing on its sentence.
            if let (Some(at), true) = (place, self.open) {
                pieces.push(Piece::Citation(*at));
                self.cited = true;
            }
        }
    }

    fn say(&mut self, text: String, pieces: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        // Full stops belong to the words before the mark.
        let only_closes = text
            .chars()
            .all(|c| matches!(c, '.' | ',' | ';' | ':' | '!' | '?'));
        if self.cited && !only_closes {
            pieces.push(Piece::BlockEnd);
            self.cited = false;
        }
        self.open = true;
        match pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(&text),
            _ => pieces.push(Piece::Text(text)),
        }
    }
}

enum Held {
    Maybe,
    Mark(Vec<usize>),
    Text,
}

fn mark(held: &str) -> Held {
    let Some(inner) = held.trim_start().strip_prefix('[') else {
        return if held.trim().is_empty() {
            Held::Maybe
        } else {
            Held::Text
        };
    };
    if held.len() > MAX_MARK_CHARS {
        return Held::Text;
    }
    let Some(numbers) = inner.strip_suffix(']') else {
        let begins = inner
            .chars()
            .all(|c| c.is_ascii_digit() || c == ',' || c == ' ');
        return if begins { Held::Maybe } else { Held::Text };
    };
    let numbers: Result<Vec<usize>, _> = numbers.split(',').map(|n| n.trim().parse()).collect();
    numbers.map_or(Held::Text, Held::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> String {
        let sentences = (0..9)
            .map(|sentence| SentenceRef {
                passage: 0,
                sentence,
            })
            .collect();
        let mut reader = MarkReader::new(sentences);
        let mut pieces: Vec<Piece> = words.iter().flat_map(|words| reader.push(words)).collect();
        pieces.extend(reader.finish());
        let show = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Citation(at) => format!("<{}>", at.sentence),
            Piece::BlockEnd => "|".to_owned(),
            Piece::End(_) => String::new(),
        };
        pieces.iter().map(show).collect()
    }

    #[test]
    fn a_mark_becomes_a_citation_of_the_words_before_it() {
        assert_eq!(
            read(&["Relax the wrist [2]. Then play [1, 3]."]),
            "Relax the wrist<1>.| Then play<0><2>.|"
        );
    }

    #[test]
    fn a_mark_may_arrive_in_parts() {
        assert_eq!(read(&["Relax", " [", "2", "]", " now"]), "Relax<1>| now|");
    }

    #[test]
    fn other_brackets_stay_text_and_unknown_numbers_vanish() {
        assert_eq!(
            read(&["See [sic] and [12] here [1"]),
            "See [sic] and here [1|"
        );
    }
}
