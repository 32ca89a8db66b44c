#![no_main]

use libfuzzer_sys::fuzz_target;
use rag_core::lines::{Line, highlight};

fuzz_target!(|input: (&str, &str, u32, u32)| {
    let (content, stored, start, end) = input;
    let Ok(lines) = serde_json::from_str::<Vec<Line>>(stored) else {
        return;
    };
    for page in highlight(content, &lines, &(start..end)) {
        for area in page.areas {
            assert!(area.left <= area.right && area.top <= area.bottom);
        }
    }
});
