//! Real PDFs, and files that pretend to be, through the child process and the layout.
//!
//! Needs `PDFIUM_LIBRARY`, the path of `libpdfium.so`.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

use ingest_worker::{
    extract::{ExtractError, Extractor, Limits},
    failure::Rejection,
    layout,
};
use rag_core::{
    chunking::PageText,
    lines::{Area, highlight},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn extractor(limits: Limits) -> Extractor {
    let library = std::env::var("PDFIUM_LIBRARY")
        .expect("set PDFIUM_LIBRARY to the path of libpdfium.so; `cargo xtask test` does");
    Extractor {
        program: env!("CARGO_BIN_EXE_ingest-worker").into(),
        library: library.into(),
        limits,
        deadline: Duration::from_mins(5),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sample-library/pdf")
        .join(name)
}

async fn read(file: &Path) -> Result<Vec<PageText>, ExtractError> {
    let pages = extractor(Limits::default())
        .extract(file, |_, _| {})
        .await?;
    let read = layout::read(|| pages.iter()).and_then(Iterator::collect);
    read.map_err(ExtractError::Spool)
}

async fn rejection(file: &Path, limits: Limits) -> Rejection {
    match extractor(limits).extract(file, |_, _| {}).await {
        Err(ExtractError::Rejected(rejection)) => rejection,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

async fn rejection_of_bytes(bytes: &[u8]) -> Rejection {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    rejection(file.path(), Limits::default()).await
}

#[tokio::test]
async fn a_booklet_reads_like_a_booklet() {
    let pages = read(&sample("05-practice-and-memory.pdf")).await.unwrap();
    let page = &pages[1].text;
    assert!(page.starts_with(
        "1 Planning practice\n\nPractice is not the same as playing. Playing runs through"
    ));
    assert!(page.contains("\n• the task, such as an even left hand;\n"));
    assert!(
        !page.contains("How to learn a piece and keep it"),
        "the running head stayed"
    );
    assert!(
        page.ends_with("make the task smaller."),
        "the page number stayed"
    );
    assert!(pages[2].text.contains("\nMonday 5 20 15 5 45\n"));
}

#[tokio::test]
async fn columns_hyphens_and_ligatures_come_out_as_words() {
    let pages = read(&fixture("narrow.pdf")).await.unwrap();
    let texts: Vec<&str> = pages.iter().map(|page| page.text.as_str()).collect();
    assert_eq!(
        texts[0],
        "Fingering\n\nThe difficult affair of an efficient fingering is to find fluent fingers for difficult \
         passages, without unnecessary complications and notwithstanding the characteristic peculiarities \
         of an individual hand.\n\nAfterwards the accompaniment is practised separately:\n\
         • the left-hand part alone;\n\n• the right-hand part alone."
    );
    assert_eq!(texts[2], "Second page\n\nOnly this sentence.");
}

#[tokio::test]
async fn a_page_that_is_shown_turned_reads_the_same() {
    let upright = read(&fixture("narrow.pdf")).await.unwrap();
    assert_eq!(read(&fixture("turned.pdf")).await.unwrap(), upright);
    assert_eq!(read(&fixture("restricted.pdf")).await.unwrap(), upright);
    assert_eq!(read(&fixture("cropped.pdf")).await.unwrap(), upright);
}

#[tokio::test]
async fn what_is_cited_is_marked_where_it_is_printed() {
    let pages = read(&fixture("narrow.pdf")).await.unwrap();
    let of = |words: &str| {
        let start = pages[0].text[..pages[0].text.find(words).unwrap()]
            .chars()
            .count() as u32;
        let chars = start..start + words.chars().count() as u32;
        highlight(&pages[0].text, &pages[0].lines, &chars)
            .remove(0)
            .areas
    };
    // As another reader of PDFs has them: 60.0 to 117.3 from the left, 53.9 to 65.3 from the top. A
    // mark reaches to the next word.
    let area = |left, top, right, bottom| Area {
        left,
        top,
        right,
        bottom,
    };
    assert_eq!(of("difficult affair"), [area(600, 537, 1218, 653)]);
    assert_eq!(of("unnecessary"), [area(640, 1061, 1257, 1177)]);
    let [first, second] = of("complications")[..] else {
        panic!("it is broken over two lines");
    };
    assert!(first.left > second.right && first.bottom < second.bottom);
}

#[tokio::test]
async fn columns_written_row_by_row_are_read_one_after_the_other() {
    let pages = read(&fixture("row-by-row.pdf")).await.unwrap();
    let (left, right) = pages[0].text.split_once("\n\n").unwrap();
    assert!(left.contains("Left a") && left.contains("Left j") && !left.contains("Right"));
    assert!(right.contains("Right a") && right.contains("Right j"));
}

#[tokio::test]
async fn pages_are_counted_while_they_are_read() {
    let mut seen = Vec::new();
    let pages = extractor(Limits::default())
        .extract(&fixture("narrow.pdf"), |done, total| {
            seen.push((done, total));
        })
        .await
        .unwrap();
    let total = pages.len() as u32;
    assert_eq!(seen[0], (0, total));
    assert!(seen.contains(&(2, total)) && seen.contains(&(total, total)));
}

#[tokio::test]
async fn what_is_no_pdf_is_rejected_with_its_reason() {
    assert_eq!(rejection_of_bytes(b"").await, Rejection::Empty);
    assert_eq!(
        rejection_of_bytes(b"Dear teacher,\n").await,
        Rejection::NotAPdf
    );
    assert_eq!(
        rejection_of_bytes(b"%PDF-1.7\nnothing\n%%EOF\n").await,
        Rejection::Damaged
    );
}

#[tokio::test]
async fn a_pdf_that_is_cut_off_anywhere_is_rejected() {
    let whole = fs::read(sample("05-practice-and-memory.pdf")).unwrap();
    for percent in [5, 50, 95] {
        let part = &whole[..whole.len() * percent / 100];
        assert_eq!(
            rejection_of_bytes(part).await,
            Rejection::Damaged,
            "at {percent} %"
        );
    }
}

#[tokio::test]
async fn a_pdf_with_a_password_is_rejected() {
    let found = rejection(&fixture("encrypted.pdf"), Limits::default()).await;
    assert_eq!(found, Rejection::Encrypted);
}

#[tokio::test]
async fn a_pdf_of_too_many_pages_is_rejected() {
    let found = rejection(&fixture("too-many-pages.pdf"), Limits::default()).await;
    assert_eq!(found, Rejection::TooManyPages(2_000));
    let few = Limits {
        max_pages: 3,
        ..Limits::default()
    };
    let found = rejection(&sample("04-pedalling.pdf"), few).await;
    assert_eq!(found, Rejection::TooManyPages(3));
}

#[tokio::test]
async fn pages_without_text_are_pages_all_the_same() {
    assert_eq!(read(&fixture("drawing.pdf")).await.unwrap()[0].text, "");
    assert!(read(&fixture("no-pages.pdf")).await.unwrap().is_empty());
}

#[tokio::test]
async fn rows_of_a_table_keep_their_cells_together_and_in_order() {
    let pages = read(&fixture("table.pdf")).await.unwrap();
    assert_eq!(
        pages[0]
            .text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        "Day Scales Pieces Monday 5 20 Tuesday 15 Friday 10 20"
    );
    let rows: Vec<&str> = pages[0]
        .text
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        rows,
        [
            "Day Scales Pieces",
            "Monday 5 20",
            "Tuesday 15",
            "Friday 10 20"
        ]
    );
}

#[tokio::test]
async fn of_a_mixed_document_what_is_text_is_read() {
    let pages = read(&fixture("mixed.pdf")).await.unwrap();
    assert!(pages[0].text.contains("The difficult affair"));
    assert_eq!((pages.len(), pages[1].text.as_str()), (2, ""));
}

#[tokio::test]
async fn pages_in_fonts_without_characters_are_told_from_blank_ones() {
    let pages = extractor(Limits::default())
        .extract(&fixture("unmapped.pdf"), |_, _| {})
        .await
        .unwrap();
    let unreadable: Vec<bool> = pages.legible().map(|page| page.unreadable).collect();
    assert_eq!(unreadable, [true, false]);
    let drawing = extractor(Limits::default())
        .extract(&fixture("drawing.pdf"), |_, _| {})
        .await
        .unwrap();
    assert!(drawing.legible().all(|page| !page.unreadable));
}

#[tokio::test]
async fn pages_that_are_pictures_of_text_are_told_from_pages_that_hold_it() {
    for (name, expected) in [
        ("scan.pdf", &[true, true, true, true][..]),
        ("mixed.pdf", &[false, true]),
        ("stamped.pdf", &[true]),
        ("unmapped.pdf", &[true, false]),
        ("undecoded.pdf", &[true]),
        ("searchable.pdf", &[false]),
        ("drawing.pdf", &[false]),
        ("narrow.pdf", &[false, false, false, false]),
    ] {
        let pages = extractor(Limits::default())
            .extract(&fixture(name), |_, _| {})
            .await
            .unwrap();
        let scanned: Vec<bool> = pages.legible().map(|page| page.scanned).collect();
        assert_eq!(scanned, expected, "{name}");
    }
}

#[tokio::test]
async fn scripts_do_not_run_and_attachments_are_not_read() {
    let pages = read(&fixture("scripts.pdf")).await.unwrap();
    let texts: Vec<&str> = pages.iter().map(|page| page.text.as_str()).collect();
    assert_eq!(texts, ["Sit tall."]);
}

#[tokio::test]
async fn a_page_tree_that_contains_itself_comes_to_an_end() {
    let pages = read(&fixture("page-loop.pdf")).await.unwrap();
    assert_eq!(pages[0].text, "Sit tall.");
    assert!(
        pages[1..]
            .iter()
            .all(|page| ["", "Sit tall."].contains(&page.text.as_str()))
    );
}

#[tokio::test]
async fn forms_that_draw_forms_that_draw_forms_come_to_an_end() {
    assert_eq!(read(&fixture("forms.pdf")).await.unwrap()[0].text, "x");
}

#[tokio::test]
async fn a_few_kilobytes_that_unfold_to_gigabytes_are_rejected() {
    let little_memory = Limits {
        memory_bytes: 512 * 1024 * 1024,
        ..Limits::default()
    };
    for bomb in ["object-stream.pdf", "endless-page.pdf"] {
        let found = rejection(&fixture(bomb), little_memory).await;
        assert_eq!(found, Rejection::TooComplex, "{bomb}");
    }
}

#[tokio::test]
async fn a_child_without_memory_or_time_dies_alone() {
    let little_memory = Limits {
        memory_bytes: 256 * 1024 * 1024,
        ..Limits::default()
    };
    let found = rejection(&fixture("bomb.pdf"), little_memory).await;
    assert_eq!(found, Rejection::TooComplex);
    let little_time = Limits {
        memory_bytes: 16 * 1024 * 1024 * 1024,
        cpu_s: 1,
        ..Limits::default()
    };
    let found = rejection(&fixture("bomb.pdf"), little_time).await;
    assert_eq!(found, Rejection::TooComplex);
    assert!(read(&fixture("narrow.pdf")).await.is_ok());
}

#[tokio::test]
async fn a_child_that_is_overdue_is_killed_and_the_file_not_blamed() {
    let hurried = Extractor {
        deadline: Duration::from_millis(1),
        ..extractor(Limits::default())
    };
    let result = hurried.extract(&fixture("bomb.pdf"), |_, _| {}).await;
    assert!(
        matches!(result, Err(ExtractError::Overdue(_))),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_missing_library_is_not_the_files_fault() {
    let unequipped = Extractor {
        library: "/nowhere/libpdfium.so".into(),
        ..extractor(Limits::default())
    };
    let result = unequipped.extract(&fixture("narrow.pdf"), |_, _| {}).await;
    let Err(ExtractError::Failed { stderr, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(stderr.contains("/nowhere/libpdfium.so"));
}
