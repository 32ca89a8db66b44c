#![no_main]

use libfuzzer_sys::fuzz_target;
use rag_core::resuming::behind;
use shared_types::event::{AnswerEvent, Delta, EventId, Progress};

fn deltas(text: &str, cut: u8) -> Vec<AnswerEvent> {
    let (first, second) = text.split_at(text.floor_char_boundary(usize::from(cut)));
    [first, second]
        .map(|text| {
            AnswerEvent::Delta(Delta {
                text: text.to_owned(),
            })
        })
        .into()
}

// A header from anywhere; and the ids of an answer, which is told again in other pieces.
fuzz_target!(|input: (&str, &str, u8, u8)| {
    let (header, text, cut, other_cut) = input;
    let again = deltas(text, other_cut);
    if let Ok(named) = header.parse::<EventId>() {
        assert_eq!(named.to_string().parse(), Ok(named));
        let _ = behind(named, &again);
    }
    let mut progress = Progress::default();
    let told = deltas(text, cut);
    progress.tell(&told[0]);
    let rest = behind(progress.id(), &again);
    if usize::from(cut) < text.len() {
        assert!(rest.is_some(), "its own id is not known again");
    }
});
