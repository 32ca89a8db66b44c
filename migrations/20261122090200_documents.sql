-- Uploaded documents.

create table knowledge_base_docs (
    id uuid primary key,
    owner_id uuid not null references users (id) on delete cascade,
    title text not null
        constraint knowledge_base_docs_title_length check (char_length(title) between 1 and 300),
    file_name text not null
        constraint knowledge_base_docs_file_name_length
        check (char_length(file_name) between 1 and 255),
    size_bytes bigint not null
        constraint knowledge_base_docs_size check (size_bytes > 0),
    sha256 text not null
        constraint knowledge_base_docs_sha256 check (sha256 ~ '^[0-9a-f]{64}$'),
    is_public boolean not null default false,
    status text not null default 'uploading'
        constraint knowledge_base_docs_status_is_known
        check (status in ('uploading', 'queued', 'processing', 'ready', 'failed')),
    stage text
        constraint knowledge_base_docs_stage_is_known
        check (stage in ('extracting', 'chunking', 'embedding', 'storing')),
    progress_done integer not null default 0
        constraint knowledge_base_docs_progress_done check (progress_done >= 0),
    progress_total integer not null default 0
        constraint knowledge_base_docs_progress_total check (progress_total >= 0),
    page_count integer
        constraint knowledge_base_docs_page_count check (page_count >= 0),
    -- What BM25 needs to know of a corpus without counting it.
    chunk_count integer not null default 0
        constraint knowledge_base_docs_chunk_count check (chunk_count >= 0),
    stem_count bigint not null default 0
        constraint knowledge_base_docs_stem_count check (stem_count >= 0),
    failure text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    ready_at timestamptz,
    constraint knowledge_base_docs_stage_while_processing
        check (stage is null or status = 'processing'),
    constraint knowledge_base_docs_failure_when_failed
        check ((failure is not null) = (status = 'failed')),
    -- What passages point at, so that theirs can never differ from their document's.
    constraint knowledge_base_docs_access unique (id, owner_id, is_public)
);
create index knowledge_base_docs_owner on knowledge_base_docs (owner_id, created_at desc, id desc);
create index knowledge_base_docs_public on knowledge_base_docs (id)
    where is_public and status = 'ready';
create trigger knowledge_base_docs_touch before update on knowledge_base_docs
    for each row execute function touch_updated_at();

alter table knowledge_base_docs enable row level security;
alter table knowledge_base_docs force row level security;
revoke all on knowledge_base_docs from public, anon, authenticated;
grant
    select,
    insert (id, owner_id, title, file_name, size_bytes, sha256, is_public),
    update (title, is_public)
    on knowledge_base_docs to authenticated;
grant
    select,
    update (
        status, stage, progress_done, progress_total, page_count, chunk_count, stem_count,
        failure, ready_at
    )
    on knowledge_base_docs to etude_ingest;

create policy people_see_their_own on knowledge_base_docs for select to authenticated
    using (owner_id = (select auth.uid()));
create policy everybody_signed_in_sees_public on knowledge_base_docs for select to authenticated
    using (is_public and status = 'ready' and (select auth.uid()) is not null);
create policy students_see_their_teachers on knowledge_base_docs for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and status = 'ready'
        and owner_id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy admins_see_all on knowledge_base_docs for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy teachers_add_their_own on knowledge_base_docs for insert to authenticated
    with check (
        (select auth.jwt() -> 'app_metadata' ->> 'role') in ('teacher', 'admin')
        and owner_id = (select auth.uid())
    );
create policy teachers_change_their_own on knowledge_base_docs for update to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') in ('teacher', 'admin')
        and owner_id = (select auth.uid())
    );
create policy ingest_sees_all on knowledge_base_docs for select to etude_ingest using (true);
create policy ingest_reports on knowledge_base_docs for update to etude_ingest using (true);
