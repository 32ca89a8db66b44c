//! What of a file a request wants, and on which conditions (RFC 9110, sections 13 and 14).
//!
//! R2 would read these headers itself, but not as HTTP means them: it fails on an entity tag that is
//! none, holds a file for modified at the very second of its `Last-Modified`, and sends the whole
//! where there are no such bytes.

use crate::ports::Part;

/// The headers as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// `Range`.
    pub range: Option<String>,
    /// `If-Range`.
    pub if_range: Option<String>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<String>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<String>,
}

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// A strong entity tag in its quotation marks, without a comma.
    pub etag: String,
    /// In whole seconds since 1970.
    pub modified_s: i64,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The caller wants it.
    Wanted,
    /// The caller has it (304).
    Known,
    /// The caller wants it only if it were another (412).
    Unwanted,
}

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    Whole,
    /// These.
    Part(Part),
    /// Some that the file does not have (416).
    Beyond,
}

impl Selection {
    /// Judges the conditions against a file, in the order of RFC 9110, section 13.2.2. `read_date`
    /// is the host's; a condition on what is no date counts as none.
    #[must_use]
    pub fn verdict(&self, version: &Version, read_date: impl Fn(&str) -> Option<i64>) -> Verdict {
        let is_wanted = match (&self.if_match, &self.if_unmodified_since) {
            (Some(tags), _) => lists(tags, |tag| tag == version.etag),
            (None, Some(date)) => read_date(date).is_none_or(|date| version.modified_s <= date),
            (None, None) => true,
        };
        let is_known = match (&self.if_none_match, &self.if_modified_since) {
            (Some(tags), _) => lists(tags, |tag| {
                tag.strip_prefix("W/").unwrap_or(tag) == version.etag
            }),
            (None, Some(date)) => read_date(date).is_some_and(|date| version.modified_s <= date),
            (None, None) => false,
        };
        match (is_wanted, is_known) {
            (false, _) => Verdict::Unwanted,
            (true, true) => Verdict::Known,
            (true, false) => Verdict::Wanted,
        }
    }

    /// Which bytes of a file of `size_bytes` are wanted. A header that is not understood, asks for
    /// several parts, or speaks of another version (by date, too) counts as none.
    #[must_use]
    pub fn extent(&self, version: &Version, size_bytes: u64) -> Extent {
        let is_of_this = match &self.if_range {
            Some(tag) => tag.trim() == version.etag,
            None => true,
        };
        let range = self.range.as_deref().filter(|_| is_of_this);
        range
            .and_then(|range| extent(range, size_bytes))
            .unwrap_or(Extent::Whole)
    }
}

fn lists(tags: &str, is_it: impl Fn(&str) -> bool) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || is_it(tag))
}

/// `None` where the header is to be ignored.
fn extent(range: &str, size_bytes: u64) -> Option<Extent> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let part = |offset, last: u64| Part {
        offset,
        length: last.min(size_bytes.saturating_sub(1)) - offset + 1,
    };
    if first.is_empty() {
        let length = number(last)?.min(size_bytes);
        return Some(match length {
            0 => Extent::Beyond,
            _ => Extent::Part(part(size_bytes - length, u64::MAX)),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    Some(if first < size_bytes {
        Extent::Part(part(first, last))
    } else {
        Extent::Beyond
    })
}

/// A number of any length: none is too large to be beyond the end.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    const NOW: &str = "Fri, 15 Jan 2027 08:00:00 GMT";
    const BEFORE: &str = "Fri, 15 Jan 2027 07:59:59 GMT";
    const AFTER: &str = "Fri, 15 Jan 2027 08:00:01 GMT";

    fn version() -> Version {
        Version {
            etag: "\"7d4e\"".to_owned(),
            modified_s: 1_800_000_000,
        }
    }

    fn read_date(text: &str) -> Option<i64> {
        let date = httpdate::parse_http_date(text).ok()?;
        i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
    }

    fn verdict(headers: &[(&str, &str)]) -> Verdict {
        let value = |name| {
            let found = headers.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let selection = Selection {
            if_match: value("if-match"),
            if_none_match: value("if-none-match"),
            if_modified_since: value("if-modified-since"),
            if_unmodified_since: value("if-unmodified-since"),
            ..Selection::default()
        };
        selection.verdict(&version(), read_date)
    }

    #[test]
    fn conditions_come_to_what_http_says() {
        use Verdict::{Known, Unwanted, Wanted};
        let cases: [(&[(&str, &str)], Verdict); 20] = [
            (&[], Wanted),
            (&[("if-match", "\"7d4e\"")], Wanted),
            (&[("if-match", "\"a\", \"7d4e\"")], Wanted),
            (&[("if-match", "*")], Wanted),
            (&[("if-match", "\"a\"")], Unwanted),
            (&[("if-match", "W/\"7d4e\"")], Unwanted),
            (&[("if-match", "7d4e")], Unwanted),
            (&[("if-none-match", "\"7d4e\"")], Known),
            (&[("if-none-match", "\"a\",W/\"7d4e\"")], Known),
            (&[("if-none-match", "*")], Known),
            (&[("if-none-match", "no tag")], Wanted),
            (&[("if-modified-since", NOW)], Known),
            (&[("if-modified-since", BEFORE)], Wanted),
            (&[("if-modified-since", "yesterday")], Wanted),
            (&[("if-unmodified-since", NOW)], Wanted),
            (&[("if-unmodified-since", BEFORE)], Unwanted),
            (&[("if-unmodified-since", "yesterday")], Wanted),
            // Tags go before dates, and what is wanted before what is known.
            (
                &[("if-none-match", "\"a\""), ("if-modified-since", AFTER)],
                Wanted,
            ),
            (
                &[("if-match", "\"7d4e\""), ("if-unmodified-since", BEFORE)],
                Wanted,
            ),
            (
                &[("if-match", "\"a\""), ("if-none-match", "\"7d4e\"")],
                Unwanted,
            ),
        ];
        for (headers, expected) in cases {
            assert_eq!(verdict(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_range_is_one_part_or_none_at_all() {
        let part = |offset, length| Extent::Part(Part { offset, length });
        let cases = [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 4)),
            ("bytes=2-", part(2, 8)),
            ("bytes=9-99999999999999999999999", part(9, 1)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-11", part(0, 10)),
            ("Bytes = 2-5 ", part(2, 4)),
            ("bytes=10-", Extent::Beyond),
            ("bytes=99999999999999999999999-", Extent::Beyond),
            ("bytes=-0", Extent::Beyond),
            ("bytes=5-2", Extent::Whole),
            ("bytes=0-1,4-5", Extent::Whole),
            ("bytes=-", Extent::Whole),
            ("bytes=a-b", Extent::Whole),
            ("bytes=+1-2", Extent::Whole),
            ("bytes=0x1-2", Extent::Whole),
            ("pages=2-5", Extent::Whole),
            ("2-5", Extent::Whole),
            ("", Extent::Whole),
        ];
        for (range, expected) in cases {
            let selection = Selection {
                range: Some(range.to_owned()),
                ..Selection::default()
            };
            assert_eq!(selection.extent(&version(), 10), expected, "{range:?}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_none() {
        for (if_range, is_of_this) in [("\"7d4e\"", true), ("W/\"7d4e\"", false), (NOW, false)] {
            let selection = Selection {
                range: Some("bytes=0-0".to_owned()),
                if_range: Some(if_range.to_owned()),
                ..Selection::default()
            };
            let is_part = selection.extent(&version(), 10) != Extent::Whole;
            assert_eq!(is_part, is_of_this, "{if_range}");
        }
    }

    proptest! {
        #[test]
        fn no_part_is_empty_or_beyond_the_end(range in "(bytes=)?.{0,24}", size in any::<u64>()) {
            within(&range, size)?;
        }

        #[test]
        fn numbers_of_any_size_stay_within(
            first in "[0-9]{0,22}", last in "[0-9]{0,22}", size in 0u64..2_000
        ) {
            within(&format!("bytes={first}-{last}"), size)?;
        }
    }

    fn within(range: &str, size: u64) -> Result<(), TestCaseError> {
        let selection = Selection {
            range: Some(range.to_owned()),
            ..Selection::default()
        };
        if let Extent::Part(Part { offset, length }) = selection.extent(&version(), size) {
            prop_assert!(length > 0);
            prop_assert!(offset.checked_add(length).is_some_and(|end| end <= size));
        }
        Ok(())
    }
}
