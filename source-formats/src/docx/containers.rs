//! Paragraphs and rows of tables while they are read. A text box stands in a paragraph, a table in a cell.

use super::styles::Outline;
use crate::Block;

/// What is being read.
pub(super) enum Container {
    Paragraph(Paragraph),
    Row(Row),
}

impl Container {
    /// Whether text is hidden in it unless it says otherwise.
    pub(super) fn is_hidden(&self) -> bool {
        matches!(self, Self::Paragraph(paragraph) if paragraph.hidden)
    }

    /// Takes up what ended in it.
    pub(super) fn take(&mut self, inner: Self) {
        match (self, inner) {
            (Self::Paragraph(outer), inner) => outer.after.extend(inner.into_blocks()),
            (Self::Row(outer), Self::Paragraph(inner)) => outer.take_paragraph(inner),
            (Self::Row(outer), inner @ Self::Row(_)) => {
                outer.flush();
                outer.blocks.extend(inner.into_blocks());
            }
        }
    }

    pub(super) fn into_blocks(self) -> Vec<Block> {
        match self {
            Self::Paragraph(mut paragraph) => {
                paragraph.flush();
                let mut blocks = paragraph.blocks;
                blocks.extend(paragraph.after);
                blocks.extend(paragraph.notes);
                blocks
            }
            Self::Row(row) if row.deleted => Vec::new(),
            Self::Row(mut row) => {
                row.flush();
                let mut blocks = row.blocks;
                blocks.extend(row.notes);
                blocks
            }
        }
    }
}

/// A paragraph.
#[derive(Default)]
pub(super) struct Paragraph {
    /// What its style makes of it, and what it says itself.
    pub(super) style: Option<Outline>,
    pub(super) outline: Option<Outline>,
    pub(super) hidden: bool,
    /// What it refers to.
    pub(super) notes: Vec<Block>,
    line: String,
    blocks: Vec<Block>,
    /// The text boxes that are anchored in it.
    after: Vec<Block>,
}

impl Paragraph {
    pub(super) fn write(&mut self, text: &str) {
        self.line.push_str(text);
    }

    /// Begins a new line; a heading stays on one.
    pub(super) fn break_line(&mut self) {
        if self.heading().is_some() {
            self.line.push(' ');
        } else {
            self.flush();
        }
    }

    pub(super) fn break_page(&mut self) {
        self.flush();
        self.blocks.push(Block::PageBreak);
    }

    fn heading(&self) -> Option<u8> {
        match self.outline.or(self.style)? {
            Outline::Heading(level) => Some(level),
            Outline::Body => None,
        }
    }

    fn flush(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.line);
        self.blocks.push(match self.heading() {
            Some(level) => Block::Heading { level, text },
            None => Block::Text(text),
        });
    }
}

/// A row of a table: one line, except around headings, tables within it and the end of a page.
#[derive(Default)]
pub(super) struct Row {
    pub(super) deleted: bool,
    line: String,
    blocks: Vec<Block>,
    notes: Vec<Block>,
    /// Ends of pages in the row, and in its current cell: cells that stand side by side see the same ones.
    breaks: usize,
    cell_breaks: usize,
}

impl Row {
    pub(super) fn begin_cell(&mut self) {
        self.cell_breaks = 0;
        self.line.push(' ');
    }

    fn take_paragraph(&mut self, mut paragraph: Paragraph) {
        self.notes.append(&mut paragraph.notes);
        for block in Container::Paragraph(paragraph).into_blocks() {
            match block {
                Block::Text(text) => {
                    self.line.push(' ');
                    self.line.push_str(&text);
                }
                Block::Heading { .. } => {
                    self.flush();
                    self.blocks.push(block);
                }
                Block::PageBreak => {
                    self.cell_breaks += 1;
                    if self.cell_breaks > self.breaks {
                        self.breaks = self.cell_breaks;
                        self.flush();
                        self.blocks.push(block);
                    }
                }
            }
        }
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.blocks
                .push(Block::Text(std::mem::take(&mut self.line)));
        }
    }
}
