-- $1 document, $2 owner, $3 public, $4 model and pooling of the vectors, then one array a column
insert into document_chunks (
    doc_id, owner_id, is_public, embedding_model,
    id, chunk_index, content, content_sha256, embedding, page_start, page_end, section, metadata
)
select $1, $2, $3, $4, c.*
from unnest(
    $5::uuid[], $6::int[], $7::text[], $8::text[], $9::halfvec[], $10::int[], $11::int[],
    $12::text[], $13::jsonb[]
) as c
