-- $1 document, $2 owner, $3 public. A passage's length is the number of its stems, stop words apart.
-- PostgreSQL keeps 256 occurrences of a stem at most, and a passage has at most 65,536 bytes: each
-- number fits into its place.
with words as materialized (
    select
        c.chunk_index, w.lexeme as stem, cardinality(w.positions) as frequency,
        sum(cardinality(w.positions)) over (partition by c.chunk_index) as length
    from document_chunks c
    cross join lateral unnest(passage_words(c.content)) as w
    where c.doc_id = $1
), stored as (
    insert into document_postings (doc_id, owner_id, is_public, stem, block, postings)
    select
        $1, $2, $3, stem, chunk_index / 256,
        string_agg(
            substr(
                int8send(
                    ((chunk_index % 256)::int8 << 24) | ((frequency - 1)::int8 << 16) | length
                ),
                5
            ),
            '' order by chunk_index
        )
    from words
    where octet_length(stem) <= 255
    group by stem, chunk_index / 256
)
select coalesce(sum(frequency), 0)::int8 from words
