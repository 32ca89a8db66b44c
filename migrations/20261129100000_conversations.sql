-- Conversations: what somebody asked, and what was answered. Nobody else is shown them, admins included.

create table chat_sessions (
    id uuid primary key,
    user_id uuid not null references users (id) on delete cascade,
    -- Empty until the first question gives it one.
    title text not null default ''
        constraint chat_sessions_title_length check (char_length(title) <= 120),
    message_count integer not null default 0
        constraint chat_sessions_message_count check (message_count between 0 and 200),
    created_at timestamptz not null default now(),
    last_asked_at timestamptz not null default now(),
    -- What messages point at, so that theirs can never be somebody else's.
    constraint chat_sessions_person unique (id, user_id)
);
create index chat_sessions_list on chat_sessions (user_id, last_asked_at desc, id desc);

create table chat_messages (
    id uuid primary key,
    session_id uuid not null,
    user_id uuid not null,
    -- Its place in the conversation.
    number integer not null
        constraint chat_messages_number check (number between 1 and 200),
    -- In the person's words.
    asked text not null
        constraint chat_messages_asked_length check (char_length(asked) between 1 and 2000),
    -- So that it can be understood by itself.
    question text not null
        constraint chat_messages_question_length check (char_length(question) between 1 and 2000),
    -- As caches and curated answers know it.
    normalised text not null
        constraint chat_messages_normalised_length
        check (char_length(normalised) between 1 and 2000),
    asked_at timestamptz not null default now(),
    finish_reason text
        constraint chat_messages_finish_reason_is_known
        check (finish_reason in ('complete', 'length', 'not-covered', 'declined')),
    answered_at timestamptz,
    -- Teachers may be told who asked: the person says so of each question.
    shares_name boolean not null default false,
    constraint chat_messages_answered check ((finish_reason is null) = (answered_at is null)),
    constraint chat_messages_session foreign key (session_id, user_id)
        references chat_sessions (id, user_id) on delete cascade,
    constraint chat_messages_place unique (session_id, number),
    constraint chat_messages_whose unique (id, user_id)
);
create index chat_messages_person on chat_messages (user_id, asked_at desc, id desc);
create index chat_messages_not_covered on chat_messages (user_id, asked_at desc, id desc)
    where finish_reason = 'not-covered';

-- Apart from the messages, since whoever may see those may not see all of these.
create table chat_answers (
    message_id uuid primary key,
    user_id uuid not null,
    answer jsonb not null
        constraint chat_answers_size check (pg_column_size(answer) <= 1048576),
    -- Whose words it holds or names.
    document_ids uuid[] not null,
    -- The teacher's own answer that it is.
    curated_id uuid,
    constraint chat_answers_message foreign key (message_id, user_id)
        references chat_messages (id, user_id) on delete cascade
);
create index chat_answers_person on chat_answers (user_id);

alter table chat_sessions enable row level security;
alter table chat_sessions force row level security;
revoke all on chat_sessions from public, anon, authenticated;
grant
    select,
    insert (id, user_id, title),
    update (title, message_count, last_asked_at),
    delete
    on chat_sessions to authenticated;

alter table chat_messages enable row level security;
alter table chat_messages force row level security;
revoke all on chat_messages from public, anon, authenticated;
grant
    select,
    insert (id, session_id, user_id, number, asked, question, normalised),
    update (finish_reason, answered_at, shares_name)
    on chat_messages to authenticated;

alter table chat_answers enable row level security;
alter table chat_answers force row level security;
revoke all on chat_answers from public, anon, authenticated;
grant select, insert on chat_answers to authenticated;

create policy people_see_their_own on chat_sessions for select to authenticated
    using (user_id = (select auth.uid()));
create policy people_begin_their_own on chat_sessions for insert to authenticated
    with check (user_id = (select auth.uid()));
create policy people_continue_their_own on chat_sessions for update to authenticated
    using (user_id = (select auth.uid()));
create policy people_remove_their_own on chat_sessions for delete to authenticated
    using (user_id = (select auth.uid()));

create policy people_see_their_own on chat_messages for select to authenticated
    using (user_id = (select auth.uid()));
create policy people_ask on chat_messages for insert to authenticated
    with check (user_id = (select auth.uid()));
create policy people_are_answered on chat_messages for update to authenticated
    using (user_id = (select auth.uid()));
