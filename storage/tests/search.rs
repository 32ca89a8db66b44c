//! The two ranked lists.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rust_stemmers::{Algorithm, Stemmer};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{ChunkId, DocumentId},
};
use sqlx::Executor;
use std::collections::{BTreeMap, BTreeSet};
use storage::{
    documents, passages,
    search::{self, LIST_DEPTH, Ranked},
};
use support::{Database, MODEL, embedding};

const STOP_WORDS: [&str; 6] = ["the", "and", "of", "with", "is", "to"];
const VOCABULARY: [&str; 24] = [
    "the",
    "and",
    "of",
    "with",
    "is",
    "to",
    "fingers",
    "finger",
    "wrist",
    "arpeggio",
    "arpeggios",
    "scale",
    "scales",
    "practising",
    "practised",
    "pedal",
    "pedalling",
    "legato",
    "relaxed",
    "slowly",
    "slow",
    "rhythm",
    "tempo",
    "memory",
];

/// A small generator with a fixed seed: the same texts on every run.
struct Words(u64);

impl Words {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<_> = (0..words)
            // The square makes early words common and late ones rare.
            .map(|_| {
                VOCABULARY
                    [self.below(VOCABULARY.len()) * self.below(VOCABULARY.len()) / VOCABULARY.len()]
            })
            .collect();
        words.join(" ")
    }
}

fn stems(text: &str) -> Vec<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.split_whitespace()
        .filter(|word| !STOP_WORDS.contains(word))
        .map(|word| stemmer.stem(word).into_owned())
        .collect()
}

/// BM25 as the textbook has it, over the passages given.
fn bm25(passages: &[(ChunkId, String)], query: &str) -> BTreeMap<ChunkId, f64> {
    let stemmed: Vec<_> = passages
        .iter()
        .map(|(id, text)| (*id, stems(text)))
        .collect();
    let count = stemmed.len() as f64;
    let mean_length = stemmed.iter().map(|(_, s)| s.len()).sum::<usize>() as f64 / count;
    let mut scores = BTreeMap::new();
    for term in stems(query).into_iter().collect::<BTreeSet<_>>() {
        let holding = stemmed.iter().filter(|(_, s)| s.contains(&term)).count() as f64;
        let rarity = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
        for (id, stems) in &stemmed {
            let frequency = stems.iter().filter(|stem| **stem == term).count() as f64;
            if frequency > 0.0 {
                let length = stems.len() as f64 / mean_length;
                *scores.entry(*id).or_insert(0.0) += rarity * frequency * (1.2 + 1.0)
                    / (frequency + 1.2 * (1.0 - 0.75 + 0.75 * length));
            }
        }
    }
    scores
}

async fn visible(
    db: &Database,
    person: &AccessClaims,
    documents: &[DocumentId],
) -> Vec<(ChunkId, String)> {
    let ids: Vec<uuid::Uuid> = documents.iter().map(|id| id.0).collect();
    let mut tx = db.reader(person).await;
    let rows: Vec<(uuid::Uuid, String)> = sqlx::query_as(
        "select id, content from document_chunks where cardinality($1) = 0 or doc_id = any($1)",
    )
    .bind(ids)
    .fetch_all(tx.connection())
    .await
    .unwrap();
    rows.into_iter()
        .map(|(id, text)| (ChunkId(id), text))
        .collect()
}

#[tokio::test]
async fn the_list_by_words_is_textbook_bm25_over_what_the_reader_may_read() {
    let db = Database::new().await;
    let (first, second) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let student = db.person(Role::Student).await;
    db.link(&first, &student).await;
    let mut words = Words(7);
    let mut documents = Vec::new();
    for owner in [&first, &second] {
        for visibility in [Visibility::Private, Visibility::Public] {
            let texts: Vec<String> = (0..15)
                .map(|_| {
                    let length = 3 + words.below(40);
                    words.text(length)
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            documents.push(db.ready(owner, visibility, &texts).await);
        }
    }
    for person in [&first, &second, &student] {
        for document_ids in [&[][..], &documents[..1], &documents[1..3]] {
            let passages = visible(&db, person, document_ids).await;
            for query in [
                "memory",
                "how to practise arpeggios slowly",
                "the relaxed wrist and the pedal",
                "tempo tempo rhythm",
                "violin",
            ] {
                let expected = bm25(&passages, query);
                let mut tx = db.reader(person).await;
                let found = search::by_words(&mut tx, query, document_ids)
                    .await
                    .unwrap();
                let ids: BTreeSet<_> = found.iter().map(|hit| hit.chunk_id).collect();
                assert_eq!(ids, expected.keys().copied().collect(), "{query}");
                for hit in &found {
                    let difference = hit.score - expected[&hit.chunk_id];
                    assert!(
                        difference.abs() < 1e-9,
                        "{query}: {hit:?} is off by {difference}"
                    );
                }
                assert!(found.is_sorted_by(|a, b| a.score >= b.score), "{query}");
            }
        }
    }
}

#[tokio::test]
async fn a_query_without_a_word_that_counts_finds_nothing_and_is_no_error() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(search::by_words(&mut tx, "legato", &[]).await.unwrap(), []);
    drop(tx);
    db.ready(&teacher, Visibility::Private, &["Play legato."])
        .await;
    let mut tx = db.reader(&teacher).await;
    for query in [
        "",
        " ",
        "the and of",
        "?!",
        "'",
        "\\",
        "!!legato:* &",
        "<->",
        "𝄞",
    ] {
        let found = search::by_words(&mut tx, query, &[]).await.unwrap();
        assert_eq!(found.is_empty(), !query.contains("legato"), "{query:?}");
    }
}

#[tokio::test]
async fn a_document_without_a_word_that_counts_does_no_harm() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Private, &["the of and"])
        .await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(search::by_words(&mut tx, "legato", &[]).await.unwrap(), []);
    drop(tx);
    db.ready(&teacher, Visibility::Private, &["Play legato."])
        .await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(
        search::by_words(&mut tx, "legato", &[])
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_vector_list_is_ordered_by_distance_and_knows_one_model_only() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let texts = ["Curve the fingers.", "Sit upright.", "Count aloud."];
    db.ready(&teacher, Visibility::Public, &texts[..2]).await;
    db.ready(&teacher, Visibility::Private, &texts[2..]).await;
    let mut tx = db.reader(&teacher).await;
    let wanted = embedding("Count aloud.");
    let found = search::by_vector(&mut tx, &wanted, MODEL, &[])
        .await
        .unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.is_sorted_by(|a, b| a.score <= b.score));
    assert!(found[0].score.abs() < 1e-3, "{:?}", found[0]);
    let shown = passages::by_ids(&mut tx, &[found[0].chunk_id])
        .await
        .unwrap();
    assert_eq!(shown[0].content, "Count aloud.");
    assert_eq!(
        search::by_vector(&mut tx, &wanted, "@test/other#cls", &[])
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn passages_come_in_the_order_asked_for_and_unknown_ones_are_left_out() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Public, &["One.", "Two.", "Three."])
        .await;
    let mut tx = db.reader(&teacher).await;
    let found = search::by_vector(&mut tx, &embedding("Two."), MODEL, &[])
        .await
        .unwrap();
    let mut ids: Vec<_> = found.iter().map(|hit| hit.chunk_id).collect();
    for _ in 0..3 {
        ids.rotate_left(1);
        let mut asked = ids.clone();
        asked.insert(1, ChunkId(uuid::Uuid::nil()));
        let shown = passages::by_ids(&mut tx, &asked).await.unwrap();
        let shown: Vec<_> = shown.iter().map(|passage| passage.chunk_id).collect();
        assert_eq!(shown, ids);
    }
    let shown = passages::by_ids(&mut tx, &ids).await.unwrap();
    for passage in shown {
        let chars = u32::try_from(passage.content.chars().count()).unwrap();
        assert_eq!(passage.units.len(), 1);
        assert_eq!(passage.units[0].chunk_end_char, chars);
        assert_eq!(passage.units[0].page, passage.page_start);
    }
}

/// Above the bound for exact search the vector index and the private scan answer together.
#[tokio::test]
async fn in_a_large_library_the_two_arms_find_what_an_exact_scan_finds() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let shared = db
        .ready(&colleague, Visibility::Public, &["Sit upright."])
        .await;
    let own = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let hidden = db
        .ready(&colleague, Visibility::Private, &["Nobody's business."])
        .await;
    for (document, passages) in [(shared, 5_500), (own, 300), (hidden, 300)] {
        fill(&db, document, passages).await;
    }
    let readable: BTreeSet<_> = visible(&db, &teacher, &[])
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(readable.len(), 5_802);
    for question in 0..10 {
        let wanted = embedding(&format!("question {question}"));
        let mut tx = db.reader(&teacher).await;
        let found = search::by_vector(&mut tx, &wanted, MODEL, &[])
            .await
            .unwrap();
        assert_eq!(i64::try_from(found.len()).unwrap(), LIST_DEPTH);
        assert!(found.is_sorted_by(|a, b| a.score <= b.score));
        assert!(found.iter().all(|hit| readable.contains(&hit.chunk_id)));
        // Naming every document asks for the exact scan.
        let exact = search::by_vector(&mut tx, &wanted, MODEL, &[shared, own])
            .await
            .unwrap();
        // Vectors without any structure are the hardest case for the index.
        assert!(
            common(&found[..10], &exact[..10]) >= 8,
            "question {question}"
        );
    }
}

fn common(found: &[Ranked], exact: &[Ranked]) -> usize {
    let exact: BTreeSet<_> = exact.iter().map(|hit| hit.chunk_id).collect();
    found
        .iter()
        .filter(|hit| exact.contains(&hit.chunk_id))
        .count()
}

/// Adds passages with random vectors, quicker than an ingestion would.
async fn fill(db: &Database, document: DocumentId, passages: i32) {
    let mut tx = db.owner.begin().await.unwrap();
    tx.execute("set local search_path = public, extensions")
        .await
        .unwrap();
    sqlx::query(
        "insert into document_chunks (id, doc_id, owner_id, is_public, chunk_index, content, \
             content_sha256, embedding, embedding_model, page_start, page_end, metadata) \
         select gen_random_uuid(), d.id, d.owner_id, d.is_public, n, 'x', repeat('0', 64), \
             (select array_agg((random() - 0.5)::real) from generate_series(1, 768 + 0 * n)) \
                 ::halfvec(768), \
             $3, 1, 1, '{\"units\": []}' \
         from knowledge_base_docs d, generate_series(1, $2) n where d.id = $1",
    )
    .bind(document.0)
    .bind(passages)
    .bind(MODEL)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query("update knowledge_base_docs set chunk_count = chunk_count + $2 where id = $1")
        .bind(document.0)
        .bind(passages)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_owner_lists_own_documents_newest_first() {
    let db = Database::new().await;
    let (teacher, colleague) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let older = db.announce(&teacher, Visibility::Private).await;
    let newer = db.announce(&teacher, Visibility::Public).await;
    db.ready(&colleague, Visibility::Public, &["Sit upright."])
        .await;
    let mut tx = db.reader(&teacher).await;
    let listed = documents::list(&mut tx).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|document| document.id).collect();
    assert_eq!(listed, [newer, older]);
}
