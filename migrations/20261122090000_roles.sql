-- The two roles that serve, and where pgvector lives.

do $$
begin
    -- Every table forces row-level security on its owner, and functions of the owner keep the
    -- books behind it (`users`, `corpus_versions`, `ingest_jobs`).
    if not (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) then
        raise exception 'the role that migrates, %, must bypass row-level security', current_user
            using hint = 'On Supabase run the migrations as postgres.';
    end if;
end
$$;

-- Where Supabase keeps extensions. A project that has `vector` in `public` already keeps it there:
-- the roles below look in both, and no migration names the schema of a type.
create schema if not exists extensions;
create extension if not exists vector with schema extensions;

do $$
begin
    -- Roles belong to the cluster, and other databases of it may be migrated at this moment.
    -- Passwords are set by whoever deploys, never here.
    if not exists (select from pg_roles where rolname = 'etude_origin') then
        create role etude_origin login noinherit;
        alter role etude_origin set search_path = public, extensions;
        alter role etude_origin set statement_timeout = '10s';
        alter role etude_origin set idle_in_transaction_session_timeout = '30s';
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;

do $$
begin
    -- Without inheritance it can do nothing until it says `set local role authenticated`.
    if not pg_has_role('etude_origin', 'authenticated', 'member') then
        grant authenticated to etude_origin;
    end if;
exception
    when unique_violation then null;
end
$$;

do $$
begin
    if not exists (select from pg_roles where rolname = 'etude_ingest') then
        create role etude_ingest login noinherit;
        alter role etude_ingest set search_path = public, extensions;
        alter role etude_ingest set idle_in_transaction_session_timeout = '60s';
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['authenticated', 'etude_ingest'] loop
        if not has_schema_privilege(name, 'extensions', 'usage') then
            execute format('grant usage on schema extensions to %I', name);
        end if;
        if not has_schema_privilege(name, 'public', 'usage') then
            execute format('grant usage on schema public to %I', name);
        end if;
    end loop;
end
$$;

-- On Supabase every table in `public` is served over HTTP and granted to `anon` by default, the
-- list of migrations included.
do $$
begin
    if to_regclass('public._sqlx_migrations') is not null then
        revoke all on public._sqlx_migrations from anon, authenticated;
        alter table public._sqlx_migrations enable row level security;
    end if;
end
$$;

create function touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
revoke all on function touch_updated_at() from public, anon, authenticated;
