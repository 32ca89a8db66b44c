-- $1 vector, $2 model and pooling
-- A limit that the planner knows: with a parameter it may think that every row is wanted.
select id, embedding <=> $1 as distance
from document_chunks
where is_public and embedding_model = $2
order by distance
limit 100
