-- A searchable document is read once more and stays as it is until the new passages take the place of the old ones. A
-- worker that is told to stop hands its jobs back.

-- Both are wider than before: every row satisfies them. `ready` with a stage: it is being read once more, or waits
-- for that. `ready` with a failure: the last such reading failed, and what was read before is still searched.
alter table knowledge_base_docs
    -- squawk-ignore ban-drop-constraint
    drop constraint knowledge_base_docs_stage_while_processing,
    -- squawk-ignore ban-drop-constraint
    drop constraint knowledge_base_docs_failure_when_failed,
    -- squawk-ignore constraint-missing-not-valid
    add constraint knowledge_base_docs_stage_while_read
        check (stage is null or status in ('processing', 'ready')),
    -- squawk-ignore constraint-missing-not-valid
    add constraint knowledge_base_docs_failure_after_reading
        check (
            case status when 'failed' then failure is not null when 'ready' then true else failure is null end
        );

-- Corpora change with what their readers find, and not when a statement sets what was there before.
create or replace trigger knowledge_base_docs_corpus
    after insert or delete on knowledge_base_docs
    for each row execute function bump_corpus_versions();
create trigger knowledge_base_docs_corpus_changes
    after update of status, ready_at, is_public, title, chunk_count, stem_count on knowledge_base_docs
    for each row
    when (
        (old.status, old.ready_at, old.is_public, old.title, old.chunk_count, old.stem_count)
        is distinct from
        (new.status, new.ready_at, new.is_public, new.title, new.chunk_count, new.stem_count)
    )
    execute function bump_corpus_versions();

-- Attempts that a worker gave up because it was told to stop: they are numbered, since the number fences a lease, and
-- not counted.
alter table ingest_jobs
    -- squawk-ignore adding-field-with-default
    add column handed_back integer not null default 0
        -- squawk-ignore constraint-missing-not-valid
        constraint ingest_jobs_handed_back check (handed_back between 0 and attempts);
grant update (handed_back) on ingest_jobs to etude_ingest;

-- The only way back into the queue, with all attempts before it. `retry_document` stays for origins from before.
create function read_document_again(document uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    update public.knowledge_base_docs
    set status = case status when 'ready' then 'ready' else 'queued' end,
        stage = case status when 'ready' then 'extracting' end,
        failure = null, progress_done = 0, progress_total = 0
    where id = document and owner_id = (select auth.uid())
      and (status = 'failed' or (status = 'ready' and stage is null));
    if not found then
        return false;
    end if;
    -- A job of its own: whoever still holds a lease on the last one can change nothing.
    delete from public.ingest_jobs where doc_id = document;
    insert into public.ingest_jobs (doc_id) values (document);
    return true;
end
$$;
revoke all on function read_document_again(uuid) from public, anon, authenticated;
grant execute on function read_document_again(uuid) to authenticated;
