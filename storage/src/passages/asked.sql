-- $1 passages, $2 reader, $3 the reader's role
where c.id = any($1)
  and (
      c.is_public
      or c.owner_id = $2
      or $3 = 'admin'
      or ($3 = 'student' and c.owner_id in (
          select teacher_id from teacher_student_relationships where student_id = $2
      ))
  )
