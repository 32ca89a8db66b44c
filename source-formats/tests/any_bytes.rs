//! What holds of every file.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

use proptest::{collection::vec, prelude::*};
use source_formats::{Block, Format, Limits, Refusal};
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

const FORMATS: [Format; 4] = [Format::Text, Format::Markdown, Format::Html, Format::Docx];

fn read(format: Format, bytes: &[u8], limits: &Limits) -> Result<Vec<Block>, Refusal> {
    source_formats::read(format, bytes, limits).map(|content| content.blocks)
}

fn check(blocks: &[Block]) {
    assert!(blocks.iter().any(|block| *block != Block::PageBreak));
    assert!(blocks.first() != Some(&Block::PageBreak) && blocks.last() != Some(&Block::PageBreak));
    for block in blocks {
        let (Block::Heading { text, .. } | Block::Text(text)) = block else {
            continue;
        };
        assert!(!text.is_empty() && text.trim() == text && !text.contains("  "));
        assert!(!text.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' ')));
        assert!(!matches!(block, Block::Heading { level, .. } if !(1..=6).contains(level)));
    }
}

fn texts(format: Format, bytes: &[u8]) -> Vec<String> {
    let text = |block| match block {
        Block::Heading { text, .. } | Block::Text(text) => Some(text),
        Block::PageBreak => None,
    };
    let blocks = read(format, bytes, &Limits::DEFAULT).unwrap();
    blocks.into_iter().filter_map(text).collect()
}

/// A package whose main part holds this.
fn package(document: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let relations = r#"<R><r Type="x/officeDocument" Target="/word/document.xml"/></R>"#;
    for (name, part) in [
        ("_rels/.rels", relations.as_bytes()),
        ("word/document.xml", document),
    ] {
        archive
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(part).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A paragraph that no format takes for anything else.
fn paragraph() -> impl Strategy<Value = String> {
    "[A-Z][a-z]{1,9}( [a-zäöüß]{1,9}){0,9}"
}

/// Pieces of markup in any order.
fn soup(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

const TAGS: &[&str] = &[
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<a href=x>",
    "</a>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "</td>",
    "<ul>",
    "<li>",
    "</ul>",
    "<h1>",
    "</h1>",
    "<h2 hidden>",
    "<main>",
    "</main>",
    "<nav>",
    "</nav>",
    "<pre>",
    "</pre>",
    "<br>",
    "<svg>",
    "<math>",
    "<mi>",
    "<template>",
    "</template>",
    "<select>",
    "<option>",
    "<form>",
    "<frameset>",
    "<body>",
    "<title>",
    "</title>",
    "<script>",
    "</script>",
    "<plaintext>",
    "<!--",
    "-->",
    "&amp;",
    "&#0;",
    "text",
    " ",
    "\n",
    "<img alt=hand>",
    "<article>",
    "</article>",
    "<i a=1>",
    "<i a=2>",
    "</i>",
    "<div>",
    "</div>",
];
const MARKS: &[&str] = &[
    "# ",
    "## ",
    "- ",
    "1. ",
    "> ",
    "    ",
    "\n",
    "\n\n",
    "```\n",
    "|",
    "|-|-|\n",
    "*",
    "**",
    "_",
    "`",
    "[",
    "](x)",
    "![",
    "[^1]",
    "[^1]: ",
    "---\n",
    "+++\n",
    "<div>",
    "</div>\n",
    "<br>",
    "~~",
    "\\",
    "text",
    " ",
    "===\n",
    "[x] ",
    "> [!NOTE]\n",
    "{#id}",
    "\t",
    "<!--",
    "-->",
    "&amp;",
];
const ELEMENTS: &[&str] = &[
    "<w:p>",
    "</w:p>",
    "<w:r>",
    "</w:r>",
    "<w:t>text</w:t>",
    "<w:tbl>",
    "</w:tbl>",
    "<w:tr>",
    "</w:tr>",
    "<w:tc>",
    "</w:tc>",
    "<w:del>",
    "</w:del>",
    "<w:br/>",
    "<w:br w:type='page'/>",
    "<w:tab/>",
    "<w:pPr>",
    "</w:pPr>",
    "<w:rPr>",
    "</w:rPr>",
    "<w:vanish/>",
    "<w:sectPr>",
    "</w:sectPr>",
    "<w:type w:val='continuous'/>",
    "<w:outlineLvl w:val='1'/>",
    "<mc:AlternateContent>",
    "</mc:AlternateContent>",
    "<mc:Choice>",
    "</mc:Choice>",
    "<mc:Fallback>",
    "</mc:Fallback>",
    "<w:sym w:char='266F'/>",
    "<w:footnoteReference w:id='1'/>",
    "&#8;",
    "&x;",
    "<w:lastRenderedPageBreak/>",
    "<w:pageBreakBefore/>",
    "<w:trPr>",
    "</w:trPr>",
    "<w:footnote w:id='1'>",
];

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        for format in FORMATS {
            if let Ok(blocks) = read(format, &bytes, &Limits::DEFAULT) {
                check(&blocks);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        for format in FORMATS {
            if let Ok(blocks) = read(format, text.as_bytes(), &Limits::DEFAULT) {
                check(&blocks);
            }
        }
        let part = format!("<d><body><p><r><t>{text}</t></r></p></body></d>");
        if let Ok(blocks) = read(Format::Docx, &package(part.as_bytes()), &Limits::DEFAULT) {
            check(&blocks);
        }
    }

    #[test]
    fn any_markup_is_read_or_refused(tags in soup(TAGS), marks in soup(MARKS), elements in soup(ELEMENTS)) {
        let part = package(format!("<w:document><w:body>{elements}</w:body></w:document>").as_bytes());
        let files = [(Format::Html, tags.as_bytes()), (Format::Markdown, marks.as_bytes()), (Format::Docx, &part)];
        for (format, bytes) in files {
            match read(format, bytes, &Limits::DEFAULT) {
                Ok(blocks) => check(&blocks),
                Err(refusal) => prop_assert!(matches!(refusal, Refusal::Empty | Refusal::Damaged)),
            }
        }
    }

    #[test]
    fn paragraphs_come_back_from_every_format(paragraphs in vec(paragraph(), 1..20)) {
        let text = paragraphs.join("\n\n");
        prop_assert_eq!(&texts(Format::Text, text.as_bytes()), &paragraphs);
        prop_assert_eq!(&texts(Format::Markdown, text.as_bytes()), &paragraphs);
        let page = format!("<div><p>{}", paragraphs.join("<div><p>"));
        prop_assert_eq!(&texts(Format::Html, page.as_bytes()), &paragraphs);
        let list = format!("<ul><li>{}</ul>", paragraphs.join("\n<li>"));
        prop_assert_eq!(&texts(Format::Html, list.as_bytes()), &paragraphs);
        let part = paragraphs.join("</w:t></w:r></w:p><w:p><w:r><w:t>");
        let part = format!("<w:p><w:r><w:t>{part}</w:t></w:r></w:p>");
        let part = format!("<w:document><w:body>{part}</w:body></w:document>");
        prop_assert_eq!(&texts(Format::Docx, &package(part.as_bytes())), &paragraphs);
    }

    #[test]
    fn limits_hold(paragraphs in vec(paragraph(), 1..20), max_blocks in 1_usize..20) {
        let limits = Limits { max_blocks, ..Limits::DEFAULT };
        let read = read(Format::Text, paragraphs.join("\n\n").as_bytes(), &limits);
        prop_assert_eq!(read.is_ok(), paragraphs.len() <= max_blocks);
    }
}
