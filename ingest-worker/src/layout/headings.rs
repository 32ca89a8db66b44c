//! Which blocks are headings, and which of them stand over which.
//!
//! A heading is short, ends like no sentence, and is set in larger or bolder type than the text, or numbered and apart
//! from it. The larger the type, the higher it stands; of one type, `2` stands over `2.1`.

use super::paragraphs::Block;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// A heading has at most this many words.
const MAX_WORDS: usize = 14;
/// So much larger than that of the text is the type of a heading at least.
const LARGER: f32 = 1.15;
/// The same for recognised text, where the size is a guess.
const RECOGNISED_LARGER: f32 = 1.4;

/// How a heading is set: those that stand higher come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Style {
    half_points: Reverse<i32>,
    plain: bool,
    /// Parts of its number; 1 without one.
    depth: usize,
}

/// What headings of a document look like, gathered block by block.
pub(super) struct Outline {
    body: f32,
    styles: BTreeSet<Style>,
}

impl Outline {
    /// Of a document whose text has the size `body`.
    pub(super) fn new(body: f32) -> Self {
        Self {
            body,
            styles: BTreeSet::new(),
        }
    }

    /// Takes the next block, with whether it was recognised.
    pub(super) fn see(&mut self, block: &Block, recognised: bool) {
        self.styles.extend(style(block, self.body, recognised));
    }

    /// The levels of its headings.
    pub(super) fn levels(self) -> Levels {
        let levels = (1..).map(|level| u8::try_from(level).unwrap_or(u8::MAX));
        Levels {
            body: self.body,
            levels: self.styles.into_iter().zip(levels).collect(),
        }
    }
}

/// On which level headings stand.
pub(super) struct Levels {
    body: f32,
    levels: BTreeMap<Style, u8>,
}

impl Levels {
    /// The level of a heading, from 1; `None` for what is none.
    pub(super) fn of(&self, block: &Block, recognised: bool) -> Option<u8> {
        let style = style(block, self.body, recognised)?;
        self.levels.get(&style).copied()
    }
}

fn style(block: &Block, body: f32, recognised: bool) -> Option<Style> {
    let text = block.text.text().trim();
    let look = &block.look;
    let depth = numbered(text);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let is_title = (letters >= 2 || depth.is_some())
        && !look.turned
        && !text.ends_with(['.', ':', ';', ','])
        && text.split_whitespace().count() <= MAX_WORDS
        // A number and its title may stand apart; any other row is one of a table.
        && look.cells <= if depth.is_some() { 2 } else { 1 };
    let larger = if recognised {
        RECOGNISED_LARGER
    } else {
        LARGER
    };
    let is_larger = look.size >= body * larger;
    let is_bold = look.bold && look.size >= body * 0.98;
    let is_apart = block.gap && look.lines == 1;
    let starts_title = text.starts_with(|c: char| c.is_uppercase() || c.is_numeric());
    let is_heading =
        is_title && (is_larger || (is_apart && starts_title && (is_bold || depth.is_some())));
    is_heading.then_some(Style {
        half_points: Reverse((look.size * 2.0).round() as i32),
        plain: !look.bold,
        depth: depth.unwrap_or(1),
    })
}

/// The parts of the number of a heading such as `2 Scales` or `2.1 The thumb`: no list item (`2. Sit`), no sentence.
fn numbered(line: &str) -> Option<usize> {
    let (number, title) = line.split_once(' ')?;
    let is_part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_numbered = number.split('.').all(is_part)
        && title.starts_with(char::is_uppercase)
        && !title.ends_with(['?', '!']);
    is_numbered.then(|| number.split('.').count())
}
