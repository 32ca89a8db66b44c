-- $1 vector, $2 model and pooling, $3 depth
select id, distance
from nearest_public($1, $2)
order by distance, id
limit $3
