//! Reading what a teacher has besides PDFs: plain text, Markdown, web pages and Word documents.
//!
//! Every format becomes the same thing, a run of [`Block`]s in the order of reading. The bytes are
//! hostile until proven otherwise: whatever they are, reading ends, within the memory that [`Limits`]
//! and the size of the file allow, on a bounded stack, and says why where it refuses. Nothing is
//! fetched, no name inside a file is used as a path, and no entity is expanded but the standard's own.

mod blocks;
mod charset;
mod docx;
mod html;
mod markdown;
mod text;

pub use charset::{Charset, UnknownCharset};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a file is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Plain text.
    Text,
    /// CommonMark with tables, strikethrough, footnotes, task lists and front matter.
    Markdown,
    /// A web page.
    Html,
    /// Office Open XML, transitional or strict.
    Docx,
}

/// A piece of a document.
///
/// Its text is never empty, holds single spaces and no other white space, no control characters and
/// no soft hyphens. It is not normalised otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// What stands over the blocks up to the next heading.
    Heading {
        /// From 1, the document's title, to 6.
        level: u8,
        /// Its text.
        text: String,
    },
    /// A paragraph, list item, row of a table, or line of verse or code. A row's cells are joined by
    /// a space, as those of a PDF are. Marks that are not part of a text, such as Word's bullets, are left out.
    Text(String),
    /// A page ends here. Never first, last, or next to another.
    PageBreak,
}

/// What was read of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// In which encoding its text is. `None` for a document of Word, which says that of each of its parts itself, and for a
    /// page that names one that no browser reads.
    pub charset: Option<Charset>,
    /// What stands in it, in the order of reading; at least one block is text.
    pub blocks: Vec<Block>,
}

/// Why a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No bytes, or none that are text: a document of pictures alone, for one.
    #[error("the file holds no text")]
    Empty,
    /// Binary bytes where text should be.
    #[error("the file holds binary data in place of text")]
    NotText,
    /// A file of another format: what its name says is wrong.
    #[error("the file is not of the format that it is said to be")]
    NotThisFormat,
    /// A password protects it.
    #[error("the file is protected by a password")]
    Encrypted,
    /// A document of Word before 2007: to be saved as DOCX.
    #[error("the file is of Word's format before 2007")]
    OldFormat,
    /// The right format, but broken or cut off.
    #[error("the file is damaged")]
    Damaged,
    /// More text than [`Limits::max_chars`] or [`Limits::max_blocks`].
    #[error("the file holds too much text")]
    TooMuchText,
    /// Nested or packed beyond what a document needs: see the other [`Limits`].
    #[error("the file is nested or packed too deep")]
    TooComplex,
}

/// How much a document may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Characters of all blocks together.
    pub max_chars: usize,
    /// Blocks, page breaks among them.
    pub max_blocks: usize,
    /// Bytes that the parts of a Word document take once unpacked: those that are read, together.
    pub max_unpacked_bytes: usize,
    /// Files packed into a Word document, those that are not read among them.
    pub max_entries: usize,
    /// Elements of a web page, those that the standard says to repeat among them.
    pub max_elements: usize,
    /// Elements within one another, in a web page or a part of a Word document.
    pub max_depth: usize,
}

impl Limits {
    /// Some 3,000 dense pages; browsers, too, nest 512 elements at most.
    pub const DEFAULT: Self = Self {
        max_chars: 10_000_000,
        max_blocks: 500_000,
        max_unpacked_bytes: 128 * 1024 * 1024,
        max_entries: 20_000,
        max_elements: 1_000_000,
        max_depth: 512,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Reads a file.
pub fn read(format: Format, bytes: &[u8], limits: &Limits) -> Result<Content, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    let mut blocks = blocks::Blocks::new(limits);
    let charset = match format {
        Format::Text => {
            let (text, charset) = charset::decode(bytes)?;
            text::read(&text, limits, &mut blocks)?;
            charset
        }
        Format::Markdown => {
            let (text, charset) = charset::decode(bytes)?;
            markdown::read(&text, limits, &mut blocks)?;
            charset
        }
        Format::Html => {
            let (page, charset) = charset::decode_html(bytes)?;
            html::read(&page, limits, &mut blocks)?;
            charset
        }
        Format::Docx => {
            docx::read(bytes, limits, &mut blocks)?;
            None
        }
    };
    Ok(Content {
        charset,
        blocks: blocks.finish()?,
    })
}
