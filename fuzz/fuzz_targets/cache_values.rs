#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_types::cache::{CacheValue, ScopeReading, SearchResults, StoredAnswer};

fn read_again<T: CacheValue>(bytes: &[u8]) {
    if let Ok(value) = T::decode(bytes) {
        // Once written by us, a value is stable: numbers out of the way of JSON round on the first reading.
        let written = value.encode();
        if let Ok(again) = T::decode(&written) {
            assert_eq!(again.encode(), written);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    read_again::<SearchResults>(bytes);
    read_again::<StoredAnswer>(bytes);
    read_again::<ScopeReading>(bytes);
});
