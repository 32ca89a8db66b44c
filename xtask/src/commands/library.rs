//! The sample library: its people and documents, and how they get into a system.

use crate::{checkout::Checkout, steps};
use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar};
use local_stack::{Client, Role, Stack, client::NewDocument, secrets::Secrets};
use serde::Deserialize;
use shared_types::{
    documents::{Document, DocumentStatus, IngestStage, Visibility},
    ids::{DocumentId, UserId},
    problem::ProblemKind,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal, stderr},
    path::Path,
    time::Duration,
};
use tokio::time::sleep;

/// How often the documents of one person are looked at. The edge lets a person ask once a second on average.
const POLL: Duration = Duration::from_millis(1500);

/// `sample-library/library.toml`.
#[derive(Debug, Deserialize)]
pub struct Library {
    #[serde(rename = "person")]
    people: Vec<SamplePerson>,
    #[serde(rename = "document")]
    documents: Vec<SampleDocument>,
}

/// Somebody of the sample library.
#[derive(Debug, Deserialize)]
pub struct SamplePerson {
    /// The e-mail address.
    pub email: String,
    full_name: String,
    role: Role,
    #[serde(default)]
    teacher: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SampleDocument {
    file: String,
    title: String,
    owner: String,
    public: bool,
}

/// Reads the sample library.
pub fn read(checkout: &Checkout) -> Result<Library> {
    let path = folder(checkout).join("library.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

fn folder(checkout: &Checkout) -> std::path::PathBuf {
    checkout.root.join("sample-library")
}

impl Library {
    /// Who asks, unless somebody else is named.
    pub fn student(&self) -> Result<&SamplePerson> {
        self.first(Role::Student)
    }

    /// Who uploads, unless somebody else is named.
    pub fn teacher(&self) -> Result<&SamplePerson> {
        self.first(Role::Teacher)
    }

    fn first(&self, role: Role) -> Result<&SamplePerson> {
        let found = self.people.iter().find(|person| person.role == role);
        found.with_context(|| format!("the sample library has no {}", role.as_str()))
    }

    /// Makes the people known who are not yet.
    pub async fn seed_people(&self, stack: &Stack) -> Result<()> {
        let people = stack.people();
        let mut secrets = stack.secrets().clone();
        let mut ids: BTreeMap<&str, UserId> = BTreeMap::new();
        for person in &self.people {
            let id = if let Some(known) = people.find(&person.email).await? {
                if !secrets.passwords.contains_key(&person.email) {
                    bail!(
                        "{} has an account, and its password is not known here: start once with --fresh",
                        person.email
                    );
                }
                known.id
            } else {
                let password = secrets.password_of(&person.email)?;
                // Kept first: an account whose password was lost would be in the way for ever.
                secrets.keep(stack.folder())?;
                people
                    .create(&person.email, &password, &person.full_name, person.role)
                    .await?
                    .id
            };
            ids.insert(&person.email, id);
        }
        for person in &self.people {
            if let Some(teacher) = &person.teacher {
                let (Some(&teacher), Some(&student)) =
                    (ids.get(teacher.as_str()), ids.get(person.email.as_str()))
                else {
                    bail!("the sample library does not say who {teacher} is");
                };
                people.link_student(teacher, student).await?;
            }
        }
        Ok(())
    }

    /// Uploads the documents that are not there yet, and waits until all are searchable.
    pub async fn seed_documents(&self, checkout: &Checkout, stack: &Stack) -> Result<()> {
        let secrets = Secrets::load_or_draw(stack.folder())?;
        for person in &self.people {
            let own: Vec<&SampleDocument> = self
                .documents
                .iter()
                .filter(|document| document.owner == person.email)
                .collect();
            if own.is_empty() {
                continue;
            }
            let password = secrets.passwords.get(&person.email).map(String::as_str);
            let client = stack
                .client()
                .signed_in(&person.email, password.unwrap_or_default())
                .await?;
            let there = client.documents().await?;
            let mut shelving = Shelving::new();
            for document in own {
                let path = folder(checkout).join("pdf").join(&document.file);
                let file = document.read(&path)?;
                match there.iter().find(|known| is_same(known, &file)) {
                    Some(known) if known.status == DocumentStatus::Ready => {}
                    Some(known) => shelving.watch(known),
                    None => shelving.upload(&client, file).await?,
                }
            }
            for document in shelving.wait(&client).await? {
                if document.status == DocumentStatus::Failed {
                    bail!(
                        "{} can't be made searchable: {}",
                        document.title,
                        document.failure.unwrap_or_default()
                    );
                }
            }
        }
        Ok(())
    }
}

impl SampleDocument {
    fn read(&self, path: &Path) -> Result<NewDocument> {
        Ok(NewDocument {
            title: self.title.clone(),
            file_name: self.file.clone(),
            bytes: fs::read(path).with_context(|| path.display().to_string())?,
            visibility: if self.public {
                Visibility::Public
            } else {
                Visibility::Private
            },
        })
    }
}

/// The upload of this file, unless it failed or was never confirmed.
fn is_same(known: &Document, file: &NewDocument) -> bool {
    known.title == file.title
        && known.size_bytes == file.bytes.len() as u64
        && !matches!(
            known.status,
            DocumentStatus::Failed | DocumentStatus::Uploading
        )
}

/// Documents of one person on their way to the shelf, with a bar for each.
pub struct Shelving {
    bars: MultiProgress,
    waiting: Vec<(DocumentId, ProgressBar)>,
}

impl Shelving {
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            waiting: Vec::new(),
        }
    }

    /// Uploads a file; it is then waited for.
    pub async fn upload(&mut self, client: &Client, file: NewDocument) -> Result<()> {
        let document = client.upload(file).await?;
        self.watch(&document);
        Ok(())
    }

    fn watch(&mut self, document: &Document) {
        let bar = self.bars.add(steps::unit_bar(&document.title, 0));
        show(&bar, document);
        self.waiting.push((document.id, bar));
    }

    /// Waits until all are searchable or have failed.
    pub async fn wait(mut self, client: &Client) -> Result<Vec<Document>> {
        let mut finished = Vec::new();
        while !self.waiting.is_empty() {
            sleep(POLL).await;
            let documents = match client.documents().await {
                Ok(documents) => documents,
                Err(error) if error.is(ProblemKind::RateLimited) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut still = Vec::new();
            for (id, bar) in self.waiting {
                let Some(document) = documents.iter().find(|document| document.id == id) else {
                    bail!("document {id} has disappeared");
                };
                show(&bar, document);
                if document.is_settled() {
                    if !stderr().is_terminal() {
                        steps::say(&format!("{}: {}", document.title, document.status.as_str()));
                    }
                    bar.finish();
                    finished.push(document.clone());
                } else {
                    still.push((id, bar));
                }
            }
            self.waiting = still;
        }
        Ok(finished)
    }
}

fn show(bar: &ProgressBar, document: &Document) {
    let doing = match (document.status, document.stage) {
        (DocumentStatus::Uploading, _) => "uploading",
        (DocumentStatus::Queued, _) => "waiting",
        (DocumentStatus::Processing, Some(IngestStage::Extracting)) => "reading pages",
        (DocumentStatus::Processing, Some(IngestStage::Recognizing)) => "reading scanned pages",
        (DocumentStatus::Processing, Some(IngestStage::Chunking)) => "cutting passages",
        (DocumentStatus::Processing, Some(IngestStage::Embedding)) => "embedding passages",
        (DocumentStatus::Processing, Some(IngestStage::Storing)) => "storing",
        (DocumentStatus::Processing, None) => "processing",
        (DocumentStatus::Ready, _) => "searchable",
        (DocumentStatus::Failed, _) => "failed",
    };
    bar.set_message(doing);
    bar.set_length(document.progress_total.into());
    bar.set_position(document.progress_done.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_library_is_well_formed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout = Checkout {
            target: root.join("target"),
            root,
        };
        let library = read(&checkout).unwrap();
        assert!(library.student().unwrap().teacher.is_some());
        library.teacher().unwrap();
        for document in &library.documents {
            assert!(
                library
                    .people
                    .iter()
                    .any(|person| person.email == document.owner)
            );
            let path = folder(&checkout).join("pdf").join(&document.file);
            assert!(path.exists(), "{}", path.display());
        }
    }
}
