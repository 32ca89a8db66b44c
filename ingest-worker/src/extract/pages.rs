//! The pages of a document.

use crate::{layout::RawPage, spool::Spool};
use std::io;

/// The pages of a document, in order, in a temporary file.
#[derive(Debug)]
pub struct Pages {
    legible: Vec<Legible>,
    raw: Spool<RawPage>,
}

/// What is known of a page without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own"
)]
pub struct Legible {
    /// Its number, from 1.
    pub page: u32,
    /// See [`RawPage::scanned`].
    pub scanned: bool,
    /// Text was recognised on it.
    pub recognised: bool,
    /// See [`RawPage::is_unreadable`].
    pub unreadable: bool,
    /// There are letters or digits on it.
    pub has_letters: bool,
}

impl Legible {
    fn of(page: &RawPage) -> Self {
        Self {
            page: page.page,
            scanned: page.scanned,
            recognised: page.confidence.is_some(),
            unreadable: page.is_unreadable(),
            has_letters: page.letters() > 0,
        }
    }

    /// Whether it would have to be recognised, and was not.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.scanned && !self.recognised
    }
}

impl Pages {
    /// No pages.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            legible: Vec::new(),
            raw: Spool::new()?,
        })
    }

    /// These pages.
    pub fn of(pages: impl IntoIterator<Item = RawPage>) -> io::Result<Self> {
        let mut all = Self::new()?;
        for page in pages {
            all.push(&page)?;
        }
        Ok(all)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.legible.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.legible.is_empty()
    }

    /// What is known of each.
    pub fn legible(&self) -> impl Iterator<Item = Legible> + '_ {
        self.legible.iter().copied()
    }

    /// All of them, one after another.
    pub fn iter(&self) -> impl Iterator<Item = io::Result<RawPage>> {
        self.raw.iter()
    }

    /// Adds the next page.
    pub fn push(&mut self, page: &RawPage) -> io::Result<()> {
        self.raw.push(page)?;
        self.legible.push(Legible::of(page));
        Ok(())
    }

    /// Changes the page of this number; nothing where there is none.
    pub fn change(&mut self, number: u32, change: impl FnOnce(&mut RawPage)) -> io::Result<()> {
        let mut numbers = self.legible.iter().map(|page| page.page);
        if let Some(at) = numbers.position(|page| page == number) {
            let mut page = self.raw.get(at)?;
            change(&mut page);
            self.raw.replace(at, &page)?;
            self.legible[at] = Legible::of(&page);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Ending, Word, group};
    use proptest::prelude::*;

    fn any_page() -> impl Strategy<Value = RawPage> {
        let lengths = prop::array::uniform4(-1e4f32..1e4);
        let words = prop::collection::vec((".{1,9}", lengths), 0..20);
        let kind = (any::<bool>(), prop::option::of(0u8..=100));
        (1u32..2_000, words, kind).prop_map(|(page, words, (scanned, confidence))| RawPage {
            page,
            scanned,
            confidence,
            runs: group(
                words
                    .into_iter()
                    .map(|(text, [left, width, baseline, size])| Word {
                        text,
                        left,
                        right: left + width,
                        baseline,
                        size,
                        top: baseline + size,
                        bottom: baseline,
                        bold: false,
                        turned: scanned,
                        ending: Ending::Break,
                    }),
            ),
            ..RawPage::default()
        })
    }

    proptest! {
        #[test]
        fn a_page_comes_out_as_it_went_in(pages in prop::collection::vec(any_page(), 0..4)) {
            let kept = Pages::of(pages.iter().cloned()).unwrap();
            let found: Vec<RawPage> = kept.iter().collect::<io::Result<_>>().unwrap();
            prop_assert_eq!(found, pages);
        }
    }
}
