//! Whether stored bytes are the ones that were written, and under this key.

use super::{CacheValue, CacheValueError};
use std::hash::Hasher;
use twox_hash::XxHash64;

/// Bytes of the sum that ends a stored value.
const SUM_BYTES: usize = size_of::<u64>();

/// The bytes to store under the key of this text: the value and a sum over both.
///
/// The sum finds accidents: bits that fell over, a value that came to lie under another key. It keeps out
/// nobody who may write to the store; nobody but the edge may.
#[must_use]
pub fn seal<V: CacheValue>(key_text: &str, value: &V) -> Vec<u8> {
    let mut bytes = value.encode();
    let sum = sum(key_text, &bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

/// Reads what [`seal`] wrote under this key; refuses anything else.
pub fn open<V: CacheValue>(key_text: &str, bytes: &[u8]) -> Result<V, CacheValueError> {
    let (value, written) = bytes
        .split_last_chunk::<SUM_BYTES>()
        .ok_or(CacheValueError::Seal)?;
    if sum(key_text, value) == *written {
        V::decode(value)
    } else {
        Err(CacheValueError::Seal)
    }
}

fn sum(key_text: &str, value: &[u8]) -> [u8; SUM_BYTES] {
    let mut hash = XxHash64::with_seed(0);
    hash.write(key_text.as_bytes());
    // No key holds a line feed.
    hash.write(b"\n");
    hash.write(value);
    hash.finish().to_le_bytes()
}
