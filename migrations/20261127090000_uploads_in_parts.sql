-- A large file comes in parts, under an id that object storage gives. The parts themselves, where nobody
-- confirms them, go with the upload bucket's life-cycle rule, as whole uploads do.
alter table knowledge_base_docs
    add column upload_id text,
    -- Every row satisfies it: the column is new.
    -- squawk-ignore constraint-missing-not-valid
    add constraint knowledge_base_docs_upload_id
        check (octet_length(upload_id) between 1 and 2048);
grant update (upload_id) on knowledge_base_docs to authenticated;
