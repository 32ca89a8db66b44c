-- Which model made which vectors, and how another takes its place.
--
-- The vectors of one model lie in one table, and every table takes those of one model alone: a search can't
-- compare vectors of two. `document_chunks` is what is searched. `standby_document_chunks` holds the same passages
-- with the vectors of the model that is being built, or of the one that was searched before. A switch gives each
-- table the other's name: no row is moved.

-- The types of pgvector may live in either schema.
set local search_path = public, extensions;

create table embedding_models (
    -- As it stands beside every vector: `@cf/baai/bge-base-en-v1.5#cls`.
    name text generated always as (model || '#' || pooling) stored
        constraint embedding_models_pkey primary key,
    model text not null
        constraint embedding_models_model check (model <> ''),
    pooling text not null
        constraint embedding_models_pooling check (pooling <> '' and pooling !~ '#'),
    -- What the columns of the vectors hold: a model of another width takes a migration first.
    dimensions integer not null default 768
        constraint embedding_models_dimensions check (dimensions = 768),
    status text not null
        constraint embedding_models_status_is_known
        check (status in ('building', 'live', 'former')),
    -- The table that holds its vectors, whatever that is called at the moment.
    shelf text not null
        constraint embedding_models_shelf_is_known check (shelf in ('a', 'b')),
    created_at timestamptz not null default now(),
    live_since timestamptz,
    constraint embedding_models_one_of_each_status unique (status),
    constraint embedding_models_one_per_shelf unique (shelf),
    -- What passages point at.
    constraint embedding_models_place unique (name, shelf)
);

do $$
begin
    if (select count(distinct embedding_model) from document_chunks) > 1 then
        raise exception 'the vectors of document_chunks come from several models'
            using hint = 'Remove the documents of all but one of them, migrate, and upload them again.';
    end if;
end
$$;

insert into embedding_models (model, pooling, status, shelf, live_since)
select
    left(embedding_model, - strpos(reverse(embedding_model), '#')),
    split_part(embedding_model, '#', -1),
    'live', 'a', now()
from document_chunks
limit 1;

-- A constant default is kept beside the table: no row is written.
-- squawk-ignore adding-field-with-default
alter table document_chunks add column shelf text not null default 'a';

-- As the one above: columns with all that is said of them, then keys, indexes and rights.
create table standby_document_chunks (like document_chunks including all excluding indexes);
alter table standby_document_chunks alter column shelf set default 'b';

-- The table is read once, under the lock that this migration holds anyway.
alter table document_chunks
    -- squawk-ignore constraint-missing-not-valid
    add constraint document_chunks_shelf check (shelf = 'a'),
    -- squawk-ignore constraint-missing-not-valid, adding-foreign-key-constraint
    add constraint document_chunks_embedding_model
        foreign key (embedding_model, shelf) references embedding_models (name, shelf);
alter table standby_document_chunks
    add constraint document_chunks_shelf check (shelf = 'b'),
    add constraint document_chunks_embedding_model
        foreign key (embedding_model, shelf) references embedding_models (name, shelf),
    add constraint document_chunks_access foreign key (doc_id, owner_id, is_public)
        references knowledge_base_docs (id, owner_id, is_public)
        on update cascade on delete cascade,
    add constraint standby_document_chunks_pkey primary key (id),
    add constraint standby_document_chunks_place unique (doc_id, chunk_index)
        include (id, is_public, owner_id, embedding_model, page_start, page_end, signs);

do $$
declare
    definition text;
begin
    -- Every index of the one, under the same name with a prefix, for the other: a switch renames them.
    for definition in
        select pg_get_indexdef(i.indexrelid)
        from pg_index i
        where i.indrelid = 'document_chunks'::regclass
          and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
    loop
        execute regexp_replace(
            definition, '^(CREATE INDEX )(\w+)( ON )(\w+\.)?(\w+)', '\1standby_\2\3\4standby_\5'
        );
    end loop;
end
$$;
alter table standby_document_chunks set (autovacuum_vacuum_insert_scale_factor = 0.02);

alter table embedding_models enable row level security;
alter table embedding_models force row level security;
revoke all on embedding_models from public, anon, authenticated;
grant select on embedding_models to authenticated;
grant select, insert (model, pooling, status, shelf, live_since) on embedding_models to etude_ingest;

create policy everybody_signed_in_reads on embedding_models for select to authenticated
    using ((select auth.uid()) is not null);
create policy ingest_reads on embedding_models for select to etude_ingest using (true);
create policy ingest_begins on embedding_models for insert to etude_ingest
    with check (status in ('building', 'live'));

alter table standby_document_chunks enable row level security;
alter table standby_document_chunks force row level security;
revoke all on standby_document_chunks from public, anon, authenticated;
grant select on standby_document_chunks to authenticated;
grant select, insert, delete on standby_document_chunks to etude_ingest;

create policy readers_read on standby_document_chunks for select to authenticated
    using (
        (is_public and (select auth.uid()) is not null)
        or owner_id = (select auth.uid())
        or (
            (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
            and owner_id = any(array(
                select r.teacher_id from teacher_student_relationships r
                where r.student_id = (select auth.uid())
            ))
        )
        or (select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin'
    );
create policy ingest_replaces on standby_document_chunks for all to etude_ingest
    using (true) with check (true);

-- Makes the model whose vectors lie beside the live ones the one that is searched, in this transaction. Returns how
-- many passages lack its vector: unless that is zero, nothing was switched.
create function switch_embedding_model(model_and_pooling text) returns bigint
language plpgsql
security definer
set search_path = ''
-- A queue behind this lock would be everybody's: it is given up, and tried again by the caller.
set lock_timeout = '2s'
as $$
declare
    missing bigint;
    renamed record;
begin
    if not exists (
        select from public.embedding_models m
        where m.name = model_and_pooling and m.status <> 'live'
    ) then
        raise exception 'no vectors of % lie beside the live ones', model_and_pooling using errcode = '55000';
    end if;
    -- Readers go on while it is counted; nothing changes any more.
    lock table public.document_chunks, public.standby_document_chunks in share row exclusive mode;
    delete from public.standby_document_chunks s
    where not exists (
        select from public.document_chunks c where c.id = s.id and c.created_at = s.created_at
    );
    select count(*) into missing
    from public.document_chunks c
    where not exists (select from public.standby_document_chunks s where s.id = c.id);
    if missing > 0 then
        return missing;
    end if;

    lock table public.document_chunks, public.standby_document_chunks in access exclusive mode;
    alter table public.document_chunks rename to switching_document_chunks;
    alter table public.standby_document_chunks rename to document_chunks;
    alter table public.switching_document_chunks rename to standby_document_chunks;
    for renamed in
        select i.indexrelid::regclass::text as index, c.relname as name, c.relname like 'standby\_%' as comes
        from pg_catalog.pg_index i
        join pg_catalog.pg_class c on c.oid = i.indexrelid
        where i.indrelid in (
            'public.document_chunks'::regclass, 'public.standby_document_chunks'::regclass
        )
        -- Those that go make room first.
        order by comes
    loop
        execute format(
            'alter index %s rename to %I', renamed.index,
            case when renamed.comes then substr(renamed.name, length('standby_') + 1)
            else 'going_' || renamed.name end
        );
    end loop;
    for renamed in
        select c.oid::regclass::text as index, c.relname as name
        from pg_catalog.pg_index i
        join pg_catalog.pg_class c on c.oid = i.indexrelid
        where i.indrelid = 'public.standby_document_chunks'::regclass
    loop
        execute format(
            'alter index %s rename to %I', renamed.index,
            'standby_' || substr(renamed.name, length('going_') + 1)
        );
    end loop;
    -- One after the other: no two may ever have the same.
    update public.embedding_models set status = 'building' where status = 'former';
    update public.embedding_models set status = 'former' where status = 'live';
    update public.embedding_models set status = 'live', live_since = now() where status = 'building';
    -- What was found by the former vectors is found in no cache any more.
    update public.corpus_versions set version = version + 1;
    return 0;
end
$$;
revoke all on function switch_embedding_model(text) from public, anon, authenticated;
grant execute on function switch_embedding_model(text) to etude_ingest;

-- Drops the vectors that are not searched: those of the former model, or of a building that was given up.
create function clear_standby_embeddings() returns void
language plpgsql
security definer
set search_path = ''
set lock_timeout = '2s'
as $$
begin
    truncate public.standby_document_chunks;
    delete from public.embedding_models where status <> 'live';
end
$$;
revoke all on function clear_standby_embeddings() from public, anon, authenticated;
grant execute on function clear_standby_embeddings() to etude_ingest;
