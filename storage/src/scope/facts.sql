-- $1 reader, $2 the reader's role
-- An owner without a private corpus adds nothing to what may be read: left out, so that two
-- students of the same teachers have the same facts.
select
    coalesce((select version from corpus_versions where owner_id is null), 0) as public_version,
    coalesce(array_agg(v.owner_id order by v.owner_id), '{}') as owners,
    coalesce(array_agg(v.version order by v.owner_id), '{}') as versions
from corpus_versions v
where v.owner_id is not null
  and (
      v.owner_id = $1
      or $2 = 'admin'
      or $2 = 'student' and v.owner_id in (
          select teacher_id from teacher_student_relationships where student_id = $1
      )
  )
