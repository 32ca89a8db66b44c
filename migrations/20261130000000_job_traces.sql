-- The trace of the request that queued a job, so that the worker goes on in it. Whoever queues one within a transaction that
-- has the setting leaves it there, whichever function inserts the row.
alter table ingest_jobs
    add column traceparent text
        constraint ingest_jobs_traceparent
        check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$');
alter table ingest_jobs
    alter column traceparent set default nullif(current_setting('etude.traceparent', true), '');
