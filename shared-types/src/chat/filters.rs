//! Which part of the library a question is put to.

use crate::ids::{DocumentId, UserId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most documents, and the most owners, that a search is narrowed to by name.
pub const MAX_FILTER_IDS: usize = 50;
/// The last second of the year 9999, counted from 1970.
pub const MAX_TIME_S: i64 = 253_402_300_799;

/// Narrows a search. What is left out narrows nothing, as an empty list does; a passage must satisfy all
/// that is there. The empty filters stand for all that the caller may read.
///
/// Filters never widen what is readable: to name what the caller may not read finds nothing of it, and
/// tells no more than to name what does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchFilters {
    /// Only these documents; at most [`MAX_FILTER_IDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub document_ids: Vec<DocumentId>,
    /// Only documents of these owners; at most [`MAX_FILTER_IDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner_ids: Vec<UserId>,
    /// Only passages that reach this page or go beyond it; from 1. A passage across a page break is on
    /// both pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_page: Option<u32>,
    /// Only passages that begin on this page or before it; not below `first_page`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_page: Option<u32>,
    /// Only documents whose upload was announced (`created_at`) at this time or later, in seconds since
    /// 1970: that is the date which owners see, and it never changes. A number, since reading dates would
    /// make the edge's module a good deal larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_from_s: Option<i64>,
    /// Only documents whose upload was announced before this time; above `uploaded_from_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_before_s: Option<i64>,
}

/// Why filters are refused, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// More than [`MAX_FILTER_IDS`] documents.
    #[error(
        "`document_ids` takes at most {MAX_FILTER_IDS} documents. Name fewer, or leave it out."
    )]
    Documents,
    /// More than [`MAX_FILTER_IDS`] owners.
    #[error("`owner_ids` takes at most {MAX_FILTER_IDS} owners. Name fewer, or leave it out.")]
    Owners,
    /// A page below 1, or a range that ends before it begins.
    #[error("Pages count from 1, and `last_page` is not below `first_page`.")]
    Pages,
    /// A time before 1970 or after the year 9999, or a span that ends before it begins.
    #[error(
        "Times are seconds since 1970, up to the year 9999, and `uploaded_before_s` is above `uploaded_from_s`."
    )]
    Times,
}

impl SearchFilters {
    /// Whether the filters can be asked for.
    pub fn check(&self) -> Result<(), FilterError> {
        let first_page = self.first_page.unwrap_or(1);
        let from_s = self.uploaded_from_s.unwrap_or(0);
        let before_s = self.uploaded_before_s.unwrap_or(MAX_TIME_S);
        if self.document_ids.len() > MAX_FILTER_IDS {
            Err(FilterError::Documents)
        } else if self.owner_ids.len() > MAX_FILTER_IDS {
            Err(FilterError::Owners)
        } else if first_page < 1 || self.last_page.is_some_and(|last| last < first_page) {
            Err(FilterError::Pages)
        } else if from_s < 0 || before_s <= from_s || before_s > MAX_TIME_S {
            Err(FilterError::Times)
        } else {
            Ok(())
        }
    }

    /// The same filters in the one order that all their spellings share: ids ascending, each once.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self {
            document_ids: ascending(&self.document_ids),
            owner_ids: ascending(&self.owner_ids),
            ..*self
        }
    }
}

/// By insertion: the lists are short, and a sort of the standard library takes more of the edge's module
/// than all that is said here.
fn ascending<T: Copy + Ord>(ids: &[T]) -> Vec<T> {
    let mut ascending = Vec::with_capacity(ids.len());
    for id in ids {
        if let Err(place) = ascending.binary_search(id) {
            ascending.insert(place, *id);
        }
    }
    ascending
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn filters_on_the_wire_are_pinned_and_an_unknown_one_is_refused() {
        let all = SearchFilters {
            document_ids: vec![DocumentId(Uuid::from_u128(1))],
            owner_ids: vec![UserId(Uuid::from_u128(2))],
            first_page: Some(3),
            last_page: Some(5),
            uploaded_from_s: Some(1_756_684_800),
            uploaded_before_s: Some(1_767_225_600),
        };
        insta::assert_json_snapshot!(all, @r#"
        {
          "document_ids": [
            "00000000-0000-0000-0000-000000000001"
          ],
          "owner_ids": [
            "00000000-0000-0000-0000-000000000002"
          ],
          "first_page": 3,
          "last_page": 5,
          "uploaded_from_s": 1756684800,
          "uploaded_before_s": 1767225600
        }
        "#);
        let read = |value| serde_json::from_value::<SearchFilters>(value);
        assert_eq!(read(serde_json::to_value(&all).unwrap()).unwrap(), all);
        assert_eq!(read(json!({})).unwrap(), SearchFilters::default());
        assert_eq!(
            serde_json::to_value(SearchFilters::default()).unwrap(),
            json!({})
        );
        // A filter that is not understood must not be taken for none.
        for unknown in [
            json!({"owner_id": Uuid::nil()}),
            json!({"first_page": -1}),
            json!({"uploaded_from_s": "2026-09-01"}),
        ] {
            assert!(read(unknown.clone()).is_err(), "{unknown}");
        }
    }

    #[test]
    fn filters_are_bounded_and_ranges_run_forwards() {
        let ids = |number: usize| (0..number as u128).map(Uuid::from_u128);
        let filters = |change: &dyn Fn(&mut SearchFilters)| {
            let mut filters = SearchFilters::default();
            change(&mut filters);
            filters.check()
        };
        for (number, error) in [(50, None), (51, Some(FilterError::Documents))] {
            let documents = filters(&|f| f.document_ids = ids(number).map(DocumentId).collect());
            assert_eq!(documents.err(), error);
            let owners = filters(&|f| f.owner_ids = ids(number).map(UserId).collect());
            assert_eq!(owners.err(), error.map(|_| FilterError::Owners));
        }
        let pages = |first_page, last_page| {
            filters(&|f| (f.first_page, f.last_page) = (first_page, last_page)).is_ok()
        };
        assert!(pages(None, None) && pages(Some(1), Some(1)) && pages(None, Some(u32::MAX)));
        assert!(pages(Some(7), None) && !pages(Some(7), Some(6)));
        assert!(!pages(Some(0), None) && !pages(None, Some(0)));
        let times = |from_s, before_s| {
            filters(&|f| (f.uploaded_from_s, f.uploaded_before_s) = (from_s, before_s)).is_ok()
        };
        assert!(times(None, None) && times(Some(0), Some(1)) && times(None, Some(MAX_TIME_S)));
        assert!(!times(Some(5), Some(5)) && !times(Some(-1), None) && !times(None, Some(0)));
        assert!(!times(Some(MAX_TIME_S), None) && !times(None, Some(MAX_TIME_S + 1)));
    }
}
