-- $1 documents, $2 model and pooling
select doc_id, chunk_index, id, embedding
from document_chunks
where doc_id = any($1) and embedding_model = $2
order by doc_id, chunk_index
