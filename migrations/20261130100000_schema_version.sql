-- Whether the schema is the one that a process was built for: its role reads no bookkeeping of migrations by itself.
create function schema_version() returns bigint
language sql stable security definer set search_path = ''
as $$
    select max(version) from public._sqlx_migrations where success
$$;
revoke all on function schema_version() from public;
grant execute on function schema_version() to etude_origin;
