-- A search that is narrowed to documents or pages compares signs as any other does: the index by document
-- holds what such a search looks at, so that it never reads the wide rows. It serves the looks at a
-- passage's place from the index alone, too.

-- Not concurrently: that waits for every transaction, and one that waits for this migration is among them.
alter table document_chunks
    -- The new one promises the same.
    -- squawk-ignore ban-drop-constraint
    drop constraint document_chunks_place,
    -- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
    add constraint document_chunks_place unique (doc_id, chunk_index)
        include (id, is_public, owner_id, embedding_model, page_start, page_end, signs);
