-- Documents that no job will end: none should exist, and whoever mended something by hand may have left some.

-- Queues a reading of every document that is on its way without a job, and of every searchable one that lacks passages
-- which it should have. Says how many there were. A document whose job waits or runs is not touched, so two calls at a
-- time do no more than one.
create function requeue_stuck_documents() returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    stuck uuid[];
begin
    select array_agg(d.id) into stuck
    from public.knowledge_base_docs d
    where (
        d.status in ('queued', 'processing')
        or (d.status = 'ready' and d.stage is not null)
        or (
            d.status = 'ready'
            and d.chunk_count <> (select count(*) from public.document_chunks c where c.doc_id = d.id)
        )
    )
    and not exists (
        select from public.ingest_jobs j where j.doc_id = d.id and j.state in ('queued', 'running')
    );
    -- Against another call, and against an owner who asks for the same at this moment.
    perform from public.knowledge_base_docs d where d.id = any(stuck) order by d.id for update;
    delete from public.ingest_jobs j where j.doc_id = any(stuck) and j.state in ('done', 'dead');
    with jobs as (
        insert into public.ingest_jobs (doc_id)
        select d.id from public.knowledge_base_docs d where d.id = any(stuck)
        on conflict (doc_id) do nothing
        returning doc_id
    )
    select array_agg(doc_id) into stuck from jobs;
    update public.knowledge_base_docs
    set status = case status when 'ready' then 'ready' else 'queued' end,
        stage = case status when 'ready' then 'extracting' end,
        progress_done = 0, progress_total = 0,
        failure = null
    where id = any(stuck);
    return coalesce(cardinality(stuck), 0);
end
$$;
revoke all on function requeue_stuck_documents() from public, anon, authenticated;
grant execute on function requeue_stuck_documents() to etude_ingest;
