-- $1 document, $2 reader, $3 the reader's role
select *
from knowledge_base_docs
where id = $1
  and status <> 'uploading'
  and (
      owner_id = $2
      -- A token may outlive the account, or the role.
      or ($3 = 'admin' and exists (select from users where id = $2 and role = 'admin'))
      or (
          status = 'ready'
          and (
              is_public
              or ($3 = 'student' and owner_id in (
                  select teacher_id from teacher_student_relationships where student_id = $2
              ))
          )
      )
  )
