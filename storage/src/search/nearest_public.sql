-- $1 vector, $2 model and pooling, $3 depth, $4 patience
select id, distance
from nearest_public($1, $2, $4)
order by distance, id
limit $3
