//! The child process: reads one file that is made of text.
//!
//! It is as poor and as limited as the one that reads PDFs: see [`crate::extract::child`].

use super::{Said, format};
use crate::extract::{Limits, child::ChildError, limits};
use shared_types::documents::SourceFormat;
use source_formats::Format;
use std::{
    fs,
    io::{BufWriter, Write},
    path::PathBuf,
};

/// What the child is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What the file is.
    #[arg(long, value_parser = of_name)]
    pub format: Format,
    /// The process that started this one; the child ends with it.
    #[arg(long)]
    pub parent: Option<i32>,
    /// Limits of this process.
    #[command(flatten)]
    pub limits: Limits,
    /// The file.
    pub file: PathBuf,
}

fn of_name(name: &str) -> Result<Format, String> {
    let mut known = SourceFormat::ALL.into_iter();
    known
        .find(|known| known.as_str() == name)
        .and_then(format)
        .ok_or_else(|| "not a format that is made of text".to_owned())
}

/// Reads `options.file` and writes [`Said`] to `output`, as one JSON document.
///
/// A file that can't be read is a [`Said::Refused`], not an error.
pub fn run(options: &Options, output: impl Write) -> Result<(), ChildError> {
    limits::die_with_parent(options.parent)?;
    limits::apply(&options.limits)?;
    let bytes = fs::read(&options.file)?;
    let read = source_formats::read(options.format, &bytes, &source_formats::Limits::DEFAULT);
    let said = read.map_or_else(Said::Refused, Said::Read);
    let mut output = BufWriter::new(output);
    serde_json::to_writer(&mut output, &said)?;
    output.flush()?;
    Ok(())
}
