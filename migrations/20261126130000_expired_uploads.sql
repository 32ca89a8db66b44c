-- An upload that nobody confirmed is forgotten in time.

-- A row a document, few as they are: nobody waits long.
-- squawk-ignore require-concurrent-index-creation
create index knowledge_base_docs_uploading on knowledge_base_docs (created_at)
    where status = 'uploading';

-- Forgets the documents that have waited for their confirmation for longer than this, and says how many
-- they were. Their files, if any came, are noted for removal as those of any deleted document.
create function expire_uploads(age interval) returns bigint
language sql
security definer
set search_path = ''
as $$
    with expired as (
        delete from public.knowledge_base_docs
        where status = 'uploading' and created_at < now() - age
        returning id
    )
    select count(*) from expired
$$;
revoke all on function expire_uploads(interval) from public, anon, authenticated;
grant execute on function expire_uploads(interval) to etude_ingest;
