#![no_main]

use libfuzzer_sys::fuzz_target;
use rag_core::jwks::KeySet;
use shared_types::cache::CacheValue;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::read(bytes, 0) {
        // What is taken from the sign-in service is taken from the cache too.
        assert_eq!(KeySet::decode(&set.encode()).ok(), Some(set));
    }
    if let Ok(set) = KeySet::decode(bytes) {
        assert_eq!(KeySet::decode(&set.encode()).ok(), Some(set));
    }
});
