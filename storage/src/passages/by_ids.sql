-- Goes on in asked.sql.
select
    c.id, c.doc_id, d.title, c.page_start, c.page_end, c.section, c.content,
    c.content_sha256,
    coalesce(
        (
            select g.number
            from purge_generations g
            where g.target = 'teacher' and g.person_id = c.owner_id
        ),
        0
    ) as generation
from document_chunks c
join knowledge_base_docs d on d.id = c.doc_id
