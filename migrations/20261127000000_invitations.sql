-- People come by themselves: the role that they register in, invitations, and the end of an account.

-- `app_metadata` is the server's alone: a role that it gives stands. Whoever registers says in
-- `user_metadata` whether she teaches, which is looked at once, here. Nobody becomes an admin by it.
create function choose_role() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    if new.raw_app_meta_data ->> 'role' is null then
        new.raw_app_meta_data := coalesce(new.raw_app_meta_data, '{}') || jsonb_build_object(
            'role',
            case new.raw_user_meta_data ->> 'role' when 'teacher' then 'teacher' else 'student' end
        );
    end if;
    return new;
end
$$;
revoke all on function choose_role() from public, anon, authenticated;

create trigger choose_role_in_etude before insert on auth.users
    for each row execute function choose_role();

create table invitations (
    id uuid primary key,
    teacher_id uuid not null references users (id) on delete cascade,
    -- Either is for whoever has this address, or for whoever knows a code.
    email text
        constraint invitations_email
        check (email = lower(email) and char_length(email) between 3 and 254),
    code_sha256 text
        constraint invitations_code_sha256 check (code_sha256 ~ '^[0-9a-f]{64}$'),
    -- Students who may still accept it.
    places smallint not null default 1
        constraint invitations_places check (places between 1 and 50),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '14 days',
    constraint invitations_way check ((email is null) <> (code_sha256 is null)),
    constraint invitations_one_place_for_an_address check (email is null or places = 1),
    constraint invitations_one_of_a_code unique (code_sha256),
    constraint invitations_one_to_an_address unique (teacher_id, email)
);
create index invitations_teacher on invitations (teacher_id, created_at desc, id desc);
create index invitations_email on invitations (email, created_at desc, id desc);

alter table invitations enable row level security;
alter table invitations force row level security;
revoke all on invitations from public, anon, authenticated;
grant
    select (id, teacher_id, email, places, created_at, expires_at),
    insert (id, teacher_id, email, code_sha256, places),
    delete
    on invitations to authenticated;

-- Who accepted which code: nobody does twice. Whoever was sent away does not come back by the same
-- code, and nobody takes all its places.
create table invitation_uses (
    invitation_id uuid not null references invitations (id) on delete cascade,
    student_id uuid not null references users (id) on delete cascade,
    constraint invitation_uses_pkey primary key (invitation_id, student_id)
);
create index invitation_uses_student on invitation_uses (student_id);

alter table invitation_uses enable row level security;
alter table invitation_uses force row level security;
revoke all on invitation_uses from public, anon, authenticated;

-- The address in a token is one that the sign-in service has made sure of, where its projects are told to
-- confirm addresses (deploy/README.md).
create policy teachers_see_what_they_sent on invitations for select to authenticated
    using (teacher_id = (select auth.uid()));
create policy students_see_what_they_were_sent on invitations for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and email = (select lower(auth.jwt() ->> 'email'))
    );
create policy admins_see_all on invitations for select to authenticated
    using ((select auth.jwt() -> 'app_metadata' ->> 'role') = 'admin');
create policy teachers_invite on invitations for insert to authenticated
    with check (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'teacher'
        and teacher_id = (select auth.uid())
    );
create policy teachers_withdraw on invitations for delete to authenticated
    using (teacher_id = (select auth.uid()));
create policy students_decline on invitations for delete to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and email = (select lower(auth.jwt() ->> 'email'))
    );

create policy students_see_who_invites_them on users for select to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and id = any(array(
            select i.teacher_id from invitations i
            where i.email = (select lower(auth.jwt() ->> 'email'))
        ))
    );

-- A student becomes one by accepting, no longer because a teacher says so.
drop policy teachers_add_students on teacher_student_relationships;
revoke insert on teacher_student_relationships from authenticated;

create policy students_leave_teachers on teacher_student_relationships for delete to authenticated
    using (
        (select auth.jwt() -> 'app_metadata' ->> 'role') = 'student'
        and student_id = (select auth.uid())
    );

-- A row a relationship, few as they are: nobody waits long.
-- squawk-ignore require-concurrent-index-creation
create index teacher_student_relationships_of_teacher
    on teacher_student_relationships (teacher_id, created_at desc, student_id desc);
-- squawk-ignore require-concurrent-index-creation
create index teacher_student_relationships_of_student
    on teacher_student_relationships (student_id, created_at desc, teacher_id desc);

-- The only way to a relationship: a student accepts the invitation that was sent to her address (by its
-- id), or one that whoever knows the code may accept (by the code's digest), once. The teacher's id, or
-- nothing where there is no such invitation (any more). Whoever is that teacher's student already takes
-- no place.
create function accept_invitation(invitation uuid, digest text) returns uuid
language plpgsql
security definer
set search_path = ''
as $$
declare
    taken public.invitations;
begin
    if (select auth.jwt() -> 'app_metadata' ->> 'role') is distinct from 'student'
        or not exists (
            select from public.users u where u.id = (select auth.uid()) and u.role = 'student'
        )
    then
        return null;
    end if;
    select i.* into taken
    from public.invitations i
    join public.users t on t.id = i.teacher_id and t.role = 'teacher'
    where i.expires_at > now()
      and (
          i.code_sha256 = digest
          or i.id = invitation and i.email = (select lower(auth.jwt() ->> 'email'))
      )
    limit 1
    for update of i;
    if not found then
        return null;
    end if;
    if taken.email is null then
        if exists (
            select from public.teacher_student_relationships r
            where r.teacher_id = taken.teacher_id and r.student_id = (select auth.uid())
        ) then
            return taken.teacher_id;
        end if;
        insert into public.invitation_uses (invitation_id, student_id)
        values (taken.id, (select auth.uid()))
        on conflict do nothing;
        if not found then
            return null;
        end if;
    end if;
    insert into public.teacher_student_relationships (teacher_id, student_id)
    values (taken.teacher_id, (select auth.uid()))
    on conflict do nothing;
    if taken.places = 1 then
        delete from public.invitations i where i.id = taken.id;
    else
        update public.invitations i set places = i.places - 1 where i.id = taken.id;
    end if;
    return taken.teacher_id;
end
$$;
revoke all on function accept_invitation(uuid, text) from public, anon, authenticated;
grant execute on function accept_invitation(uuid, text) to authenticated;

-- Removes the caller's account and, by cascade, all that is the caller's. Files are noted for removal.
create function delete_account() returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    -- What others sent to the address, too: whoever has it next is somebody else.
    delete from public.invitations i
    using auth.users u
    where u.id = (select auth.uid()) and i.email = lower(u.email);
    delete from auth.users where id = (select auth.uid());
    return found;
end
$$;
revoke all on function delete_account() from public, anon, authenticated;
grant execute on function delete_account() to authenticated;

-- Forgets the invitations that nobody may accept any more, and says how many they were.
create function expire_invitations() returns bigint
language sql
security definer
set search_path = ''
as $$
    with expired as (
        delete from public.invitations where expires_at <= now() returning id
    )
    select count(*) from expired
$$;
revoke all on function expire_invitations() from public, anon, authenticated;
grant execute on function expire_invitations() to etude_ingest;
