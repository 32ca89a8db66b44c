//! The pages of a document, packed.

use crate::layout::RawPage;

/// The pages of a document, in order. A dense page takes some four kilobytes, and fifteen while it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    packed: Vec<Packed>,
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
    /// Whether it would have to be recognised, and was not.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.scanned && !self.recognised
    }
}

#[derive(Clone, Debug)]
struct Packed {
    legible: Legible,
    bytes: Box<[u8]>,
}

impl Pages {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// What is known of each.
    pub fn legible(&self) -> impl Iterator<Item = Legible> + '_ {
        self.packed.iter().map(|packed| packed.legible)
    }

    /// All of them, one after another.
    pub fn iter(&self) -> impl Iterator<Item = RawPage> + '_ {
        self.packed.iter().map(Packed::unpack)
    }

    /// Adds the next page.
    pub fn push(&mut self, page: &RawPage) {
        self.packed.push(Packed::pack(page));
    }

    /// Changes the page of this number; nothing where there is none.
    pub fn change(&mut self, number: u32, change: impl FnOnce(&mut RawPage)) {
        let mut packed = self.packed.iter_mut();
        if let Some(packed) = packed.find(|packed| packed.legible.page == number) {
            let mut page = packed.unpack();
            change(&mut page);
            *packed = Packed::pack(&page);
        }
    }
}

impl FromIterator<RawPage> for Pages {
    fn from_iter<P: IntoIterator<Item = RawPage>>(pages: P) -> Self {
        let packed = pages.into_iter().map(|page| Packed::pack(&page));
        Self {
            packed: packed.collect(),
        }
    }
}

impl Packed {
    fn pack(page: &RawPage) -> Self {
        // All lengths in it are known beforehand, and nothing else can't be written.
        let plain = postcard::to_stdvec(page).expect("a page has a wire form");
        Self {
            legible: Legible {
                page: page.page,
                scanned: page.scanned,
                recognised: page.confidence.is_some(),
                unreadable: page.is_unreadable(),
                has_letters: page.letters() > 0,
            },
            bytes: lz4_flex::compress_prepend_size(&plain).into_boxed_slice(),
        }
    }

    fn unpack(&self) -> RawPage {
        // It was packed here.
        let plain = lz4_flex::decompress_size_prepended(&self.bytes).expect("packed bytes");
        postcard::from_bytes(&plain).expect("a packed page")
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
            let packed: Pages = pages.iter().cloned().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), pages);
        }
    }
}
