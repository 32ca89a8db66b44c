-- $1 model, $2 pooling
insert into embedding_models (model, pooling, status, shelf)
select $1, $2, 'building', case shelf when 'a' then 'b' else 'a' end
from embedding_models
where status = 'live'
