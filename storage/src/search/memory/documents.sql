-- $1 whether those that are public, $2 owners of those that are private
-- Whatever has passages is ready; it stays so while it is read once more, and gets another time with its new ones.
select id, owner_id, is_public, ready_at, chunk_count::int8 as chunk_count, stem_count
from knowledge_base_docs
where status = 'ready'
  and chunk_count > 0
  and (is_public and $1 or not is_public and owner_id = any($2))
order by id
