//! Words of a model as plain text, whoever shows them.

/// Makes plain text of what a model says, piece by piece: the pieces together come out the same however they are cut.
///
/// An answer is plain text, but it is shown by browsers, and a model may have read a hostile document. So nothing in it
/// is a link, an image, a definition of one or a tag, neither to Markdown nor to HTML: a space parts `](`, `]:` and `<a`.
/// No character is invisible, turns the direction of writing around or controls a terminal. All else stays as it is,
/// addresses among it, which a reader can see.
#[derive(Clone, Debug, Default)]
pub struct PlainText {
    last: Option<char>,
}

impl PlainText {
    /// A text of which nothing has been said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece as it may be shown.
    pub fn push(&mut self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        for c in text.chars().filter(|c| is_visible(*c)) {
            let is_markup = match self.last {
                Some(']') => matches!(c, '(' | ':'),
                Some('<') => c.is_alphabetic() || matches!(c, '/' | '!' | '?'),
                _ => false,
            };
            if is_markup {
                plain.push(' ');
            }
            plain.push(c);
            self.last = Some(c);
        }
        plain
    }

    /// Here the number of a citation may be shown, in brackets.
    pub fn cited(&mut self) {
        self.last = Some(']');
    }
}

/// Whether a character shows, or parts what shows. Joiners do: some scripts are spelt with them.
#[must_use]
pub fn is_visible(c: char) -> bool {
    let is_hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    let is_control = c.is_control() && !matches!(c, '\n' | '\t');
    !is_hidden && !is_noncharacter && !is_control
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        PlainText::new().push(text)
    }

    #[test]
    fn links_images_and_tags_are_text_that_everybody_can_read() {
        for (said, shown) in [
            (
                "Read [this](https://evil.example/?q=1).",
                "Read [this] (https://evil.example/?q=1).",
            ),
            (
                "![](https://evil.example/pixel)",
                "![] (https://evil.example/pixel)",
            ),
            ("[1]: javascript:alert(1)", "[1] : javascript:alert(1)"),
            (
                "<img src=x onerror=alert(1)>",
                "< img src=x onerror=alert(1)>",
            ),
            ("</p><!-- x --><?php", "< /p>< !-- x -->< ?php"),
            ("<https://evil.example>", "< https://evil.example>"),
        ] {
            assert_eq!(plain(said), shown);
        }
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        let said =
            "Play\u{202e} so\u{200b}ft\u{ad}ly\u{7}\u{1b}[31m.\u{e0041}\u{feff}\r\nAgain\u{2066}.";
        assert_eq!(plain(said), "Play softly[31m.\nAgain.");
    }

    #[test]
    fn what_is_no_markup_stays_as_it_is() {
        for text in [
            "Bars 3 < 4 and a <-> b: “pp” (see [2], p. 7)\n\t– legato.",
            "می‌خواهم क्‍ष 👩‍🎹 ♯♭",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn words_after_a_citation_do_not_make_a_link_of_its_number() {
        let mut text = PlainText::new();
        assert_eq!(text.push("Sit tall"), "Sit tall");
        text.cited();
        assert_eq!(
            text.push("(https://evil.example)."),
            " (https://evil.example)."
        );
    }

    proptest! {
        #[test]
        fn nothing_that_a_model_says_is_markup(pieces in prop::collection::vec("[\\[\\](:<a/!?\u{200b}\u{202e} ]{0,6}|.{0,6}", 0..8)) {
            let mut text = PlainText::new();
            let told: String = pieces.iter().map(|piece| text.push(piece)).collect();
            prop_assert!(!told.contains("](") && !told.contains("]:"), "{told}");
            let opens_tag = |(at, _): (usize, &str)| {
                told[at + 1..].starts_with(|c: char| c.is_alphabetic() || "/!?".contains(c))
            };
            prop_assert!(!told.match_indices('<').any(opens_tag), "{told}");
            prop_assert!(told.chars().all(is_visible));
            // However it is cut.
            prop_assert_eq!(plain(&pieces.concat()), told);
        }
    }
}
