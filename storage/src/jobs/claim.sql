-- $1 attempts at most, $2 worker, $3 lease
with due as (
    select id from ingest_jobs
    where attempts - handed_back < $1
      and (
          (state = 'queued' and run_after <= now())
          or (state = 'running' and lease_expires_at <= now())
      )
    order by run_after, id
    limit 1
    for update skip locked
), job as (
    update ingest_jobs j
    set state = 'running', attempts = j.attempts + 1, worker = $2,
        heartbeat_at = now(), lease_expires_at = now() + $3
    from due where j.id = due.id
    returning j.id, j.attempts, j.handed_back, j.doc_id, j.traceparent
)
update knowledge_base_docs d
-- A document that is searchable stays so while it is read once more.
set status = case d.status when 'ready' then 'ready' else 'processing' end,
    stage = case d.status when 'ready' then 'extracting' end,
    progress_done = 0, progress_total = 0
from job where d.id = job.doc_id
returning job.id as job_id, job.attempts as number, job.attempts - job.handed_back as attempt,
    d.id as doc_id, d.owner_id, d.format, d.is_base, d.title, d.size_bytes, d.sha256, d.is_public,
    job.traceparent
