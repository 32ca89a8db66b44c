#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_types::embedding::Embedding;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(embedding) = Embedding::from_bytes(bytes) {
        assert_eq!(embedding.to_bytes(), bytes);
    }
});
