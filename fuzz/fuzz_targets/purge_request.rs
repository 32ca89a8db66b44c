#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_types::purge::PurgeRequest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<PurgeRequest>(bytes) {
        let written = serde_json::to_vec(&request).unwrap();
        assert_eq!(
            serde_json::from_slice::<PurgeRequest>(&written).unwrap(),
            request
        );
    }
});
