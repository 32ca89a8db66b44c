-- How long the walk through the graph goes on in vain: longer in a larger library.
--
-- Where a question lies far from all that is public, as large a share of any library lies about as far, so a walk has to
-- see more of a larger one. Of the nearest 20 to 60 such questions, 78 % are found after 100 passages in vain and 95 % after
-- 400 where 416,000 are public, 99 % after 800 where 440,000 are.

-- The types of pgvector may live in either schema.
set local search_path = public, extensions;

-- Whoever is no superuser may set what an extension defines only once its library is loaded, as it is by using it.
do $$ begin perform '[1]'::halfvec; end $$;

-- The public passages of a model that are nearest to a question, each with its cosine distance, 0 to 2, in no order:
-- at least `patience` where there are as many, at most 30,000. Patience is 100 to 2,000, whatever is asked for. Access
-- rules apply: its caller's.
--
-- The function without patience is what origins from before ask.
create function nearest_public(question halfvec, model text, patience int)
returns table (id uuid, distance float8)
language plpgsql stable
-- Each batch of 100 goes on from where the one before has ended. A batch comes in order, and is not held back by
-- those before it.
set hnsw.iterative_scan = relaxed_order
set hnsw.ef_search = 100
set hnsw.max_scan_tuples = 400000
-- For what was seen, 16 MB; beyond that the walk would end where it is.
set work_mem = '4MB'
set hnsw.scan_mem_multiplier = 4
-- For as many as that, the planner would read and sort all of them.
set enable_sort = off
as $$
declare
    -- The walk has arrived when so many passages in a row brought nothing that belongs among the nearest 60.
    front constant int := 60;
    in_vain constant int := least(greatest(coalesce(patience, 0), 100), 2000);
    walk no scroll cursor for
        select c.id, c.embedding <=> question
        from document_chunks c
        where c.is_public and c.embedding_model = model
        order by c.embedding <=> question
        limit 30000;
    -- Distances of the nearest so far, ascending.
    nearest float8[] := '{}';
    nearer int;
    seen int := 0;
    changed int := 0;
begin
    open walk;
    loop
        -- One at a time: a loop over the query would read ahead, and so begin batches that nobody needs.
        fetch walk into id, distance;
        exit when not found;
        return next;
        seen := seen + 1;
        nearer := width_bucket(distance, nearest);
        if nearer < front then
            nearest := nearest[:nearer] || distance || nearest[nearer + 1:front - 1];
            changed := seen;
        end if;
        exit when seen - changed >= in_vain;
    end loop;
    close walk;
end
$$;

revoke all on function nearest_public(halfvec, text, int) from public, anon;
grant execute on function nearest_public(halfvec, text, int) to authenticated;
