select
    count(*) filter (where state = 'queued'),
    count(*) filter (where state = 'running'),
    extract(epoch from min(
        case state when 'queued' then run_after else lease_expires_at end
    ) - now())::float8
from ingest_jobs
where state in ('queued', 'running')
