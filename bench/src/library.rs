//! The sample library, as the people it belongs to upload it into a real stack.

use anyhow::{Context, ensure};
use journeys::questions::Questions;
use local_stack::{Client, Role as Account, Stack, client::NewDocument};
use shared_types::{
    claims::Role,
    documents::DocumentStatus,
    ids::{ChunkId, UserId},
};
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};
use storage::PoolSettings;
use uuid::Uuid;

/// Everybody's.
pub const PASSWORD: &str = "correct-horse-battery";

/// Somebody of the sample library, signed in.
pub struct Member {
    pub id: UserId,
    pub role: Role,
    pub browser: Client,
}

/// Where a passage stands, and what it says.
pub struct Passage {
    pub file: String,
    pub pages: (u32, u32),
    pub content: String,
}

/// Uploads every booklet as its owner. Returns whom each address stands for.
pub async fn fill(
    stack: &Stack,
    repository: &Path,
    questions: &Questions,
) -> anyhow::Result<BTreeMap<String, Member>> {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    for person in &questions.people {
        let (account, role) = match person.role.as_str() {
            "teacher" => (Account::Teacher, Role::Teacher),
            _ => (Account::Student, Role::Student),
        };
        let email = person.email.as_str();
        let known = stack
            .people()
            .create(email, PASSWORD, email, account)
            .await?;
        let browser = stack.client().signed_in(email, PASSWORD).await?;
        for booklet in questions.documents.iter().filter(|own| own.owner == email) {
            let path = repository.join("sample-library/pdf").join(&booklet.file);
            let file = NewDocument {
                title: booklet.title.clone(),
                file_name: booklet.file.clone(),
                bytes: fs::read(&path).with_context(|| path.display().to_string())?,
                visibility: booklet.visibility(),
            };
            eprintln!("ingest {}", booklet.title);
            let document = browser.upload(file).await?;
            let document = browser.wait_for(document.id, |_| ()).await?;
            ensure!(
                document.status == DocumentStatus::Ready,
                "{}: {:?}",
                booklet.title,
                document.failure
            );
        }
        let member = Member {
            id: known.id,
            role,
            browser,
        };
        members.insert(email.to_owned(), member);
    }
    for person in &questions.people {
        if let Some(teacher) = &person.teacher {
            let id = |email: &String| members.get(email).map(|member| member.id);
            let (teacher, student) = id(teacher)
                .zip(id(&person.email))
                .with_context(|| format!("nobody is {teacher}"))?;
            stack.people().link_student(teacher, student).await?;
        }
    }
    Ok(members)
}

/// One connection.
pub async fn connect(url: &str) -> anyhow::Result<PgPool> {
    let settings = PoolSettings {
        max_connections: 1,
        application_name: "bench",
        ..PoolSettings::default()
    };
    Ok(storage::connect(url, settings).await?)
}

/// Every passage of the library.
pub async fn passages(stack: &Stack) -> anyhow::Result<HashMap<ChunkId, Passage>> {
    let owner = connect(stack.database().owner().url().as_str()).await?;
    let rows: Vec<(Uuid, String, i32, i32, String)> = sqlx::query_as(
        "select c.id, d.file_name, c.page_start, c.page_end, c.content \
         from document_chunks c join knowledge_base_docs d on d.id = c.doc_id",
    )
    .fetch_all(&owner)
    .await?;
    owner.close().await;
    rows.into_iter()
        .map(|(id, file, first, last, content)| {
            let passage = Passage {
                file,
                pages: (first.try_into()?, last.try_into()?),
                content,
            };
            Ok((ChunkId(id), passage))
        })
        .collect()
}
