-- $1 vector, $2 model and pooling, $3 owners, $4 candidates, $5 guides
-- Guides stand among the candidates. The mean of none is null: then nothing can be ranked by them.
with guides as materialized (
    select embedding
    from document_chunks
    where id = any($5) and (is_public or owner_id = any($3)) and embedding_model = $2
)
select
    c.id,
    1 - (c.embedding <=> $1) as to_question,
    (select 1 - avg(c.embedding <=> g.embedding) from guides g) as to_guides
from document_chunks c
where c.id = any($4)
  and (c.is_public or c.owner_id = any($3))
  and c.embedding_model = $2
  and exists (select from guides)
