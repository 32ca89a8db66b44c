-- $1 conversation; $2 and $3: what everything lies behind, or null; $4 rows. Whose it is, and which documents may be
-- read, the policies say.
select
    m.id, m.asked, m.question, m.asked_at,
    case when d.is_readable then m.answer end as answer,
    m.answer is not null and not d.is_readable as is_withheld
from chat_messages m
cross join lateral (
    select not exists (
        select from unnest(m.document_ids) as named(id)
        where not exists (select from knowledge_base_docs k where k.id = named.id)
    ) and (
        m.curated_id is null
        or exists (select from curated_answers c where c.id = m.curated_id)
    ) as is_readable
) d
where m.session_id = $1
  and (m.asked_at, m.id) <
      (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by m.asked_at desc, m.id desc
limit $4
