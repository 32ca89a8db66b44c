-- $1 query, $2 owners
-- Two arms, so that each is one range of the primary key for every stem. One row a stem: rows are
-- what a driver spends its time on.
with question as materialized (
    select tsvector_to_array(passage_words($1)) as stems
)
select array_agg(doc_id) as documents, array_agg(block) as blocks, array_agg(postings) as postings
from (
    select stem, doc_id, block, postings
    from document_postings
    where stem = any((select stems from question)::text[]) and is_public
    union all
    select stem, doc_id, block, postings
    from document_postings
    where stem = any((select stems from question)::text[])
      and not is_public
      and owner_id = any($2)
) as readable
group by stem
order by stem
