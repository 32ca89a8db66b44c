//! Searches in a part of what is readable. The filters of whole documents are resolved to a list of
//! documents, once, before anything is searched; pages are looked at passage by passage.

use super::Readable;
use crate::{Error, ReaderTx, rows::unsigned};
use chrono::{DateTime, Utc};
use rag_core::bm25::{Block, CorpusSize, Place};
use shared_types::{chat::SearchFilters, ids::DocumentId};
use sqlx::FromRow;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// The part of what is readable that filters let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Narrowed {
    /// Searchable documents that the reader may read and the filters name, ascending.
    pub documents: Vec<Uuid>,
    /// Their passages, whatever the pages.
    pub passages: u64,
    pub pages: Pages,
}

/// The pages that a passage must touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pages {
    pub first: i64,
    pub last: i64,
}

impl Pages {
    const ALL: Self = Self {
        first: 1,
        last: 0xffff_ffff,
    };
}

#[derive(FromRow)]
struct Row {
    documents: Vec<Uuid>,
    passages: i64,
    stems: i64,
}

impl Narrowed {
    /// Resolves filters for a reader of the private corpora of `owners`. The size is that of all passages
    /// of the documents.
    #[tracing::instrument(name = "sql.search.narrowed", skip_all)]
    pub async fn to(
        reader: &mut ReaderTx,
        owners: &[Uuid],
        filters: &SearchFilters,
    ) -> Result<(Self, CorpusSize), Error> {
        let documents: Vec<Uuid> = filters.document_ids.iter().map(|id| id.0).collect();
        let owned_by: Vec<Uuid> = filters.owner_ids.iter().map(|id| id.0).collect();
        let row: Row = sqlx::query_as(include_str!("narrowed.sql"))
            .bind(documents)
            .bind(owned_by)
            .bind(filters.uploaded_from_s.map(moment).transpose()?)
            .bind(filters.uploaded_before_s.map(moment).transpose()?)
            .bind(owners)
            .fetch_one(reader.connection())
            .await?;
        let size = CorpusSize {
            passages: unsigned(row.passages, "document size")?,
            stems: unsigned(row.stems, "document size")?,
        };
        let narrowed = Self {
            documents: row.documents,
            passages: size.passages,
            pages: Pages {
                first: filters.first_page.map_or(Pages::ALL.first, i64::from),
                last: filters.last_page.map_or(Pages::ALL.last, i64::from),
            },
        };
        Ok((narrowed, size))
    }

    /// Whether any passage of the document may be found.
    pub fn holds(&self, document: DocumentId) -> bool {
        self.documents.binary_search(&document.0).is_ok()
    }
}

fn moment(seconds: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp(seconds, 0).ok_or(Error::Corrupt("time"))
}

/// Where the passages stand that hold one of the stems and touch the pages; `None` where a search is not
/// narrowed to pages, so that each of them does.
#[tracing::instrument(name = "sql.search.on_pages", skip_all)]
pub(super) async fn on_pages(
    reader: &mut ReaderTx,
    readable: &Readable,
    stems: &[Vec<Block<'_>>],
) -> Result<Option<HashSet<Place>>, Error> {
    let pages = readable.narrowed.as_ref().map_or(Pages::ALL, |n| n.pages);
    if pages == Pages::ALL {
        return Ok(None);
    }
    let documents: BTreeSet<Uuid> = stems.iter().flatten().map(|b| b.document_id.0).collect();
    let rows: Vec<(Uuid, Vec<i32>)> = sqlx::query_as(include_str!("on_pages.sql"))
        .bind(documents.into_iter().collect::<Vec<_>>())
        .bind(&readable.owners)
        .bind(pages.first)
        .bind(pages.last)
        .fetch_all(reader.connection())
        .await?;
    let mut places = HashSet::new();
    for (document, indexes) in rows {
        for index in indexes {
            places.insert(Place {
                document_id: DocumentId(document),
                chunk_index: unsigned(index, "passage index")?,
            });
        }
    }
    Ok(Some(places))
}
