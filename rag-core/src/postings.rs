//! The inverted index of one document, in memory.

use crate::bm25::Block;
use shared_types::ids::DocumentId;
use std::{
    borrow::Cow,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

/// The postings of one document, held for looking stems up.
#[derive(Clone, Debug, Default)]
pub struct Postings {
    /// Ascending; parallel to `spans`. A stem stands as often as there are blocks that hold it.
    stems: Vec<StemHash>,
    spans: Vec<Span>,
    bytes: Vec<u8>,
}

/// Stands for a stem. That two stems of one document have the same is possible, and so improbable that it does not matter:
/// they would count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StemHash(u64);

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    length: u16,
    number: u16,
}

impl StemHash {
    /// Of this stem.
    #[must_use]
    pub fn of(stem: &str) -> Self {
        Self(BuildHasherDefault::<DefaultHasher>::new().hash_one(stem))
    }
}

impl Postings {
    /// Takes each stem with the number of a block and its postings there, at most 65,535 bytes; what is longer is left out,
    /// and so is what begins beyond 4 GiB.
    pub fn new<'a>(blocks: impl IntoIterator<Item = (&'a str, u16, &'a [u8])>) -> Self {
        let mut bytes = Vec::new();
        let mut found: Vec<(StemHash, Span)> = Vec::new();
        for (stem, number, postings) in blocks {
            let place = (u32::try_from(bytes.len()), u16::try_from(postings.len()));
            if let (Ok(start), Ok(length)) = place {
                let span = Span {
                    start,
                    length,
                    number,
                };
                found.push((StemHash::of(stem), span));
                bytes.extend_from_slice(postings);
            }
        }
        found.sort_unstable_by_key(|(stem, span)| (*stem, span.number));
        bytes.shrink_to_fit();
        let (stems, spans) = found.into_iter().unzip();
        Self {
            stems,
            spans,
            bytes,
        }
    }

    /// The blocks of a stem, if the document holds it, by number.
    pub fn blocks(
        &self,
        document_id: DocumentId,
        stem: StemHash,
    ) -> impl Iterator<Item = Block<'_>> {
        let first = self.first(stem);
        let held = self.stems[first..]
            .iter()
            .take_while(move |held| **held == stem);
        held.zip(&self.spans[first..]).map(move |(_, span)| {
            let start = span.start as usize;
            Block {
                document_id,
                number: span.number,
                postings: Cow::Borrowed(&self.bytes[start..start + usize::from(span.length)]),
            }
        })
    }

    /// The first place from which on no stem is lower. Hashes are spread evenly, so it is near where it would be if they
    /// were spread perfectly: a look or two into memory where halving would take a dozen.
    fn first(&self, stem: StemHash) -> usize {
        let count = self.stems.len();
        let mut place = ((u128::from(stem.0) * count as u128) >> u64::BITS) as usize;
        while place < count && self.stems[place] < stem {
            place += 1;
        }
        while place > 0 && self.stems[place - 1] >= stem {
            place -= 1;
        }
        place
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.stems.len() * (size_of::<StemHash>() + size_of::<Span>()) + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn a_stem_has_the_blocks_that_were_put_there_and_no_others(
            blocks in prop::collection::btree_map(
                ("[a-d]{1,3}", 0..4_u16),
                prop::collection::vec(any::<u8>(), 0..1_024),
                0..40,
            ),
            asked in "[a-d]{1,3}",
        ) {
            let id = DocumentId(Uuid::from_u128(1));
            let entries = blocks.iter().rev();
            let postings = Postings::new(
                entries.map(|((stem, number), bytes)| (stem.as_str(), *number, bytes.as_slice())),
            );
            for stem in blocks.keys().map(|(stem, _)| stem).chain([&asked]) {
                let found: BTreeMap<u16, Vec<u8>> = postings
                    .blocks(id, StemHash::of(stem))
                    .map(|block| (block.number, block.postings.into_owned()))
                    .collect();
                let of_stem = blocks.iter().filter(|((of, _), _)| of == stem);
                let expected = of_stem.map(|((_, number), bytes)| (*number, bytes.clone()));
                prop_assert_eq!(found, expected.collect::<BTreeMap<_, _>>());
            }
        }
    }

    #[test]
    fn what_no_block_can_hold_is_left_out() {
        let long = vec![0; usize::from(u16::MAX) + 1];
        let postings = Postings::new([("long", 0, &long[..]), ("short", 0, &long[..4])]);
        let id = DocumentId(Uuid::from_u128(1));
        assert_eq!(postings.blocks(id, StemHash::of("long")).count(), 0);
        assert_eq!(postings.blocks(id, StemHash::of("short")).count(), 1);
        assert!(postings.size() < 100);
    }
}
