-- $1 reader, $2 the reader's role, $3 how long the purge of one answer is remembered, in seconds, $4 question, or nothing
-- An owner without a private corpus adds nothing to what may be read: left out, so that two
-- students of the same teachers have the same facts.
with corpora as (
    select
        coalesce(max(version) filter (where owner_id is null), 0) as public_version,
        coalesce(sum(chunk_count) filter (where owner_id is null), 0)::int8 as public_passages,
        coalesce(array_agg(owner_id order by owner_id) filter (where owner_id is not null), '{}')
            as owners,
        coalesce(array_agg(version order by owner_id) filter (where owner_id is not null), '{}')
            as versions,
        coalesce(array_agg(chunk_count order by owner_id) filter (where owner_id is not null), '{}')
            as passages,
        coalesce(sum(stem_count), 0)::int8 as stems
    from corpus_versions
    where owner_id is null
       or owner_id = $1
       or $2 = 'admin'
       or $2 = 'student' and owner_id in (
           select teacher_id from teacher_student_relationships where student_id = $1
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
select
    *,
    exists (select from users where id = $1) as is_known,
    tsvector_to_array(passage_words($4)) as question_stems
from corpora cross join purges
