//! An archive of all that is somebody's.

use crate::{
    conversations::Kept,
    objects::{Objects, ObjectsError},
};
use serde::Serialize;
use shared_types::{
    conversation::ChatSession,
    documents::{Document, DocumentStatus, LibraryFile},
    feedback::CuratedAnswer,
    ids::DocumentId,
    people::{Account, Invitation, LinkedPerson},
    usage::DayUsage,
};
use std::io::{self, Write};
use thiserror::Error;
use tokio::runtime::Handle;
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// What `account.json` says.
#[derive(Debug, Serialize)]
pub struct Contents {
    /// Who it is.
    pub account: Account,
    /// A teacher's students.
    pub students: Vec<LinkedPerson>,
    /// A student's teachers.
    pub teachers: Vec<LinkedPerson>,
    /// Invitations that are open.
    pub invitations: Vec<Invitation>,
    /// What the person's questions took of the model, day by day.
    pub usage: Vec<DayUsage>,
    /// All documents; the file of each is `documents/{id}.pdf`, or what its format's names end in.
    pub documents: Vec<Document>,
    /// Their files.
    #[serde(skip)]
    pub files: Vec<LibraryFile>,
    /// All conversations; the messages of each are `conversations/{id}.json`.
    pub conversations: Vec<ChatSession>,
    /// A teacher's own answers.
    pub curated_answers: Vec<CuratedAnswer>,
    /// Documents whose file is not in the store.
    pub files_missing: Vec<DocumentId>,
}

/// Why an archive was not finished.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file could not be read.
    #[error("a file could not be read")]
    Objects(#[from] ObjectsError),
    /// The messages of a conversation could not be read.
    #[error("a conversation could not be read")]
    Conversation(#[from] storage::Error),
    /// Most often: whoever asked for it has left.
    #[error("the archive could not be written")]
    Archive(#[from] ZipError),
    /// The same, in the middle of a file.
    #[error("the archive could not be written")]
    Write(#[from] io::Error),
    /// `account.json` could not be put as JSON.
    #[error("the account could not be put as JSON")]
    Json(#[from] serde_json::Error),
}

/// Writes the archive, reading one file after the other through `runtime`. Blocks; `out` may make it wait.
pub fn write(
    out: impl Write,
    mut contents: Contents,
    objects: &Objects,
    kept: &Kept,
    runtime: &Handle,
) -> Result<(), ExportError> {
    let mut archive = ZipWriter::new_stream(out);
    // What a PDF holds is compressed already.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (document, file) in contents.documents.iter().zip(&contents.files) {
        if document.status == DocumentStatus::Uploading {
            continue;
        }
        let Some(mut stored) = runtime.block_on(objects.read(file))? else {
            contents.files_missing.push(document.id);
            continue;
        };
        let ending = file.format.endings()[0];
        archive.start_file(format!("documents/{}.{ending}", document.id), options)?;
        while let Some(piece) = runtime.block_on(stored.piece())? {
            archive.write_all(&piece)?;
        }
    }
    for session in &contents.conversations {
        // Removed meanwhile: nothing is left of it.
        let Some(messages) = runtime.block_on(kept.messages(session.id))? else {
            continue;
        };
        archive.start_file(format!("conversations/{}.json", session.id), options)?;
        serde_json::to_writer_pretty(&mut archive, &messages)?;
    }
    archive.start_file("account.json", options)?;
    serde_json::to_writer_pretty(&mut archive, &contents)?;
    archive.finish()?;
    Ok(())
}
