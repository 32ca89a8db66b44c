-- $1 reader, $2 normalised question, $3 its embedding or null, $4 model and pooling, $5 least cosine
-- No cosine tells the left hand from the right one: close is only what has the same words, in whatever form and order,
-- stop words apart, and denies as much.
select id
from (
    select
        c.id, c.created_at,
        case
            when c.question = $2 then 1
            when c.embedding_model = $4
                and strip(passage_words(c.question)) = strip(passage_words($2))
                and regexp_count(c.question, $6) = regexp_count($2, $6)
            then 1 - (c.embedding <=> $3)
        end as similarity
    from curated_answers c
    where c.teacher_id = $1
       or c.teacher_id = any(array(
           select r.teacher_id from teacher_student_relationships r where r.student_id = $1
       ))
) near
where similarity >= $5 or similarity = 1
order by similarity desc, created_at desc, id
limit 1
