-- $1 document. A passage's length is the number of its stems, stop words apart.
insert into document_terms
    (doc_id, owner_id, is_public, stem, chunk_indexes, frequencies, lengths)
select
    p.doc_id, p.owner_id, p.is_public, p.stem,
    array_agg(p.chunk_index order by p.chunk_index),
    array_agg(p.frequency order by p.chunk_index),
    array_agg(p.length order by p.chunk_index)
from (
    select
        c.doc_id, c.owner_id, c.is_public, c.chunk_index, w.lexeme as stem,
        cardinality(w.positions)::int2 as frequency,
        (sum(cardinality(w.positions)) over (partition by c.chunk_index))::int2 as length
    from document_chunks c
    cross join lateral unnest(to_tsvector('pg_catalog.english', c.content)) as w
    where c.doc_id = $1
) p
group by p.doc_id, p.owner_id, p.is_public, p.stem
