-- Goes on in asked.sql.
select c.id, c.doc_id, d.title, c.chunk_index, c.content, c.metadata
from document_chunks c
join knowledge_base_docs d on d.id = c.doc_id
