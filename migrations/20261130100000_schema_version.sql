-- What the origin's role may know of the bookkeeping behind the library, though it reads none of it.

-- Whether the schema is the one that a process was built for.
create function schema_version() returns bigint
language sql stable security definer set search_path = ''
as $$
    select max(version) from public._sqlx_migrations where success
$$;

-- The ingestion queue in figures: whoever works it may not be running, and that is when somebody must know.
create function ingest_queue(out queued bigint, out running bigint, out dead bigint, out next_due_in_s float8)
language sql stable security definer set search_path = ''
as $$
    select
        count(*) filter (where state = 'queued'),
        count(*) filter (where state = 'running'),
        count(*) filter (where state = 'dead'),
        extract(epoch from min(case state
            when 'queued' then run_after
            when 'running' then lease_expires_at
        end) - now())::float8
    from public.ingest_jobs
$$;

revoke all on function schema_version() from public, anon, authenticated;
revoke all on function ingest_queue() from public, anon, authenticated;
grant execute on function schema_version() to etude_origin;
grant execute on function ingest_queue() to etude_origin;
