//! Bytes into characters.

use crate::Refusal;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use thiserror::Error;

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

/// Those of the Encoding Standard that text is written in.
static CHARSETS: [&Encoding; 38] = [
    encoding_rs::BIG5,
    encoding_rs::EUC_JP,
    encoding_rs::EUC_KR,
    encoding_rs::GB18030,
    encoding_rs::GBK,
    encoding_rs::IBM866,
    encoding_rs::ISO_2022_JP,
    encoding_rs::ISO_8859_2,
    encoding_rs::ISO_8859_3,
    encoding_rs::ISO_8859_4,
    encoding_rs::ISO_8859_5,
    encoding_rs::ISO_8859_6,
    encoding_rs::ISO_8859_7,
    encoding_rs::ISO_8859_8,
    encoding_rs::ISO_8859_8_I,
    encoding_rs::ISO_8859_10,
    encoding_rs::ISO_8859_13,
    encoding_rs::ISO_8859_14,
    encoding_rs::ISO_8859_15,
    encoding_rs::ISO_8859_16,
    encoding_rs::KOI8_R,
    encoding_rs::KOI8_U,
    encoding_rs::MACINTOSH,
    encoding_rs::SHIFT_JIS,
    encoding_rs::UTF_16BE,
    encoding_rs::UTF_16LE,
    encoding_rs::UTF_8,
    encoding_rs::WINDOWS_1250,
    encoding_rs::WINDOWS_1251,
    encoding_rs::WINDOWS_1252,
    encoding_rs::WINDOWS_1253,
    encoding_rs::WINDOWS_1254,
    encoding_rs::WINDOWS_1255,
    encoding_rs::WINDOWS_1256,
    encoding_rs::WINDOWS_1257,
    encoding_rs::WINDOWS_1258,
    encoding_rs::WINDOWS_874,
    encoding_rs::X_MAC_CYRILLIC,
];

/// In which encoding a text is: one of 38. Serialised as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&str")]
pub struct Charset(&'static Encoding);

/// Not the name of a [`Charset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the name of an encoding")]
pub struct UnknownCharset;

impl Charset {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CHARSETS.into_iter().map(Self)
    }

    /// Its name in the Encoding Standard, such as `UTF-8` or `windows-1252`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// `None` where a page names one that browsers refuse to read.
    fn of(encoding: &'static Encoding) -> Option<Self> {
        Self::all().find(|charset| charset.0 == encoding)
    }
}

impl TryFrom<String> for Charset {
    type Error = UnknownCharset;
    fn try_from(name: String) -> Result<Self, UnknownCharset> {
        let mut all = Self::all();
        all.find(|charset| charset.name() == name)
            .ok_or(UnknownCharset)
    }
}

impl From<Charset> for &str {
    fn from(charset: Charset) -> Self {
        charset.name()
    }
}

/// Characters, and how they were written.
pub(crate) type Decoded<'a> = (Cow<'a, str>, Option<Charset>);

/// The characters of a text: by its byte order mark, as UTF-8 where it is valid, else by what its bytes look like.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Refusal> {
    decode_as(bytes, None)
}

/// The same for a web page, which may name its encoding itself.
pub(crate) fn decode_html(bytes: &[u8]) -> Result<Decoded<'_>, Refusal> {
    decode_as(bytes, declared(&bytes[..bytes.len().min(PRESCAN_BYTES)]))
}

fn decode_as<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> Result<Decoded<'a>, Refusal> {
    if OTHER_FORMATS.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Refusal::NotThisFormat);
    }
    let (text, encoding) = if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let text = encoding.decode_without_bom_handling(&bytes[mark..]).0;
        (text, encoding)
    } else if bytes.contains(&0) {
        return Err(Refusal::NotText);
    } else if let Some(encoding) = declared {
        (encoding.decode_without_bom_handling(bytes).0, encoding)
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        (Cow::Borrowed(text), UTF_8)
    } else {
        let encoding = detect(bytes);
        (encoding.decode_without_bom_handling(bytes).0, encoding)
    };
    let is_odd = |c: &char| c.is_control() && !c.is_whitespace() && *c != '\u{1b}';
    let odd = text.chars().filter(is_odd).count();
    if odd > 0 && odd > text.chars().count() / CHARS_PER_CONTROL {
        return Err(Refusal::NotText);
    }
    Ok((text, Charset::of(encoding)))
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
    use super::{Charset, Refusal, decode, decode_html};
    use encoding_rs::WINDOWS_1252;

    const TEXT: &str =
        "Übe jede Hand für sich – langsam, später schneller. Die Töne klingen gleichmäßig.";

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(to_bytes).collect()
    }

    /// A text and the name of its encoding.
    fn read(bytes: &[u8]) -> (String, &'static str) {
        let (text, charset) = decode(bytes).unwrap();
        (text.into_owned(), charset.unwrap().name())
    }

    #[test]
    fn a_byte_order_mark_says_which_unicode_it_is() {
        let utf8 = format!("\u{feff}{TEXT}");
        let [little, big] = [u16::to_le_bytes, u16::to_be_bytes].map(|to| utf16(TEXT, to));
        assert_eq!(read(utf8.as_bytes()), (TEXT.to_owned(), "UTF-8"));
        assert_eq!(read(&little), (TEXT.to_owned(), "UTF-16LE"));
        assert_eq!(read(&big), (TEXT.to_owned(), "UTF-16BE"));
    }

    #[test]
    fn text_without_a_mark_is_utf_8_or_what_it_looks_like() {
        assert_eq!(read(TEXT.as_bytes()), (TEXT.to_owned(), "UTF-8"));
        let (latin, _, _) = WINDOWS_1252.encode(TEXT);
        assert_eq!(read(&latin), (TEXT.to_owned(), "windows-1252"));
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
            let (text, charset) = decode_html(&page).unwrap();
            assert!(text.ends_with("Гамма"), "{head}");
            assert_eq!(charset.map(Charset::name), Some("windows-1251"));
        }
        let page = format!("<meta charset=utf-16><p>{TEXT}");
        let (text, charset) = decode_html(page.as_bytes()).unwrap();
        assert_eq!(
            (text.as_ref(), charset.map(Charset::name)),
            (page.as_str(), Some("UTF-8"))
        );
        let (_, refused) = decode_html(b"<meta charset=iso-2022-kr>Play.").unwrap();
        assert_eq!(refused, None);
    }

    #[test]
    fn an_encoding_is_known_by_its_standard_name_alone() {
        for charset in Charset::all() {
            let json = serde_json::to_string(&charset).unwrap();
            assert_eq!(json, format!("{:?}", charset.name()));
            assert_eq!(serde_json::from_str::<Charset>(&json).unwrap(), charset);
        }
        for other in [
            "utf8",
            "utf-8",
            "latin1",
            "replacement",
            "x-user-defined",
            "UTF-7",
            "",
        ] {
            assert!(
                serde_json::from_str::<Charset>(&format!("{other:?}")).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn binary_data_is_no_text() {
        for (bytes, refusal) in [
            (&b"text\0text"[..], Refusal::NotText),
            (b"\x01\x02abc\x03", Refusal::NotText),
            (b"%PDF-1.7\n", Refusal::NotThisFormat),
            (b"PK\x03\x04", Refusal::NotThisFormat),
        ] {
            assert_eq!(decode(bytes), Err(refusal));
        }
    }
}
