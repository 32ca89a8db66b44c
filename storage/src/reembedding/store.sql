-- $1 model and pooling, $2 passages, $3 their vectors
-- The time of the live passage tells this one's from that of an earlier reading of the document.
insert into standby_document_chunks (
    id, doc_id, owner_id, is_public, chunk_index, content, content_sha256, embedding, embedding_model,
    page_start, page_end, section, metadata, created_at
)
select
    c.id, c.doc_id, c.owner_id, c.is_public, c.chunk_index, c.content, c.content_sha256, v.embedding, $1,
    c.page_start, c.page_end, c.section, c.metadata, c.created_at
from unnest($2::uuid[], $3::halfvec[]) as v (id, embedding)
join document_chunks c on c.id = v.id
on conflict (id) do nothing
