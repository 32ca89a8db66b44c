-- What the hand-written statement searches words in: as one would keep it in a column of the passages, in a table of
-- its own, so that the product's stays as it is.
create table bench.passage_words (
    id uuid primary key,
    owner_id uuid not null,
    is_public boolean not null,
    words tsvector not null
);
insert into bench.passage_words
select id, owner_id, is_public, to_tsvector('english', content) from document_chunks;
create index on bench.passage_words using gin (words);
alter table bench.passage_words enable row level security;
-- The policy of the passages, whatever it says.
do $$
begin
    execute (
        select format(
            'create policy readers_read on bench.passage_words for select to authenticated using (%s)', qual
        )
        from pg_policies
        where schemaname = 'public' and tablename = 'document_chunks' and policyname = 'readers_read'
    );
end
$$;
grant usage on schema bench to authenticated;
grant select on bench.passage_words to authenticated;
