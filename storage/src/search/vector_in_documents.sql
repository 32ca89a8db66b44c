-- $1 vector, $2 model and pooling, $3 reader, $4 the reader's role, $5 depth, $6 documents
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
)
select id, embedding <=> $1 as distance
from document_chunks
where doc_id = any($6)
  and (is_public or owner_id = any((select owners from reader)::uuid[]))
  and embedding_model = $2
order by embedding <=> $1, id
limit $5
