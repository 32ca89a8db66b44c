-- Passages of ready documents, and the inverted index over their words.

-- The types of pgvector may live in either schema.
set local search_path = public, extensions;

create table document_chunks (
    id uuid primary key,
    doc_id uuid not null,
    owner_id uuid not null,
    is_public boolean not null,
    chunk_index integer not null
        constraint document_chunks_chunk_index check (chunk_index >= 0),
    content text not null
        constraint document_chunks_content check (octet_length(content) between 1 and 65536),
    content_sha256 text not null
        constraint document_chunks_content_sha256 check (content_sha256 ~ '^[0-9a-f]{64}$'),
    -- Half precision: the same recall in half the space, and small enough not to be moved out of
    -- the row.
    embedding halfvec(768) not null,
    -- Model and pooling: vectors of different ones can't be compared.
    embedding_model text not null,
    page_start integer not null,
    page_end integer not null,
    section text,
    -- {"units": [[page, from, to in the page, from, to in the passage], …]}, in characters
    metadata jsonb not null,
    created_at timestamptz not null default now(),
    constraint document_chunks_pages check (page_start between 1 and page_end),
    constraint document_chunks_place unique (doc_id, chunk_index),
    constraint document_chunks_access foreign key (doc_id, owner_id, is_public)
        references knowledge_base_docs (id, owner_id, is_public)
        on update cascade on delete cascade
);
-- TOAST would compress the vector in vain and pay for it at every distance.
alter table document_chunks alter column embedding set storage plain;

create index document_chunks_public_embedding on document_chunks
    using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 64)
    where is_public;
create index document_chunks_private_owner on document_chunks (owner_id) where not is_public;
create index document_chunks_owner on document_chunks (owner_id);

-- One row per document and stem. Not a tsvector with a GIN index, for two reasons: `@@` is not
-- leakproof, so under row-level security the planner may not use such an index; and BM25 needs
-- each passage's term frequency and length, which this holds side by side.
create table document_terms (
    stem text not null,
    doc_id uuid not null,
    owner_id uuid not null,
    is_public boolean not null,
    -- Parallel: the passages that hold the stem, how often, and their lengths in stems.
    chunk_indexes integer[] not null,
    frequencies smallint[] not null,
    lengths smallint[] not null,
    constraint document_terms_pkey primary key (stem, doc_id),
    constraint document_terms_parallel check (
        cardinality(chunk_indexes) > 0
        and cardinality(frequencies) = cardinality(chunk_indexes)
        and cardinality(lengths) = cardinality(chunk_indexes)
    ),
    constraint document_terms_access foreign key (doc_id, owner_id, is_public)
        references knowledge_base_docs (id, owner_id, is_public)
        on update cascade on delete cascade
);
create index document_terms_doc on document_terms (doc_id);
create index document_terms_owner on document_terms (owner_id);

alter table document_chunks enable row level security;
alter table document_chunks force row level security;
revoke all on document_chunks from public, anon, authenticated;
grant select on document_chunks to authenticated;
grant select, insert, delete on document_chunks to etude_ingest;

create policy people_read_their_own on document_chunks for select to authenticated
    using (owner_id = (select auth.uid()));
create policy everybody_signed_in_reads_public on document_chunks for select to authenticated
    using (is_public and (select auth.uid()) is not null);
create policy students_read_their_teachers on document_chunks for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and owner_id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy admins_read_all on document_chunks for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy ingest_replaces on document_chunks for all to etude_ingest
    using (true) with check (true);

-- The words of a private document are as private as its text.
alter table document_terms enable row level security;
alter table document_terms force row level security;
revoke all on document_terms from public, anon, authenticated;
grant select on document_terms to authenticated;
grant select, insert, delete on document_terms to etude_ingest;

create policy people_read_their_own on document_terms for select to authenticated
    using (owner_id = (select auth.uid()));
create policy everybody_signed_in_reads_public on document_terms for select to authenticated
    using (is_public and (select auth.uid()) is not null);
create policy students_read_their_teachers on document_terms for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and owner_id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy admins_read_all on document_terms for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy ingest_replaces on document_terms for all to etude_ingest
    using (true) with check (true);
