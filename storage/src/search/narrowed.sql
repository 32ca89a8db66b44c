-- $1 documents, $2 owners of documents, $3 uploaded from, $4 uploaded before, $5 owners of private corpora
-- No filter: an empty list, or null. Two arms, of which PostgreSQL begins one: named documents are a few
-- looks into the primary key, however many others there are.
select
    coalesce(array_agg(id order by id), '{}') as documents,
    coalesce(sum(chunk_count), 0)::int8 as passages,
    coalesce(sum(stem_count), 0)::int8 as stems
from (
    select id, owner_id, is_public, status, created_at, chunk_count, stem_count
    from knowledge_base_docs
    where id = any($1)
    union all
    select id, owner_id, is_public, status, created_at, chunk_count, stem_count
    from knowledge_base_docs
    where cardinality($1) = 0
) as named
where status = 'ready'
  and (is_public or owner_id = any($5))
  and (cardinality($2) = 0 or owner_id = any($2))
  and ($3::timestamptz is null or created_at >= $3)
  and ($4::timestamptz is null or created_at < $4)
