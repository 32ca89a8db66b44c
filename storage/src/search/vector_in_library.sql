-- $1 vector, $2 model and pooling, $3 reader, $4 the reader's role, $5 depth, $6 exact up to
with reader as materialized (
    select array(
        select $3::uuid
        union
        select teacher_id from teacher_student_relationships
        where $4 = 'student' and student_id = $3
        union
        select owner_id from corpus_versions
        where $4 = 'admin' and owner_id is not null
    ) as owners
), visible as materialized (
    select coalesce(sum(chunk_count), 0) as chunks
    from knowledge_base_docs
    where status = 'ready'
      and (is_public or owner_id = any((select owners from reader)::uuid[]))
), every as (
    select id, embedding <=> $1 as distance
    from document_chunks
    where (select chunks from visible) <= $6
      and (is_public or owner_id = any((select owners from reader)::uuid[]))
      and embedding_model = $2
    order by embedding <=> $1
    limit $5
), shared as (
    select id, embedding <=> $1 as distance
    from document_chunks
    where (select chunks from visible) > $6
      and is_public
      and embedding_model = $2
    order by embedding <=> $1
    limit $5
), private as (
    select id, embedding <=> $1 as distance
    from document_chunks
    where (select chunks from visible) > $6
      and not is_public
      and owner_id = any((select owners from reader)::uuid[])
      and embedding_model = $2
    order by embedding <=> $1
    limit $5
)
select id, distance
from (
    select * from every
    union all
    select * from shared
    union all
    select * from private
) as arms
order by distance, id
limit $5
