-- $1 vector, $2 model and pooling, $3 owners, $4 depth, $5 candidates
-- All vectors of a table are of one model: that it is the question's is checked where few are left.
-- Two arms, so that each is one range of the index and nothing unreadable is looked at.
with question as materialized (
    select binary_quantize($1)::bit(768) as signs
), candidates as materialized (
    select id
    from (
        select id, signs <~> (select signs from question) as differing
        from document_chunks
        where is_public
        union all
        select id, signs <~> (select signs from question) as differing
        from document_chunks
        where not is_public and owner_id = any($3)
    ) as readable
    order by differing
    limit $5
)
-- By an array of ids: a join may be planned as one that reads every vector.
select id, embedding <=> $1 as distance
from document_chunks
where id = any(array(select id from candidates))
  and (is_public or owner_id = any($3))
  and embedding_model = $2
order by distance, id
limit $4
