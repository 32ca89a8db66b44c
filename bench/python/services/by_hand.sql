-- $1 vector, $2 model and pooling, $3 question, $4 reader, $5 whether a passage must hold every word of the question
-- The policies say the same; said here as well, the planner can use the indexes that are made for it.
with owners as materialized (
    select $4::uuid as id
    union all
    select teacher_id from teacher_student_relationships where student_id = $4
), question as materialized (
    select case
        when $5::boolean then plainto_tsquery('english', $3)
        else (
            select string_agg(quote_literal(lexeme), ' | ')::tsquery
            from unnest(to_tsvector('english', $3))
        )
    end as words
), public_by_vector as materialized (
    select id, embedding <=> $1 as distance
    from document_chunks
    where is_public and embedding_model = $2
    order by distance
    limit 100
), private_by_vector as materialized (
    select id, embedding <=> $1 as distance
    from document_chunks
    where not is_public and owner_id = any(array(select id from owners)) and embedding_model = $2
    order by distance
    limit 100
), by_vector as (
    select id, row_number() over (order by distance, id) as rank
    from (select * from public_by_vector union all select * from private_by_vector) as nearest
    order by distance, id
    limit 100
), by_words as (
    select id, row_number() over (order by score desc, id) as rank
    from (
        select w.id, ts_rank(w.words, q.words) as score
        from bench.passage_words w
        cross join question q
        where w.words @@ q.words
          and (w.is_public or w.owner_id = any(array(select id from owners)))
        order by score desc, w.id
        limit 100
    ) as best
), fused as (
    select id, sum(1.0 / (60 + rank)) as score
    from (select * from by_vector union all select * from by_words) as ranks
    group by id
    order by score desc, id
    limit 20
)
select
    c.id, c.doc_id, d.title, c.page_start, c.page_end, c.section, c.content, c.content_sha256,
    f.score::float8 as score
from fused f
join document_chunks c on c.id = f.id
join knowledge_base_docs d on d.id = c.doc_id
order by f.score desc, f.id
