-- What people's questions took of the language model, by day.

create table model_usage (
    user_id uuid not null references users (id) on delete cascade,
    -- In UTC.
    day date not null,
    calls bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    -- Of `input_tokens`.
    cache_read_tokens bigint not null,
    cache_write_tokens bigint not null,
    cost_microusd bigint not null,
    constraint model_usage_pkey primary key (user_id, day),
    constraint model_usage_counts_up check (
        least(
            calls, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_microusd
        ) >= 0
    )
);

alter table model_usage enable row level security;
alter table model_usage force row level security;
revoke all on model_usage from public, anon, authenticated;
grant select on model_usage to authenticated;

create policy people_see_their_own on model_usage for select to authenticated
    using (user_id = (select auth.uid()));
create policy admins_see_all on model_usage for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');

-- The only way to write there: adds one call to the caller's own day. Whoever calls it without having asked a model
-- shortens nobody's day but her own, and no sum comes near the end of its type.
create function record_model_usage(
    input bigint, output bigint, cache_read bigint, cache_write bigint, cost bigint
) returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
    if (
        least(input, output, cache_read, cache_write, cost) >= 0
        and greatest(input, output, cache_read, cache_write) <= 10000000
        and cost <= 1000000000000
    ) is not true then
        raise exception 'no call of a model uses so much' using errcode = '22003';
    end if;
    insert into public.model_usage as u (
        user_id, day, calls,
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_microusd
    )
    values (
        (select auth.uid()), (now() at time zone 'utc')::date, 1,
        input, output, cache_read, cache_write, cost
    )
    on conflict (user_id, day) do update set
        calls = u.calls + excluded.calls,
        input_tokens = u.input_tokens + excluded.input_tokens,
        output_tokens = u.output_tokens + excluded.output_tokens,
        cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
        cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
        cost_microusd = u.cost_microusd + excluded.cost_microusd;
end
$$;
revoke all on function record_model_usage(bigint, bigint, bigint, bigint, bigint)
    from public, anon, authenticated;
grant execute on function record_model_usage(bigint, bigint, bigint, bigint, bigint) to authenticated;
