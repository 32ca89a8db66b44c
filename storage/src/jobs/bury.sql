-- $1 attempts at most, $2 the reason for the owner
with lost as (
    select id from ingest_jobs
    where state = 'running' and lease_expires_at <= now() and attempts - handed_back >= $1
    for update skip locked
), dead as (
    update ingest_jobs j
    set state = 'dead', reason = $2, lease_expires_at = null, finished_at = now()
    from lost where j.id = lost.id
    returning j.doc_id
)
update knowledge_base_docs d
set status = case d.status when 'ready' then 'ready' else 'failed' end,
    stage = null, failure = $2
from dead where d.id = dead.doc_id
