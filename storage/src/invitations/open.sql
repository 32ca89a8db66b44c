-- $1 reader; $2 and $3: what everything lies behind, or null; $4 rows. Whose they are, the policies say:
-- a teacher's own, or those to a student's address.
select i.id, i.teacher_id, u.full_name, i.email, i.places, i.created_at, i.expires_at
from invitations i
join users u on u.id = i.teacher_id
where (i.teacher_id = $1 or i.email = (select lower(auth.jwt() ->> 'email')))
  and i.expires_at > now()
  and (i.created_at, i.id) <
      (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by i.created_at desc, i.id desc
limit $4
