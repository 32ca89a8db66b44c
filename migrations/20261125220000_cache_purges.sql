-- Purges of what the edge's caches hold: a record that only grows, and the numbers that keys of
-- caches are made of.

create table cache_purges (
    -- Grows in the order in which purges take effect.
    number bigint not null constraint cache_purges_pkey primary key,
    -- Neither this nor `person_id` is a foreign key: the record outlives the people in it.
    admin_id uuid not null,
    purged_at timestamptz not null,
    target text not null
        constraint cache_purges_target_is_known
        check (target in ('answer', 'user', 'teacher', 'everything')),
    person_id uuid,
    answer_id text
        constraint cache_purges_answer_id check (answer_id ~ '^[0-9a-f]{64}$'),
    reason text not null
        constraint cache_purges_reason_length check (char_length(reason) between 1 and 500),
    request_id uuid not null,
    constraint cache_purges_person_of_target
        check ((person_id is not null) = (target in ('user', 'teacher'))),
    constraint cache_purges_answer_of_target
        check ((answer_id is not null) = (target = 'answer'))
);

-- The last purge of each target.
create table purge_generations (
    target text not null
        constraint purge_generations_target_is_known
        check (target in ('answer', 'user', 'teacher', 'everything')),
    -- Somebody who is gone has nothing in any cache that can be reached.
    person_id uuid references users (id) on delete cascade,
    answer_id text,
    number bigint not null,
    purged_at timestamptz not null,
    constraint purge_generations_one_per_target
        unique nulls not distinct (target, person_id, answer_id)
);
create index purge_generations_person on purge_generations (person_id);

create function number_purge() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    -- One purge after the other, and not against those who read: a purge that got a smaller number
    -- and took effect later would change no key that holds the larger one.
    lock table public.purge_generations in share row exclusive mode;
    new.number := 1 + coalesce((select max(p.number) from public.cache_purges p), 0);
    new.admin_id := auth.uid();
    new.purged_at := clock_timestamp();
    return new;
end
$$;
revoke all on function number_purge() from public, anon, authenticated;
create trigger cache_purges_number before insert on cache_purges
    for each row execute function number_purge();

create function advance_purge_generation() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    -- By then no answer from before its purge is kept anywhere: it lives for 24 hours.
    delete from public.purge_generations g
    where g.target = 'answer' and g.purged_at < new.purged_at - interval '25 hours';
    insert into public.purge_generations (target, person_id, answer_id, number, purged_at)
    values (new.target, new.person_id, new.answer_id, new.number, new.purged_at)
    on conflict (target, person_id, answer_id)
    do update set number = excluded.number, purged_at = excluded.purged_at;
    return null;
end
$$;
revoke all on function advance_purge_generation() from public, anon, authenticated;
create trigger cache_purges_advance after insert on cache_purges
    for each row execute function advance_purge_generation();

create function keep_the_record() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    raise exception 'the record of purges only grows' using errcode = '42501';
end
$$;
revoke all on function keep_the_record() from public, anon, authenticated;
create trigger cache_purges_stay before update or delete or truncate on cache_purges
    for each statement execute function keep_the_record();

alter table cache_purges enable row level security;
alter table cache_purges force row level security;
revoke all on cache_purges from public, anon, authenticated;
grant select, insert (target, person_id, answer_id, reason, request_id)
    on cache_purges to authenticated;

create policy admins_read_the_record on cache_purges for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy admins_purge on cache_purges for insert to authenticated
    with check (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin'
        and admin_id = (select auth.uid())
    );

alter table purge_generations enable row level security;
alter table purge_generations force row level security;
revoke all on purge_generations from public, anon, authenticated;
grant select on purge_generations to authenticated;

create policy everybody_signed_in_sees_what_concerns_them on purge_generations
    for select to authenticated
    using (
        (select auth.uid()) is not null
        and (target <> 'user' or person_id = (select auth.uid()))
    );
