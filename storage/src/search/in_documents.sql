-- $1 vector, $2 model and pooling, $3 owners, $4 depth, $5 documents, $6 first page, $7 last page
select id, embedding <=> $1 as distance
from document_chunks
where doc_id = any($5)
  and (is_public or owner_id = any($3))
  and embedding_model = $2
  and page_end >= $6
  and page_start <= $7
order by distance, id
limit $4
