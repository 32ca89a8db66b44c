//! Whole files of every format, as teachers have them and as nobody should.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

use source_formats::{Block, Charset, Format, Limits, Refusal};
use std::{fs, path::Path};

fn fixture(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(fixtures.join(name)).unwrap()
}

fn read(format: Format, bytes: &[u8], limits: &Limits) -> Result<Vec<Block>, Refusal> {
    source_formats::read(format, bytes, limits).map(|content| content.blocks)
}

/// The blocks as lines: a heading after its level, `----` where a page ends.
fn shown(format: Format, bytes: &[u8]) -> Vec<String> {
    let blocks = read(format, bytes, &Limits::DEFAULT).unwrap();
    let line = |block| match block {
        Block::Heading { level, text } => format!("{level}# {text}"),
        Block::Text(text) => text,
        Block::PageBreak => "----".to_owned(),
    };
    blocks.into_iter().map(line).collect()
}

fn refusal(name: &str) -> Option<Refusal> {
    read(Format::Docx, &fixture(name), &Limits::DEFAULT).err()
}

#[test]
fn a_page_is_read_without_what_stands_around_its_text() {
    let expected = [
        "1# Practising slowly",
        "Written for our families",
        "A slow tempo is not an end in itself: it lets you hear what each finger does, and how the weight moves from one to the next.",
        "Choose a tempo at which nothing goes wrong — then go 10% below it.",
        "2# How it goes",
        "Play one bar.",
        "Rest as long as you played.",
        "Breathe out.",
        "Let the arms hang.",
        "Play it again.",
        "Then go on.",
        "A curved hand on the keys",
        "The arch of the hand",
        "3# Tempo by week",
        "Beats a minute",
        "Week Scale Piece",
        "1 60 48",
        "2 72 54 or less",
        "3 by ear",
        "hands apart",
        "hands together",
        "Slow is smooth,",
        "smooth is fast.",
        "RH 1 2 3 1 2 3 4 5",
        "LH 5 4 3 2 1 3 2 1",
        "Some teachers begin with the left hand.",
    ];
    assert_eq!(shown(Format::Html, &fixture("practice.html")), expected);
}

#[test]
fn a_handbook_from_a_word_processor_is_read_with_its_headings_tables_and_pages() {
    let expected = [
        "1# A Handbook of Practice",
        "For the families of our studio.",
        "1# Warming up",
        "Begin with five slow notes in each hand, and breathe.",
        "Sit at the height of your elbows",
        "Let the shoulders hang",
        "Play one octave",
        "2# Tempo",
        "Scale Beats a minute",
        "C major 80",
        "A minor 72",
        "left hand 66",
        "Slow is smooth,",
        "smooth is fast.",
        "----",
        "1# At the pedal",
        "Change the pedal with the harmony.",
        "Listen to the bass.",
        "----",
        "Sign here each week.",
    ];
    assert_eq!(shown(Format::Docx, &fixture("handbook.docx")), expected);
}

#[test]
fn a_revised_document_is_read_as_it_will_be_printed() {
    let expected = [
        "Curve the fingers.",
        "Lesson 12",
        "Finger♯",
        "Beside the box.",
        "Thumb under, not over.",
    ];
    assert_eq!(shown(Format::Docx, &fixture("revised.docx")), expected);
}

#[test]
fn a_strict_document_is_read_like_any_other() {
    let text = shown(Format::Docx, &fixture("strict.docx"));
    assert_eq!(text, ["Play with care."]);
}

#[test]
fn documents_that_nobody_should_have_are_refused_by_reason() {
    assert_eq!(refusal("bomb.docx"), Some(Refusal::TooComplex));
    assert_eq!(refusal("nested.docx"), Some(Refusal::TooComplex));
    assert_eq!(refusal("entities.docx"), Some(Refusal::Damaged));
    assert_eq!(refusal("no-document.docx"), Some(Refusal::Damaged));
    assert_eq!(refusal("spreadsheet.docx"), Some(Refusal::NotThisFormat));
    assert_eq!(refusal("locked.docx"), Some(Refusal::Encrypted));
    assert_eq!(refusal("word-97.docx"), Some(Refusal::OldFormat));
    assert_eq!(refusal("practice.html"), Some(Refusal::NotThisFormat));
}

#[test]
fn a_document_that_is_cut_off_or_overwritten_is_damaged() {
    let whole = fixture("handbook.docx");
    let cut = read(Format::Docx, &whole[..whole.len() / 2], &Limits::DEFAULT);
    assert_eq!(cut, Err(Refusal::Damaged));
    let at = whole
        .windows(17)
        .position(|name| name == b"word/document.xml")
        .unwrap();
    let mut overwritten = whole.clone();
    overwritten[at + 40..at + 80].fill(0xff);
    let overwritten = read(Format::Docx, &overwritten, &Limits::DEFAULT);
    assert_eq!(overwritten, Err(Refusal::Damaged));
}

#[test]
fn a_document_may_have_so_many_files_and_no_more() {
    let whole = fixture("handbook.docx");
    let limits = Limits {
        max_entries: 3,
        ..Limits::DEFAULT
    };
    assert_eq!(
        read(Format::Docx, &whole, &limits),
        Err(Refusal::TooComplex)
    );
}

#[test]
fn deep_pages_and_markdown_end_on_a_small_stack() {
    let deep = |open: &str| open.repeat(100_000) + "x";
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let reading = small.spawn(move || {
        for page in [
            "<div>",
            "<b>",
            "<ul><li>",
            "<table><tr><td>",
            "<svg>",
            "<template>",
        ] {
            let refused = read(Format::Html, deep(page).as_bytes(), &Limits::DEFAULT);
            assert_eq!(refused, Err(Refusal::TooComplex), "{page}");
        }
        for text in ["> ", "- ", "*", "[", "![", "`", "<div>", "(", "|", "\\"] {
            let _ = read(Format::Markdown, deep(text).as_bytes(), &Limits::DEFAULT);
        }
    });
    reading.unwrap().join().unwrap();
}

#[test]
fn nothing_but_markup_is_empty() {
    for (format, text) in [
        (Format::Text, " \n\u{feff}\n====\n"),
        (
            Format::Markdown,
            "---\ntitle: Scales\n---\n\n<!-- later -->\n",
        ),
        (Format::Html, "<title>Scales</title><script>play()</script>"),
        (Format::Html, ""),
    ] {
        let refused = read(format, text.as_bytes(), &Limits::DEFAULT);
        assert_eq!(refused, Err(Refusal::Empty), "{format:?} {text:?}");
    }
}

#[test]
fn a_file_of_text_says_in_which_encoding_it_is_read() {
    let latin = b"# \xdcbung\n\nDie T\xf6ne klingen gleichm\xe4\xdfig, jeder f\xfcr sich.";
    let russian = b"<meta charset=windows-1251><p>\xc3\xe0\xec\xec\xe0";
    let word = fixture("handbook.docx");
    for (format, bytes, charset) in [
        (Format::Text, &latin[..], Some("windows-1252")),
        (Format::Markdown, latin, Some("windows-1252")),
        (Format::Html, "<p>Übung".as_bytes(), Some("UTF-8")),
        (Format::Html, russian, Some("windows-1251")),
        (Format::Docx, &word, None),
    ] {
        let content = source_formats::read(format, bytes, &Limits::DEFAULT).unwrap();
        assert_eq!(content.charset.map(Charset::name), charset, "{format:?}");
    }
}

#[test]
fn refusals_and_blocks_have_stable_names() {
    let json = |value: &Block| serde_json::to_string(value).unwrap();
    let heading = Block::Heading {
        level: 2,
        text: "Scales".to_owned(),
    };
    assert_eq!(json(&heading), r#"{"heading":{"level":2,"text":"Scales"}}"#);
    assert_eq!(
        json(&Block::Text("Play.".to_owned())),
        r#"{"text":"Play."}"#
    );
    assert_eq!(json(&Block::PageBreak), r#""page_break""#);
    assert_eq!(
        serde_json::to_string(&Refusal::NotThisFormat).unwrap(),
        r#""not_this_format""#
    );
}
