-- What a search reads: how much is in each corpus, the signs of each vector, and postings that are
-- fetched as they lie.

-- The types and functions of pgvector may live in either schema.
set local search_path = public, extensions;

-- How much is in each corpus, kept up by the transaction that changes it: a reader's own statistics
-- are the sum over the corpora that the reader may read.
alter table corpus_versions
    add column chunk_count bigint not null default 0
        constraint corpus_versions_chunk_count check (chunk_count >= 0),
    add column stem_count bigint not null default 0
        constraint corpus_versions_stem_count check (stem_count >= 0);

create or replace function bump_corpus_versions() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    was_ready boolean := tg_op <> 'INSERT' and old.status = 'ready';
    is_ready boolean := tg_op <> 'DELETE' and new.status = 'ready';
    left_public boolean := was_ready and old.is_public;
    left_private boolean := was_ready and not old.is_public;
    joins_public boolean := is_ready and new.is_public;
    joins_private boolean := is_ready and not new.is_public;
    owner uuid := case when tg_op = 'DELETE' then old.owner_id else new.owner_id end;
    chunks_before bigint := case when was_ready then old.chunk_count else 0 end;
    stems_before bigint := case when was_ready then old.stem_count else 0 end;
    chunks_after bigint := case when is_ready then new.chunk_count else 0 end;
    stems_after bigint := case when is_ready then new.stem_count else 0 end;
begin
    if left_public or joins_public then
        insert into public.corpus_versions as v (owner_id, chunk_count, stem_count)
        values (null, chunks_after, stems_after)
        on conflict (owner_id) do update
        set version = v.version + 1,
            chunk_count = v.chunk_count
                + case when joins_public then chunks_after else 0 end
                - case when left_public then chunks_before else 0 end,
            stem_count = v.stem_count
                + case when joins_public then stems_after else 0 end
                - case when left_public then stems_before else 0 end;
    end if;
    if left_private or joins_private then
        -- An owner who is being deleted takes the corpus along.
        insert into public.corpus_versions as v (owner_id, chunk_count, stem_count)
        select u.id, chunks_after, stems_after from public.users u where u.id = owner
        on conflict (owner_id) do update
        set version = v.version + 1,
            chunk_count = v.chunk_count
                + case when joins_private then chunks_after else 0 end
                - case when left_private then chunks_before else 0 end,
            stem_count = v.stem_count
                + case when joins_private then stems_after else 0 end
                - case when left_private then stems_before else 0 end;
    end if;
    return null;
end
$$;

create or replace trigger knowledge_base_docs_corpus
    after insert or delete
        or update of status, ready_at, is_public, title, chunk_count, stem_count
    on knowledge_base_docs
    for each row execute function bump_corpus_versions();

update corpus_versions v
set chunk_count = s.chunks, stem_count = s.stems
from (
    select case when is_public then null else owner_id end as owner_id,
        sum(chunk_count) as chunks, sum(stem_count) as stems
    from knowledge_base_docs
    where status = 'ready'
    group by 1
) s
where s.owner_id is not distinct from v.owner_id;

-- One bit per component: the number of bits in which two vectors differ follows their angle
-- closely enough to find candidates by, at a sixteenth of the size.
-- Rewrites the table, once.
alter table document_chunks
    -- squawk-ignore adding-field-with-default
    add column signs bit(768) generated always as (binary_quantize(embedding)::bit(768)) stored;

-- Holds everything that the scan over signs needs, so that it never reads the wide rows. The
-- readable ones lie side by side, whoever the reader is. The table is locked by now anyway.
-- squawk-ignore require-concurrent-index-creation
create index document_chunks_signs on document_chunks (is_public, owner_id)
    include (id, embedding_model, signs);
-- The new one serves whatever this one did.
-- squawk-ignore require-concurrent-index-deletion
drop index document_chunks_private_owner;

-- An index-only scan is one only where vacuum has been: do not wait for a fifth of the table.
alter table document_chunks set (autovacuum_vacuum_insert_scale_factor = 0.02);

-- One policy for all readers, what holds most often first: it is asked for every row of a search, and
-- PostgreSQL goes through several policies in an order of its own.
create policy readers_read on document_chunks for select to authenticated
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
drop policy people_read_their_own on document_chunks;
drop policy everybody_signed_in_reads_public on document_chunks;
drop policy students_read_their_teachers on document_chunks;
drop policy admins_read_all on document_chunks;

-- The inverted index over words: one row per stem and 256 passages of a document. All of it is in
-- the primary key, in which the readable postings of a stem lie side by side.
create table document_postings (
    -- In PostgreSQL's text search, a word of more than 255 bytes is one, too; nobody asks for it.
    stem text not null
        constraint document_postings_stem check (octet_length(stem) <= 255),
    is_public boolean not null,
    owner_id uuid not null,
    doc_id uuid not null,
    -- The passages from 256 * block.
    block smallint not null
        constraint document_postings_block check (block >= 0),
    -- Four bytes for each passage that holds the stem, in their order: its place in the block, how
    -- often it holds it less one, and its length in stems, in two bytes, the high one first.
    postings bytea not null
        constraint document_postings_postings check (
            octet_length(postings) between 4 and 1024 and octet_length(postings) % 4 = 0
        ),
    constraint document_postings_pkey
        primary key (stem, is_public, owner_id, doc_id, block) include (postings),
    constraint document_postings_access foreign key (doc_id, owner_id, is_public)
        references knowledge_base_docs (id, owner_id, is_public)
        on update cascade on delete cascade
);
-- Neither table nor index is to spend time on compressing and unpacking a few bytes.
alter table document_postings alter column postings set storage plain;
alter table document_postings set (autovacuum_vacuum_insert_scale_factor = 0.02);

insert into document_postings (stem, is_public, owner_id, doc_id, block, postings)
select
    t.stem, t.is_public, t.owner_id, t.doc_id, p.chunk_index / 256,
    string_agg(
        substr(
            int8send(
                ((p.chunk_index % 256)::int8 << 24) | ((p.frequency - 1)::int8 << 16) | p.length
            ),
            5
        ),
        '' order by p.chunk_index
    )
from document_terms t
cross join lateral unnest(t.chunk_indexes, t.frequencies, t.lengths)
    as p (chunk_index, frequency, length)
where octet_length(t.stem) <= 255
group by t.stem, t.is_public, t.owner_id, t.doc_id, p.chunk_index / 256;

create index document_postings_doc on document_postings (doc_id);

-- The words of a private document are as private as its text.
alter table document_postings enable row level security;
alter table document_postings force row level security;
revoke all on document_postings from public, anon, authenticated;
grant select on document_postings to authenticated;
grant select, insert, delete on document_postings to etude_ingest;

create policy readers_read on document_postings for select to authenticated
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
create policy ingest_replaces on document_postings for all to etude_ingest
    using (true) with check (true);

-- Nothing that was ever deployed reads it.
-- squawk-ignore ban-drop-table
drop table document_terms;
