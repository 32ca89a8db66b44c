-- $1 passages, $2 reader, $3 the reader's role
where c.id = any($1)
  and (
      c.is_public
      or c.owner_id = $2
      or $3 = 'admin'
      -- An array is made once; a subquery would be planned into every row.
      or ($3 = 'student' and c.owner_id = any(array(
          select teacher_id from teacher_student_relationships where student_id = $2
      )))
  )
