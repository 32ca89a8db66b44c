//! What is known of a corpus without counting it is what counting would find.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::DocumentId,
};
use std::collections::BTreeMap;
use storage::{jobs, search};
use support::{Database, LEASE, draws, passages_of, processed};

const TEXTS: [&str; 5] = [
    "Curve the fingers and drop the wrist.",
    "Scales, scales and more scales.",
    "the of and",
    "Change the pedal after the chord has sounded.",
    "Count aloud.",
];

/// Two studios, a student in both, one in none, and an admin.
struct School {
    db: Database,
    teachers: Vec<AccessClaims>,
    everybody: Vec<AccessClaims>,
    documents: BTreeMap<DocumentId, AccessClaims>,
}

impl School {
    async fn new() -> Self {
        let db = Database::new().await;
        let teachers = vec![
            db.person(Role::Teacher).await,
            db.person(Role::Teacher).await,
        ];
        let student = db.person(Role::Student).await;
        for teacher in &teachers {
            db.link(teacher, &student).await;
        }
        let mut everybody = teachers.clone();
        everybody.extend([
            student,
            db.person(Role::Student).await,
            db.person(Role::Admin).await,
        ]);
        Self {
            db,
            teachers,
            everybody,
            documents: BTreeMap::new(),
        }
    }

    async fn upload(&mut self, teacher: usize, visibility: Visibility, passages: usize) {
        let owner = self.teachers[teacher].clone();
        let id = self.db.ready(&owner, visibility, &TEXTS[..passages]).await;
        self.documents.insert(id, owner);
    }

    /// Has a document read again, now with this many passages.
    async fn read_again(&self, document: DocumentId, passages: usize) {
        let passages = &TEXTS[TEXTS.len() - passages..];
        self.db.read_again(document, passages).await;
    }

    async fn show(&self, document: DocumentId, visibility: Visibility) {
        let owner = &self.documents[&document];
        self.db.show(owner, document, visibility).await;
    }

    async fn delete(&mut self, document: DocumentId) {
        self.db.delete(document).await;
        self.documents.remove(&document);
    }

    async fn assert_counted(&self) {
        for person in &self.everybody {
            let mut tx = self.db.reader(person).await;
            let readable = search::readable(&mut tx).await.unwrap();
            let (public, private, stems): (i64, i64, i64) = sqlx::query_as(
                "select count(*) filter (where is_public), count(*) filter (where not is_public), \
                     coalesce(sum(( \
                         select sum(cardinality(w.positions)) \
                         from unnest(passage_words(content)) as w \
                     )), 0)::int8 \
                 from document_chunks",
            )
            .fetch_one(tx.connection())
            .await
            .unwrap();
            let counted = [public, private, stems].map(|n| u64::try_from(n).unwrap());
            let known = [
                readable.passages.public,
                readable.passages.private,
                readable.size.stems,
            ];
            assert_eq!(known, counted, "{:?}", person.app_metadata.role);
            assert_eq!(readable.size.passages, counted[0] + counted[1]);
        }
    }
}

#[tokio::test]
async fn whatever_happens_to_documents_each_reader_is_told_the_size_of_what_the_reader_may_read() {
    let mut school = School::new().await;
    let mut below = draws();
    for _ in 0..40 {
        let visibility = [Visibility::Private, Visibility::Public][below(2)];
        let passages = 1 + below(TEXTS.len());
        let chosen = below(school.documents.len().max(1));
        let chosen = school.documents.keys().nth(chosen).copied();
        match (below(5), chosen) {
            (0 | 1, _) | (_, None) => school.upload(below(2), visibility, passages).await,
            (2, Some(document)) => school.read_again(document, passages).await,
            (3, Some(document)) => school.show(document, visibility).await,
            (_, Some(document)) => school.delete(document).await,
        }
        school.assert_counted().await;
    }
}

#[tokio::test]
async fn documents_that_are_stored_at_the_same_time_are_all_counted() {
    let school = School::new().await;
    for n in 0..12 {
        let visibility = [Visibility::Private, Visibility::Public][n % 2];
        school.db.queue(&school.teachers[n / 6], visibility).await;
    }
    let workers = (0..4).map(|worker| {
        let ingest = school.db.ingest.clone();
        tokio::spawn(async move {
            let name = format!("worker {worker}");
            while let Some(job) = jobs::claim(&ingest, &name, LEASE).await.unwrap() {
                let chunks = passages_of(&TEXTS);
                jobs::complete(&ingest, &job.lease, &processed(&chunks))
                    .await
                    .unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    school.assert_counted().await;
    let mut tx = school.db.reader(&school.everybody[4]).await;
    let readable = search::readable(&mut tx).await.unwrap();
    assert_eq!(readable.passages.public, 30);
    assert_eq!(readable.passages.private, 30);
}

#[tokio::test]
async fn an_owner_who_leaves_takes_the_counts_along() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Private, 3).await;
    school.upload(0, Visibility::Public, 2).await;
    school.upload(1, Visibility::Public, 4).await;
    sqlx::query("delete from auth.users where id = $1")
        .bind(school.teachers[0].sub.0)
        .execute(&school.db.owner)
        .await
        .unwrap();
    let left = school.everybody.remove(0);
    assert_eq!(left, school.teachers[0], "and asks nothing any more");
    school.assert_counted().await;
}
