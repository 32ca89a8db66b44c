//! Scanned pages through both child processes and the layout.
//!
//! Needs `PDFIUM_LIBRARY`, `TESSERACT_LIBRARY` and `TESSDATA_DIR`.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

use ingest_worker::{
    extract::{
        ExtractError, Extractor, Limits, Pages,
        protocol::{Count, Message},
    },
    failure::Rejection,
    layout::{self, Ending, RawPage, Word, group},
    recognize::Recognizer,
};
use rag_core::{
    chunking::PageText,
    lines::{Area, highlight},
};
use std::{
    convert::Infallible,
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("set {name}; `cargo xtask test` does"))
        .into()
}

fn extractor() -> Extractor {
    Extractor {
        program: env!("CARGO_BIN_EXE_ingest-worker").into(),
        library: variable("PDFIUM_LIBRARY"),
        limits: Limits::default(),
        deadline: Duration::from_mins(5),
    }
}

fn recognizer() -> Recognizer {
    Recognizer {
        program: env!("CARGO_BIN_EXE_ingest-worker").into(),
        pdfium: variable("PDFIUM_LIBRARY"),
        tesseract: variable("TESSERACT_LIBRARY"),
        models: variable("TESSDATA_DIR"),
        languages: "eng".into(),
        max_pages: 100,
        memory_bytes: Recognizer::MEMORY_BYTES,
        page_cpu_s: Recognizer::PAGE_CPU_S,
        deadline: Duration::from_mins(5),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

async fn extract(name: &str) -> Pages {
    let extractor = extractor();
    let pages = extractor.extract(&fixture(name), |_, _| {}).await;
    pages.unwrap()
}

async fn recognize(name: &str) -> Vec<RawPage> {
    let mut pages = extract(name).await;
    let work = recognizer();
    work.recognize(&fixture(name), &mut pages, |_, _| {})
        .await
        .unwrap();
    pages.iter().collect::<io::Result<_>>().unwrap()
}

fn read(pages: &[RawPage]) -> Vec<PageText> {
    let pages = || pages.iter().cloned().map(Ok::<_, Infallible>);
    let Ok(read) = layout::read(pages).and_then(Iterator::collect);
    read
}

async fn printed(name: &str) -> Vec<PageText> {
    let pages = extract(name).await;
    let read = layout::read(|| pages.iter()).and_then(Iterator::collect);
    read.unwrap()
}

async fn failure(recognizer: Recognizer) -> ExtractError {
    let mut pages = extract("scan.pdf").await;
    let file = fixture("scan.pdf");
    let work = recognizer.recognize(&file, &mut pages, |_, _| {});
    work.await.unwrap_err()
}

fn areas(page: &PageText, words: &str) -> Vec<Area> {
    let start = page.text[..page.text.find(words).unwrap()].chars().count() as u32;
    let chars = start..start + words.chars().count() as u32;
    highlight(&page.text, &page.lines, &chars).remove(0).areas
}

#[tokio::test]
async fn a_scan_of_two_columns_reads_like_what_was_scanned() {
    let printed = printed("narrow.pdf").await;
    let recognized = recognize("scan.pdf").await;
    assert!(recognized.iter().all(|page| page.confidence > Some(85)));
    let scanned = read(&recognized);
    let prose = "The difficult affair of an efficient fingering is to find fluent fingers for difficult passages, without \
                 unnecessary complications and notwithstanding the characteristic peculiarities of an individual hand.";
    assert!(scanned[0].text.contains(prose), "{}", scanned[0].text);
    let texts = |pages: &[PageText]| -> Vec<String> {
        pages.iter().map(|page| page.text.clone()).collect()
    };
    assert_eq!(texts(&scanned)[1..], texts(&printed)[1..]);
    // Of three words in an item with wide spaces the recogniser makes a column of their own.
    let words = |page: &PageText| {
        let mut words: Vec<String> = page.text.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    };
    assert_eq!(words(&scanned[0]), words(&printed[0]));
}

#[tokio::test]
async fn what_is_cited_from_a_scan_is_marked_where_it_is_printed() {
    let printed = printed("narrow.pdf").await;
    let scanned = read(&recognize("scan.pdf").await);
    for words in ["difficult affair", "unnecessary", "complications"] {
        let (expected, found) = (areas(&printed[0], words), areas(&scanned[0], words));
        assert_eq!(expected.len(), found.len(), "{words}");
        for (expected, found) in expected.into_iter().zip(found) {
            // Tenths of a point: within a millimetre.
            let near = |a: u32, b: u32| a.abs_diff(b) <= 28;
            assert!(
                near(expected.left, found.left)
                    && near(expected.top, found.top)
                    && near(expected.right, found.right)
                    && near(expected.bottom, found.bottom),
                "{words}: {found:?} for {expected:?}"
            );
        }
    }
}

#[tokio::test]
async fn of_a_mixed_document_only_the_scanned_page_is_recognised() {
    let pages = recognize("mixed.pdf").await;
    assert_eq!(pages[0].confidence, None);
    assert!(pages[1].confidence > Some(85));
    let pages = read(&pages);
    assert!(pages[0].text.contains("The difficult affair"));
    assert!(
        pages[1]
            .text
            .contains("understanding the instrumentation remains")
    );
}

#[tokio::test]
async fn a_page_whose_fonts_say_no_letters_is_recognised_from_what_it_shows() {
    let pages = recognize("undecoded.pdf").await;
    assert!(pages[0].unmapped_glyphs > 0 && !pages[0].is_unreadable());
    let pages = read(&pages);
    assert!(
        pages[0]
            .text
            .contains("The difficult affair of an efficient fingering")
    );
    let nothing = recognize("unmapped.pdf").await;
    assert!(nothing[0].is_unreadable(), "it shows no letters either");
}

#[tokio::test]
async fn a_page_with_a_stamp_in_its_margin_is_recognised() {
    let pages = read(&recognize("stamped.pdf").await);
    assert!(
        pages[0]
            .text
            .contains("The difficult affair of an efficient fingering")
    );
}

#[tokio::test]
async fn a_page_that_lies_on_its_side_or_its_head_is_read_all_the_same() {
    let pages = recognize("askew.pdf").await;
    assert!(pages.iter().all(|page| page.confidence > Some(85)));
    assert!(
        pages
            .iter()
            .flat_map(|page| &page.runs)
            .all(|run| run.turned)
    );
    for page in read(&pages) {
        assert!(
            page.text.contains("efficient fingering is to"),
            "{}",
            page.text
        );
        let areas = areas(&page, "efficient fingering");
        assert!(areas[0].right > areas[0].left && areas[0].bottom > areas[0].top);
    }
}

#[tokio::test]
async fn staves_are_not_taken_for_text() {
    let pages = recognize("music.pdf").await;
    assert!(pages.iter().all(|page| page.scanned));
    let runs: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.runs)
        .map(|run| run.text.as_str())
        .collect();
    assert!(runs.is_empty(), "{runs:?}");
    assert!(pages.iter().all(|page| page.confidence.is_none()));
}

#[tokio::test]
async fn scanned_pages_are_counted_while_they_are_read() {
    let mut seen = Vec::new();
    let mut pages = extract("mixed.pdf").await;
    let work = recognizer();
    work.recognize(&fixture("mixed.pdf"), &mut pages, |done, total| {
        seen.push((done, total));
    })
    .await
    .unwrap();
    assert_eq!(seen, [(0, 1), (1, 1), (1, 1)]);
}

#[tokio::test]
async fn a_recogniser_without_memory_or_time_dies_alone() {
    let little_memory = Recognizer {
        memory_bytes: 64 * 1024 * 1024,
        ..recognizer()
    };
    let failed = failure(little_memory).await;
    assert!(
        matches!(failed, ExtractError::Rejected(Rejection::TooComplex)),
        "{failed:?}"
    );
    let overdue = Recognizer {
        deadline: Duration::from_millis(1),
        ..recognizer()
    };
    let failed = failure(overdue).await;
    assert!(matches!(failed, ExtractError::Overdue(_)), "{failed:?}");
    assert!(recognize("mixed.pdf").await[1].confidence.is_some());
}

/// A recogniser that reads each page as its number and dies of the pages in `fatal`; `stop` is the page at which it
/// falls asleep.
fn scripted(folder: &Path, fatal: &[u32], stop: u32) -> Recognizer {
    let fatal: Vec<String> = fatal
        .iter()
        .map(|page| format!("{page}) kill -SEGV $$ ;;"))
        .collect();
    for number in 1..=6 {
        let count = Count { pages: number };
        for (name, message) in [
            ("header", Message::Header(count)),
            ("page", Message::Page(read_as_its_number(number))),
            ("trailer", Message::Trailer(count)),
        ] {
            let file = folder.join(format!("{name}-{number}"));
            std::fs::write(file, message.to_frame().unwrap()).unwrap();
        }
    }
    let script = format!(
        r#"#!/bin/sh
while [ "$1" != --pages ]; do shift; done
cd "${{0%/*}}"
IFS=,
set -- $2
cat header-$#
count=$#
for page in "$@"; do
    case $page in {fatal} {stop}) while :; do :; done ;; esac
    cat page-$page
done
cat trailer-$count
"#,
        fatal = fatal.join(" ")
    );
    let program = folder.join("recognise");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    Recognizer {
        program,
        deadline: Duration::from_secs(5),
        ..recognizer()
    }
}

fn read_as_its_number(number: u32) -> RawPage {
    let word = Word {
        text: number.to_string(),
        left: 0.0,
        right: 9.0,
        baseline: 9.0,
        size: 9.0,
        top: 9.0,
        bottom: 9.0,
        bold: false,
        turned: false,
        ending: Ending::Break,
    };
    RawPage {
        page: number,
        width: 9.0,
        height: 9.0,
        confidence: Some(90),
        runs: group([word]),
        ..RawPage::default()
    }
}

fn scans(count: u32) -> Pages {
    let scan = |page| RawPage {
        page,
        scanned: true,
        ..RawPage::default()
    };
    Pages::of((1..=count).map(scan)).unwrap()
}

fn recognised(pages: &Pages) -> Vec<u32> {
    let recognised = pages.legible().filter(|page| page.recognised);
    recognised.map(|page| page.page).collect()
}

#[tokio::test]
async fn a_page_that_kills_the_recogniser_is_left_out_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut pages = scans(6);
    let mut seen = Vec::new();
    let work = scripted(folder.path(), &[2, 3, 6], 0);
    work.recognize(Path::new("book.pdf"), &mut pages, |done, total| {
        seen.push((done, total));
    })
    .await
    .unwrap();
    assert_eq!(recognised(&pages), [1, 4, 5]);
    assert!(
        seen.is_sorted() && seen.iter().all(|(_, total)| *total == 6),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_was_recognised_stays_where_too_many_pages_kill_or_one_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new("book.pdf");
    let mut pages = scans(6);
    let deadly = scripted(folder.path(), &[2, 3, 4, 5], 0);
    let failed = deadly.recognize(file, &mut pages, |_, _| {}).await;
    assert!(
        matches!(failed, Err(ExtractError::Rejected(Rejection::TooComplex))),
        "{failed:?}"
    );
    assert_eq!(recognised(&pages), [1]);

    let mut pages = scans(6);
    let endless = scripted(folder.path(), &[], 4);
    let failed = endless.recognize(file, &mut pages, |_, _| {}).await;
    assert!(
        matches!(failed, Err(ExtractError::Overdue(_))),
        "{failed:?}"
    );
    assert_eq!(recognised(&pages), [1, 2, 3]);
}

#[tokio::test]
async fn missing_models_are_not_the_files_fault() {
    let speechless = Recognizer {
        languages: "klingon".into(),
        ..recognizer()
    };
    let ExtractError::Failed { stderr, .. } = failure(speechless).await else {
        panic!("it can't have been read");
    };
    assert!(stderr.contains("klingon"), "{stderr}");
}

#[test]
fn a_worker_without_one_of_its_models_does_not_start_and_says_what_to_do() {
    let models = variable("TESSDATA_DIR");
    let ended = Command::new(env!("CARGO_BIN_EXE_ingest-worker"))
        .arg("run")
        .env_clear()
        .envs([
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
            ("R2_ENDPOINT", "http://127.0.0.1:1"),
            ("R2_ACCESS_KEY_ID", "key"),
            ("R2_SECRET_ACCESS_KEY", "secret"),
            ("CLOUDFLARE_ACCOUNT_ID", "account"),
            ("CLOUDFLARE_API_TOKEN", "token"),
            ("EDGE_URL", "http://127.0.0.1:1"),
            ("EDGE_TOKEN", "token"),
            ("TOKENIZER_FILE", "tokenizer.json"),
            ("OCR_LANGUAGES", "eng+elvish"),
        ])
        .env("PDFIUM_LIBRARY", variable("PDFIUM_LIBRARY"))
        .env("TESSERACT_LIBRARY", variable("TESSERACT_LIBRARY"))
        .env("TESSDATA_DIR", &models)
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    let model = models.join("elvish.traineddata");
    let start = format!(
        "ingest-worker: OCR_LANGUAGES names elvish: can't open its model {}. Install it",
        model.display()
    );
    assert!(said.starts_with(&start), "{said}");
}
