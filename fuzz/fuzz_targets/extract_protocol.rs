#![no_main]

use ingest_worker::{extract::protocol::Reader, layout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if reader.line(line).is_err() {
            return;
        }
    }
    if let Some(Ok(pages)) = reader.finish() {
        let numbers: Vec<u32> = pages.iter().map(|page| page.page).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u32));
        assert!(
            layout::read(pages)
                .iter()
                .all(|page| !page.text.contains('\0'))
        );
    }
});
