-- What becomes of a document after its upload: it is deleted, or read once more.

grant delete on knowledge_base_docs to authenticated;

create policy owners_and_admins_delete on knowledge_base_docs for delete to authenticated
    using (
        owner_id = (select auth.uid())
        or (select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin'
    );

-- Files in object storage whose documents are gone. No transaction reaches that store: what is to be
-- removed there is written down in the transaction that deletes the document, be it by its owner or
-- along with an account, and workers remove it until it is gone.
create table discarded_files (
    doc_id uuid primary key,
    -- In the file's key. The account may be gone, too.
    owner_id uuid not null,
    discarded_at timestamptz not null default now(),
    due_at timestamptz not null default now()
);
create index discarded_files_due on discarded_files (due_at);

alter table discarded_files enable row level security;
alter table discarded_files force row level security;
revoke all on discarded_files from public, anon, authenticated;
grant select, delete, update (due_at) on discarded_files to etude_ingest;

create policy ingest_removes_files on discarded_files for all to etude_ingest
    using (true) with check (true);

create function discard_file() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into public.discarded_files (doc_id, owner_id) values (old.id, old.owner_id)
    on conflict (doc_id) do nothing;
    return null;
end
$$;
revoke all on function discard_file() from public, anon, authenticated;

create trigger knowledge_base_docs_discard_file after delete on knowledge_base_docs
    for each row execute function discard_file();

-- The only way from `failed` back to `queued`. A job of its own, with all attempts before it: whoever
-- still holds a lease on the one that failed can change nothing.
create function retry_document(document uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    update public.knowledge_base_docs
    set status = 'queued', failure = null, progress_done = 0, progress_total = 0
    where id = document and owner_id = (select auth.uid()) and status = 'failed';
    if not found then
        return false;
    end if;
    delete from public.ingest_jobs where doc_id = document;
    insert into public.ingest_jobs (doc_id) values (document);
    return true;
end
$$;
revoke all on function retry_document(uuid) from public, anon, authenticated;
grant execute on function retry_document(uuid) to authenticated;
