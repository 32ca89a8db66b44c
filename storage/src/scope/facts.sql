-- $1 reader, $2 the reader's role, $3 how long the purge of one answer is remembered, in seconds
-- An owner without a private corpus adds nothing to what may be read: left out, so that two
-- students of the same teachers have the same facts.
with corpora as (
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
), purges as (
    select
        coalesce(max(number) filter (where target = 'everything'), 0) as everything,
        coalesce(
            max(number) filter (
                where target = 'everything' or target = 'user' and person_id = $1
            ),
            0
        ) as reader,
        coalesce(max(number) filter (where target = 'teacher'), 0) as corpora_purged,
        coalesce(array_agg(answer_id order by number) filter (where target = 'answer'), '{}')
            as answer_ids,
        coalesce(array_agg(number order by number) filter (where target = 'answer'), '{}')
            as answer_numbers
    from purge_generations
    where target <> 'answer' or purged_at > now() - make_interval(secs => $3)
)
select * from corpora cross join purges
