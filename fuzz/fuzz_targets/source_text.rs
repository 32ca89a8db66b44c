#![no_main]

use libfuzzer_sys::fuzz_target;
use source_formats::{Block, Content, Format, Limits, read};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Content { blocks, .. }) = read(Format::Text, bytes, &Limits::DEFAULT) else {
        return;
    };
    assert!(blocks.first() != Some(&Block::PageBreak) && blocks.last() != Some(&Block::PageBreak));
    for block in blocks {
        if let Block::Heading { text, .. } | Block::Text(text) = block {
            assert!(!text.is_empty() && !text.contains(char::is_control));
        }
    }
});
