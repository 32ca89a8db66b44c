-- $1 query, $2 reader, $3 the reader's role, $4 depth, $5 documents, null for all
-- BM25 with k1 = 1.2 and b = 0.75; what does not depend on the passage is worked out once a stem.
with reader as materialized (
    select array(
        select $2::uuid
        union
        select teacher_id from teacher_student_relationships
        where $3 = 'student' and student_id = $2
        union
        select owner_id from corpus_versions
        where $3 = 'admin' and owner_id is not null
    ) as owners
), corpus as materialized (
    select
        sum(chunk_count)::float8 as chunks,
        sum(stem_count)::float8 / nullif(sum(chunk_count), 0) as mean_length
    from knowledge_base_docs
    where status = 'ready'
      and (is_public or owner_id = any((select owners from reader)::uuid[]))
      and ($5::uuid[] is null or id = any($5))
), found as materialized (
    select
        doc_id, chunk_indexes, frequencies, lengths,
        sum(cardinality(chunk_indexes)) over (partition by stem)::float8 as holding
    from document_terms
    where stem = any(tsvector_to_array(to_tsvector('pg_catalog.english', $1)))
      and (is_public or owner_id = any((select owners from reader)::uuid[]))
      and ($5::uuid[] is null or doc_id = any($5))
), weighted as materialized (
    select
        doc_id, chunk_indexes, frequencies, lengths,
        2.2::float8 * ln(1 + (chunks - holding + 0.5) / (holding + 0.5)) as weight,
        0.9::float8 / mean_length as damping
    from found cross join corpus
), postings as (
    select
        doc_id, weight, damping,
        unnest(chunk_indexes) as chunk_index,
        unnest(frequencies) as frequency,
        unnest(lengths) as length
    from weighted
), best as (
    select
        doc_id, chunk_index,
        sum(weight * frequency / (0.3::float8 + damping * length + frequency)) as score
    from postings
    group by doc_id, chunk_index
    order by score desc, doc_id, chunk_index
    limit $4
)
select c.id, best.score
from best
join document_chunks c on c.doc_id = best.doc_id and c.chunk_index = best.chunk_index
order by best.score desc, best.doc_id, best.chunk_index
