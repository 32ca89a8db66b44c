-- What a document's file is, where it lies, and how well it could be read.

alter table knowledge_base_docs
    -- squawk-ignore adding-field-with-default
    add column format text not null default 'pdf'
        -- squawk-ignore constraint-missing-not-valid
        constraint knowledge_base_docs_format_is_known
        check (format in ('pdf', 'text', 'markdown', 'html', 'docx')),
    -- squawk-ignore adding-field-with-default
    add column is_base boolean not null default false,
    add column scanned_pages integer
        -- squawk-ignore constraint-missing-not-valid
        constraint knowledge_base_docs_scanned_pages check (scanned_pages > 0),
    add column scan_confidence integer
        -- squawk-ignore constraint-missing-not-valid
        constraint knowledge_base_docs_scan_confidence check (scan_confidence between 0 and 100),
    add column unreadable_pages integer
        -- squawk-ignore constraint-missing-not-valid
        constraint knowledge_base_docs_unreadable_pages check (unreadable_pages > 0);
grant insert (format) on knowledge_base_docs to authenticated;
grant update (scanned_pages, scan_confidence, unreadable_pages) on knowledge_base_docs to etude_ingest;

-- An origin from before says no format, and puts every file where teachers' lie: the trigger below tells it by that, and
-- puts what the default was.
-- squawk-ignore ban-drop-default
alter table knowledge_base_docs alter column format drop default;

-- Where a file lies follows from who uploaded it, and stays when that person's role changes. Nobody can say it: whoever
-- could would be shown other people's files.
create function shelve_document() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    new.is_base := new.format is not null
        and exists (select from public.users where id = new.owner_id and role = 'admin');
    new.format := coalesce(new.format, 'pdf');
    return new;
end
$$;
revoke all on function shelve_document() from public, anon, authenticated;
create trigger knowledge_base_docs_shelve before insert on knowledge_base_docs
    for each row execute function shelve_document();

alter table discarded_files
    -- squawk-ignore adding-field-with-default
    add column format text not null default 'pdf',
    -- squawk-ignore adding-field-with-default
    add column is_base boolean not null default false;

create or replace function discard_file() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into public.discarded_files (doc_id, owner_id, format, is_base)
    values (old.id, old.owner_id, old.format, old.is_base)
    on conflict (doc_id) do nothing;
    return null;
end
$$;

-- Workers look for the ended ones at every sweep. Few rows: nobody waits long.
-- squawk-ignore require-concurrent-index-creation
create index invitations_expiry on invitations (expires_at);
