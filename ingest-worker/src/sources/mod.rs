//! Files that are made of text and not of pages: plain text, Markdown, web pages and documents of Word.

pub mod child;
mod pages;

pub use pages::pages;

use crate::{
    extract::{ExtractError, Extractor, process, protocol::ProtocolError},
    failure::Rejection,
};
use serde::{Deserialize, Serialize};
use shared_types::documents::SourceFormat;
use source_formats::{Content, Format, Refusal};
use std::path::Path;

/// All that the child may say: 10 million characters, escaped, are far below it.
const MAX_OUTPUT_BYTES: u64 = 128 * 1024 * 1024;

/// What the child says: one JSON document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// What stands in the file.
    Read(Content),
    /// It can't be read, and never will be.
    Refused(Refusal),
}

/// As what a file is read; `None` for a PDF, which has pages.
#[must_use]
pub fn format(format: SourceFormat) -> Option<Format> {
    match format {
        SourceFormat::Pdf => None,
        SourceFormat::Text => Some(Format::Text),
        SourceFormat::Markdown => Some(Format::Markdown),
        SourceFormat::Html => Some(Format::Html),
        SourceFormat::Docx => Some(Format::Docx),
    }
}

impl Extractor {
    /// What stands in a file that is made of text, read by a child with the limits of one that reads a PDF.
    ///
    /// Dropping the future kills the child; so does the end of this process.
    pub async fn read_source(
        &self,
        format: SourceFormat,
        file: &Path,
    ) -> Result<Content, ExtractError> {
        let mut command = process::command(&self.program, "read-source", &self.limits);
        command.arg("--format").arg(format.as_str());
        command.arg("--").arg(file);
        let said = process::output(command, MAX_OUTPUT_BYTES, self.deadline).await?;
        match serde_json::from_slice(&said) {
            Ok(Said::Read(content)) => Ok(Content {
                // Whatever the child says, a document of Word has none.
                charset: content.charset.filter(|_| format != SourceFormat::Docx),
                ..content
            }),
            Ok(Said::Refused(refusal)) => Err(rejection(refusal, format).into()),
            Err(error) => Err(ExtractError::Protocol(ProtocolError::Json(error))),
        }
    }
}

fn rejection(refusal: Refusal, format: SourceFormat) -> Rejection {
    match refusal {
        Refusal::Empty => Rejection::NoWords,
        Refusal::NotText | Refusal::NotThisFormat => Rejection::NotThisFormat(format),
        Refusal::Encrypted => Rejection::Encrypted,
        Refusal::OldFormat => Rejection::OldFormat,
        Refusal::Damaged => Rejection::Damaged,
        Refusal::TooMuchText => Rejection::TooMuchText,
        Refusal::TooComplex => Rejection::TooComplex,
    }
}
