-- $1 reader, $2 the reader's role
with owners as (
    select $1::uuid as owner_id
    union
    select teacher_id from teacher_student_relationships
    where $2 = 'student' and student_id = $1
    union
    select owner_id from corpus_versions
    where $2 = 'admin' and owner_id is not null
)
select
    coalesce((select version from corpus_versions where owner_id is null), 0) as public_version,
    coalesce(array_agg(o.owner_id order by o.owner_id), '{}') as owners,
    coalesce(array_agg(coalesce(v.version, 0) order by o.owner_id), '{}') as versions
from owners o
left join corpus_versions v on v.owner_id = o.owner_id
