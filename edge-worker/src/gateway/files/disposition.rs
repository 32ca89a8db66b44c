//! `Content-Disposition` (RFC 6266): under which name a browser shows or keeps a file.

use std::fmt::Write;

/// The header's value for a file of this name, shown or saved. Visible ASCII and spaces, whatever the
/// name holds: the name is its uploader's.
#[must_use]
pub fn disposition(is_saved: bool, file_name: &str) -> String {
    let kind = if is_saved { "attachment" } else { "inline" };
    let mut plain = String::new();
    let mut extended = String::new();
    for character in file_name.chars().map(harmless) {
        let is_plain = matches!(character, ' '..='~') && !matches!(character, '"' | '%');
        plain.push(if is_plain { character } else { '_' });
        let mut bytes = [0; 4];
        for &byte in character.encode_utf8(&mut bytes).as_bytes() {
            if is_attr_char(byte) {
                extended.push(char::from(byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(extended, "%{byte:02X}");
            }
        }
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{extended}")
}

/// Nothing that is part of a path or moves the text around it.
fn harmless(character: char) -> char {
    let moves_text = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if character.is_control() || moves_text || matches!(character, '/' | '\\') {
        '_'
    } else {
        character
    }
}

/// `attr-char` of RFC 8187.
fn is_attr_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_told_twice_for_old_and_new_browsers() {
        assert_eq!(
            disposition(false, "scales.pdf"),
            "inline; filename=\"scales.pdf\"; filename*=UTF-8''scales.pdf"
        );
        assert_eq!(
            disposition(true, "Übungen für „Anfänger“ 100%.pdf"),
            "attachment; filename=\"_bungen f_r _Anf_nger_ 100_.pdf\"; filename*=UTF-8''\
             %C3%9Cbungen%20f%C3%BCr%20%E2%80%9EAnf%C3%A4nger%E2%80%9C%20100%25.pdf"
        );
        assert_eq!(
            disposition(false, "../a\\b\"; x=\r\nSet-Cookie: y.pdf"),
            "inline; filename=\".._a_b_; x=__Set-Cookie: y.pdf\"; filename*=UTF-8''\
             .._a_b%22%3B%20x%3D__Set-Cookie%3A%20y.pdf"
        );
    }

    /// Reads the value as a browser does: the two names that it tells.
    fn told(value: &str) -> Option<(String, String)> {
        let rest = value.strip_prefix("inline; filename=\"")?;
        let (plain, rest) = rest.split_once('"')?;
        let extended = rest.strip_prefix("; filename*=UTF-8''")?;
        let mut bytes = Vec::new();
        let mut left = extended.bytes();
        while let Some(byte) = left.next() {
            bytes.push(if byte == b'%' {
                let digits = [left.next()?, left.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            } else if is_attr_char(byte) {
                byte
            } else {
                return None;
            });
        }
        Some((plain.to_owned(), String::from_utf8(bytes).ok()?))
    }

    proptest! {
        #[test]
        fn no_name_becomes_more_than_a_name(
            name in prop_oneof![any::<String>(), "[\"\\\\;=%\\r\\n\\x00'/a\u{202e}é ]{0,40}"]
        ) {
            let value = disposition(false, &name);
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(HeaderValue::from_str(&value).is_ok());
            let (plain, extended) = told(&value).expect("one name in each form, and nothing else");
            let expected: String = name.chars().map(harmless).collect();
            prop_assert_eq!(extended, expected);
            prop_assert_eq!(plain.chars().count(), name.chars().count());
            prop_assert!(!plain.contains(['\\', '/', '%']));
        }
    }
}
