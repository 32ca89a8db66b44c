-- $1 job, $2 document, $3 pages, $4 stems
with job as (
    update ingest_jobs
    set state = 'done', reason = null, lease_expires_at = null, finished_at = now()
    where id = $1
)
update knowledge_base_docs
set status = 'ready', stage = null, failure = null, page_count = $3, ready_at = clock_timestamp(),
    chunk_count = (select count(*) from document_chunks where doc_id = $2),
    stem_count = $4
where id = $2
