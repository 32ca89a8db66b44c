//! The passages of a document, in temporary files from the first page to the database.

use crate::{spool::Spool, tokens::TokenCounter};
use rag_core::chunking::{Chunk, ChunkConfig, Chunker, PageText};
use shared_types::embedding::Embedding;
use std::{borrow::Cow, io, ops::Range};
use storage::jobs::{EmbeddedChunk, EmbeddedChunks};

/// Cuts a document into passages while its pages come.
pub fn cut(
    pages: impl IntoIterator<Item = io::Result<PageText>>,
    tokens: &TokenCounter,
) -> io::Result<Spool<Chunk>> {
    let (config, count) = (ChunkConfig::default(), tokens.word_by_word());
    let mut chunker = Chunker::new(&config, &count);
    let mut passages = Spool::new()?;
    for page in pages {
        passages.extend(chunker.add(&page?))?;
    }
    passages.extend(chunker.finish())?;
    Ok(passages)
}

/// Passages, and the vectors of the first of them.
#[derive(Debug)]
pub struct Embedded {
    chunks: Spool<Chunk>,
    vectors: Spool<Embedding>,
}

impl Embedded {
    /// Of passages without vectors.
    pub fn new(chunks: Spool<Chunk>) -> io::Result<Self> {
        Ok(Self {
            chunks,
            vectors: Spool::new()?,
        })
    }

    /// How many have a vector, and how many passages there are.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.vectors.len(), self.chunks.len())
    }

    /// The texts of the next passages without a vector, at most so many.
    pub fn next_texts(&self, most: usize) -> io::Result<Vec<String>> {
        let (done, total) = self.progress();
        let next = self.chunks.range(done..total.min(done + most));
        next.map(|chunk| Ok(chunk?.content)).collect()
    }

    /// Gives the next passages their vectors.
    pub fn extend(&mut self, vectors: Vec<Embedding>) -> io::Result<()> {
        self.vectors.extend(vectors)
    }
}

impl EmbeddedChunks for Embedded {
    fn count(&self) -> usize {
        self.vectors.len()
    }

    fn read(&self, places: Range<usize>) -> io::Result<Cow<'_, [EmbeddedChunk]>> {
        let vectors = self.vectors.range(places.clone());
        let chunks = self.chunks.range(places);
        let embedded = chunks.zip(vectors).map(|(chunk, embedding)| {
            Ok(EmbeddedChunk {
                chunk: chunk?,
                embedding: embedding?,
            })
        });
        embedded.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_types::embedding::DIMENSIONS;

    fn vector(text: &str) -> Embedding {
        Embedding::new(vec![text.len() as f32; DIMENSIONS]).unwrap()
    }

    #[test]
    fn each_passage_gets_its_own_vector() {
        let config = ChunkConfig {
            max_tokens: 5,
            overlap_tokens: 0,
            ..ChunkConfig::default()
        };
        let page = PageText {
            page: 1,
            text: "Sit tall. Drop the shoulders. Breathe. Hear the bass.".into(),
            ..PageText::default()
        };
        let count = |text: &str| text.split_whitespace().count();
        let passages = rag_core::chunking::chunk(&[page], &config, &count);
        let mut spool = Spool::new().unwrap();
        spool.extend(passages.clone()).unwrap();

        let mut embedded = Embedded::new(spool).unwrap();
        let mut asked = Vec::new();
        while embedded.progress().0 < passages.len() {
            let texts = embedded.next_texts(3).unwrap();
            asked.push(texts.len());
            let vectors = texts.iter().map(|text| vector(text));
            embedded.extend(vectors.collect()).unwrap();
        }
        assert_eq!(asked, [3, 1]);
        assert_eq!(embedded.count(), 4);
        let last = embedded.read(2..4).unwrap();
        let expected: Vec<EmbeddedChunk> = passages[2..]
            .iter()
            .map(|chunk| EmbeddedChunk {
                chunk: chunk.clone(),
                embedding: vector(&chunk.content),
            })
            .collect();
        assert_eq!(*last, expected);
    }
}
