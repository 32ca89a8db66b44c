-- $1 document and $2 index of the passage to begin after, $3 how many at most
select c.id, c.doc_id, c.chunk_index, c.content
from document_chunks c
where (c.doc_id, c.chunk_index) > ($1, $2)
  and not exists (
      select from standby_document_chunks s where s.id = c.id and s.created_at = c.created_at
  )
order by c.doc_id, c.chunk_index
limit $3
