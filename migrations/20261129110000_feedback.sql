-- What people say of answers, what a teacher's library could not answer, and what the teacher answers instead.

-- The types of pgvector may live in either schema.
set local search_path = public, extensions;

create table message_feedback (
    message_id uuid primary key,
    user_id uuid not null,
    is_helpful boolean not null,
    reason text
        constraint message_feedback_reason_length check (char_length(reason) between 1 and 1000),
    given_at timestamptz not null default now(),
    constraint message_feedback_message foreign key (message_id, user_id)
        references chat_messages (id, user_id) on delete cascade
);
create index message_feedback_person on message_feedback (user_id);
create index message_feedback_unhelpful on message_feedback (user_id) where not is_helpful;

alter table message_feedback enable row level security;
alter table message_feedback force row level security;
revoke all on message_feedback from public, anon, authenticated;
grant
    select,
    insert (message_id, user_id, is_helpful, reason),
    update (is_helpful, reason, given_at)
    on message_feedback to authenticated;

create policy people_see_their_own on message_feedback for select to authenticated
    using (user_id = (select auth.uid()));
create policy people_judge on message_feedback for insert to authenticated
    with check (user_id = (select auth.uid()));
create policy people_judge_again on message_feedback for update to authenticated
    using (user_id = (select auth.uid()));

create table curated_answers (
    id uuid primary key,
    teacher_id uuid not null references users (id) on delete cascade,
    -- Normalised: what a question is compared with.
    question text not null
        constraint curated_answers_question_length check (char_length(question) between 1 and 2000),
    answer text not null
        constraint curated_answers_answer_length check (char_length(answer) between 1 and 4000),
    -- Of the question, by the ingest worker; until then the very same question alone is found.
    embedding halfvec(768),
    embedding_model text,
    created_at timestamptz not null default now(),
    constraint curated_answers_embedded check ((embedding is null) = (embedding_model is null)),
    constraint curated_answers_one_to_a_question unique (teacher_id, question)
);
create index curated_answers_list on curated_answers (teacher_id, created_at desc, id desc);

alter table curated_answers enable row level security;
alter table curated_answers force row level security;
revoke all on curated_answers from public, anon, authenticated;
grant
    select,
    insert (id, teacher_id, question, answer),
    delete
    on curated_answers to authenticated;
grant select, update (embedding, embedding_model) on curated_answers to etude_ingest;

create policy teachers_see_their_own on curated_answers for select to authenticated
    using (teacher_id = (select auth.uid()));
create policy students_see_their_teachers on curated_answers for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and teacher_id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy teachers_curate on curated_answers for insert to authenticated
    with check (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
        and teacher_id = (select auth.uid())
    );
create policy teachers_remove_their_own on curated_answers for delete to authenticated
    using (teacher_id = (select auth.uid()));

create policy ingest_sees_all on curated_answers for select to etude_ingest using (true);
create policy ingest_embeds on curated_answers for update to etude_ingest using (true);

-- Once it was told, an answer is shown again to whoever may read every document that it cites or names at that moment, and
-- is still told it, where it is a teacher's own. What the policies of those tables say decides.
create policy people_see_what_they_may_read on chat_answers for select to authenticated
    using (
        user_id = (select auth.uid())
        and not exists (
            select from unnest(document_ids) as named (id)
            where not exists (select from knowledge_base_docs k where k.id = named.id)
        )
        and (
            curated_id is null
            or exists (select from curated_answers c where c.id = curated_id)
        )
    );
create policy people_are_answered on chat_answers for insert to authenticated
    with check (user_id = (select auth.uid()));

-- A curated answer is part of what the teacher's students find.
create function bump_corpus_of_curated_answers() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    teacher uuid := case when tg_op = 'DELETE' then old.teacher_id else new.teacher_id end;
begin
    -- A teacher who is being deleted takes the corpus along.
    insert into public.corpus_versions as v (owner_id)
    select u.id from public.users u where u.id = teacher
    on conflict (owner_id) do update set version = v.version + 1;
    return null;
end
$$;
revoke all on function bump_corpus_of_curated_answers() from public, anon, authenticated;
create trigger curated_answers_corpus
    after insert or update of embedding or delete on curated_answers
    for each row execute function bump_corpus_of_curated_answers();

-- What the caller's students asked since they are hers and were not answered, or not well; whose question it is where
-- the student says that she may know. Not what she has answered herself since. A question that was put into other words
-- by what was asked before that is shown as it was asked.
create function unanswered_questions(behind_at timestamptz, behind_id uuid, wanted bigint)
returns table (
    message_id uuid, question text, asked_at timestamptz, is_covered boolean,
    student_id uuid, student_name text
)
language sql
stable
security definer
set search_path = ''
as $$
    with students as (
        select r.student_id as id, r.created_at as since
        from public.teacher_student_relationships r
        where (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
          and r.teacher_id = (select auth.uid())
    ),
    open as (
        select m.*, s.since
        from students s
        join public.chat_messages m
            on m.user_id = s.id and m.finish_reason = 'not-covered' and m.asked_at >= s.since
        union all
        select m.*, s.since
        from students s
        join public.message_feedback f on f.user_id = s.id and not f.is_helpful
        join public.chat_messages m on m.id = f.message_id and m.asked_at >= s.since
        where m.answered_at is not null and m.finish_reason <> 'not-covered'
    )
    select
        o.id,
        case
            when exists (
                select from public.chat_messages before
                where before.session_id = o.session_id and before.asked_at < o.since
            ) then o.asked
            else o.question
        end,
        o.asked_at, o.finish_reason <> 'not-covered',
        case when o.shares_name then u.id end,
        case when o.shares_name then u.full_name end
    from open o
    join public.users u on u.id = o.user_id
    where not exists (
            select from public.curated_answers c
            where c.teacher_id = (select auth.uid()) and c.question = o.normalised
        )
      and (o.asked_at, o.id) < (
          coalesce(behind_at, 'infinity'),
          coalesce(behind_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      )
    order by o.asked_at desc, o.id desc
    limit least(wanted, 201)
$$;
revoke all on function unanswered_questions(timestamptz, uuid, bigint)
    from public, anon, authenticated;
grant execute on function unanswered_questions(timestamptz, uuid, bigint) to authenticated;
