-- $1 owners of private corpora
select distinct teacher_id
from curated_answers
where teacher_id = any($1)
