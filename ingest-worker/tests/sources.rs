//! Files that are made of text, from the queue to searchable passages, through the child process.
//!
//! Needs what `jobs.rs` needs.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

#[expect(
    dead_code,
    reason = "several test binaries compile this file; this one uses a part of it"
)]
mod studio;
#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use ingest_worker::{
    extract::{ExtractError, Extractor, Limits},
    failure::Rejection,
};
use shared_types::{
    documents::{DocumentStatus, SourceFormat},
    ids::DocumentId,
};
use source_formats::Charset;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use storage::documents;
use studio::Studio;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../source-formats/tests/fixtures")
        .join(name)
}

/// The sections, pages and texts of a document's passages, in order.
async fn passages(studio: &Studio, id: DocumentId) -> Vec<(Option<String>, i32, String)> {
    sqlx::query_as(
        "select section, page_start, content from document_chunks where doc_id = $1 \
         order by chunk_index",
    )
    .bind(id.0)
    .fetch_all(&studio.db.owner)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_teacher_has_beside_pdfs_becomes_searchable_under_its_headings() {
    let studio = Studio::new().await;
    let markdown = "# Pedal\n\nLift the foot **before** the new chord.\n\n# Legato\n\nHold each key \
                    until the next one sounds.\n";
    let markdown = studio.upload_as(SourceFormat::Markdown, markdown.into());
    let text = "Pedal\n=====\n\nLift the foot before the new chord, and press it down again behind the\nchord.\n\u{c}\
                Legato comes later.\n";
    let text = studio.upload_as(SourceFormat::Text, text.into());
    let page = fs::read(fixture("practice.html")).unwrap();
    let page = studio.upload_as(SourceFormat::Html, page);
    let word = fs::read(fixture("handbook.docx")).unwrap();
    let word = studio.upload_as(SourceFormat::Docx, word);
    let [markdown, text, page, word] = [markdown.await, text.await, page.await, word.await];
    studio.drain().await;

    let said = |section: &str, page, text: &str| (Some(section.to_owned()), page, text.to_owned());
    assert_eq!(
        passages(&studio, markdown).await,
        [
            said("Pedal", 1, "Pedal\nLift the foot before the new chord."),
            said(
                "Legato",
                1,
                "Legato\nHold each key until the next one sounds."
            ),
        ]
    );
    let pedal = "Pedal\nLift the foot before the new chord, and press it down again behind the chord.\n\
                 Legato comes later.";
    assert_eq!(passages(&studio, text).await, [said("Pedal", 1, pedal)]);
    assert_eq!(studio.document(text).await.page_count, Some(2));
    for id in [page, word] {
        let document = studio.document(id).await;
        assert_eq!(document.status, DocumentStatus::Ready, "{document:?}");
        let passages = passages(&studio, id).await;
        assert!(passages.iter().any(|(section, ..)| section.is_some()));
        for (_, _, content) in passages {
            assert!(!content.contains("<script") && !content.contains("function("));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shown_with_the_letters_with_which_it_was_read() {
    let studio = Studio::new().await;
    let latin =
        b"\xdcbung macht den Meister, sagt man; sch\xf6ner klingt, was gleichm\xe4\xdfig ist.";
    let utf8 = "<p>Übung macht den Meister.".as_bytes();
    let word = fs::read(fixture("handbook.docx")).unwrap();
    let mut uploads = Vec::new();
    for (format, bytes, shown_as) in [
        (
            SourceFormat::Text,
            latin.to_vec(),
            "text/plain; charset=windows-1252",
        ),
        (
            SourceFormat::Markdown,
            latin.to_vec(),
            "text/plain; charset=windows-1252",
        ),
        (
            SourceFormat::Html,
            utf8.to_vec(),
            "text/html; charset=utf-8",
        ),
        (SourceFormat::Docx, word, SourceFormat::Docx.media_type()),
    ] {
        uploads.push((studio.upload_as(format, bytes).await, format, shown_as));
    }
    studio.drain().await;
    for (id, format, shown_as) in uploads {
        let mut tx = studio.db.reader(&studio.teacher).await;
        let stored = documents::open(&mut tx, id).await.unwrap();
        assert_eq!(stored.document.status, DocumentStatus::Ready);
        assert_eq!(format.shown_as(stored.charset.as_deref()), shown_as);
        let contents = studio.contents(id).await;
        assert!(
            format == SourceFormat::Docx || contents[0].starts_with("Übung"),
            "{contents:?}"
        );
    }
}

#[tokio::test]
async fn every_encoding_that_a_file_may_be_in_can_be_kept() {
    let studio = Studio::new().await;
    let id = studio
        .upload_as(SourceFormat::Text, b"Listen.".to_vec())
        .await;
    for charset in Charset::all() {
        sqlx::query("update knowledge_base_docs set charset = $2 where id = $1")
            .bind(id.0)
            .bind(charset.name())
            .execute(&studio.db.owner)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_its_name_says_fails_with_a_reason_for_its_owner() {
    let studio = Studio::new().await;
    let mut uploads = Vec::new();
    for (name, words) in [
        ("word-97.docx", "the format that Word had before 2007"),
        ("locked.docx", "protected by a password"),
        (
            "spreadsheet.docx",
            "not what a name that ends in .docx says",
        ),
        ("bomb.docx", "too complex"),
        ("entities.docx", "damaged"),
    ] {
        let bytes = fs::read(fixture(name)).unwrap();
        uploads.push((studio.upload_as(SourceFormat::Docx, bytes).await, words));
    }
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    let picture = studio.upload_as(SourceFormat::Text, picture).await;
    uploads.push((picture, "not what a name that ends in .txt says"));
    let silent = b"<html><script>alert('Listen')</script></html>".to_vec();
    let silent = studio.upload_as(SourceFormat::Html, silent).await;
    uploads.push((silent, "no words in this file"));
    studio.drain().await;
    for (id, words) in uploads {
        let document = studio.document(id).await;
        assert_eq!(document.status, DocumentStatus::Failed, "{words}");
        let failure = document.failure.unwrap();
        assert!(failure.contains(words), "{failure}");
        assert_eq!(studio.attempts(id).await, 1);
    }
    assert!(studio.world.embedded().is_empty());
}

#[tokio::test]
async fn a_page_that_takes_for_ever_to_read_is_cut_off() {
    let attributes: Vec<String> = (0..400_000).map(|n| format!("a{n}=x")).collect();
    let page = format!("<p {}>Listen.", attributes.join(" "));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), page).unwrap();
    let extractor = Extractor {
        program: env!("CARGO_BIN_EXE_ingest-worker").into(),
        library: PathBuf::new(),
        limits: Limits {
            cpu_s: 1,
            ..Limits::default()
        },
        deadline: Duration::from_mins(5),
    };
    let read = extractor.read_source(SourceFormat::Html, file.path()).await;
    let Err(ExtractError::Rejected(rejection)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(rejection, Rejection::TooComplex);
}
