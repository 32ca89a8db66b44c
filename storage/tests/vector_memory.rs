//! Vectors in memory find what PostgreSQL would find, for whoever asks and whatever happens in between.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{ChunkId, DocumentId},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use storage::{
    ReaderTx, documents, reader,
    search::{self, Found, Readable, SearchRequest, SearchSettings, VectorMemory},
};
use support::{Database, MODEL, embedding, within};

/// Room for everything in these tests.
const ROOMY: usize = 10_000_000;
/// What one passage takes, roughly.
const PASSAGE: usize = 1_700;

const TEXTS: [&str; 6] = [
    "Curve the fingers and drop the wrist.",
    "Scales, scales and more scales.",
    "Change the pedal after the chord has sounded.",
    "Count aloud, and tap the beat with your foot.",
    "Drop the wrist at the end of a slur.",
    "Practise hands apart before hands together.",
];

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn snapshot(db: &Database, claims: &AccessClaims) -> ReaderTx {
    reader::begin_snapshot(&db.origin, claims).await.unwrap()
}

async fn load(db: &Database, memory: &VectorMemory, claims: &AccessClaims) -> usize {
    let mut tx = snapshot(db, claims).await;
    memory.load(&mut tx, MODEL, now()).await.unwrap()
}

async fn readable(db: &Database, claims: &AccessClaims) -> Readable {
    search::readable(&mut snapshot(db, claims).await)
        .await
        .unwrap()
}

async fn is_in_memory(db: &Database, memory: &VectorMemory, claims: &AccessClaims) -> bool {
    let readable = readable(db, claims).await;
    memory.attach(readable, MODEL, now()).is_in_memory()
}

/// What a search finds for the reader whose snapshot this is, with vectors from where `readable` has them.
async fn found(tx: &mut ReaderTx, readable: Readable, question: &str) -> Found {
    let vector = embedding(question);
    let request = SearchRequest {
        query: question,
        embedding: Some(&vector),
        embedding_model: MODEL,
    };
    let (filters, settings) = (SearchFilters::default(), SearchSettings::default());
    search::fused(tx, readable, &request, &filters, &settings)
        .await
        .unwrap()
}

fn ids(found: &Found) -> Vec<ChunkId> {
    found.fused.iter().map(|passage| passage.chunk_id).collect()
}

/// Two studios, a student of both, one of the first, one of none, and an admin.
struct School {
    db: Database,
    teachers: [AccessClaims; 2],
    everybody: Vec<AccessClaims>,
    documents: BTreeMap<DocumentId, AccessClaims>,
}

impl School {
    async fn new() -> Self {
        let db = Database::new().await;
        let teachers = [
            db.person(Role::Teacher).await,
            db.person(Role::Teacher).await,
        ];
        let mut everybody = teachers.to_vec();
        for taught_by in [&teachers[..], &teachers[..1], &[]] {
            let student = db.person(Role::Student).await;
            for teacher in taught_by {
                db.link(teacher, &student).await;
            }
            everybody.push(student);
        }
        everybody.push(db.person(Role::Admin).await);
        Self {
            db,
            teachers,
            everybody,
            documents: BTreeMap::new(),
        }
    }

    fn student_of_both(&self) -> &AccessClaims {
        &self.everybody[2]
    }

    async fn upload(
        &mut self,
        teacher: usize,
        visibility: Visibility,
        texts: &[&str],
    ) -> DocumentId {
        let owner = self.teachers[teacher].clone();
        let id = self.db.ready(&owner, visibility, texts).await;
        self.documents.insert(id, owner);
        id
    }

    async fn show(&self, document: DocumentId, visibility: Visibility) {
        let mut tx = self.db.reader(&self.documents[&document]).await;
        documents::set_visibility(&mut tx, document, visibility)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn delete(&mut self, document: DocumentId) {
        sqlx::query("delete from knowledge_base_docs where id = $1")
            .bind(document.0)
            .execute(&self.db.owner)
            .await
            .unwrap();
        self.documents.remove(&document);
    }

    /// Ends or begins lessons.
    async fn meet(&self, teacher: usize, student: usize) {
        let (teacher, student) = (&self.teachers[teacher], &self.everybody[student]);
        let ended = sqlx::query(
            "delete from teacher_student_relationships where teacher_id = $1 and student_id = $2",
        )
        .bind(teacher.sub.0)
        .bind(student.sub.0)
        .execute(&self.db.owner)
        .await
        .unwrap();
        if ended.rows_affected() == 0 {
            self.db.link(teacher, student).await;
        }
    }

    /// Holds what is found in memory, if it is there, against what PostgreSQL finds in the same snapshot. Returns whether
    /// it was there.
    async fn compare(&self, memory: &VectorMemory, claims: &AccessClaims, question: &str) -> bool {
        let mut tx = snapshot(&self.db, claims).await;
        let readable = search::readable(&mut tx).await.unwrap();
        let by_sql = found(&mut tx, readable.clone(), question).await;
        let readable = memory.attach(readable, MODEL, now());
        let is_in_memory = readable.is_in_memory();
        let in_memory = found(&mut tx, readable, question).await;
        assert_eq!(ids(&in_memory), ids(&by_sql));
        for (a, b) in in_memory.lists.vector.iter().zip(&by_sql.lists.vector) {
            assert!((a.score - b.score).abs() < 1e-4, "{a:?} beside {b:?}");
        }
        assert_eq!(in_memory.lists.lexical, by_sql.lists.lexical);
        for (a, b) in in_memory.fused.iter().zip(&by_sql.fused) {
            assert!((a.score - b.score).abs() < 1e-4, "{a:?} beside {b:?}");
        }
        is_in_memory
    }
}

#[tokio::test]
async fn whatever_happens_to_documents_and_lessons_memory_finds_what_postgresql_finds() {
    let mut school = School::new().await;
    let memory = VectorMemory::new(ROOMY);
    let mut drawn = 0x9e37_79b9_u64;
    let mut below = move |bound: usize| {
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(drawn >> 33).unwrap() % bound
    };
    let mut in_memory = 0;
    for step in 0..60 {
        let visibility = [Visibility::Private, Visibility::Public][below(2)];
        // Some passages are in several documents.
        let first = below(TEXTS.len());
        let texts = &TEXTS[first..=first + below(TEXTS.len() - first)];
        let numbered: Vec<String> = texts
            .iter()
            .map(|text| format!("{text} {}", step / 2))
            .collect();
        let texts: Vec<&str> = numbered.iter().map(String::as_str).collect();
        let chosen = below(school.documents.len().max(1));
        let chosen = school.documents.keys().nth(chosen).copied();
        match (below(7), chosen) {
            (0 | 1, _) | (_, None) => {
                school.upload(below(2), visibility, &texts).await;
            }
            (2, Some(document)) => school.db.read_again(document, &texts).await,
            (3, Some(document)) => school.show(document, visibility).await,
            (4, Some(document)) => school.delete(document).await,
            _ => school.meet(below(2), 2 + below(3)).await,
        }
        let question = TEXTS[below(TEXTS.len())];
        for person in &school.everybody {
            in_memory += usize::from(school.compare(&memory, person, question).await);
        }
        // Whoever asks first has it read, and not always in time for the others.
        let reader = &school.everybody[below(school.everybody.len())];
        load(&school.db, &memory, reader).await;
    }
    // Of 360: what was read for one reader serves others, until something changes.
    assert!(in_memory > 60, "{in_memory} searches were made in memory");
}

#[tokio::test]
async fn vectors_of_a_corpus_serve_those_who_may_read_it_and_nobody_else() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Private, &TEXTS[..2]).await;
    school.upload(1, Visibility::Private, &TEXTS[2..]).await;
    let memory = VectorMemory::new(ROOMY);
    let [both, first, none] = [2, 3, 4].map(|student| school.everybody[student].clone());
    assert_eq!(load(&school.db, &memory, &first).await, 1);
    assert!(is_in_memory(&school.db, &memory, &first).await);
    assert!(is_in_memory(&school.db, &memory, &school.teachers[0]).await);
    assert!(
        !is_in_memory(&school.db, &memory, &both).await,
        "the second teacher's are missing"
    );
    assert_eq!(
        load(&school.db, &memory, &both).await,
        1,
        "the first teacher's are there"
    );
    assert!(is_in_memory(&school.db, &memory, &both).await);

    let mut tx = snapshot(&school.db, &first).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let readable = memory.attach(readable, MODEL, now());
    let found = found(&mut tx, readable, TEXTS[3]).await;
    assert_eq!(found.fused.len(), 2, "a student of the first teacher alone");
    let mut tx = snapshot(&school.db, &none).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let readable = memory.attach(readable, MODEL, now());
    assert_eq!(self::found(&mut tx, readable, TEXTS[3]).await.fused, []);
}

#[tokio::test]
async fn only_what_has_changed_is_read_once_more() {
    let mut school = School::new().await;
    let first = school.upload(0, Visibility::Private, &TEXTS[..2]).await;
    school.upload(0, Visibility::Private, &TEXTS[2..4]).await;
    school.upload(1, Visibility::Public, &TEXTS[4..]).await;
    let memory = VectorMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    assert_eq!(load(&school.db, &memory, &student).await, 3);
    assert_eq!(
        load(&school.db, &memory, &student).await,
        0,
        "nothing has changed"
    );

    school.show(first, Visibility::Public).await;
    assert!(!is_in_memory(&school.db, &memory, &student).await);
    assert_eq!(
        load(&school.db, &memory, &student).await,
        0,
        "it was known as a private one"
    );
    assert!(is_in_memory(&school.db, &memory, &student).await);

    school.db.read_again(first, &["Sit upright."]).await;
    assert_eq!(load(&school.db, &memory, &student).await, 1);
    school.delete(first).await;
    assert!(!is_in_memory(&school.db, &memory, &student).await);
    assert_eq!(load(&school.db, &memory, &student).await, 0);
    assert!(is_in_memory(&school.db, &memory, &student).await);
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Public, &TEXTS).await;
    let memory = VectorMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    let other = "@other/model#cls";
    let mut tx = snapshot(&school.db, &student).await;
    assert_eq!(memory.load(&mut tx, other, now()).await.unwrap(), 1);
    let readable = search::readable(&mut tx).await.unwrap();
    let attached = memory.attach(readable.clone(), other, now());
    assert!(!attached.is_in_memory(), "it has no vector of any passage");
    assert!(
        !memory.wants(&readable, other, now()),
        "and reading them again brings none"
    );

    memory.load(&mut tx, MODEL, now()).await.unwrap();
    let attached = memory.attach(readable, MODEL, now());
    assert!(attached.is_in_memory());
    let vector = embedding(TEXTS[0]);
    let request = SearchRequest {
        query: TEXTS[0],
        embedding: Some(&vector),
        embedding_model: other,
    };
    let (filters, settings) = (SearchFilters::default(), SearchSettings::default());
    let found = search::fused(&mut tx, attached, &request, &filters, &settings)
        .await
        .unwrap();
    assert_eq!(found.lists.vector, []);
    assert_ne!(found.lists.lexical, []);
}

#[tokio::test]
async fn a_search_that_is_narrowed_is_not_made_in_memory() {
    let mut school = School::new().await;
    let wanted = school.upload(0, Visibility::Public, &TEXTS[..3]).await;
    school.upload(0, Visibility::Public, &TEXTS[3..]).await;
    let memory = VectorMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    load(&school.db, &memory, &student).await;
    let mut tx = snapshot(&school.db, &student).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let readable = memory.attach(readable, MODEL, now());
    let narrowed = readable.narrow(&mut tx, &within(&[wanted])).await.unwrap();
    assert!(!narrowed.is_in_memory());
    assert_eq!(found(&mut tx, narrowed, TEXTS[5]).await.fused.len(), 3);
}

#[tokio::test]
async fn what_is_too_much_is_not_wanted_and_what_nobody_asks_for_makes_room() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Private, &TEXTS).await;
    school.upload(1, Visibility::Private, &TEXTS).await;
    let (db, start) = (&school.db, now());
    let [first, second] = &school.teachers;
    let readable_by = async |claims| readable(db, claims).await;

    for too_small in [0, 5 * PASSAGE] {
        let memory = VectorMemory::new(too_small);
        assert!(!memory.wants(&readable_by(first).await, MODEL, start));
        load(db, &memory, first).await;
        assert!(!is_in_memory(db, &memory, first).await);
        assert!(memory.bytes() <= too_small);
    }

    let memory = VectorMemory::new(9 * PASSAGE);
    let both = readable_by(school.student_of_both()).await;
    assert!(
        !memory.wants(&both, MODEL, start),
        "half of it would be in vain"
    );
    assert!(memory.wants(&readable_by(first).await, MODEL, start));
    load(db, &memory, first).await;
    let soon = start + Duration::from_secs(30);
    let of_second = readable_by(second).await;
    assert!(
        !memory.wants(&of_second, MODEL, soon),
        "the first teacher is still asking"
    );
    let later = start + Duration::from_mins(5);
    assert!(memory.wants(&of_second, MODEL, later));
    let mut tx = snapshot(db, second).await;
    memory.load(&mut tx, MODEL, later).await.unwrap();
    assert!(is_in_memory(db, &memory, second).await);
    assert!(!is_in_memory(db, &memory, first).await);
    assert!(memory.bytes() <= 9 * PASSAGE);
}
