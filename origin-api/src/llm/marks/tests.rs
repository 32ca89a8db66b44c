//! Marks as models write them and as they should not, cut anywhere.

use super::*;
use proptest::prelude::*;

const LINES: usize = 9;

fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    let mut reader = MarkReader::new(LINES);
    let mut pieces: Vec<Piece> = words.into_iter().flat_map(|w| reader.push(w)).collect();
    pieces.extend(reader.finish());
    pieces
}

/// Neighbouring pieces of text as one: how they were cut tells nothing.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// `<1 2>` where a statement rests on lines 1 and 2, `<>` where on nothing, `<?>` for an unknown line.
fn shown(words: &str) -> String {
    let show = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Claim(marks) => {
            let known = marks.lines.iter().map(ToString::to_string);
            let unknown = (0..marks.unknown).map(|_| "?".to_owned());
            format!("<{}>", known.chain(unknown).collect::<Vec<_>>().join(" "))
        }
    };
    read([words]).iter().map(show).collect()
}

#[test]
fn a_mark_ends_a_statement_and_the_full_stop_behind_it_belongs_there() {
    for (said, heard) in [
        ("Relax [2]. Then play [1].", "Relax.<2> Then play.<1>"),
        ("Relax. [2] Then play. [1]", "Relax.<2> Then play.<1>"),
        ("Relax [2] and play [1].", "Relax<2> and play.<1>"),
        ("Relax [1][2] [3].", "Relax.<1 2 3>"),
        ("“Relax [2].” Play.", "“Relax.”<2> Play.<>"),
        ("- Relax [2]\n- Play [1]\n", "- Relax<2>\n- Play<1>"),
    ] {
        assert_eq!(shown(said), heard, "{said}");
    }
}

#[test]
fn a_sentence_without_a_mark_rests_on_nothing() {
    for (said, heard) in [
        ("I know this. Relax [2].", "I know this.<> Relax.<2>"),
        ("Use e.g. the thumb [2].", "Use e.g. the thumb.<2>"),
        ("Lift 1.5 cm [2]", "Lift 1.5 cm<2>"),
        ("First\n\nThen [2]", "First<>\n\nThen<2>"),
        ("Nothing at all", "Nothing at all<>"),
        ("", ""),
        (" \n ", ""),
    ] {
        assert_eq!(shown(said), heard, "{said:?}");
    }
}

#[test]
fn a_mark_may_name_several_lines() {
    for (said, heard) in [
        ("Relax [3, 4].", "Relax.<3 4>"),
        ("Relax [3;4,].", "Relax.<3 4>"),
        ("Relax [3 4 3].", "Relax.<3 4>"),
        ("Relax [3-5].", "Relax.<3 4 5>"),
        ("Relax [3 – 5, 1].", "Relax.<3 4 5 1>"),
    ] {
        assert_eq!(shown(said), heard, "{said}");
    }
}

#[test]
fn lines_that_there_are_not_are_counted() {
    for (said, heard) in [
        ("Relax [12].", "Relax.<?>"),
        ("Relax [0].", "Relax.<?>"),
        ("Relax [8-10].", "Relax.<8 9 ?>"),
        ("Relax [5-3].", "Relax.<?>"),
        ("Relax [1-999999999].", "Relax.<?>"),
        ("Relax [999999999999999999999999].", "Relax.<?>"),
    ] {
        assert_eq!(shown(said), heard, "{said}");
    }
}

#[test]
fn other_brackets_are_text() {
    for (said, heard) in [
        ("[abc] and [sic] stay", "[abc] and [sic] stay<>"),
        ("[] [ ] [,] [-] stay", "[] [ ] [,] [-] stay<>"),
        ("[^3] and [3a] and 3] stay", "[^3] and [3a] and 3] stay<>"),
        ("[3 and then [2]", "[3 and then<2>"),
        ("[3-4-5] stays", "[3-4-5] stays<>"),
        ("[[2]] is odd", "[<2>] is odd<>"),
        ("It ends [", "It ends [<>"),
    ] {
        assert_eq!(shown(said), heard, "{said}");
    }
}

#[test]
fn a_mark_that_was_cut_off_says_nothing() {
    assert_eq!(shown("Relax [1"), "Relax<>");
    assert_eq!(shown("Relax [1] [2, "), "Relax<1>");
}

/// Text as models write it and as they should not.
fn marked() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zü ]{0,6}",
        "\\[[0-9]{1,2}\\]",
        "\\[[0-9 ,;–-]{0,6}\\]?",
        "[\\[\\] .,!?\n0-9]{0,4}",
        Just("Ä".to_owned()),
        " {60,70}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn has_mark(text: &str) -> bool {
    text.match_indices('[').any(|(at, _)| {
        let inner = text[at + 1..].split_once(']');
        inner.is_some_and(|(inner, _)| {
            let fits = inner.len() < MAX_MARK_BYTES - 2 && inner.chars().all(is_of_mark);
            fits && numbers(inner).is_some()
        })
    })
}

proptest! {
    #[test]
    fn wherever_it_is_cut_it_says_the_same(text in marked(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        prop_assert_eq!(joined(read(pieces)), joined(read([text.as_str()])));
    }

    #[test]
    fn a_mark_is_never_told_as_text(text in marked()) {
        for piece in joined(read([text.as_str()])) {
            if let Piece::Text(told) = piece {
                prop_assert!(!has_mark(&told), "{told:?} of {text:?}");
            }
        }
    }

    #[test]
    fn words_are_told_in_full_and_every_one_is_in_a_claim(text in marked()) {
        let pieces = joined(read([text.as_str()]));
        let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
        let told: String = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Claim(_) => None,
        }).collect();
        prop_assert_eq!(letters(&told), letters(&text));
        let last_claim = pieces.iter().rposition(|piece| matches!(piece, Piece::Claim(_)));
        let last_words = pieces.iter().rposition(|piece| matches!(piece, Piece::Text(text) if !text.trim().is_empty()));
        prop_assert!(last_claim >= last_words);
    }
}
