//! The 768-dimension embedding and its byte codec.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Dimensions of every embedding in the system (`halfvec(768)` in the database).
pub const DIMENSIONS: usize = 768;

/// A finite vector of exactly [`DIMENSIONS`] components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Embedding(Vec<f32>);

/// Why a vector or its bytes are not an [`Embedding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EmbeddingError {
    /// The number of components differs from [`DIMENSIONS`].
    #[error("an embedding has {DIMENSIONS} components, not {0}")]
    Dimensions(usize),
    /// A component is infinite or not a number.
    #[error("component {0} of the embedding is not finite")]
    NotFinite(usize),
    /// The byte string is not `4 * DIMENSIONS` long.
    #[error("an embedding has 4 bytes for each of {DIMENSIONS} components, not {0} in all")]
    Bytes(usize),
}

impl Embedding {
    /// Takes a vector of [`DIMENSIONS`] finite components.
    pub fn new(components: Vec<f32>) -> Result<Self, EmbeddingError> {
        if components.len() != DIMENSIONS {
            return Err(EmbeddingError::Dimensions(components.len()));
        }
        match components.iter().position(|c| !c.is_finite()) {
            Some(at) => Err(EmbeddingError::NotFinite(at)),
            None => Ok(Self(components)),
        }
    }

    /// The components, [`DIMENSIONS`] of them.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Little-endian `f32`s, `4 * DIMENSIONS` bytes: the value of the edge's embedding cache.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|c| c.to_le_bytes()).collect()
    }

    /// Reads what [`Embedding::to_bytes`] wrote; refuses anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EmbeddingError> {
        let (words, rest) = bytes.as_chunks::<4>();
        if words.len() != DIMENSIONS || !rest.is_empty() {
            return Err(EmbeddingError::Bytes(bytes.len()));
        }
        Self::new(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = EmbeddingError;
    fn try_from(components: Vec<f32>) -> Result<Self, Self::Error> {
        Self::new(components)
    }
}

impl From<Embedding> for Vec<f32> {
    fn from(embedding: Embedding) -> Self {
        embedding.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_bring_every_finite_vector_back(components in prop::collection::vec(-1e3f32..1e3, DIMENSIONS)) {
            let embedding = Embedding::new(components).unwrap();
            prop_assert_eq!(Embedding::from_bytes(&embedding.to_bytes()).unwrap(), embedding);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let _ = Embedding::from_bytes(&bytes);
        }
    }

    #[test]
    fn a_vector_of_another_model_is_refused() {
        assert_eq!(
            Embedding::new(vec![0.0; 384]),
            Err(EmbeddingError::Dimensions(384))
        );
        let mut components = vec![0.0; DIMENSIONS];
        components[7] = f32::NAN;
        assert_eq!(
            Embedding::new(components),
            Err(EmbeddingError::NotFinite(7))
        );
    }
}
