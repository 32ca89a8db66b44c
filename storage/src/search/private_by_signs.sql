-- $1 vector, $2 model and pooling, $3 owners, $4 depth, $5 candidates
-- As in by_signs.sql, the private ones alone. A statement of its own: an arm that can be switched off
-- makes every row of the other one dearer.
with question as materialized (
    select binary_quantize($1)::bit(768) as signs
), candidates as materialized (
    select id
    from document_chunks
    where not is_public and owner_id = any($3)
    order by signs <~> (select signs from question)
    limit $5
)
select id, embedding <=> $1 as distance
from document_chunks
where id = any(array(select id from candidates))
  and not is_public
  and owner_id = any($3)
  and embedding_model = $2
order by distance, id
limit $4
