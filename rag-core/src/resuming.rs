//! Going on with an answer behind what its reader has been told.

use shared_types::event::{AnswerEvent, Delta, EventId, Progress};

/// The events behind the one that is `named`, as they go over the wire, from `events`, which are those of an answer from
/// its beginning to its end. `None` where this is not the answer that the id is of.
#[must_use]
pub fn behind(named: EventId, events: &[AnswerEvent]) -> Option<String> {
    let mut progress = Progress::default();
    let mut rest = None::<String>;
    for event in events {
        let cut;
        let mut event = event;
        if rest.is_none() {
            let told = progress.id();
            match event {
                AnswerEvent::Delta(Delta { text }) if told.text_bytes < named.text_bytes => {
                    let missing = (named.text_bytes - told.text_bytes) as usize;
                    let (known, new) = text.split_at_checked(missing.min(text.len()))?;
                    progress.tell_text(known);
                    if new.is_empty() {
                        continue;
                    }
                    cut = delta(new);
                    event = &cut;
                }
                AnswerEvent::Citation(_) if told.citations < named.citations => {
                    progress.tell(event);
                    continue;
                }
                _ => {}
            }
            if progress.id() != named {
                return None;
            }
        }
        let text = event.to_numbered_sse(&mut progress);
        rest.get_or_insert_default().push_str(&text);
    }
    rest
}

fn delta(text: &str) -> AnswerEvent {
    let text = text.to_owned();
    AnswerEvent::Delta(Delta { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::tests::{citation, done},
        sse::Decoder,
    };
    use proptest::prelude::*;

    /// An answer of two claims, each piece of its text cut as often as `cuts` says.
    fn answer(cuts: &[usize]) -> Vec<AnswerEvent> {
        let mut events = Vec::new();
        for (text, marker) in [("Händel lifts late.", 1), (" Bach does, too.", 2)] {
            let mut places: Vec<usize> = cuts
                .iter()
                .map(|cut| text.floor_char_boundary(cut % text.len()))
                .chain([0, text.len()])
                .collect();
            places.sort_unstable();
            places.dedup();
            events.extend(places.windows(2).map(|cut| delta(&text[cut[0]..cut[1]])));
            events.push(citation(marker));
        }
        events.push(done());
        events
    }

    /// The id behind each event.
    fn ids(events: &[AnswerEvent]) -> Vec<EventId> {
        let mut progress = Progress::default();
        events
            .iter()
            .map(|event| {
                progress.tell(event);
                progress.id()
            })
            .collect()
    }

    /// What a reader has in the end: text with markers, and whether it is complete.
    fn read(events: &[AnswerEvent]) -> (String, bool) {
        let (mut text, mut is_whole) = (String::new(), false);
        for event in events {
            match event {
                AnswerEvent::Delta(delta) => text.push_str(&delta.text),
                AnswerEvent::Citation(citation) => {
                    text.extend(["[", &citation.marker.to_string(), "]"]);
                }
                AnswerEvent::Done(_) => is_whole = true,
                AnswerEvent::Meta(_) | AnswerEvent::Error(_) => {}
            }
        }
        (text, is_whole)
    }

    fn parsed(sse: &str) -> Vec<AnswerEvent> {
        let events = Decoder::new().push(sse.as_bytes()).unwrap();
        let events = events.iter();
        events
            .map(|event| AnswerEvent::parse(&event.name, &event.data).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn wherever_a_reader_is_cut_off_he_ends_up_with_the_whole_answer_however_it_is_cut_when_told_again(
            first in prop::collection::vec(0usize..40, 0..6),
            again in prop::collection::vec(0usize..40, 0..6),
            cut_off in any::<prop::sample::Index>(),
        ) {
            let (first, again) = (answer(&first), answer(&again));
            let known = cut_off.index(first.len()) + 1;
            let rest = behind(ids(&first)[known - 1], &again).unwrap();
            let told = [&first[..known], &parsed(&rest)].concat();
            let (text, is_whole) = read(&told);
            prop_assert_eq!(text, "Händel lifts late.[1] Bach does, too.[2]");
            prop_assert!(is_whole);
            // The ids go on as if nothing had happened.
            if let Some(last) = rest.lines().rfind(|line| line.starts_with("id: ")) {
                prop_assert_eq!(last, format!("id: {}", ids(&again).last().unwrap()));
            }
        }

        #[test]
        fn no_id_makes_it_panic(text in "[0-9]{1,3}-[0-9]-[0-9]{1,10}") {
            if let Ok(named) = text.parse() {
                let _ = behind(named, &answer(&[]));
            }
        }
    }

    #[test]
    fn another_answer_is_told_from_its_beginning() {
        let events = answer(&[]);
        let other = [delta("Händel holds on. And on."), citation(1), done()];
        for named in ids(&events) {
            assert_eq!(behind(named, &other), None);
        }
    }
}
