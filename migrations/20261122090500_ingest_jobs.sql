-- The ingestion queue.

create table ingest_jobs (
    id uuid primary key default gen_random_uuid(),
    doc_id uuid not null references knowledge_base_docs (id) on delete cascade
        constraint ingest_jobs_one_per_document unique,
    state text not null default 'queued'
        constraint ingest_jobs_state_is_known
        check (state in ('queued', 'running', 'done', 'dead')),
    attempts integer not null default 0
        constraint ingest_jobs_attempts check (attempts >= 0),
    run_after timestamptz not null default now(),
    worker text,
    heartbeat_at timestamptz,
    lease_expires_at timestamptz,
    reason text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint ingest_jobs_leased_while_running
        check ((lease_expires_at is not null) = (state = 'running')),
    constraint ingest_jobs_finished_at_the_end
        check ((finished_at is not null) = (state in ('done', 'dead'))),
    constraint ingest_jobs_dead_for_a_reason check (state <> 'dead' or reason is not null)
);
create index ingest_jobs_due on ingest_jobs (run_after, id) where state in ('queued', 'running');

-- Wakes workers up. The row is the truth: a lost notification delays a job, nothing more.
create function announce_ingest_job() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('ingest_jobs', '');
    return null;
end
$$;
revoke all on function announce_ingest_job() from public, anon, authenticated;

create trigger ingest_jobs_announce
    after insert or update of state on ingest_jobs
    for each row when (new.state = 'queued')
    execute function announce_ingest_job();

-- The only way from `uploading` to `queued`: people can't write `status` or the queue themselves.
create function confirm_upload(document uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    update public.knowledge_base_docs
    set status = 'queued'
    where id = document and owner_id = (select auth.uid()) and status = 'uploading';
    if not found then
        return false;
    end if;
    insert into public.ingest_jobs (doc_id) values (document);
    return true;
end
$$;
revoke all on function confirm_upload(uuid) from public, anon, authenticated;
grant execute on function confirm_upload(uuid) to authenticated;

alter table ingest_jobs enable row level security;
alter table ingest_jobs force row level security;
revoke all on ingest_jobs from public, anon, authenticated;
grant
    select,
    update (
        state, attempts, run_after, worker, heartbeat_at, lease_expires_at, reason, finished_at
    )
    on ingest_jobs to etude_ingest;

create policy ingest_works_the_queue on ingest_jobs for all to etude_ingest
    using (true) with check (true);
