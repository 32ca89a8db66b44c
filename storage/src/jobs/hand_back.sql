-- $1 job, $2 the attempt's number. It keeps its place in the queue.
with job as (
    update ingest_jobs
    set state = 'queued', handed_back = handed_back + 1, lease_expires_at = null
    where id = $1 and attempts = $2 and state = 'running'
    returning doc_id
)
update knowledge_base_docs d
set status = case d.status when 'ready' then 'ready' else 'queued' end,
    stage = case d.status when 'ready' then 'extracting' end,
    progress_done = 0, progress_total = 0
from job where d.id = job.doc_id
