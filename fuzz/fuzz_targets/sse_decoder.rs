#![no_main]

use libfuzzer_sys::fuzz_target;
use rag_core::sse::{Decoder, SseEvent};

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<SseEvent>, bool) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        match decoder.push(piece) {
            Ok(some) => events.extend(some),
            Err(_) => return (events, false),
        }
    }
    (events, true)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let (whole, ended) = decode(std::iter::once(bytes));
    let (pieces, pieces_ended) = decode(bytes.chunks(usize::from(cut).max(1)));
    if ended && pieces_ended {
        assert_eq!(whole, pieces);
    }
});
