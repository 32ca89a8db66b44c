//! What was confirmed ends as searchable or as failed with a reason.

use journeys::{booklet, booklet_path, journey, journey_with, pdf};
use local_stack::{
    Part,
    client::NewDocument,
    faults::{Fault, Target},
};
use reqwest::{Method, StatusCode};
use shared_types::documents::{Document, DocumentStatus, IngestStage, Visibility};
use std::{fs, path::Path, time::Duration};

fn fixture(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ingest-worker/tests/fixtures");
    fs::read(fixtures.join(name)).unwrap()
}

#[test]
fn a_file_that_can_not_be_read_fails_with_a_reason_for_its_owner() {
    journey(async |school| {
        let whole = fs::read(booklet_path("04-pedalling.pdf")).unwrap();
        let truncated = whole[..whole.len() / 2].to_vec();
        let cases: [(NewDocument, &str); 5] = [
            (
                pdf(
                    "letter.pdf",
                    b"Dear teacher, this is no PDF.".to_vec(),
                    Visibility::Private,
                ),
                "not a PDF",
            ),
            (
                pdf("blank.pdf", fixture("no-pages.pdf"), Visibility::Private),
                "no pages",
            ),
            (
                pdf("drawing.pdf", fixture("drawing.pdf"), Visibility::Private),
                "no text",
            ),
            (
                pdf("locked.pdf", fixture("encrypted.pdf"), Visibility::Private),
                "password",
            ),
            (pdf("half.pdf", truncated, Visibility::Private), "damaged"),
        ];
        for (file, expected) in cases {
            let name = file.file_name.clone();
            let document = school.teacher.adds(file).await;
            assert_eq!(document.status, DocumentStatus::Failed, "{name}");
            let reason = document.failure.unwrap_or_default();
            assert!(reason.contains(expected), "{name}: {reason}");
        }
        let chunks = school
            .database()
            .run("select count(*) from document_chunks")
            .await
            .unwrap();
        assert_eq!(chunks.trim(), "0");
    });
}

#[test]
fn a_file_that_was_announced_and_not_sent_is_not_confirmed() {
    journey(async |school| {
        let browser = &school.teacher.browser;
        let file = booklet("04-pedalling.pdf", Visibility::Private);
        let announced = browser.announce(&file).await.unwrap();

        let refusal = browser
            .confirm(announced.document.id, vec![])
            .await
            .unwrap_err();
        assert!(
            refusal.to_string().contains("not what was announced"),
            "{refusal}"
        );

        browser.send_file(&announced, file.bytes).await.unwrap();
        browser
            .confirm(announced.document.id, vec![])
            .await
            .unwrap();
        let document = browser
            .wait_for(announced.document.id, |_| ())
            .await
            .unwrap();
        assert_eq!(document.status, DocumentStatus::Ready);
    });
}

#[test]
fn an_empty_file_is_refused_before_it_is_sent() {
    journey(async |school| {
        let file = pdf("empty.pdf", Vec::new(), Visibility::Private);
        let refusal = school.teacher.browser.upload(file).await.unwrap_err();
        assert!(refusal.to_string().contains("not accepted"), "{refusal}");
    });
}

#[test]
fn killing_the_worker_in_the_middle_loses_nothing_and_duplicates_nothing() {
    // A short lease, so that the second worker need not wait long for the first one's job.
    let impatient = |config: local_stack::StackConfig| {
        config.with_variable("ingest-worker", "INGEST_LEASE_S", "2")
    };
    journey_with(impatient, async |school| {
        let browser = school.teacher.browser.clone();
        let faults = school.stack.faults();
        let slow = Fault::Stall { ms: 60_000 };
        faults.arm(Target::Embedding, slow, None).await.unwrap();
        let mut ids = Vec::new();
        for name in [
            "01-hand-position-and-finger-independence.pdf",
            "05-practice-and-memory.pdf",
        ] {
            ids.push(
                browser
                    .upload(booklet(name, Visibility::Public))
                    .await
                    .unwrap()
                    .id,
            );
        }
        for &id in &ids {
            while browser.document(id).await.unwrap().stage != Some(IngestStage::Embedding) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }

        school.stack.kill_part(Part::IngestWorker);
        faults.clear().await.unwrap();
        school
            .stack
            .start_parts(&[Part::IngestWorker])
            .await
            .unwrap();

        for id in ids {
            let document = browser.wait_for(id, |_| ()).await.unwrap();
            assert_eq!(
                document.status,
                DocumentStatus::Ready,
                "{:?}",
                document.failure
            );
        }
        let repeated = "select count(*) from (select doc_id, chunk_index from document_chunks \
            group by 1, 2 having count(*) > 1) repeated";
        assert_eq!(school.database().run(repeated).await.unwrap().trim(), "0");
        let gaps = "select count(*) from (select doc_id from document_chunks \
            group by 1 having max(chunk_index) + 1 <> count(*)) gaps";
        assert_eq!(school.database().run(gaps).await.unwrap().trim(), "0");
    });
}

#[test]
fn an_upload_is_watched_live_until_it_is_searchable_and_again_while_it_is_read_once_more() {
    journey(async |school| {
        let browser = &school.teacher.browser;
        let booklet = booklet("05-practice-and-memory.pdf", Visibility::Private);
        let document = browser.upload(booklet).await.unwrap();
        let path = format!("/api/documents/{}", document.id);
        for again in [false, true] {
            if again {
                let read = browser.request(Method::POST, &format!("{path}/reprocess"));
                assert_eq!(read.send().await.unwrap().status(), StatusCode::ACCEPTED);
            }
            let watching = browser.request(Method::GET, &format!("{path}/events"));
            let watched = watching.send().await.unwrap();
            assert_eq!(watched.headers()["content-type"], "text/event-stream");
            // The stream ends by itself.
            let told = watched.text().await.unwrap();
            let documents: Vec<Document> = told
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| serde_json::from_str(data).unwrap())
                .collect();
            let last = documents.last().unwrap();
            assert_eq!((last.status, last.stage), (DocumentStatus::Ready, None));
            if again {
                let stays = documents
                    .iter()
                    .all(|seen| seen.status == DocumentStatus::Ready);
                assert!(stays, "{told}");
            }
        }
    });
}

#[test]
fn a_large_file_comes_in_parts_and_is_read_as_any_other() {
    let in_parts = |config: local_stack::StackConfig| {
        config.with_variable("origin-api", "MAX_WHOLE_BYTES", "5242880")
    };
    journey_with(in_parts, async |school| {
        // A comment, where a book has its pictures.
        let mut bytes = fs::read(booklet_path("04-pedalling.pdf")).unwrap();
        let mark = b"startxref";
        let end = bytes
            .windows(mark.len())
            .rposition(|at| at == mark)
            .unwrap();
        bytes.splice(
            end..end,
            [b"%", &vec![b'x'; 12_000_000][..], b"\n"].concat(),
        );
        let document = school
            .teacher
            .adds(pdf("large.pdf", bytes, Visibility::Private))
            .await;
        assert_eq!(
            document.status,
            DocumentStatus::Ready,
            "{:?}",
            document.failure
        );
    });
}
