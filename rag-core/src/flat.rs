//! Comparing a question's vector with those of many passages that are held in memory.
//!
//! The signs of a vector's components are compared first, all of them in a pass over 96 bytes a passage; the vectors
//! themselves only where the signs differ least. The signs of two vectors differ in about as many places as their angle
//! has of half a turn, so few candidates hold all of the nearest.

use crate::bm25::Place;
use shared_types::{
    embedding::{DIMENSIONS, Embedding},
    ids::{ChunkId, DocumentId},
};

/// A component of a unit vector counts so many units: as fine as the half precision that vectors are stored in, at the
/// size that most components have. By Cauchy and Schwarz the product of two vectors stays below 2³¹, and so does every
/// part of its sum.
const UNITS: f64 = 32_767.0;
/// 64 of the signs in a word.
const SIGN_WORDS: usize = DIMENSIONS / 64;

type Signs = [u64; SIGN_WORDS];

/// The vectors of a document's passages, in their order.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    ids: Vec<ChunkId>,
    signs: Vec<Signs>,
    /// [`DIMENSIONS`] for each passage.
    components: Vec<i16>,
}

/// One vector of length 1, or the one of length 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a>(&'a [i16]);

/// The vector of a question.
#[derive(Clone, Debug)]
pub struct Question {
    signs: Signs,
    components: Vec<i16>,
}

/// A passage that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Where it stands.
    pub place: Place,
    /// Cosine distance, 0 to 2.
    pub distance: f64,
}

impl Vectors {
    /// What one passage takes, in bytes.
    pub const BYTES_EACH: usize =
        size_of::<ChunkId>() + size_of::<Signs>() + DIMENSIONS * size_of::<i16>();

    /// Adds the next passage of the document. Of its vector, which has [`DIMENSIONS`] components, the direction is kept.
    pub fn push(&mut self, chunk_id: ChunkId, vector: &[f32]) {
        self.ids.push(chunk_id);
        self.signs.push(signs(vector));
        self.components.extend(unit(vector));
        debug_assert_eq!(self.components.len(), self.ids.len() * DIMENSIONS);
    }

    /// Gives back the memory that further passages would have had.
    pub fn shrink_to_fit(&mut self) {
        self.ids.shrink_to_fit();
        self.signs.shrink_to_fit();
        self.components.shrink_to_fit();
    }

    /// How many passages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The passage that stands there.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<ChunkId> {
        self.ids.get(index).copied()
    }

    /// The vector of the passage that stands there.
    #[must_use]
    pub fn unit(&self, index: usize) -> Option<Unit<'_>> {
        let (vectors, _) = self.components.as_chunks::<DIMENSIONS>();
        vectors.get(index).map(|vector| Unit(vector))
    }
}

impl Unit<'_> {
    /// The cosine of the angle between the two; 0 where one of them has no direction.
    #[must_use]
    pub fn cosine(self, other: Unit<'_>) -> f64 {
        f64::from(product(self.0, other.0)) / (UNITS * UNITS)
    }
}

impl Question {
    /// Its vector.
    #[must_use]
    pub fn unit(&self) -> Unit<'_> {
        Unit(&self.components)
    }
}

impl From<&Embedding> for Question {
    fn from(embedding: &Embedding) -> Self {
        let vector = embedding.as_slice();
        Self {
            signs: signs(vector),
            components: unit(vector).collect(),
        }
    }
}

/// The `depth` passages nearest to a question, by distance, ascending; ties go to the lower id. The vectors of so many
/// `candidates` are compared, those whose signs differ least from the question's; where there are no more passages than
/// that, all of them, and the result is exact.
pub fn nearest<'a>(
    documents: impl Iterator<Item = (DocumentId, &'a Vectors)> + Clone,
    question: &Question,
    candidates: usize,
    depth: usize,
) -> Vec<Near> {
    let passages = documents.clone().map(|(_, vectors)| vectors.len()).sum();
    let mut differing: Vec<u16> = Vec::with_capacity(passages);
    for (_, vectors) in documents.clone() {
        let counts = vectors.signs.iter();
        differing.extend(counts.map(|signs| difference(signs, &question.signs)));
    }
    let mut admission = Admission::of(&differing, candidates);

    let mut near: Vec<Near> = Vec::with_capacity(passages.min(candidates));
    let mut counts = differing.iter();
    for (document_id, vectors) in documents {
        for (index, count) in counts.by_ref().take(vectors.len()).enumerate() {
            if !admission.admits(*count) {
                continue;
            }
            let (Some(chunk_id), Some(unit)) = (vectors.id(index), vectors.unit(index)) else {
                continue;
            };
            near.push(Near {
                chunk_id,
                place: Place {
                    document_id,
                    chunk_index: index as u32,
                },
                distance: 1.0 - unit.cosine(question.unit()),
            });
        }
    }
    first(near, depth)
}

/// Who is a candidate: all below a difference, and some of those with that very difference.
struct Admission {
    below: u16,
    at: usize,
}

impl Admission {
    /// Admits as many as are wanted, or all.
    fn of(differing: &[u16], wanted: usize) -> Self {
        let mut having = [0_usize; DIMENSIONS + 1];
        for count in differing {
            having[usize::from(*count)] += 1;
        }
        let mut room = wanted;
        for (difference, having) in (0..).zip(having) {
            if having > room {
                return Self {
                    below: difference,
                    at: room,
                };
            }
            room -= having;
        }
        Self {
            below: u16::MAX,
            at: 0,
        }
    }

    fn admits(&mut self, difference: u16) -> bool {
        if difference == self.below && self.at > 0 {
            self.at -= 1;
            return true;
        }
        difference < self.below
    }
}

fn first(mut near: Vec<Near>, depth: usize) -> Vec<Near> {
    let order = |a: &Near, b: &Near| {
        let by_distance = a.distance.total_cmp(&b.distance);
        by_distance.then(a.chunk_id.cmp(&b.chunk_id))
    };
    if depth > 0 && near.len() > depth {
        near.select_nth_unstable_by(depth - 1, order);
    }
    near.truncate(depth);
    near.sort_unstable_by(order);
    near
}

/// One bit for each component: whether it is above zero.
fn signs(vector: &[f32]) -> Signs {
    let mut signs = [0; SIGN_WORDS];
    for (word, components) in signs.iter_mut().zip(vector.chunks(64)) {
        for (bit, component) in components.iter().enumerate() {
            *word |= u64::from(*component > 0.0) << bit;
        }
    }
    signs
}

/// The vector at length 1, in [`UNITS`].
fn unit(vector: &[f32]) -> impl Iterator<Item = i16> {
    // No sum of squares of `f32` is beyond `f64`.
    let components = vector.iter().map(|component| f64::from(*component));
    let squares: f64 = components
        .clone()
        .map(|component| component * component)
        .sum();
    let scale = if squares > 0.0 {
        UNITS / squares.sqrt()
    } else {
        0.0
    };
    components.map(move |component| (component * scale).round() as i16)
}

fn difference(a: &Signs, b: &Signs) -> u16 {
    let words = a.iter().zip(b);
    words.map(|(a, b)| (a ^ b).count_ones() as u16).sum()
}

fn product(a: &[i16], b: &[i16]) -> i32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

#[cfg(test)]
mod tests;
