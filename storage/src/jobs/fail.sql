-- $1 job, $2 the attempt's number, $3 reason, $4 wait before the next attempt or null, $5 attempts at most
with job as (
    update ingest_jobs
    set state = case when $4::interval is null or attempts - handed_back >= $5 then 'dead' else 'queued' end,
        run_after = now() + coalesce($4, interval '0'),
        finished_at = case when $4 is null or attempts - handed_back >= $5 then now() end,
        reason = $3,
        lease_expires_at = null
    where id = $1 and attempts = $2 and state = 'running'
    returning doc_id, state
)
update knowledge_base_docs d
set status = case
        when d.status = 'ready' then 'ready'
        when job.state = 'dead' then 'failed'
        else 'queued'
    end,
    failure = case job.state when 'dead' then $3 end,
    stage = case when d.status = 'ready' and job.state = 'queued' then 'extracting' end,
    progress_done = 0,
    progress_total = 0
from job where d.id = job.doc_id
returning job.state
