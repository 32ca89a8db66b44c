//! Characters: what may stand in a page's text.

use super::traced::{NOWHERE, Traced};
use unicode_normalization::char::compose;

/// A line of text without what is none: it normalises (NFKC: ligatures, wide forms, non-breaking spaces) and drops
/// control characters, glyphs without a meaning and invisible marks. Postgres refuses U+0000 outright.
///
/// Dots that lead to a page number go: they are a drawing, and a hundred tokens to the encoder.
/// The line is trimmed, and runs of spaces fold into one.
#[must_use]
pub fn clean(line: &str) -> String {
    let mut traced = Traced::default();
    traced.append_words(line, &mut 0);
    clean_line(&traced).into_text()
}

pub(super) fn clean_line(line: &Traced) -> Traced {
    let mut kept = Traced::default();
    kept.extend(line.chars().filter(|(c, _)| is_text(*c)));
    if !kept.text().is_ascii() || kept.text().contains('`') {
        kept = with_accents(&folded(&kept)).nfkc();
    }
    in_single_spaces(&without_leaders(kept))
}

fn in_single_spaces(line: &Traced) -> Traced {
    let mut spaced = Traced::default();
    let mut gap = false;
    for (c, word) in line.chars() {
        if c.is_whitespace() {
            gap = true;
            continue;
        }
        if gap && !spaced.text().is_empty() {
            spaced.push(' ', NOWHERE);
        }
        gap = false;
        spaced.push(c, word);
    }
    spaced
}

/// NFKC of everything between spacing accents, which NFKC itself would tear from their letters.
fn folded(line: &Traced) -> Traced {
    let mut folded = Traced::default();
    let mut piece = Traced::default();
    for (c, word) in line.chars() {
        if combining(c).is_some() {
            folded.append(&std::mem::take(&mut piece).nfkc());
            folded.push(c, word);
        } else {
            piece.push(c, word);
        }
    }
    folded.append(&piece.nfkc());
    folded
}

/// Puts accents on their letters: TeX's older fonts draw them as characters of their own, before the letter.
fn with_accents(line: &Traced) -> Traced {
    let mut accented = Traced::default();
    let mut chars = line.chars().peekable();
    while let Some((c, word)) = chars.next() {
        let letter = combining(c)
            .filter(|_| c != '`' || accented.text().ends_with(char::is_alphabetic))
            .zip(chars.peek().copied())
            .and_then(|(mark, (letter, word))| Some((compose(letter, mark)?, word)));
        match letter {
            Some((letter, word)) => {
                chars.next();
                accented.push(letter, word);
            }
            None => accented.push(c, word),
        }
    }
    accented
}

/// The combining form of a spacing accent.
fn combining(accent: char) -> Option<char> {
    match accent {
        '`' => Some('\u{300}'),
        '´' => Some('\u{301}'),
        '˜' => Some('\u{303}'),
        '¨' => Some('\u{308}'),
        '˚' => Some('\u{30a}'),
        'ˇ' => Some('\u{30c}'),
        _ => None,
    }
}

/// Puts a space for each run of more than three dots, spaced or not. An ellipsis has three.
fn without_leaders(line: Traced) -> Traced {
    if !line.text().contains(". . . .") && !line.text().contains("....") {
        return line;
    }
    let mut kept = Traced::default();
    let mut leader = Vec::new();
    for (c, word) in line.chars() {
        if c == '.' || (c.is_whitespace() && !leader.is_empty()) {
            leader.push((c, word));
            continue;
        }
        keep_unless_leader(&mut leader, &mut kept);
        kept.push(c, word);
    }
    keep_unless_leader(&mut leader, &mut kept);
    kept
}

fn keep_unless_leader(leader: &mut Vec<(char, u32)>, kept: &mut Traced) {
    if leader.iter().filter(|(c, _)| *c == '.').count() > 3 {
        leader.clear();
        kept.push(' ', NOWHERE);
    }
    kept.extend(leader.drain(..));
}

fn is_text(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}');
    let undefined = matches!(c, '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffd}')
        || (c as u32 & 0xfffe) == 0xfffe;
    !invisible && !private && !undefined && (!c.is_control() || c.is_whitespace())
}

/// Whether a font draws music: its glyphs are clefs and note heads, whatever characters they claim to be.
#[must_use]
pub fn is_music_font(name: &str) -> bool {
    // Subset fonts are called "ABCDEF+Name".
    let name = name.split_once('+').map_or(name, |(_, name)| name);
    let name = name.to_lowercase();
    let music = [
        "bravura",
        "emmentaler",
        "feta",
        "gonville",
        "leipzig",
        "leland",
        "maestro",
        "mscore",
        "november",
        "opus",
        "parmesan",
        "petaluma",
        "petrucci",
        "sebastian",
    ];
    music.iter().any(|font| name.starts_with(font)) && !name.contains("text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ligatures_are_letters_and_control_characters_are_nothing() {
        assert_eq!(
            clean("\u{fb01}nger\u{a0}sta\u{fb00}\u{0}\u{1a}"),
            "finger staff"
        );
    }

    #[test]
    fn glyphs_of_music_are_not_text() {
        assert_eq!(clean("a trill \u{e566} here\u{fffd}"), "a trill here");
        assert!(is_music_font("SVJDDN+Emmentaler-20"));
        assert!(!is_music_font("BravuraText"));
        assert!(!is_music_font("ABCDEF+LibertinusSerif-Regular"));
    }

    #[test]
    fn accents_drawn_apart_come_to_their_letters() {
        assert_eq!(clean("f¨orslag, arp`ege, `a la"), "förslag, arpège, `a la");
        assert_eq!(clean("5´ and ´"), "5 \u{301} and \u{301}");
    }

    #[test]
    fn a_contents_entry_keeps_its_page_and_loses_its_dots() {
        assert_eq!(clean("1.2 Scales. . . . . . . . 14"), "1.2 Scales 14");
        assert_eq!(clean("and so on ... Next."), "and so on ... Next.");
    }

    proptest! {
        #[test]
        fn cleaned_text_is_fit_for_the_database_and_stays_as_it_is(text in any::<String>()) {
            let once = clean(&text);
            prop_assert!(!once.contains('\0'));
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn every_letter_of_cleaned_text_stands_in_a_word(text in any::<String>()) {
            let cleaned = clean_line(&Traced::from(text.as_str()));
            prop_assert!(cleaned.chars().all(|(c, word)| c.is_whitespace() || word != NOWHERE));
        }
    }
}
