-- $1 documents, $2 owners, $3 first page, $4 last page
select doc_id, array_agg(chunk_index) as indexes
from document_chunks
where doc_id = any($1)
  and (is_public or owner_id = any($2))
  and page_end >= $3
  and page_start <= $4
group by doc_id
