#![no_main]

use ingest_worker::{
    extract::{Pages, protocol::Reader},
    layout,
};
use libfuzzer_sys::fuzz_target;
use rag_core::{
    chunking::{ChunkConfig, chunk},
    lines::Line,
};

fuzz_target!(|stream: &[u8]| {
    let mut reader = Reader::new(2_000);
    let mut pages = Pages::new().expect("a temporary file");
    let mut stream = stream;
    while let Some((length, rest)) = stream.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        stream = rest;
        match reader.message(message) {
            Ok(Some(page)) => pages.push(&page).expect("a page is kept"),
            Ok(None) => {}
            Err(_) => return,
        }
    }
    if reader.finish() == Some(Ok(())) {
        let numbers: Vec<u32> = pages.legible().map(|page| page.page).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u32));
        for page in layout::read(|| pages.iter()).expect("pages were kept") {
            let page = page.expect("a page was kept");
            assert!(!page.text.contains('\0'));
            let chars = page.text.chars().count() as u32;
            let mut end = 0;
            for line in &page.lines {
                assert!(end <= line.start_char && line.start_char < line.end_char);
                end = line.end_char;
                // What is stored can be read again.
                assert_eq!(Line::try_from(Vec::from(line.clone())).as_ref(), Ok(line));
            }
            assert!(end <= chars);
            let passages = chunk(&[page], &ChunkConfig::default(), &|text| {
                text.split_whitespace().count()
            });
            for passage in passages {
                let chars = passage.content.chars().count() as u32;
                assert!(passage.lines.iter().all(|line| line.end_char <= chars));
            }
        }
    }
});
