-- In which encoding a text was read, by its name in the Encoding Standard, so that it is shown in it. Documents that were
-- read before say so once they are read again.

alter table knowledge_base_docs
    add column charset text
        -- squawk-ignore constraint-missing-not-valid
        constraint knowledge_base_docs_charset_is_known
            check (charset in (
                'Big5', 'EUC-JP', 'EUC-KR', 'gb18030', 'GBK', 'IBM866', 'ISO-2022-JP', 'ISO-8859-2',
                'ISO-8859-3', 'ISO-8859-4', 'ISO-8859-5', 'ISO-8859-6', 'ISO-8859-7', 'ISO-8859-8',
                'ISO-8859-8-I', 'ISO-8859-10', 'ISO-8859-13', 'ISO-8859-14', 'ISO-8859-15',
                'ISO-8859-16', 'KOI8-R', 'KOI8-U', 'macintosh', 'Shift_JIS', 'UTF-16BE', 'UTF-16LE',
                'UTF-8', 'windows-1250', 'windows-1251', 'windows-1252', 'windows-1253',
                'windows-1254', 'windows-1255', 'windows-1256', 'windows-1257', 'windows-1258',
                'windows-874', 'x-mac-cyrillic'
            )),
    -- squawk-ignore constraint-missing-not-valid
    add constraint knowledge_base_docs_charset_of_text
        check (charset is null or format in ('text', 'markdown', 'html'));
grant update (charset) on knowledge_base_docs to etude_ingest;
