//! Bytes into characters.

use crate::Refusal;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// How far the HTML standard looks for what a page says about itself.
const PRESCAN_BYTES: usize = 1024;
/// A file with more control characters than one in so many is not text.
const CHARS_PER_CONTROL: usize = 100;
/// How files begin that are not text, though much of them may be.
const OTHER_FORMATS: [&[u8]; 5] = [
    b"%PDF-",
    b"{\\rtf",
    b"PK\x03\x04",
    b"%!PS",
    b"\xd0\xcf\x11\xe0",
];

/// The characters of a text: by its byte order mark, as UTF-8 where it is valid, else by what its bytes look like.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    decode_as(bytes, None)
}

/// The same for a web page, which may name its encoding itself.
pub(crate) fn decode_html(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    decode_as(bytes, declared(&bytes[..bytes.len().min(PRESCAN_BYTES)]))
}

fn decode_as<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> Result<Cow<'a, str>, Refusal> {
    if OTHER_FORMATS.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Refusal::NotThisFormat);
    }
    let text = if Encoding::for_bom(bytes).is_some() {
        UTF_8.decode(bytes).0
    } else if bytes.contains(&0) {
        return Err(Refusal::NotText);
    } else if let Some(encoding) = declared {
        encoding.decode_without_bom_handling(bytes).0
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        Cow::Borrowed(text)
    } else {
        detect(bytes).decode_without_bom_handling(bytes).0
    };
    let is_odd = |c: &char| c.is_control() && !c.is_whitespace() && *c != '\u{1b}';
    let odd = text.chars().filter(is_odd).count();
    if odd > 0 && odd > text.chars().count() / CHARS_PER_CONTROL {
        return Err(Refusal::NotText);
    }
    Ok(text)
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// What the page's `meta` elements say, by the HTML standard's prescan of a byte stream.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let mut rest = head;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        if rest.starts_with(b"<!--") {
            // The end may share its hyphens with the start: `<!-->` is a comment.
            rest = &rest[find(&rest[2..], b"-->")? + 5..];
            continue;
        }
        let is_meta = rest.len() > 5
            && rest[1..5].eq_ignore_ascii_case(b"meta")
            && (rest[5].is_ascii_whitespace() || rest[5] == b'/');
        rest = &rest[if is_meta { 5 } else { 1 }..];
        let is_tag = is_meta
            || rest.first().is_some_and(u8::is_ascii_alphabetic)
            || (rest.first() == Some(&b'/') && rest.get(1).is_some_and(u8::is_ascii_alphabetic));
        if !is_tag {
            continue;
        }
        if !is_meta {
            rest = &rest[rest
                .iter()
                .position(|b| b.is_ascii_whitespace() || *b == b'>')?..];
        }
        let mut meta = Meta::default();
        while let Some((name, value, after)) = attribute(rest) {
            rest = after;
            if is_meta {
                meta.hear(&name, &value);
            }
        }
        if let Some(encoding) = meta.encoding() {
            return Some(encoding);
        }
    }
    None
}

#[derive(Default)]
struct Meta {
    charset: Option<String>,
    content: Option<String>,
    is_content_type: bool,
}

impl Meta {
    fn hear(&mut self, name: &str, value: &str) {
        match name {
            "charset" if self.charset.is_none() => self.charset = Some(value.to_owned()),
            "content" if self.content.is_none() => {
                self.content = value
                    .split_once("charset")
                    .and_then(|(_, rest)| rest.trim_start().strip_prefix('='))
                    .map(|label| {
                        let label = label.trim_start().trim_start_matches(['"', '\'']);
                        let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '"' | '\'');
                        label.split(ends).next().unwrap_or_default().to_owned()
                    });
            }
            "http-equiv" => self.is_content_type = value == "content-type",
            _ => {}
        }
    }

    fn encoding(self) -> Option<&'static Encoding> {
        let content = self.content.filter(|_| self.is_content_type);
        let encoding = Encoding::for_label(self.charset.or(content)?.as_bytes())?;
        // A page that could be read as far as this is not UTF-16, whatever it says.
        Some(match encoding.name() {
            "UTF-16LE" | "UTF-16BE" => UTF_8,
            "x-user-defined" => WINDOWS_1252,
            _ => encoding,
        })
    }
}

/// The next attribute of a tag, in small letters, and what comes after it.
fn attribute(tag: &[u8]) -> Option<(String, String, &[u8])> {
    let skipped = tag
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == b'/')
        .count();
    let tag = &tag[skipped..];
    if tag.first().is_none_or(|byte| *byte == b'>') {
        return None;
    }
    let ends_name = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'=');
    // A name may begin with an equals sign.
    let name_end = 1 + tag[1..].iter().position(ends_name)?;
    let name = lower(&tag[..name_end]);
    let rest = tag[name_end..].trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"=") else {
        return Some((name, String::new(), rest));
    };
    let rest = rest.trim_ascii_start();
    let quote = rest.first().copied()?;
    if matches!(quote, b'"' | b'\'') {
        let end = 1 + rest[1..].iter().position(|byte| *byte == quote)?;
        return Some((name, lower(&rest[1..end]), &rest[end + 1..]));
    }
    let end = rest
        .iter()
        .position(|b| b.is_ascii_whitespace() || *b == b'>')?;
    Some((name, lower(&rest[..end]), &rest[end..]))
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Refusal, decode, decode_html};
    use encoding_rs::WINDOWS_1252;

    const TEXT: &str =
        "Übe jede Hand für sich – langsam, später schneller. Die Töne klingen gleichmäßig.";

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(to_bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_says_which_unicode_it_is() {
        let utf8 = format!("\u{feff}{TEXT}");
        assert_eq!(decode(utf8.as_bytes()).unwrap(), TEXT);
        assert_eq!(decode(&utf16(TEXT, u16::to_le_bytes)).unwrap(), TEXT);
        assert_eq!(decode(&utf16(TEXT, u16::to_be_bytes)).unwrap(), TEXT);
    }

    #[test]
    fn text_without_a_mark_is_utf_8_or_what_it_looks_like() {
        assert_eq!(decode(TEXT.as_bytes()).unwrap(), TEXT);
        let (latin, _, _) = WINDOWS_1252.encode(TEXT);
        assert_eq!(decode(&latin).unwrap(), TEXT);
    }

    #[test]
    fn a_page_says_its_own_encoding() {
        for head in [
            "<meta charset=windows-1251>",
            "<!-- <meta charset=utf-8> --><META CharSet='cp1251' />",
            "<html lang=\"a>b\"><meta name=x content='charset=utf-8'><meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1251\">",
        ] {
            let mut page = head.as_bytes().to_vec();
            page.extend(b"\xc3\xe0\xec\xec\xe0");
            assert!(decode_html(&page).unwrap().ends_with("Гамма"), "{head}");
        }
        let page = format!("<meta charset=utf-16><p>{TEXT}");
        assert_eq!(decode_html(page.as_bytes()).unwrap(), page);
    }

    #[test]
    fn binary_data_is_no_text() {
        assert_eq!(decode(b"text\0text"), Err(Refusal::NotText));
        assert_eq!(decode(b"\x01\x02abc\x03"), Err(Refusal::NotText));
        assert_eq!(decode(b"%PDF-1.7\n"), Err(Refusal::NotThisFormat));
        assert_eq!(decode(b"PK\x03\x04"), Err(Refusal::NotThisFormat));
    }
}
