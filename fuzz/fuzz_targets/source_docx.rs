#![no_main]

use libfuzzer_sys::fuzz_target;
use source_formats::{Block, Content, Format, Limits, read};
use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

const RELATIONS: &[u8] = br#"<R><R Type="x/officeDocument" Target="d"/></R>"#;
const PARTS: &[u8] = br#"<R><R Type="x/styles" Target="d"/><R Type="x/footnotes" Target="d"/></R>"#;

/// A document whose parts all hold these bytes: checksums keep most of what is tried out of a real one.
fn package(part: &[u8]) -> Result<Vec<u8>, ZipError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [
        ("_rels/.rels", RELATIONS),
        ("_rels/d.rels", PARTS),
        ("d", part),
    ] {
        archive.start_file(name, stored)?;
        archive.write_all(bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn check(bytes: &[u8]) {
    let Ok(Content { blocks, .. }) = read(Format::Docx, bytes, &Limits::DEFAULT) else {
        return;
    };
    assert!(blocks.first() != Some(&Block::PageBreak) && blocks.last() != Some(&Block::PageBreak));
    for block in blocks {
        if let Block::Heading { text, .. } | Block::Text(text) = block {
            assert!(!text.is_empty() && !text.contains(char::is_control));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&package(bytes).expect("parts can be packed into memory"));
});
