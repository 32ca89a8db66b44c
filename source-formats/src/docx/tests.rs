use super::read;
use crate::{Block, Limits, Refusal, blocks::Blocks};
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

const MAIN: &str = "Word/Document.xml";

/// A package of these files.
fn package(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        archive
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn read_all(files: &[(&str, &str)], limits: &Limits) -> Result<Vec<String>, Refusal> {
    let mut blocks = Blocks::new(limits);
    read(&package(files), limits, &mut blocks)?;
    let shown = |block| match block {
        Block::Heading { level, text } => format!("{level}# {text}"),
        Block::Text(text) => text,
        Block::PageBreak => "----".to_owned(),
    };
    Ok(blocks.finish()?.into_iter().map(shown).collect())
}

const RELATIONS: &str = r#"<R><R Type="x/officeDocument" Target="word/document.xml"/></R>"#;

/// The blocks of a document whose body holds this.
fn shown(body: &str) -> Vec<String> {
    let document = format!("<w:document><w:body>{body}</w:body></w:document>");
    read_all(
        &[("_rels/.rels", RELATIONS), (MAIN, &document)],
        &Limits::DEFAULT,
    )
    .unwrap()
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn the_main_part_is_found_by_its_type_where_no_relation_names_it() {
    let types = r#"<T><Override PartName="/a/b.xml" ContentType="x.wordprocessingml.document.main+xml"/></T>"#;
    let files = [
        ("[Content_Types].xml", types),
        ("a/b.xml", "<d><body><p><r><t>Play.</t></r></p></body></d>"),
    ];
    assert_eq!(read_all(&files, &Limits::DEFAULT).unwrap(), ["Play."]);
    assert_eq!(
        read_all(&[("mimetype", "text")], &Limits::DEFAULT),
        Err(Refusal::NotThisFormat)
    );
}

#[test]
fn styles_make_headings_and_hide_text() {
    let document = r#"<w:document><w:body>
        <w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>Scales</w:t><w:br/><w:t>and chords</w:t></w:r></w:p>
        <w:p><w:pPr><w:pStyle w:val="A"/><w:outlineLvl w:val="9"/></w:pPr><w:r><w:t>Play.</w:t></w:r></w:p>
        <w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Thumb</w:t></w:r></w:p>
        <w:p><w:pPr><w:pStyle w:val="S"/></w:pPr><w:r><w:t>Secret</w:t></w:r>
            <w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>Listen.</w:t></w:r></w:p>
        <w:p><w:r><w:rPr><w:rStyle w:val="S"/></w:rPr><w:t>Secret</w:t></w:r><w:r><w:t>Sing.</w:t></w:r></w:p>
        </w:body></w:document>"#;
    let files = [
        ("_rels/.rels", RELATIONS),
        (MAIN, document),
        (
            "word/_rels/document.xml.rels",
            r#"<R><R Type="x/styles" Target="/word/looks.xml"/><R Type="x/footnotes" Target="gone.xml"/></R>"#,
        ),
        (
            "word/looks.xml",
            r#"<w:styles><w:style w:styleId="A"><w:name w:val="heading 2"/></w:style>
                <w:style w:styleId="S"><w:rPr><w:vanish/></w:rPr></w:style></w:styles>"#,
        ),
    ];
    let expected = [
        "2# Scales and chords",
        "Play.",
        "3# Thumb",
        "Listen.",
        "Sing.",
    ];
    assert_eq!(read_all(&files, &Limits::DEFAULT).unwrap(), expected);
}

#[test]
fn a_note_stands_once_behind_what_refers_to_it_first() {
    let document = r#"<w:document><w:body>
        <w:p><w:r><w:t>Play</w:t><w:footnoteReference w:id="2"/></w:r><w:r><w:t> slowly.</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t><w:endnoteReference w:id="2"/></w:r></w:p></w:tc>
            <w:tc><w:p><w:r><w:t>b</w:t><w:footnoteReference w:id="2"/></w:r></w:p></w:tc></w:tr></w:tbl>
        </w:body></w:document>"#;
    let relations =
        r#"<R><R Type="x/footnotes" Target="f.xml"/><R Type="x/endnotes" Target="e.xml"/></R>"#;
    let files = [
        ("_rels/.rels", RELATIONS),
        (MAIN, document),
        ("word/_rels/document.xml.rels", relations),
        (
            "word/f.xml",
            "<w:footnotes><w:footnote w:type='separator' w:id='2'><w:p><w:r><w:t>line</w:t></w:r></w:p></w:footnote>\
             <w:footnote w:id='2'><w:p><w:r><w:footnoteRef/><w:t> At sixty.</w:t></w:r></w:p></w:footnote></w:footnotes>",
        ),
        (
            "word/e.xml",
            "<w:endnotes><w:endnote w:id='2'><w:p><w:r><w:t>By ear.</w:t></w:r></w:p></w:endnote></w:endnotes>",
        ),
    ];
    let expected = ["Play slowly.", "At sixty.", "a b", "By ear."];
    assert_eq!(read_all(&files, &Limits::DEFAULT).unwrap(), expected);
}

#[test]
fn pages_end_where_word_saw_them_end_and_once_in_a_row() {
    let broken = "<w:p><w:r><w:t>one </w:t><w:lastRenderedPageBreak/><w:t>two</w:t></w:r></w:p>";
    assert_eq!(shown(broken), ["one", "----", "two"]);
    let row = format!("<w:tr><w:tc>{broken}</w:tc><w:tc>{broken}</w:tc></w:tr>");
    assert_eq!(shown(&row), ["one", "----", "two one two"]);
}

#[test]
fn a_section_ends_the_page_unless_the_next_one_goes_on() {
    let section = |text: &str, kind: &str| {
        format!(
            "<w:p><w:pPr><w:sectPr><w:type w:val='{kind}'/></w:sectPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let body = section("one", "nextPage")
        + &section("two", "continuous")
        + &section("three", "oddPage")
        + &paragraph("four")
        + "<w:sectPr/>";
    assert_eq!(
        shown(&body),
        ["one", "two", "----", "three", "----", "four"]
    );
}

#[test]
fn what_was_deleted_moved_away_or_changed_is_left_out() {
    let body = "<w:p><w:pPr><w:pPrChange><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:pPrChange></w:pPr>\
        <w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>here</w:t></w:r></w:moveTo>\
        <w:del><w:r><w:delText>gone</w:delText></w:r></w:del>\
        <w:r><w:rPr><w:rPrChange><w:rPr><w:vanish/></w:rPr></w:rPrChange></w:rPr><w:t> too</w:t></w:r></w:p>\
        <w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>row</w:t></w:r></w:p></w:tc></w:tr>";
    assert_eq!(shown(body), ["here too"]);
}

#[test]
fn one_of_the_alternatives_is_read() {
    let text = |text: &str| format!("<w:r><w:t>{text}</w:t></w:r>");
    let body = format!(
        "<w:p><mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback>\
        </mc:AlternateContent><mc:AlternateContent><mc:Fallback>{}</mc:Fallback></mc:AlternateContent></w:p>",
        text("a"),
        text("b"),
        text("c"),
        text("d")
    );
    assert_eq!(shown(&body), ["ad"]);
}

#[test]
fn headings_and_tables_in_a_cell_stand_on_lines_of_their_own() {
    let heading = "<w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr><w:r><w:t>Week</w:t></w:r></w:p>";
    let inner = format!(
        "<w:tbl><w:tr><w:tc>{0}</w:tc><w:tc>{0}</w:tc></w:tr></w:tbl>",
        paragraph("in")
    );
    let row = format!(
        "<w:tr><w:tc>{}{heading}{1}{1}{inner}</w:tc><w:tc>{1}</w:tc></w:tr>",
        paragraph("a"),
        paragraph("b")
    );
    assert_eq!(shown(&row), ["a", "2# Week", "b b", "in in", "b"]);
}

#[test]
fn characters_are_written_as_they_are_meant() {
    let body = "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>left</w:t><w:noBreakHyphen/><w:t>hand &amp; \
        &#x266F;&#8;&bad;<![CDATA[<C>]]></w:t><w:tab/><w:t>so</w:t><w:softHyphen/><w:t>na</w:t></w:r></w:p>";
    assert_eq!(shown(body), ["left-hand & ♯<C> sona"]);
}

#[test]
fn parts_together_take_no_more_than_they_may() {
    let document = format!(
        "<w:document><w:body>{}</w:body></w:document>",
        paragraph("Play.")
    );
    let files = [("_rels/.rels", RELATIONS), (MAIN, &document)];
    let at = |max_unpacked_bytes| Limits {
        max_unpacked_bytes,
        ..Limits::DEFAULT
    };
    let size = RELATIONS.len() + document.len();
    assert!(read_all(&files, &at(size)).is_ok());
    assert_eq!(read_all(&files, &at(size - 1)), Err(Refusal::TooComplex));
}
