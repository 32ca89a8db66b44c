-- $1 job, $2 document, $3 pages, $4 stems, $5 scanned pages, $6 how surely they were recognised, $7 unreadable pages,
-- $8 encoding
with job as (
    update ingest_jobs
    set state = 'done', reason = null, lease_expires_at = null, finished_at = now()
    where id = $1
)
update knowledge_base_docs
set status = 'ready', stage = null, failure = null, page_count = $3, ready_at = clock_timestamp(),
    chunk_count = (select count(*) from document_chunks where doc_id = $2),
    stem_count = $4, scanned_pages = nullif($5, 0), scan_confidence = $6,
    unreadable_pages = nullif($7, 0), charset = $8
where id = $2
