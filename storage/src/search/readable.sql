-- $1 reader, $2 the reader's role
select
    coalesce(array_agg(owner_id) filter (where owner_id is not null), '{}') as owners,
    coalesce(sum(chunk_count) filter (where owner_id is null), 0)::int8 as public_passages,
    coalesce(sum(chunk_count) filter (where owner_id is not null), 0)::int8 as private_passages,
    coalesce(sum(stem_count), 0)::int8 as stems
from corpus_versions
where owner_id is null
   or owner_id = $1
   or $2 = 'admin'
   or $2 = 'student' and owner_id in (
       select teacher_id from teacher_student_relationships where student_id = $1
   )
