use super::{LIST_DEPTH, Ranked, Readable, SearchRequest, ranked, uuids};
use crate::{
    Error, ReaderTx,
    rows::{signed, unsigned},
};
use rag_core::bm25::{self, Block, Bm25, CorpusSize, Place};
use shared_types::ids::DocumentId;
use sqlx::FromRow;
use uuid::Uuid;

#[derive(FromRow)]
struct StemRow {
    documents: Vec<Uuid>,
    blocks: Vec<i16>,
    postings: Vec<Vec<u8>>,
}

/// The passages that hold any word of the query, by BM25 over English stems, best first.
///
/// Exact: PostgreSQL hands out the postings of each stem as they lie, those that the reader may read
/// alone, and `rag_core::bm25` goes through all of them, which takes a hundredth of what the sum
/// would take in SQL. Document frequencies, the number of passages and their mean length are those
/// of what the reader may read (inside the chosen documents): a score tells nothing of anybody
/// else's text. A query of stop words alone finds nothing.
#[tracing::instrument(name = "sql.search.by_words", skip_all)]
pub async fn by_words(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
    parameters: Bm25,
) -> Result<Vec<Ranked>, Error> {
    let stems = postings(reader, readable, request).await?;
    let size = if request.document_ids.is_empty() {
        readable.size
    } else {
        size_of(reader, readable, request.document_ids).await?
    };
    let best = bm25::best(parameters, size, &stems, LIST_DEPTH as usize)
        .map_err(|_| Error::Corrupt("list of postings"))?;
    passages_at(reader, readable, &best).await
}

/// The postings of each stem of the query.
async fn postings(
    reader: &mut ReaderTx,
    readable: &Readable,
    request: &SearchRequest<'_>,
) -> Result<Vec<Vec<Block>>, Error> {
    let rows: Vec<StemRow> = sqlx::query_as(include_str!("postings.sql"))
        .bind(request.query)
        .bind(&readable.owners)
        .fetch_all(reader.connection())
        .await?;
    let is_wanted = |document: &DocumentId| {
        request.document_ids.is_empty() || request.document_ids.contains(document)
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
                        postings,
                    })
                })
                .collect()
        })
        .collect()
}

/// How much the reader may read of these documents.
async fn size_of(
    reader: &mut ReaderTx,
    readable: &Readable,
    document_ids: &[DocumentId],
) -> Result<CorpusSize, Error> {
    let (passages, stems): (i64, i64) = sqlx::query_as(include_str!("sizes.sql"))
        .bind(uuids(document_ids))
        .bind(&readable.owners)
        .fetch_one(reader.connection())
        .await?;
    Ok(CorpusSize {
        passages: unsigned(passages, "document size")?,
        stems: unsigned(stems, "document size")?,
    })
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
