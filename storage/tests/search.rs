//! The two ranked lists.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;
mod textbook;

use rag_core::bm25::Bm25;
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    ids::{ChunkId, DocumentId},
};
use storage::{
    ReaderTx, documents, passages,
    search::{self, Ranked, SearchRequest, VectorList, VectorSettings},
};
use support::{Database, MODEL, embedding, within};
use textbook::{Words, assert_textbook, bm25};

async fn by_words(tx: &mut ReaderTx, query: &str, document_ids: &[DocumentId]) -> Vec<Ranked> {
    by_words_with(tx, query, document_ids, Bm25::default()).await
}

async fn by_words_with(
    tx: &mut ReaderTx,
    query: &str,
    document_ids: &[DocumentId],
    parameters: Bm25,
) -> Vec<Ranked> {
    let request = SearchRequest {
        query,
        embedding: None,
        embedding_model: MODEL,
    };
    let readable = search::readable(tx).await.unwrap();
    let readable = readable.narrow(tx, &within(document_ids)).await.unwrap();
    search::by_words(tx, &readable, &request, parameters)
        .await
        .unwrap()
        .ranked
}

/// Searches by the meaning of a text.
async fn by_vector(tx: &mut ReaderTx, text: &str, embedding_model: &str) -> VectorList {
    let embedding = embedding(text);
    let request = SearchRequest {
        query: text,
        embedding: Some(&embedding),
        embedding_model,
    };
    let readable = search::readable(tx).await.unwrap();
    let settings = VectorSettings::default();
    search::by_vector(tx, &readable, &embedding, &request, &settings)
        .await
        .unwrap()
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
            for (query, parameters) in [
                ("memory", Bm25::default()),
                ("how to practise arpeggios slowly", Bm25::default()),
                ("the relaxed wrist and the pedal", Bm25 { k1: 2.0, b: 0.0 }),
                ("tempo tempo rhythm", Bm25 { k1: 0.5, b: 1.0 }),
                ("violin", Bm25::default()),
            ] {
                let mut tx = db.reader(person).await;
                let found = by_words_with(&mut tx, query, document_ids, parameters).await;
                assert_textbook(&found, &bm25(&passages, query, parameters), query);
            }
        }
    }
}

#[tokio::test]
async fn in_a_book_of_many_hundred_passages_the_list_by_words_is_no_different() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut words = Words(11);
    let mut texts: Vec<String> = (0..600).map(|_| words.text(4)).collect();
    for passage in [0, 255, 256, 511, 512, 599] {
        texts[passage] += " hemiola";
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    db.ready(&teacher, Visibility::Private, &texts).await;
    let passages = visible(&db, &teacher, &[]).await;
    let mut tx = db.reader(&teacher).await;
    let found = by_words(&mut tx, "hemiola", &[]).await;
    assert_eq!(found.len(), 6);
    let expected = bm25(&passages, "hemiola", Bm25::default());
    assert_textbook(&found, &expected, "hemiola");
}

#[tokio::test]
async fn words_part_at_slashes_and_hyphens_in_passages_and_in_questions() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let text = "The two-note slur/sigh: legato/staccato touch.";
    db.ready(&teacher, Visibility::Private, &[text]).await;
    let mut tx = db.reader(&teacher).await;
    for query in [
        "staccato",
        "legato",
        "slur",
        "sigh",
        "note",
        "two-note",
        "touch/staccato",
    ] {
        assert_eq!(by_words(&mut tx, query, &[]).await.len(), 1, "{query}");
    }
    let whole = by_words(&mut tx, "two-note", &[]).await[0].score;
    let parts = by_words(&mut tx, "two note", &[]).await[0].score;
    assert!(
        (whole - parts).abs() < 1e-12,
        "a hyphen is no word of its own"
    );
}

#[tokio::test]
async fn no_question_however_odd_is_an_error() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let text = "Play legato. Играйте легато. 弹奏连奏。 'drop table' means nothing here.";
    db.ready(&teacher, Visibility::Private, &[text]).await;
    let mut tx = db.reader(&teacher).await;
    let of_many_words = "legato and staccato ".repeat(100);
    let of_one_word = "a".repeat(2_000);
    for (query, is_found) in [
        (of_many_words.as_str(), true),
        (of_one_word.as_str(), false),
        ("🎹🎶 👩🏽‍🏫", false),
        ("'; drop table document_postings; --", true),
        ("$1 %s \\x00 ' or 1=1 /*", false),
        ("легато", true),
        ("عزف البيانو", false),
        ("ピアノの練習", false),
        ("the and of with is to", false),
    ] {
        let found = by_words(&mut tx, query, &[]).await;
        assert_eq!(!found.is_empty(), is_found, "{query}");
    }
}

#[tokio::test]
async fn a_score_tells_nothing_of_text_that_the_reader_may_not_read() {
    let db = Database::new().await;
    let (teacher, stranger) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    db.ready(
        &teacher,
        Visibility::Private,
        &["Curve the fingers.", "Slow scales.", "Count the rhythm."],
    )
    .await;
    let mut tx = db.reader(&teacher).await;
    let before = by_words(&mut tx, "scales and fingers", &[]).await;
    drop(tx);
    let texts = ["Scales, scales and fingers.", "Fingers.", "Nothing else."];
    let hidden = db.ready(&stranger, Visibility::Private, &texts).await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(by_words(&mut tx, "scales and fingers", &[]).await, before);
    drop(tx);

    let mut tx = db.reader(&stranger).await;
    documents::set_visibility(&mut tx, hidden, Visibility::Public)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.reader(&teacher).await;
    let after = by_words(&mut tx, "scales and fingers", &[]).await;
    assert_eq!(after.len(), before.len() + 2);
    assert!(
        (after.last().unwrap().score - before.last().unwrap().score).abs() > 0.01,
        "what became public counts"
    );
}

#[tokio::test]
async fn a_query_without_a_word_that_counts_finds_nothing_and_is_no_error() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(by_words(&mut tx, "legato", &[]).await, []);
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
        let found = by_words(&mut tx, query, &[]).await;
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
    assert_eq!(by_words(&mut tx, "legato", &[]).await, []);
    drop(tx);
    db.ready(&teacher, Visibility::Private, &["Play legato."])
        .await;
    let mut tx = db.reader(&teacher).await;
    assert_eq!(by_words(&mut tx, "legato", &[]).await.len(), 1);
}

#[tokio::test]
async fn the_vector_list_is_ordered_by_distance_and_knows_one_model_only() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let texts = ["Curve the fingers.", "Sit upright.", "Count aloud."];
    db.ready(&teacher, Visibility::Public, &texts[..2]).await;
    db.ready(&teacher, Visibility::Private, &texts[2..]).await;
    let mut tx = db.reader(&teacher).await;
    let found = by_vector(&mut tx, "Count aloud.", MODEL).await.ranked;
    assert_eq!(found.len(), 3);
    assert!(found.is_sorted_by(|a, b| a.score <= b.score));
    assert!(found[0].score.abs() < 1e-3, "{:?}", found[0]);
    let shown = passages::by_ids(&mut tx, &[found[0].chunk_id])
        .await
        .unwrap();
    assert_eq!(shown[0].content, "Count aloud.");
    let of_another_model = by_vector(&mut tx, "Count aloud.", "@test/other#cls").await;
    assert_eq!(of_another_model.ranked, []);
}

#[tokio::test]
async fn passages_come_in_the_order_asked_for_and_unknown_ones_are_left_out() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    db.ready(&teacher, Visibility::Public, &["One.", "Two.", "Three."])
        .await;
    let mut tx = db.reader(&teacher).await;
    let found = by_vector(&mut tx, "Two.", MODEL).await.ranked;
    let mut ids: Vec<_> = found.iter().map(|hit| hit.chunk_id).collect();
    for _ in 0..3 {
        ids.rotate_left(1);
        let mut asked = ids.clone();
        asked.insert(1, ChunkId(uuid::Uuid::nil()));
        let shown = passages::by_ids(&mut tx, &asked).await.unwrap();
        let shown: Vec<_> = shown.iter().map(|passage| passage.chunk_id).collect();
        assert_eq!(shown, ids);
        let cited = passages::citable(&mut tx, &asked).await.unwrap();
        let cited: Vec<_> = cited.iter().map(|passage| passage.chunk_id).collect();
        assert_eq!(cited, ids);
    }
    let shown = passages::by_ids(&mut tx, &ids).await.unwrap();
    let cited = passages::citable(&mut tx, &ids).await.unwrap();
    assert_eq!(cited.len(), shown.len());
    for (passage, shown) in cited.iter().zip(&shown) {
        assert_eq!(passage.chunk_id, shown.chunk_id);
        let chars = u32::try_from(passage.content.chars().count()).unwrap();
        assert_eq!(passage.units.len(), 1);
        assert_eq!(passage.units[0].chunk_end_char, chars);
        assert_eq!(passage.units[0].page, shown.page_start);
    }
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
    let listed = documents::list(&mut tx, None, 9).await.unwrap();
    assert_eq!(listed.next, None);
    let listed: Vec<_> = listed
        .items
        .iter()
        .map(|stored| stored.document.id)
        .collect();
    assert_eq!(listed, [newer, older]);
}
