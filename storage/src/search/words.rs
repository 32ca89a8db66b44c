use super::{LIST_DEPTH, Ranked, Readable, SearchRequest, narrowed::on_pages, ranked};
use crate::{
    Error, ReaderTx,
    rows::{signed, unsigned},
};
use rag_core::bm25::{self, Best, Block, Bm25, Place};
use shared_types::ids::DocumentId;
use sqlx::FromRow;
use uuid::Uuid;

#[derive(FromRow)]
struct StemRow {
    documents: Vec<Uuid>,
    blocks: Vec<i16>,
    postings: Vec<Vec<u8>>,
}

/// The list by words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordList {
    /// By BM25 score, descending; at most [`LIST_DEPTH`].
    pub ranked: Vec<Ranked>,
    /// Where each of them stands, if they are in memory.
    pub(super) places: Vec<Place>,
    /// What no score for this query can exceed.
    pub ceiling: f64,
}

/// The passages that hold any word of the query, by BM25 over English stems, best first.
///
/// Exact: PostgreSQL hands out the postings of each stem as they lie, those that the reader may read
/// alone, unless they are in memory, and `rag_core::bm25` goes through all of them, which takes a hundredth
/// of what the sum would take in SQL. Document frequencies, the number of passages and their mean length are those
/// of all that the reader may read, and where a search is narrowed, of what the reader may read in the
/// documents that it is narrowed to: a score tells nothing of anybody else's text. Pages narrow what is
/// found and not what is counted: on one page nearly every word is rare. A query of stop words alone
/// finds nothing.
pub async fn by_words(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
    parameters: Bm25,
) -> Result<WordList, Error> {
    if let Some(in_memory) = readable.in_memory(request) {
        let stems = match readable.stems_of(request.query) {
            Some(stems) => stems,
            None => &stems_of(reader, request.query).await?,
        };
        let best = best(parameters, readable, &in_memory.postings(stems), |_| true)?;
        let passages = in_memory.passages(&best.passages);
        let (ranked, places) = passages.into_iter().unzip();
        return Ok(WordList {
            ranked,
            places,
            ceiling: best.ceiling,
        });
    }
    by_sql(reader, readable, request, parameters).await
}

#[tracing::instrument(name = "sql.search.by_words", skip_all)]
async fn by_sql(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
    parameters: Bm25,
) -> Result<WordList, Error> {
    let stems = postings(reader, readable, request).await?;
    let on_pages = on_pages(reader, readable, &stems).await?;
    let is_wanted = |place: &Place| {
        on_pages
            .as_ref()
            .is_none_or(|places| places.contains(place))
    };
    let best = best(parameters, readable, &stems, is_wanted)?;
    Ok(WordList {
        ranked: passages_at(reader, readable, &best.passages).await?,
        places: Vec::new(),
        ceiling: best.ceiling,
    })
}

fn best(
    parameters: Bm25,
    readable: &Readable,
    stems: &[Vec<Block<'_>>],
    is_wanted: impl Fn(&Place) -> bool,
) -> Result<Best, Error> {
    let depth = LIST_DEPTH as usize;
    bm25::best(parameters, readable.size, stems, is_wanted, depth)
        .map_err(|_| Error::Corrupt("list of postings"))
}

#[tracing::instrument(name = "sql.search.stems", skip_all)]
async fn stems_of(reader: &mut ReaderTx, question: &str) -> Result<Vec<String>, Error> {
    let stems = sqlx::query_scalar("select tsvector_to_array(passage_words($1))")
        .bind(question)
        .fetch_one(reader.connection())
        .await?;
    Ok(stems)
}

/// The postings of each stem of the query.
async fn postings(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
) -> Result<Vec<Vec<Block<'static>>>, Error> {
    let rows: Vec<StemRow> = sqlx::query_as(include_str!("postings.sql"))
        .bind(request.query)
        .bind(&readable.owners)
        .fetch_all(reader.connection())
        .await?;
    let is_wanted = |document: &DocumentId| {
        let narrowed = readable.narrowed.as_ref();
        narrowed.is_none_or(|narrowed| narrowed.holds(*document))
    };
    rows.into_iter()
        .map(|row| {
            row.documents
                .into_iter()
                .map(DocumentId)
                .zip(row.blocks)
                .zip(row.postings)
                .filter(|((document, _), _)| is_wanted(document))
                .map(|((document_id, number), postings)| {
                    Ok(Block {
                        document_id,
                        number: unsigned(number, "block of postings")?,
                        postings: postings.into(),
                    })
                })
                .collect()
        })
        .collect()
}

async fn passages_at(
    reader: &mut ReaderTx,
    readable: &Readable,
    places: &[(Place, f64)],
) -> Result<Vec<Ranked>, Error> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let documents: Vec<Uuid> = places
        .iter()
        .map(|(place, _)| place.document_id.0)
        .collect();
    let indexes = places
        .iter()
        .map(|(place, _)| signed(place.chunk_index, "passage index"))
        .collect::<Result<Vec<i32>, Error>>()?;
    let scores: Vec<f64> = places.iter().map(|(_, score)| *score).collect();
    let rows = sqlx::query_as(include_str!("places.sql"))
        .bind(documents)
        .bind(indexes)
        .bind(scores)
        .bind(&readable.owners)
        .fetch_all(reader.connection())
        .await?;
    Ok(ranked(rows))
}
