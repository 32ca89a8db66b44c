-- $1 vector, $2 model and pooling, $3 owners, $4 depth, $5 documents, $6 first page, $7 last page,
-- $8 candidates
-- The index by document holds all that the first part needs: it reads none of the wide rows.
with question as materialized (
    select binary_quantize($1)::bit(768) as signs
), candidates as materialized (
    select id
    from document_chunks
    where doc_id = any($5)
      and (is_public or owner_id = any($3))
      and embedding_model = $2
      and page_end >= $6
      and page_start <= $7
    order by signs <~> (select signs from question)
    limit $8
)
-- By an array of ids: a join may be planned as one that reads every vector.
select id, embedding <=> $1 as distance
from document_chunks
where id = any(array(select id from candidates))
  and (is_public or owner_id = any($3))
order by distance, id
limit $4
