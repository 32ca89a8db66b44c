//! Pages for what has none: a citation needs one.
//!
//! A page ends where the file says so, and otherwise after about as much text as a printed page holds. Pure functions.

use crate::layout::clean;
use rag_core::chunking::{Heading, PageText};
use source_formats::Block;

/// Characters of a page where the file says nothing of pages.
const PAGE_CHARS: usize = 3_000;
/// Characters that a page has at most where it does.
const MAX_PAGE_CHARS: usize = 9_000;

/// The pages of a file, in order. Every block is a line of its own, an empty line stands before and after headings, and
/// a page ends between blocks unless one alone is longer than a page: that goes on, from a space on, on the next.
#[must_use]
pub fn pages(blocks: &[Block]) -> Vec<PageText> {
    let mut pages = Pages {
        done: Vec::new(),
        page: PageText::default(),
        chars: 0,
        most: if blocks.contains(&Block::PageBreak) {
            MAX_PAGE_CHARS
        } else {
            PAGE_CHARS
        },
    };
    for block in blocks {
        match block {
            Block::Heading { level, text } => pages.add(text, Some(*level)),
            Block::Text(text) => pages.add(text, None),
            Block::PageBreak => pages.end(),
        }
    }
    pages.end();
    pages.done
}

struct Pages {
    done: Vec<PageText>,
    page: PageText,
    /// Of the page's text.
    chars: usize,
    most: usize,
}

impl Pages {
    fn add(&mut self, text: &str, level: Option<u8>) {
        let text = clean(text);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, after) = cut(rest, self.most);
            let chars = piece.chars().count();
            // An empty line may stand between.
            if self.chars + 2 + chars > self.most {
                self.end();
            }
            self.put(piece, chars, level);
            rest = after;
        }
    }

    fn put(&mut self, line: &str, chars: usize, level: Option<u8>) {
        if self.chars > 0 {
            let last = self.page.headings.last().map(|heading| heading.start_char);
            let is_under = last.is_some_and(|start| start == self.line_start());
            let joint = if level.is_some() || is_under {
                "\n\n"
            } else {
                "\n"
            };
            self.page.text.push_str(joint);
            self.chars += joint.len();
        }
        if let Some(level) = level {
            self.page.headings.push(Heading {
                start_char: self.chars as u32,
                level,
            });
        }
        self.page.text.push_str(line);
        self.chars += chars;
    }

    /// The first character of the page's last line.
    fn line_start(&self) -> u32 {
        let last = self.page.text.rsplit('\n').next().unwrap_or_default();
        (self.chars - last.chars().count()) as u32
    }

    fn end(&mut self) {
        if self.chars == 0 {
            return;
        }
        let page = self.done.len() as u32 + 1;
        self.chars = 0;
        self.done.push(PageText {
            page,
            ..std::mem::take(&mut self.page)
        });
    }
}

/// As many characters of a text as `most` allows, whole words if it can be, and what is left.
fn cut(text: &str, most: usize) -> (&str, &str) {
    let Some((end, next)) = text.char_indices().nth(most) else {
        return (text, "");
    };
    let space = if next == ' ' {
        Some(end)
    } else {
        text[..end].rfind(' ')
    };
    let (piece, rest) = text.split_at(space.unwrap_or(end));
    (piece, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Block {
        Block::Text(text.to_owned())
    }

    #[test]
    fn headings_stand_apart_and_every_page_that_the_file_ends_is_one() {
        let heading = |level, text: &str| Block::Heading {
            level,
            text: text.to_owned(),
        };
        let pages = pages(&[
            heading(1, "Pedal\u{a0}marks"),
            text("Lift the \u{fb01}ngers."),
            text("Listen."),
            heading(2, "Half pedal"),
            Block::PageBreak,
            text("Later."),
        ]);
        assert_eq!(
            pages[0].text,
            "Pedal marks\n\nLift the fingers.\nListen.\n\nHalf pedal"
        );
        let starts: Vec<_> = pages[0]
            .headings
            .iter()
            .map(|heading| (heading.start_char, heading.level))
            .collect();
        assert_eq!(starts, [(0, 1), (40, 2)]);
        assert_eq!((pages[1].page, pages[1].text.as_str()), (2, "Later."));
        assert_eq!(pages.len(), 2);
    }

    #[test]
    fn a_file_that_says_nothing_of_pages_has_some_of_a_printed_pages_length() {
        let paragraph = "Practise slowly. ".repeat(60);
        let blocks = vec![text(&paragraph); 9];
        let pages = pages(&blocks);
        assert_eq!(pages.len(), 5);
        assert!(
            pages
                .iter()
                .all(|page| page.text.chars().count() <= PAGE_CHARS)
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_cut_or_moved_and_no_page_is_too_long(
            blocks in prop::collection::vec(
                prop_oneof![
                    "([a-zé]{1,9} ){1,700}".prop_map(Block::Text),
                    "[A-Z][a-z]{1,9}".prop_map(|text| Block::Heading { level: 2, text }),
                    Just(Block::PageBreak),
                ],
                0..20,
            ),
        ) {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let expected: Vec<String> = blocks
                .iter()
                .flat_map(|block| match block {
                    Block::Text(text) | Block::Heading { text, .. } => words(text),
                    Block::PageBreak => Vec::new(),
                })
                .collect();
            let pages = pages(&blocks);
            let found: Vec<String> = pages.iter().flat_map(|page| words(&page.text)).collect();
            prop_assert_eq!(found, expected);
            for (number, page) in (1..).zip(&pages) {
                prop_assert_eq!(page.page, number);
                prop_assert!((1..=MAX_PAGE_CHARS).contains(&page.text.chars().count()));
                for heading in &page.headings {
                    let mut rest = page.text.chars().skip(heading.start_char as usize);
                    prop_assert!(rest.next().is_some_and(char::is_uppercase));
                }
            }
        }

        #[test]
        fn a_word_longer_than_a_page_is_cut_and_kept(length in 1usize..20_000) {
            let pages = pages(&[text(&"é".repeat(length))]);
            let kept: usize = pages.iter().map(|page| page.text.chars().count()).sum();
            prop_assert_eq!(kept, length);
        }
    }
}
