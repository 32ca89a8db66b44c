//! `add`: uploads as a browser does, with progress until searchable.

use super::{
    library::{self, Shelving},
    running::Home,
};
use crate::{checkout::Checkout, cli::AddOptions};
use anyhow::{Context, Result, ensure};
use local_stack::client::NewDocument;
use shared_types::documents::{Document, DocumentStatus, Visibility};
use std::{fs, path::Path, process::ExitCode};

pub async fn run(checkout: &Checkout, options: &AddOptions) -> Result<ExitCode> {
    ensure!(
        options.title.is_none() || options.files.len() == 1,
        "--title names one document, and there are {} files",
        options.files.len()
    );
    let running = Home::open(checkout)?.running().await?;
    let email = match &options.email {
        Some(email) => email.clone(),
        None => library::read(checkout)?.teacher()?.email.clone(),
    };
    let visibility = if options.public {
        Visibility::Public
    } else {
        Visibility::Private
    };
    let files = options
        .files
        .iter()
        .map(|path| {
            Ok(NewDocument {
                title: options.title.clone().unwrap_or_else(|| title_of(path)),
                file_name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                bytes: fs::read(path).with_context(|| path.display().to_string())?,
                visibility,
            })
        })
        .collect::<Result<Vec<_>>>()?;

    let client = running.sign_in(&email).await?;
    let mut shelving = Shelving::new();
    for file in files {
        shelving.upload(&client, file).await?;
    }
    let documents = shelving.wait(&client).await?;
    let mut failed = false;
    for document in &documents {
        if document.status == DocumentStatus::Failed {
            failed = true;
            let reason = document
                .failure
                .as_deref()
                .unwrap_or("for an unknown reason");
            println!("{} failed: {reason}", document.title);
        } else {
            println!("{} ({}) is searchable", document.title, pages(document));
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// How many pages there are, and how well they could be read.
fn pages(document: &Document) -> String {
    let count = document.page_count.unwrap_or_default();
    let mut parts = vec![format!("{count} pages")];
    if let (Some(scanned), Some(confidence)) = (document.scanned_pages, document.scan_confidence) {
        parts.push(format!("{scanned} of them recognised, {confidence} % sure"));
    }
    if let Some(unreadable) = document.unreadable_pages {
        parts.push(format!("{unreadable} of them unreadable"));
    }
    parts.join(", ")
}

/// `notation-reference_2.pdf` → `notation reference 2`.
fn title_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_makes_a_title() {
        assert_eq!(
            title_of(Path::new("scores/notation-reference_2.pdf")),
            "notation reference 2"
        );
    }
}
