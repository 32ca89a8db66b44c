//! A search that is narrowed finds what the same search would find in a library of nothing else.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;
mod textbook;

use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestRunner};
use rag_core::{
    access::{DocumentAccess, Reader, may_read},
    bm25::Bm25,
};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::Visibility,
    embedding::Embedding,
    ids::{ChunkId, DocumentId, UserId},
};
use sqlx::types::chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};
use storage::{
    jobs::EmbeddedChunk,
    search::{self, LIST_DEPTH, SearchRequest, SearchSettings, VectorPlan, VectorSettings},
};
use support::{Database, MODEL, Studios, as_reader, embedding, fresh_id, passages_of, within};
use textbook::{Words, assert_textbook, bm25};
use tokio::runtime::Runtime;
use uuid::Uuid;

const DAY_S: i64 = 24 * 60 * 60;
const QUERIES: [&str; 4] = [
    "memory",
    "how to practise arpeggios slowly",
    "the relaxed wrist and the pedal",
    "the and of",
];

/// A passage, and all that filters go by.
#[derive(Clone)]
struct Known {
    id: ChunkId,
    document: DocumentId,
    access: DocumentAccess,
    uploaded_s: i64,
    pages: (u32, u32),
    text: String,
}

/// Two studios and an admin's own documents, a student of either, of both and of none; each document was
/// uploaded on a day of its own.
struct World {
    db: Database,
    people: Vec<(AccessClaims, Reader)>,
    passages: Vec<Known>,
    /// Searchable ones, one that is not, and one that does not exist.
    documents: Vec<DocumentId>,
    /// All of them, somebody without documents, and nobody.
    owners: Vec<UserId>,
}

impl World {
    async fn new() -> Self {
        let db = Database::new().await;
        let Studios {
            first,
            second,
            admin,
            students: mut people,
        } = Studios::new(&db).await;
        let mut words = Words(3);
        let mut passages = Vec::new();
        let mut documents = Vec::new();
        let mut uploaded_s = 0;
        for owner in [&first, &second, &admin] {
            for visibility in [Visibility::Private, Visibility::Public] {
                for _ in 0..2 {
                    let texts: Vec<String> = (0..6).map(|_| words.text(12)).collect();
                    let id = db
                        .ready_with(owner, visibility, &across_pages(&texts))
                        .await;
                    documents.push(id);
                    uploaded_s += DAY_S;
                    upload_was(&db, id, uploaded_s).await;
                    let access = DocumentAccess {
                        owner_id: owner.sub,
                        visibility,
                    };
                    passages.extend(known(&db, id, access, uploaded_s).await);
                }
            }
        }
        documents.push(db.announce(&first, Visibility::Public).await);
        documents.push(DocumentId(fresh_id()));
        let owners = [first.sub, second.sub, admin.sub, people[0].0.sub];
        let owners = owners.into_iter().chain([UserId(Uuid::nil())]).collect();
        people.extend([
            as_reader(first, &[]),
            as_reader(second, &[]),
            as_reader(admin, &[]),
        ]);
        Self {
            db,
            people,
            passages,
            documents,
            owners,
        }
    }

    fn filters(&self) -> impl Strategy<Value = SearchFilters> + use<> {
        let days = i64::try_from(self.documents.len()).unwrap() + 1;
        // On the very second, and beside it.
        let time =
            move || option::of((1..days, -1..=1_i64).prop_map(|(day, off_s)| day * DAY_S + off_s));
        let page = || option::of(1..=5_u32);
        let documents = prop_oneof![Just(vec![]), vec(select(self.documents.clone()), 0..9)];
        let owners = prop_oneof![Just(vec![]), vec(select(self.owners.clone()), 0..4)];
        let filters = (documents, owners, page(), page(), time(), time()).prop_map(
            |(
                document_ids,
                owner_ids,
                first_page,
                last_page,
                uploaded_from_s,
                uploaded_before_s,
            )| {
                SearchFilters {
                    document_ids,
                    owner_ids,
                    first_page,
                    last_page,
                    uploaded_from_s,
                    uploaded_before_s,
                }
            },
        );
        filters.prop_filter("is refused", |filters| filters.check().is_ok())
    }

    /// Searches as this person, and holds both lists against the rules as they are written down.
    async fn check(&self, person: usize, query: &str, filters: &SearchFilters) {
        let (claims, reader) = &self.people[person];
        let counted: Vec<&Known> = self
            .passages
            .iter()
            .filter(|known| may_read(reader, &known.access) && is_in_documents(known, filters))
            .collect();
        let wanted: BTreeMap<ChunkId, &Known> = counted
            .iter()
            .filter(|known| is_on_pages(known, filters))
            .map(|known| (known.id, *known))
            .collect();

        let question = embedding(query);
        let request = SearchRequest {
            query,
            embedding: Some(&question),
            embedding_model: MODEL,
        };
        for settings in [SearchSettings::default(), by_index()] {
            let mut tx = self.db.reader(claims).await;
            let lists = search::hybrid(&mut tx, &request, filters, &settings)
                .await
                .unwrap();
            let plan = lists.vector_plan;
            let found: BTreeSet<ChunkId> = lists.vector.iter().map(|hit| hit.chunk_id).collect();
            assert_eq!(found, wanted.keys().copied().collect(), "{plan}");
            assert_eq!(found.len(), lists.vector.len(), "{plan}");
            assert!(lists.vector.is_sorted_by(|a, b| a.score <= b.score));
            for hit in &lists.vector {
                let true_distance = distance(&question, &embedding(&wanted[&hit.chunk_id].text));
                assert!((hit.score - true_distance).abs() < 2e-3, "{plan}: {hit:?}");
            }
            let texts: Vec<(ChunkId, String)> = counted
                .iter()
                .map(|known| (known.id, known.text.clone()))
                .collect();
            let mut by_words = bm25(&texts, query, Bm25::default());
            by_words.retain(|id, _| wanted.contains_key(id));
            assert_textbook(&lists.lexical, &by_words, query);
        }
    }
}

/// Settings under which a small library is searched as a large one would be.
fn by_index() -> SearchSettings {
    SearchSettings {
        vector: VectorSettings {
            signs_up_to: 0,
            compared_in_documents: 0,
        },
        ..SearchSettings::default()
    }
}

fn is_in_documents(known: &Known, filters: &SearchFilters) -> bool {
    let named = |ids: &[DocumentId]| ids.is_empty() || ids.contains(&known.document);
    let owned = |ids: &[UserId]| ids.is_empty() || ids.contains(&known.access.owner_id);
    named(&filters.document_ids)
        && owned(&filters.owner_ids)
        && filters
            .uploaded_from_s
            .is_none_or(|from_s| known.uploaded_s >= from_s)
        && filters
            .uploaded_before_s
            .is_none_or(|before_s| known.uploaded_s < before_s)
}

fn is_on_pages(known: &Known, filters: &SearchFilters) -> bool {
    let (first, last) = known.pages;
    (first..=last).any(|page| {
        filters.first_page.is_none_or(|first| page >= first)
            && filters.last_page.is_none_or(|last| page <= last)
    })
}

/// Every second passage runs over a page break.
fn across_pages(texts: &[String]) -> Vec<EmbeddedChunk> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut passages = passages_of(&texts);
    for passage in &mut passages {
        let chunk = &mut passage.chunk;
        (chunk.page_start, chunk.page_end) = (1 + chunk.index / 2, 1 + chunk.index.div_ceil(2));
    }
    passages
}

async fn upload_was(db: &Database, document: DocumentId, at_s: i64) {
    sqlx::query("update knowledge_base_docs set created_at = $2 where id = $1")
        .bind(document.0)
        .bind(DateTime::from_timestamp(at_s, 0).unwrap())
        .execute(&db.owner)
        .await
        .unwrap();
}

async fn known(
    db: &Database,
    document: DocumentId,
    access: DocumentAccess,
    uploaded_s: i64,
) -> Vec<Known> {
    let rows: Vec<(Uuid, i32, i32, String)> = sqlx::query_as(
        "select id, page_start, page_end, content from document_chunks where doc_id = $1",
    )
    .bind(document.0)
    .fetch_all(&db.owner)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(id, page_start, page_end, text)| Known {
            id: ChunkId(id),
            document,
            access,
            uploaded_s,
            pages: (page_start.cast_unsigned(), page_end.cast_unsigned()),
            text,
        })
        .collect()
}

fn distance(a: &Embedding, b: &Embedding) -> f64 {
    let dot = |a: &Embedding, b: &Embedding| -> f64 {
        let components = a.as_slice().iter().zip(b.as_slice());
        components.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn whoever_reads_and_whatever_the_filters_the_lists_are_those_of_a_library_of_nothing_else() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let searches = (0..world.people.len(), select(&QUERIES[..]), world.filters());
    TestRunner::default()
        .run(&searches, |(person, query, filters)| {
            runtime.block_on(world.check(person, query, &filters));
            Ok(())
        })
        .unwrap();
    // Its databases are dropped by a runtime that still runs.
    drop(world);
}

#[tokio::test]
async fn what_is_on_the_pages_is_found_behind_any_number_of_better_passages_on_others() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let texts: Vec<String> = (0..400)
        .map(|passage| match passage {
            0..390 => format!("Hemiola, hemiola {passage}"),
            _ => format!("Hemiola among a good many other words {passage}"),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let document = db.ready(&teacher, Visibility::Private, &texts).await;
    let question = embedding("hemiola");
    let request = SearchRequest {
        query: "hemiola",
        embedding: Some(&question),
        embedding_model: MODEL,
    };
    for filters in [SearchFilters::default(), within(&[document])] {
        let filters = SearchFilters {
            first_page: Some(391),
            ..filters
        };
        for settings in [SearchSettings::default(), by_index()] {
            let mut tx = db.reader(&teacher).await;
            let lists = search::hybrid(&mut tx, &request, &filters, &settings)
                .await
                .unwrap();
            assert_eq!(lists.lexical.len(), 10, "{filters:?}");
            assert_eq!(lists.vector.len(), 10, "{}", lists.vector_plan);
            assert!(lists.lexical.len() < LIST_DEPTH as usize);
        }
    }
}

#[tokio::test]
async fn to_name_what_one_may_not_read_is_to_name_what_does_not_exist() {
    let db = Database::new().await;
    let (teacher, stranger) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let text = ["Curve the fingers."];
    db.ready(&teacher, Visibility::Private, &text).await;
    let hidden = db.ready(&stranger, Visibility::Private, &text).await;
    let question = embedding(text[0]);
    let request = SearchRequest {
        query: "fingers",
        embedding: Some(&question),
        embedding_model: MODEL,
    };
    let of = |owner: Uuid| SearchFilters {
        owner_ids: vec![UserId(owner)],
        ..SearchFilters::default()
    };
    let mut outcomes = Vec::new();
    for filters in [
        of(stranger.sub.0),
        of(Uuid::nil()),
        within(&[hidden]),
        within(&[DocumentId(Uuid::nil())]),
    ] {
        let mut tx = db.reader(&teacher).await;
        let settings = SearchSettings::default();
        outcomes.push(
            search::hybrid(&mut tx, &request, &filters, &settings)
                .await
                .unwrap(),
        );
    }
    assert_eq!(outcomes[0].vector_plan, VectorPlan::Nothing);
    assert_eq!(
        (outcomes[0].vector.len(), outcomes[0].lexical.len()),
        (0, 0)
    );
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
}
