//! The blocks of a document as they come in, cleaned and counted.

use crate::{Block, Limits, Refusal};

/// U+00AD, which says where a word may be broken and is not to be seen elsewhere.
const SOFT_HYPHEN: char = '\u{ad}';
/// U+FEFF, left behind where files were put together.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Collects blocks within the limits.
pub(crate) struct Blocks {
    written: Vec<Block>,
    chars: usize,
    most_chars: usize,
    most: usize,
    /// A page ended since the last text.
    page_ended: bool,
}

impl Blocks {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            written: Vec::new(),
            chars: 0,
            most_chars: limits.max_chars,
            most: limits.max_blocks,
            page_ended: false,
        }
    }

    /// Adds a heading; levels beyond 1 to 6 become the nearest of them.
    pub(crate) fn heading(&mut self, level: u8, text: &str) -> Result<(), Refusal> {
        let level = level.clamp(1, 6);
        self.add(text, |text| Block::Heading { level, text })
    }

    /// Adds a heading before all blocks but the first `at`.
    pub(crate) fn heading_at(&mut self, at: usize, level: u8, text: &str) -> Result<(), Refusal> {
        let before = self.written.len();
        self.heading(level, text)?;
        let added = self.written.len() - before;
        self.written[at..].rotate_right(added);
        Ok(())
    }

    /// Whether there is a heading of this level behind the first `at` blocks.
    pub(crate) fn has_heading(&self, at: usize, level: u8) -> bool {
        let is_it =
            |block: &Block| matches!(block, Block::Heading { level: found, .. } if *found == level);
        self.written[at..].iter().any(is_it)
    }

    /// Adds a paragraph, item, row or line.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Refusal> {
        self.add(text, Block::Text)
    }

    /// Ends the page.
    pub(crate) fn page_break(&mut self) {
        self.page_ended = !self.written.is_empty();
    }

    /// Adds a block that was made elsewhere.
    pub(crate) fn block(&mut self, block: &Block) -> Result<(), Refusal> {
        match block {
            Block::Heading { level, text } => self.heading(*level, text),
            Block::Text(text) => self.text(text),
            Block::PageBreak => {
                self.page_break();
                Ok(())
            }
        }
    }

    pub(crate) fn first(&self) -> Option<&Block> {
        self.written.first()
    }

    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }

    /// All blocks, at least one of them text.
    pub(crate) fn finish(self) -> Result<Vec<Block>, Refusal> {
        if self.written.is_empty() {
            return Err(Refusal::Empty);
        }
        Ok(self.written)
    }

    fn add(&mut self, text: &str, block: impl FnOnce(String) -> Block) -> Result<(), Refusal> {
        let text = clean(text);
        if text.is_empty() {
            return Ok(());
        }
        self.chars += text.chars().count();
        if std::mem::take(&mut self.page_ended) {
            self.written.push(Block::PageBreak);
        }
        self.written.push(block(text));
        if self.chars > self.most_chars || self.written.len() > self.most {
            return Err(Refusal::TooMuchText);
        }
        Ok(())
    }
}

/// The text with its white space folded, and without what is not to be seen.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            space = true;
        } else if !(character.is_control() || matches!(character, SOFT_HYPHEN | BYTE_ORDER_MARK)) {
            if std::mem::take(&mut space) && !cleaned.is_empty() {
                cleaned.push(' ');
            }
            cleaned.push(character);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::{Block, Blocks, Limits, Refusal};

    fn three(limits: &Limits) -> Result<Vec<Block>, Refusal> {
        let mut blocks = Blocks::new(limits);
        blocks.page_break();
        blocks.heading(9, " The\u{a0}\tthumb ")?;
        blocks.page_break();
        blocks.text("\u{ad}\u{7}")?;
        blocks.page_break();
        blocks.text("pass\u{ad}es\u{0} under\n")?;
        blocks.page_break();
        blocks.finish()
    }

    #[test]
    fn text_is_folded_and_page_breaks_stand_between_text() {
        let expected = vec![
            Block::Heading {
                level: 6,
                text: "The thumb".to_owned(),
            },
            Block::PageBreak,
            Block::Text("passes under".to_owned()),
        ];
        assert_eq!(three(&Limits::DEFAULT), Ok(expected));
    }

    #[test]
    fn a_document_at_its_limits_is_read_and_one_beyond_them_is_refused() {
        let at = Limits {
            max_chars: 21,
            max_blocks: 3,
            ..Limits::DEFAULT
        };
        assert!(three(&at).is_ok());
        let chars = Limits {
            max_chars: 20,
            ..at
        };
        assert_eq!(three(&chars), Err(Refusal::TooMuchText));
        let blocks = Limits {
            max_blocks: 2,
            ..at
        };
        assert_eq!(three(&blocks), Err(Refusal::TooMuchText));
    }

    #[test]
    fn a_document_without_text_is_empty() {
        let mut blocks = Blocks::new(&Limits::DEFAULT);
        blocks.page_break();
        assert_eq!(blocks.finish(), Err(Refusal::Empty));
    }
}
