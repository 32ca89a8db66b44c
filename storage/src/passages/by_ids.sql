-- $1 passages, $2 reader, $3 the reader's role
select
    c.id, c.doc_id, d.title, c.page_start, c.page_end, c.section, c.content,
    c.content_sha256, coalesce(g.number, 0) as generation
from document_chunks c
join knowledge_base_docs d on d.id = c.doc_id
left join purge_generations g on g.target = 'teacher' and g.person_id = c.owner_id
where c.id = any($1)
  and (
      c.is_public
      or c.owner_id = $2
      or $3 = 'admin'
      or ($3 = 'student' and c.owner_id in (
          select teacher_id from teacher_student_relationships where student_id = $2
      ))
  )
