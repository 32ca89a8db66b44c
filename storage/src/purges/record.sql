-- $1 target, $2 person, $3 answer, $4 reason, $5 request
-- No row where the person does not exist, or has no corpus and can't have one.
insert into cache_purges (target, person_id, answer_id, reason, request_id)
select $1, $2, $3, $4, $5
where $1 in ('answer', 'everything')
   or exists (
       select from users u
       where u.id = $2
         and (
             $1 = 'user'
             or u.role <> 'student'
             or exists (select from knowledge_base_docs d where d.owner_id = u.id)
         )
   )
returning number
