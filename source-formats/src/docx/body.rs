//! The text of a document's main part, and of its notes.

use super::{
    containers::{Container, Paragraph, Row},
    styles::{Outline, Styles},
    xml::{self, Element, Piece},
};
use crate::{Block, Limits, Refusal, blocks::Blocks};
use std::collections::HashMap;

/// The texts of notes, by what is called so (`footnote`, `endnote`) and its number.
pub(super) type Notes = HashMap<(&'static str, String), Vec<Block>>;

/// Elements whose content is not part of the document as it is printed: deleted text, what was before a
/// tracked change, codes of fields, the reading aid over a word.
const LEFT_OUT: [&str; 13] = [
    "del",
    "moveFrom",
    "delText",
    "delInstrText",
    "instrText",
    "rPrChange",
    "pPrChange",
    "sectPrChange",
    "tblPrChange",
    "trPrChange",
    "tcPrChange",
    "tblPrExChange",
    "rt",
];

/// An element that has begun, where it matters.
enum Open {
    Paragraph,
    ParagraphProperties,
    /// Whether its text is hidden.
    Run(bool),
    RunProperties,
    Text,
    Row,
    RowProperties,
    /// Whether the section that it ends began on a page of its own, and whether it ends with a paragraph.
    Section {
        new_page: bool,
        inner: bool,
    },
    /// Whether one of its choices was taken.
    Alternatives(bool),
    Note(&'static str, String),
    Other,
}

/// Reads one part.
pub(super) struct Reader<'a> {
    styles: &'a Styles,
    notes: Notes,
    open: Vec<Open>,
    /// How many elements have begun in one that is left out, itself among them.
    left_out: usize,
    containers: Vec<Container>,
    blocks: Vec<Block>,
    /// Where pages end because a section does.
    sections: Vec<usize>,
    /// Where the section before ends, until it is known how the next one begins.
    section_end: Option<usize>,
    section_ends: bool,
    has_body: bool,
}

impl<'a> Reader<'a> {
    /// A reader of a part that refers to these notes.
    pub(super) fn new(styles: &'a Styles, notes: Notes) -> Self {
        Self {
            styles,
            notes,
            open: Vec::new(),
            left_out: 0,
            containers: Vec::new(),
            blocks: Vec::new(),
            sections: Vec::new(),
            section_end: None,
            section_ends: false,
            has_body: false,
        }
    }

    /// Adds the blocks of a main part.
    pub(super) fn document(
        mut self,
        part: &str,
        limits: &Limits,
        blocks: &mut Blocks,
    ) -> Result<(), Refusal> {
        self.read(part, limits)?;
        if !self.has_body {
            return Err(Refusal::NotThisFormat);
        }
        let mut sections = self.sections.iter().copied().peekable();
        for (at, block) in self.blocks.iter().enumerate() {
            while sections.next_if(|section| *section <= at).is_some() {
                blocks.page_break();
            }
            blocks.block(block)?;
        }
        Ok(())
    }

    /// The notes of a part.
    pub(super) fn notes(mut self, part: &str, limits: &Limits) -> Result<Notes, Refusal> {
        self.read(part, limits)?;
        Ok(self.notes)
    }

    fn read(&mut self, part: &str, limits: &Limits) -> Result<(), Refusal> {
        xml::read(part, limits, |piece| {
            match piece {
                Piece::Start(_) | Piece::End if self.left_out > 0 => {
                    let begins = matches!(piece, Piece::Start(_));
                    self.left_out = if begins {
                        self.left_out + 1
                    } else {
                        self.left_out - 1
                    };
                }
                Piece::Start(element) => self.start(element),
                Piece::End => self.end(),
                Piece::Text(text) if matches!(self.open.last(), Some(Open::Text)) => {
                    self.write(text);
                }
                Piece::Text(_) => {}
            }
            Ok(())
        })
    }

    fn start(&mut self, element: &Element<'_>) {
        let name = element.name();
        if self.is_left_out(name, element) {
            self.left_out = 1;
            return;
        }
        let open = match (self.open.last_mut(), name) {
            (Some(Open::Run(hidden)), _) => {
                let hidden = *hidden;
                self.start_in_run(name, element, hidden)
            }
            (Some(Open::RunProperties), _) => {
                self.set_run_property(name, element);
                Open::Other
            }
            (Some(Open::ParagraphProperties), _) => self.start_in_properties(name, element),
            (Some(Open::Section { new_page, .. }), "type") => {
                let kind = element.attribute("val");
                *new_page = !matches!(kind.as_deref(), Some("continuous" | "nextColumn"));
                Open::Other
            }
            (_, "body") => {
                self.has_body = true;
                Open::Other
            }
            (_, "p") => self.start_paragraph(),
            (_, "pPr") => Open::ParagraphProperties,
            (_, "r") => Open::Run(self.containers.last().is_some_and(Container::is_hidden)),
            (_, "tr") => {
                self.containers.push(Container::Row(Row::default()));
                Open::Row
            }
            (_, "trPr") => Open::RowProperties,
            (_, "tc") => {
                if let Some(Container::Row(row)) = self.containers.last_mut() {
                    row.begin_cell();
                }
                Open::Other
            }
            (_, "sectPr") => Open::Section {
                new_page: true,
                inner: false,
            },
            (_, "AlternateContent") => Open::Alternatives(false),
            (_, "footnote") => Open::Note("footnote", element.attribute("id").unwrap_or_default()),
            (_, "endnote") => Open::Note("endnote", element.attribute("id").unwrap_or_default()),
            _ => Open::Other,
        };
        self.open.push(open);
    }

    /// Whether an element is to be passed over with all that is in it.
    fn is_left_out(&mut self, name: &str, element: &Element<'_>) -> bool {
        match (self.open.last_mut(), name) {
            (Some(Open::RowProperties), "del") => {
                if let Some(Container::Row(row)) = self.containers.last_mut() {
                    row.deleted = true;
                }
                true
            }
            (Some(Open::Alternatives(taken)), _) => std::mem::replace(taken, true),
            // Lines between the text and its notes.
            (_, "footnote" | "endnote") => element
                .attribute("type")
                .is_some_and(|kind| kind != "normal"),
            _ => LEFT_OUT.contains(&name),
        }
    }

    fn start_paragraph(&mut self) -> Open {
        self.containers
            .push(Container::Paragraph(Paragraph::default()));
        Open::Paragraph
    }

    fn start_in_run(&mut self, name: &str, element: &Element<'_>, hidden: bool) -> Open {
        match name {
            "rPr" => return Open::RunProperties,
            "AlternateContent" => return Open::Alternatives(false),
            _ if hidden => {}
            "t" => return Open::Text,
            "tab" | "ptab" => self.write(" "),
            "noBreakHyphen" => self.write("-"),
            "sym" => self.write_symbol(element),
            "cr" => self.break_line(),
            "br" => match element.attribute("type").as_deref() {
                Some("page") => self.break_page(),
                _ => self.break_line(),
            },
            "lastRenderedPageBreak" => self.break_page(),
            "footnoteReference" => self.refer("footnote", element),
            "endnoteReference" => self.refer("endnote", element),
            _ => {}
        }
        Open::Other
    }

    fn set_run_property(&mut self, name: &str, element: &Element<'_>) {
        let hides = match name {
            "vanish" => Some(element.is_on()),
            "rStyle" => element
                .attribute("val")
                .and_then(|style| self.styles.hides(&style)),
            _ => None,
        };
        // A style that says nothing of it leaves a paragraph's own in place.
        let Some(hides) = hides else {
            return;
        };
        let runs = self.open.iter_mut().rev();
        if let Some(hidden) = runs.into_iter().find_map(|open| match open {
            Open::Run(hidden) => Some(hidden),
            _ => None,
        }) {
            *hidden = hides;
        }
    }

    fn start_in_properties(&mut self, name: &str, element: &Element<'_>) -> Open {
        if name == "sectPr" {
            return Open::Section {
                new_page: true,
                inner: true,
            };
        }
        let Some(Container::Paragraph(paragraph)) = self.containers.last_mut() else {
            return Open::Other;
        };
        match name {
            "pStyle" => {
                let style = element.attribute("val").unwrap_or_default();
                paragraph.style = self.styles.outline(&style);
                paragraph.hidden = self.styles.hides(&style).unwrap_or(false);
            }
            "outlineLvl" => {
                paragraph.outline = element
                    .attribute("val")
                    .and_then(|level| Outline::parse(&level));
            }
            "pageBreakBefore" if element.is_on() => paragraph.break_page(),
            _ => {}
        }
        Open::Other
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Paragraph | Open::Row) => {
                if let Some(container) = self.containers.pop() {
                    self.close(container);
                }
            }
            Some(Open::Section { new_page, inner }) => {
                if let Some(end) = self.section_end.take()
                    && new_page
                {
                    self.sections.push(end);
                }
                self.section_ends = inner;
            }
            Some(Open::Note(kind, id)) => {
                let mut blocks = std::mem::take(&mut self.blocks);
                blocks.retain(|block| *block != Block::PageBreak);
                self.notes.insert((kind, id), blocks);
            }
            _ => {}
        }
    }

    fn close(&mut self, container: Container) {
        match self.containers.last_mut() {
            Some(outer) => outer.take(container),
            None => self.blocks.extend(container.into_blocks()),
        }
        if self.containers.is_empty() && std::mem::take(&mut self.section_ends) {
            self.section_end = Some(self.blocks.len());
        }
    }

    fn paragraph(&mut self) -> Option<&mut Paragraph> {
        match self.containers.last_mut() {
            Some(Container::Paragraph(paragraph)) => Some(paragraph),
            _ => None,
        }
    }

    fn write(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraph() {
            paragraph.write(text);
        }
    }

    /// Writes a symbol if it is a character: those for private use are pictures of one font.
    fn write_symbol(&mut self, element: &Element<'_>) {
        let code = element.attribute("char");
        let code = code.and_then(|code| u32::from_str_radix(&code, 16).ok());
        if let Some(symbol) = code.and_then(char::from_u32)
            && !('\u{e000}'..='\u{f8ff}').contains(&symbol)
        {
            self.write(symbol.encode_utf8(&mut [0; 4]));
        }
    }

    fn break_line(&mut self) {
        if let Some(paragraph) = self.paragraph() {
            paragraph.break_line();
        }
    }

    fn break_page(&mut self) {
        if let Some(paragraph) = self.paragraph() {
            paragraph.break_page();
        }
    }

    /// Puts a note behind the paragraph, the first time that something refers to it.
    fn refer(&mut self, kind: &'static str, element: &Element<'_>) {
        let id = element.attribute("id").unwrap_or_default();
        if let Some(note) = self.notes.remove(&(kind, id))
            && let Some(paragraph) = self.paragraph()
        {
            paragraph.notes.extend(note);
        }
    }
}
