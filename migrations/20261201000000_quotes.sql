-- What is deleted is gone: an answer that somebody was told holds words of documents, and goes with the first of them. The
-- question stays, and its answer is withheld for good, as it was before for as long as it lay there.

-- Small so far, and written once for each question in a conversation.
-- squawk-ignore require-concurrent-index-creation
create index chat_answers_documents on chat_answers using gin (document_ids);
-- squawk-ignore require-concurrent-index-creation
create index chat_answers_curated on chat_answers (curated_id) where curated_id is not null;

create function forget_quotes_of_documents() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    delete from public.chat_answers
    where document_ids && (select array_agg(id) from gone);
    return null;
end
$$;
create trigger knowledge_base_docs_forget_quotes after delete on knowledge_base_docs
    referencing old table as gone
    for each statement execute function forget_quotes_of_documents();

create function forget_curated_words() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    delete from public.chat_answers where curated_id in (select id from gone);
    return null;
end
$$;
create trigger curated_answers_forget_words after delete on curated_answers
    referencing old table as gone
    for each statement execute function forget_curated_words();

-- An answer may be written down a moment after a document went that it quotes. Its row is locked against that moment.
create function quote_what_is_there() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    found_documents integer;
begin
    perform from public.knowledge_base_docs where id = any (new.document_ids) for key share;
    get diagnostics found_documents = row_count;
    if found_documents < cardinality(new.document_ids) then
        return null;
    end if;
    if new.curated_id is not null then
        perform from public.curated_answers where id = new.curated_id for key share;
        if not found then
            return null;
        end if;
    end if;
    return new;
end
$$;
create trigger chat_answers_quote_what_is_there before insert on chat_answers
    for each row execute function quote_what_is_there();

revoke all on function forget_quotes_of_documents() from public, anon, authenticated;
revoke all on function forget_curated_words() from public, anon, authenticated;
revoke all on function quote_what_is_there() from public, anon, authenticated;

delete from chat_answers
where
    exists (
        select from unnest(document_ids) as named (id)
        where not exists (select from knowledge_base_docs where knowledge_base_docs.id = named.id)
    )
    or (
        curated_id is not null
        and not exists (select from curated_answers where curated_answers.id = chat_answers.curated_id)
    );
