-- $1 job, $2 document, $3 pages
with job as (
    update ingest_jobs
    set state = 'done', reason = null, lease_expires_at = null, finished_at = now()
    where id = $1
)
update knowledge_base_docs
set status = 'ready', stage = null, failure = null, page_count = $3, ready_at = clock_timestamp(),
    chunk_count = (select count(*) from document_chunks where doc_id = $2),
    stem_count = (
        select coalesce(sum(t.frequency), 0)
        from document_terms d, unnest(d.frequencies) as t(frequency)
        where d.doc_id = $2
    )
where id = $2
