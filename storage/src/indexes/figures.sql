select
    coalesce(sum(counted.idx_blks_hit), 0)::bigint,
    coalesce(sum(counted.idx_blks_read), 0)::bigint,
    coalesce(sum(pg_relation_size(counted.indexrelid)) filter (where method.amname = 'hnsw'), 0)::bigint
from pg_statio_user_indexes counted
join pg_class index on index.oid = counted.indexrelid
join pg_am method on method.oid = index.relam
where counted.schemaname = 'public'
