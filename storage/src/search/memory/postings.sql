-- $1 documents
-- One row a document: rows are what a driver spends its time on.
select
    doc_id, array_agg(stem) as stems, array_agg(block) as blocks, array_agg(postings) as postings
from document_postings
where doc_id = any($1)
group by doc_id
