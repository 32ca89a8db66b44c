//! Vectors kept on disk, so that the same text is encoded once per machine and not once per run.
//!
//! One file per text, named by the hash of model and text, in 256 folders. A file is the vector's bytes
//! and the first eight bytes of their SHA-256. Several processes may share a folder: a file appears
//! whole, by renaming. Nothing is ever removed; the folder may be deleted at any time.

use sha2::{Digest, Sha256};
use shared_types::embedding::Embedding;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const CHECKSUM_BYTES: usize = 8;

/// A folder of vectors of one model.
pub(super) struct VectorStore {
    folder: PathBuf,
    model: &'static str,
}

impl VectorStore {
    /// `model` names whatever changes the vectors: weights, pooling, longest input.
    pub(super) fn new(folder: &Path, model: &'static str) -> Self {
        Self {
            folder: folder.to_owned(),
            model,
        }
    }

    /// The stored vector; a damaged file is a miss.
    pub(super) fn get(&self, text: &str) -> Option<Embedding> {
        let bytes = fs::read(self.path(text)).ok()?;
        let (vector, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        (checksum(vector) == sum)
            .then(|| Embedding::from_bytes(vector).ok())
            .flatten()
    }

    /// Stores a vector; replaces what was there.
    pub(super) fn put(&self, text: &str, vector: &Embedding) -> io::Result<()> {
        let path = self.path(text);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let mut bytes = vector.to_bytes();
        let sum = checksum(&bytes);
        bytes.extend(sum);
        fs::write(file.path(), bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn path(&self, text: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [self.model, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let name = hex::encode(hash.finalize());
        let (shard, rest) = name.split_at(2);
        self.folder.join(shard).join(rest)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&Sha256::digest(bytes)[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_types::embedding::DIMENSIONS;

    fn vector(value: f32) -> Embedding {
        Embedding::new(vec![value; DIMENSIONS]).unwrap()
    }

    #[test]
    fn a_vector_comes_back_for_its_own_model_and_text_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = VectorStore::new(folder.path(), "one");
        store.put("legato", &vector(0.5)).unwrap();
        store.put("legato", &vector(0.25)).unwrap();
        assert_eq!(store.get("legato"), Some(vector(0.25)));
        assert_eq!(store.get("staccato"), None);
        assert_eq!(VectorStore::new(folder.path(), "two").get("legato"), None);
    }

    #[test]
    fn a_damaged_file_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = VectorStore::new(folder.path(), "one");
        store.put("legato", &vector(0.5)).unwrap();
        let path = store.path("legato");
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(store.get("legato"), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(store.get("legato"), None);
    }
}
