-- $1 documents, $2 indexes in them, $3 scores, $4 owners
-- Lateral, with a limit: a look into the index for each place, whatever the planner thinks of them.
select c.id, p.score
from unnest($1::uuid[], $2::int[], $3::float8[])
    with ordinality as p (doc_id, chunk_index, score, nth)
cross join lateral (
    select id
    from document_chunks
    where doc_id = p.doc_id
      and chunk_index = p.chunk_index
      and (is_public or owner_id = any($4))
    limit 1
) as c
order by p.nth
