//! The 768-dimension embedding and its byte codec.

// An embedding is no secret: it need not be written in constant time, as `base64ct` does.
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Dimensions of every embedding in the system (`halfvec(768)` in the database).
pub const DIMENSIONS: usize = 768;

/// A finite vector of exactly [`DIMENSIONS`] components.
///
/// In JSON its bytes stand as Base64: shorter than its numbers, and far cheaper to write and to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// The text is not Base64.
    #[error("an embedding is written in Base64")]
    Base64,
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
        let mut bytes = vec![0; 4 * self.0.len()];
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (word, component) in words.iter_mut().zip(&self.0) {
            *word = component.to_le_bytes();
        }
        bytes
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

impl TryFrom<String> for Embedding {
    type Error = EmbeddingError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_STANDARD
            .decode(&text)
            .map_err(|_| EmbeddingError::Base64)?;
        Self::from_bytes(&bytes)
    }
}

impl From<Embedding> for Vec<f32> {
    fn from(embedding: Embedding) -> Self {
        embedding.0
    }
}

impl From<Embedding> for String {
    fn from(embedding: Embedding) -> Self {
        BASE64_STANDARD.encode(embedding.to_bytes())
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
            prop_assert_eq!(&Embedding::from_bytes(&embedding.to_bytes()).unwrap(), &embedding);
            let json = serde_json::to_string(&embedding).unwrap();
            prop_assert_eq!(serde_json::from_str::<Embedding>(&json).unwrap(), embedding);
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
