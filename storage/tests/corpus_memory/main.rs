//! In memory is found what PostgreSQL would find, for whoever asks and whatever happens in between.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod room;
mod school;
#[path = "../support/mod.rs"]
mod support;

use school::School;
use shared_types::{
    chat::SearchFilters,
    claims::AccessClaims,
    documents::Visibility,
    ids::{ChunkId, CuratedAnswerId},
};
use std::time::Instant;
use storage::{
    ReaderTx, curated, reader,
    reembedding::{self, Place},
    search::{self, CorpusMemory, Found, Kept, Readable, SearchRequest, SearchSettings},
};
use support::{Database, MODEL, draws, embedding, fresh_id, within};

/// Room for everything in these tests.
const ROOMY: usize = 10_000_000;
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

/// Has what the person may read read into memory; returns of how many documents.
async fn load(db: &Database, memory: &CorpusMemory, claims: &AccessClaims) -> usize {
    load_at(db, memory, claims, now()).await
}

async fn load_at(
    db: &Database,
    memory: &CorpusMemory,
    claims: &AccessClaims,
    now: Instant,
) -> usize {
    let mut tx = snapshot(db, claims).await;
    let loaded = memory.read(&mut tx, MODEL).await.unwrap();
    let documents = loaded.documents();
    let _: Kept = memory.keep(loaded, now);
    documents
}

async fn readable(db: &Database, claims: &AccessClaims) -> Readable {
    search::readable(&mut snapshot(db, claims).await)
        .await
        .unwrap()
}

async fn is_in_memory(db: &Database, memory: &CorpusMemory, claims: &AccessClaims) -> bool {
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

#[tokio::test]
async fn whatever_happens_to_documents_and_lessons_memory_finds_what_postgresql_finds() {
    let mut school = School::new().await;
    let memory = CorpusMemory::new(ROOMY);
    let mut below = draws();
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
    let memory = CorpusMemory::new(ROOMY);
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
    let memory = CorpusMemory::new(ROOMY);
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
async fn an_answer_of_a_teachers_own_is_known_of_from_the_moment_it_is_written() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Private, &TEXTS).await;
    let memory = CorpusMemory::new(ROOMY);
    let [both, admin] = [2, 5].map(|person| school.everybody[person].clone());
    let is_without = async |claims: &AccessClaims| {
        let readable = readable(&school.db, claims).await;
        let readable = memory.attach(readable, MODEL, now());
        readable.is_without_curated_answers()
    };
    assert!(!is_without(&both).await, "nothing is known without looking");
    load(&school.db, &memory, &both).await;
    assert!(is_without(&both).await);

    let mut tx = school.db.reader(&school.teachers[1]).await;
    let new = curated::New {
        id: CuratedAnswerId(fresh_id()),
        question: "how do I curve my fingers?",
        answer: "As if you held an apple.",
    };
    curated::create(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    assert!(
        !is_without(&both).await,
        "her corpus is another now, without a passage"
    );
    // An admin is shown no such answer, and knows nothing of them.
    load(&school.db, &memory, &admin).await;
    assert!(!is_without(&both).await);
    let memory = CorpusMemory::new(ROOMY);
    load(&school.db, &memory, &both).await;
    assert!(is_in_memory(&school.db, &memory, &both).await);
    let attached = memory.attach(readable(&school.db, &both).await, MODEL, now());
    assert!(!attached.is_without_curated_answers());
}

#[tokio::test]
async fn vectors_of_a_model_that_is_not_searched_are_not_held() {
    const NEXT: &str = "@test/next#cls";
    let mut school = School::new().await;
    school.upload(0, Visibility::Public, &TEXTS).await;
    let (db, memory) = (&school.db, CorpusMemory::new(ROOMY));
    let student = school.student_of_both();
    load(db, &memory, student).await;
    let is_held = async |model| {
        let readable = readable(db, student).await;
        memory.attach(readable, model, now()).is_in_memory()
    };
    assert!(is_held(MODEL).await);

    let mut tx = snapshot(db, student).await;
    let loaded = memory.read(&mut tx, NEXT).await.unwrap();
    assert_eq!(loaded.documents(), 0);
    assert_eq!(memory.keep(loaded, now()), Kept::Broken);
    let readable = search::readable(&mut tx).await.unwrap();
    assert!(!is_held(NEXT).await);
    assert!(
        !memory.wants(&readable, NEXT, now()),
        "reading once more would bring none"
    );
    drop(tx);

    reembedding::begin(&db.ingest, "@test/next", "cls")
        .await
        .unwrap();
    let bare = reembedding::bare(&db.ingest, Place::START, 100)
        .await
        .unwrap();
    let embedded: Vec<_> = bare
        .into_iter()
        .map(|bare| {
            let embedding = embedding(&format!("next {}", bare.content));
            (bare, embedding)
        })
        .collect();
    reembedding::store(&db.ingest, NEXT, &embedded)
        .await
        .unwrap();
    assert_eq!(reembedding::switch(&db.ingest, NEXT).await.unwrap(), 0);
    assert!(
        !is_held(MODEL).await,
        "a switch makes a new version of every corpus"
    );
    load(db, &memory, student).await;
    assert!(
        !is_held(MODEL).await,
        "and the former vectors may go at any moment"
    );
    let mut tx = snapshot(db, student).await;
    let loaded = memory.read(&mut tx, NEXT).await.unwrap();
    assert_eq!(memory.keep(loaded, now()), Kept::Whole);
    assert!(is_held(NEXT).await);
}

#[tokio::test]
async fn a_question_of_another_model_finds_by_words_alone() {
    let mut school = School::new().await;
    school.upload(0, Visibility::Public, &TEXTS).await;
    let memory = CorpusMemory::new(ROOMY);
    let student = school.student_of_both();
    load(&school.db, &memory, student).await;
    let mut tx = snapshot(&school.db, student).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let attached = memory.attach(readable, MODEL, now());
    let vector = embedding(TEXTS[0]);
    let request = SearchRequest {
        query: TEXTS[0],
        embedding: Some(&vector),
        embedding_model: "@other/model#cls",
    };
    let (filters, settings) = (SearchFilters::default(), SearchSettings::default());
    let found = search::fused(&mut tx, attached, &request, &filters, &settings)
        .await
        .unwrap();
    assert_eq!(found.lists.vector, []);
    assert_ne!(found.lists.lexical, []);
}

#[tokio::test]
async fn a_search_goes_on_in_its_own_moment() {
    let mut school = School::new().await;
    let gone = school.upload(0, Visibility::Public, &TEXTS[..3]).await;
    let memory = CorpusMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    load(&school.db, &memory, &student).await;
    let mut tx = snapshot(&school.db, &student).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let attached = memory.attach(readable.clone(), MODEL, now());

    school.delete(gone).await;
    school.upload(0, Visibility::Public, &TEXTS[3..]).await;
    load(&school.db, &memory, &student).await;
    let late = memory.attach(readable.clone(), MODEL, now());
    assert!(attached.is_in_memory() && !late.is_in_memory());
    let before = ids(&found(&mut tx, attached, TEXTS[4]).await);
    assert_eq!(before, ids(&found(&mut tx, late, TEXTS[4]).await));
    assert_eq!(before.len(), 3, "of what is gone by now");
    drop(tx);
    assert!(school.compare(&memory, &student, TEXTS[4]).await);
}

#[tokio::test]
async fn a_book_of_many_hundred_passages_is_found_in_memory_as_by_sql() {
    let mut school = School::new().await;
    // More than a block of postings, and more than the vectors that are compared after their signs.
    let texts: Vec<String> = (0..700)
        .map(|n| format!("{} Bar {n}, beat {}.", TEXTS[n % TEXTS.len()], n % 7))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    school.upload(0, Visibility::Private, &texts).await;
    school.upload(1, Visibility::Public, &TEXTS).await;
    let memory = CorpusMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    load(&school.db, &memory, &student).await;
    let mut tx = snapshot(&school.db, &student).await;
    for question in [
        "bar 555",
        "beat",
        TEXTS[2],
        "curve wrist pedal",
        "no such word: xylophone",
    ] {
        let readable = search::readable(&mut tx).await.unwrap();
        let by_sql = found(&mut tx, readable.clone(), question).await;
        let attached = memory.attach(readable, MODEL, now());
        assert!(attached.is_in_memory());
        let in_memory = found(&mut tx, attached, question).await;
        assert_eq!(in_memory.lists.lexical, by_sql.lists.lexical, "{question}");
        let nearest = |found: &Found| -> Vec<ChunkId> {
            let nearest = found.lists.vector.iter().take(10);
            nearest.map(|ranked| ranked.chunk_id).collect()
        };
        // Vectors without any order: 400 candidates of 706 hold nearly all of the nearest.
        let (a, b) = (nearest(&in_memory), nearest(&by_sql));
        let common = a.iter().filter(|id| b.contains(id)).count();
        assert!(common >= 9, "{question}: {common} of 10");
    }
}

#[tokio::test]
async fn a_search_that_is_narrowed_is_not_made_in_memory() {
    let mut school = School::new().await;
    let wanted = school.upload(0, Visibility::Public, &TEXTS[..3]).await;
    school.upload(0, Visibility::Public, &TEXTS[3..]).await;
    let memory = CorpusMemory::new(ROOMY);
    let student = school.student_of_both().clone();
    load(&school.db, &memory, &student).await;
    let mut tx = snapshot(&school.db, &student).await;
    let readable = search::readable(&mut tx).await.unwrap();
    let readable = memory.attach(readable, MODEL, now());
    let narrowed = readable.narrow(&mut tx, &within(&[wanted])).await.unwrap();
    assert!(!narrowed.is_in_memory());
    assert_eq!(found(&mut tx, narrowed, TEXTS[5]).await.fused.len(), 3);
}
