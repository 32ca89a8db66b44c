-- $1 student; $2 and $3: what everything lies behind, or null; $4 rows
select u.id, u.full_name, r.created_at
from teacher_student_relationships r
join users u on u.id = r.teacher_id
where r.student_id = $1
  and (r.created_at, r.teacher_id) <
      (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by r.created_at desc, r.teacher_id desc
limit $4
