//! Characters: what may stand in a page's text.

use unicode_normalization::{UnicodeNormalization, char::compose};

/// Normalises (NFKC: ligatures, wide forms, non-breaking spaces) and drops what is no text: control
/// characters, glyphs without a meaning, invisible marks. Postgres refuses U+0000 outright.
///
/// Dots that lead to a page number go: they are a drawing, and a hundred tokens to the encoder.
/// Lines are trimmed, runs of spaces fold into one, runs of empty lines fold into one.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut gap = false;
    for line in text.lines() {
        let line: String = line.chars().filter(|c| is_text(*c)).collect();
        let line: String = with_accents(&folded(&line)).nfkc().collect();
        let line = without_leaders(&line);
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            gap = true;
            continue;
        }
        if !cleaned.is_empty() {
            cleaned.push_str(if gap { "\n\n" } else { "\n" });
        }
        cleaned.push_str(&line);
        gap = false;
    }
    cleaned
}

/// NFKC of everything between spacing accents, which NFKC itself would tear from their letters.
fn folded(line: &str) -> String {
    let mut folded = String::with_capacity(line.len());
    for piece in line.split_inclusive(|c| combining(c).is_some()) {
        let accent = piece
            .chars()
            .next_back()
            .filter(|c| combining(*c).is_some());
        let rest = &piece[..piece.len() - accent.map_or(0, char::len_utf8)];
        folded.extend(rest.nfkc());
        folded.extend(accent);
    }
    folded
}

/// Puts accents on their letters: TeX's older fonts draw them as characters of their own, before the letter.
fn with_accents(line: &str) -> String {
    let mut accented = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let letter = combining(c)
            .filter(|_| c != '`' || accented.ends_with(char::is_alphabetic))
            .zip(chars.peek().copied())
            .and_then(|(mark, letter)| compose(letter, mark));
        match letter {
            Some(letter) => {
                chars.next();
                accented.push(letter);
            }
            None => accented.push(c),
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
fn without_leaders(line: &str) -> String {
    if !line.contains(". . . .") && !line.contains("....") {
        return line.to_owned();
    }
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(dot) = rest.find('.') {
        kept.push_str(&rest[..dot]);
        let leader = &rest[dot..];
        let end = leader
            .find(|c: char| c != '.' && !c.is_whitespace())
            .unwrap_or(leader.len());
        let (dots, after) = leader.split_at(end);
        let is_leader = dots.matches('.').count() > 3;
        kept.push_str(if is_leader { " " } else { dots });
        rest = after;
    }
    kept.push_str(rest);
    kept
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

    #[test]
    fn paragraphs_keep_one_empty_line_between_them() {
        assert_eq!(clean("\n\na  b \n\n\n c\nd\n"), "a b\n\nc\nd");
    }

    proptest! {
        #[test]
        fn cleaned_text_is_fit_for_the_database_and_stays_as_it_is(text in any::<String>()) {
            let once = clean(&text);
            prop_assert!(!once.contains('\0'));
            prop_assert_eq!(clean(&once), once);
        }
    }
}
