-- $1 conversation; $2 and $3: what everything lies behind, or null; $4 rows. Whose it is, and which answers may be shown,
-- the policies say.
select
    m.id, m.asked, m.question, m.asked_at, a.answer, f.is_helpful, f.reason, m.shares_name,
    m.answered_at is not null and a.answer is null as is_withheld
from chat_messages m
left join chat_answers a on a.message_id = m.id
left join message_feedback f on f.message_id = m.id
where m.session_id = $1
  and (m.asked_at, m.id) <
      (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by m.asked_at desc, m.id desc
limit $4
