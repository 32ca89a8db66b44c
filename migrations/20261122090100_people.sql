-- People, and who teaches whom.

create table users (
    id uuid primary key references auth.users (id) on delete cascade,
    email text,
    role text not null default 'student'
        constraint users_role_is_known check (role in ('student', 'teacher', 'admin')),
    full_name text not null default ''
        constraint users_full_name_is_short check (char_length(full_name) <= 200),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index users_admins on users (id) where role = 'admin';
create trigger users_touch before update on users
    for each row execute function touch_updated_at();

create table teacher_student_relationships (
    teacher_id uuid not null references users (id) on delete cascade,
    student_id uuid not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    constraint teacher_student_relationships_pkey primary key (teacher_id, student_id),
    constraint nobody_teaches_oneself check (teacher_id <> student_id)
);
create index teacher_student_relationships_student
    on teacher_student_relationships (student_id, teacher_id);

-- The role comes from `app_metadata`, which the server alone can write; the name from
-- `user_metadata`, which is the person's own.
-- Another application of the same project may have roles of its own.
create function etude_role(app_metadata jsonb) returns text
language sql
immutable
set search_path = ''
as $$
    select case
        when app_metadata ->> 'role' in ('student', 'teacher', 'admin') then app_metadata ->> 'role'
        else 'student'
    end
$$;
revoke all on function etude_role(jsonb) from public, anon, authenticated;

create function mirror_auth_user() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    insert into public.users (id, email, role, full_name)
    values (
        new.id,
        new.email,
        public.etude_role(new.raw_app_meta_data),
        left(coalesce(new.raw_user_meta_data ->> 'full_name', ''), 200)
    )
    on conflict (id) do update
    set email = excluded.email, role = excluded.role, full_name = excluded.full_name;
    return null;
end
$$;
revoke all on function mirror_auth_user() from public, anon, authenticated;

create trigger mirror_to_etude
    after insert or update of email, raw_app_meta_data, raw_user_meta_data on auth.users
    for each row execute function mirror_auth_user();

insert into users (id, email, role, full_name)
select
    id, email, etude_role(raw_app_meta_data),
    left(coalesce(raw_user_meta_data ->> 'full_name', ''), 200)
from auth.users;

-- Supabase Auth's hook "Customize Access Token": puts the role into `app_metadata` of every token,
-- for people who signed up by themselves, too.
create function access_token_with_role(event jsonb) returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
    select jsonb_set(
        event,
        '{claims,app_metadata}',
        coalesce(event -> 'claims' -> 'app_metadata', '{}') || jsonb_build_object(
            'role',
            coalesce(
                (select u.role from public.users u where u.id = (event ->> 'user_id')::uuid),
                'student'
            )
        )
    )
$$;
revoke all on function access_token_with_role(jsonb) from public, anon, authenticated;
grant execute on function access_token_with_role(jsonb) to supabase_auth_admin;

alter table users enable row level security;
alter table users force row level security;
revoke all on users from public, anon, authenticated;
-- Not `email`: a row is also shown to the other side of a relationship.
grant select (id, role, full_name, created_at) on users to authenticated;
grant select (id, role) on users to etude_ingest;

create policy people_see_themselves on users for select to authenticated
    using (id = (select auth.uid()));
create policy teachers_see_their_students on users for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
        and id = any(array(
            select r.student_id from teacher_student_relationships r
            where r.teacher_id = (select auth.uid())
        ))
    );
create policy students_see_their_teachers on users for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and id = any(array(
            select r.teacher_id from teacher_student_relationships r
            where r.student_id = (select auth.uid())
        ))
    );
create policy admins_see_everybody on users for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy ingest_knows_people on users for select to etude_ingest using (true);

alter table teacher_student_relationships enable row level security;
alter table teacher_student_relationships force row level security;
revoke all on teacher_student_relationships from public, anon, authenticated;
grant select, delete, insert (teacher_id, student_id)
    on teacher_student_relationships to authenticated;
grant select on teacher_student_relationships to etude_ingest;

create policy both_sides_see_it on teacher_student_relationships for select to authenticated
    using ((select auth.uid()) in (teacher_id, student_id));
create policy admins_see_all on teacher_student_relationships for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy teachers_add_students on teacher_student_relationships for insert to authenticated
    with check (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
        and teacher_id = (select auth.uid())
    );
create policy teachers_remove_students on teacher_student_relationships for delete to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
        and teacher_id = (select auth.uid())
    );
create policy ingest_knows_readers on teacher_student_relationships for select to etude_ingest
    using (true);
