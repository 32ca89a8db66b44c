#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_types::{
    cache::{CacheValue, ScopeReading, SearchResults, StoredAnswer, open, seal},
    embedding::Embedding,
};

const KEY: &str = "llm:v1:a";

fn read_again<T: CacheValue>(bytes: &[u8]) {
    let _ = open::<T>(KEY, bytes);
    if let Ok(value) = T::decode(bytes) {
        // Once written by us, a value is stable: numbers out of the way of JSON round on the first reading.
        let written = seal(KEY, &value);
        if let Ok(again) = open::<T>(KEY, &written) {
            assert_eq!(seal(KEY, &again), written);
        }
        assert!(open::<T>("llm:v1:b", &written).is_err());
    }
}

fuzz_target!(|bytes: &[u8]| {
    read_again::<SearchResults>(bytes);
    read_again::<StoredAnswer>(bytes);
    read_again::<ScopeReading>(bytes);
    read_again::<Embedding>(bytes);
});
