-- $1 documents, $2 owners
select
    coalesce(sum(chunk_count), 0)::int8 as passages,
    coalesce(sum(stem_count), 0)::int8 as stems
from knowledge_base_docs
where id = any($1)
  and status = 'ready'
  and (is_public or owner_id = any($2))
