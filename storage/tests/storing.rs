//! The passages of a long document are stored piece by piece, and all of them or none.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    claims::Role,
    documents::{DocumentStatus, Visibility},
    ids::DocumentId,
};
use std::{borrow::Cow, io, ops::Range};
use storage::{
    Error, documents,
    jobs::{self, EmbeddedChunk, EmbeddedChunks, Processed},
};
use support::{Database, LEASE, passages_of, processed};

/// More than are stored with any one statement.
const MANY: usize = 450;

fn texts() -> Vec<String> {
    (0..MANY).map(|bar| format!("Play bar {bar}.")).collect()
}

fn many() -> Vec<EmbeddedChunk> {
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    passages_of(&texts)
}

async fn stored(db: &Database, id: DocumentId) -> Vec<String> {
    sqlx::query_scalar("select content from document_chunks where doc_id = $1 order by chunk_index")
        .bind(id.0)
        .fetch_all(&db.owner)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_long_document_is_stored_whole_and_in_order() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.ready_with(&teacher, Visibility::Private, &many()).await;
    assert_eq!(stored(&db, id).await, texts());
}

/// Passages of which the last can't be read.
#[derive(Debug)]
struct Torn(Vec<EmbeddedChunk>);

impl EmbeddedChunks for Torn {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn read(&self, places: Range<usize>) -> io::Result<Cow<'_, [EmbeddedChunk]>> {
        if places.end == self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read(places)
    }
}

#[tokio::test]
async fn passages_that_can_not_all_be_read_replace_none() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = db.queue(&teacher, Visibility::Private).await;
    let before = passages_of(&["Curve the fingers.", "Sit upright."]);
    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    jobs::complete(&db.ingest, &job.lease, &processed(&before))
        .await
        .unwrap();
    sqlx::query("update ingest_jobs set state = 'queued', finished_at = null")
        .execute(&db.owner)
        .await
        .unwrap();

    let job = jobs::claim(&db.ingest, "w", LEASE).await.unwrap().unwrap();
    let torn = Torn(many());
    let Processed {
        page_count,
        legibility,
        charset,
        embedding_model,
        chunks: _,
    } = processed(&torn.0);
    let torn = Processed {
        page_count,
        legibility,
        charset,
        embedding_model,
        chunks: &torn,
    };
    let failed = jobs::complete(&db.ingest, &job.lease, &torn).await;
    assert!(matches!(failed, Err(Error::Passages(_))), "{failed:?}");
    assert_eq!(
        stored(&db, id).await,
        ["Curve the fingers.", "Sit upright."]
    );

    // The job is still ours, and can be done with what can be read.
    jobs::complete(&db.ingest, &job.lease, &processed(&many()))
        .await
        .unwrap();
    assert_eq!(stored(&db, id).await, texts());
    let mut tx = db.reader(&teacher).await;
    let document = documents::get(&mut tx, id).await.unwrap().document;
    assert_eq!(document.status, DocumentStatus::Ready);
}
