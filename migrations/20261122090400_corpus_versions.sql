-- A version of each owner's private corpus, and one of the public corpus (`owner_id` null). It
-- grows in the transaction that changes what readers of that corpus find; caches key on it.

create table corpus_versions (
    owner_id uuid references users (id) on delete cascade,
    version bigint not null default 1,
    constraint corpus_versions_one_per_corpus unique nulls not distinct (owner_id)
);

create function bump_corpus_versions() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    was_ready boolean := tg_op <> 'INSERT' and old.status = 'ready';
    is_ready boolean := tg_op <> 'DELETE' and new.status = 'ready';
    owner uuid := case when tg_op = 'DELETE' then old.owner_id else new.owner_id end;
begin
    if (was_ready and old.is_public) or (is_ready and new.is_public) then
        insert into public.corpus_versions as v (owner_id) values (null)
        on conflict (owner_id) do update set version = v.version + 1;
    end if;
    if (was_ready and not old.is_public) or (is_ready and not new.is_public) then
        -- An owner who is being deleted takes the corpus along.
        insert into public.corpus_versions as v (owner_id)
        select u.id from public.users u where u.id = owner
        on conflict (owner_id) do update set version = v.version + 1;
    end if;
    return null;
end
$$;
revoke all on function bump_corpus_versions() from public, anon, authenticated;

create trigger knowledge_base_docs_corpus
    after insert or delete or update of status, ready_at, is_public, title on knowledge_base_docs
    for each row execute function bump_corpus_versions();

alter table corpus_versions enable row level security;
alter table corpus_versions force row level security;
revoke all on corpus_versions from public, anon, authenticated;
grant select on corpus_versions to authenticated;

create policy people_see_their_own on corpus_versions for select to authenticated
    using (owner_id = (select auth.uid()));
create policy everybody_signed_in_sees_public on corpus_versions for select to authenticated
    using (owner_id is null and (select auth.uid()) is not null);
create policy students_see_their_teachers on corpus_versions for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and owner_id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy admins_see_all on corpus_versions for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
