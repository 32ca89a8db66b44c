//! Somebody who looks at every document all the time, in one snapshot each.

use crate::library::{Kind, Whole};
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;

/// Every document beside what is stored of it.
const LOOK: &str = "select d.id, d.title, d.status, d.failure, d.chunk_count, \
         (select count(*) from document_chunks c where c.doc_id = d.id), \
         (select count(*) from document_postings p where p.doc_id = d.id) \
     from knowledge_base_docs d";

type Row = (Uuid, String, String, Option<String>, i32, i64, i64);

pub struct Watch {
    ended: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Watch {
    pub fn start(url: String, expected: Arc<BTreeMap<Kind, Whole>>) -> Self {
        let (ended, looks) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (until, counted) = (Arc::clone(&ended), Arc::clone(&looks));
        let looking = tokio::spawn(async move {
            while !until.load(Ordering::Relaxed) {
                // The server may be down; then nobody sees anything.
                let _ = look(&url, &expected, &until, &counted).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self {
            ended,
            looks,
            looking,
        }
    }

    /// How often it looked; fails where it ever saw a part of a document.
    pub async fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.looking.await.unwrap();
        self.looks.load(Ordering::Relaxed)
    }
}

async fn look(
    url: &str,
    expected: &BTreeMap<Kind, Whole>,
    until: &AtomicBool,
    looks: &AtomicU64,
) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    while !until.load(Ordering::Relaxed) {
        let rows: Vec<Row> = sqlx::query_as(LOOK).fetch_all(&mut connection).await?;
        for row in &rows {
            check(row, expected);
        }
        looks.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn check(row: &Row, expected: &BTreeMap<Kind, Whole>) {
    let (_, title, status, failure, chunk_count, chunks, postings) = row;
    let seen = (i64::from(*chunk_count), *chunks, *postings);
    if status == "ready" {
        let whole = &expected[&Kind::of(title)];
        let count = |rows: usize| i64::try_from(rows).unwrap();
        let (all, words) = (count(whole.chunks.len()), count(whole.postings.len()));
        assert_eq!(seen, (all, all, words), "{row:?}");
    } else {
        assert_eq!(seen, (0, 0, 0), "{row:?}");
    }
    assert!(status != "failed" || failure.is_some(), "{row:?}");
}
