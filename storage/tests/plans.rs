//! How the vector list is found, by how much the reader may read.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use pgvector::HalfVector;
use shared_types::{
    claims::{AccessClaims, Role},
    documents::Visibility,
    embedding::{DIMENSIONS, Embedding},
    ids::{ChunkId, DocumentId},
};
use sqlx::Executor;
use std::collections::BTreeSet;
use storage::{
    ReaderTx,
    search::{self, LIST_DEPTH, Ranked, SearchRequest, VectorList, VectorPlan, VectorSettings},
};
use support::{Database, MODEL, embedding, within};

/// Asks the graph as soon as there is anything public.
const GRAPH: VectorSettings = VectorSettings {
    signs_up_to: 0,
    compared_in_documents: 2_000,
};

/// Compares every vector of the documents that a search is narrowed to.
const EXACT: VectorSettings = VectorSettings {
    compared_in_documents: u64::MAX,
    ..GRAPH
};

/// A teacher with a few own passages in front of a large public library, and somebody else's
/// private passages.
struct Library {
    db: Database,
    teacher: AccessClaims,
    readable: [DocumentId; 2],
}

impl Library {
    /// With `topics` directions that the vectors gather around; 0: without any order.
    async fn new(topics: i32) -> Self {
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
        for (document, passages) in [(shared, 2_500), (own, 300), (hidden, 300)] {
            fill(&db, document, passages, topics).await;
        }
        db.owner
            .execute("vacuum analyze document_chunks")
            .await
            .unwrap();
        Self {
            db,
            teacher,
            readable: [shared, own],
        }
    }

    /// A transaction in which PostgreSQL takes the graph even for so few passages.
    async fn reader(&self) -> ReaderTx {
        let mut tx = self.db.reader(&self.teacher).await;
        tx.connection()
            .execute("set local enable_sort = off")
            .await
            .unwrap();
        tx
    }

    async fn search(
        &self,
        wanted: &Embedding,
        document_ids: &[DocumentId],
        settings: &VectorSettings,
    ) -> VectorList {
        let mut tx = self.reader().await;
        let readable = search::readable(&mut tx).await.unwrap();
        let filters = within(document_ids);
        let readable = readable.narrow(&mut tx, &filters).await.unwrap();
        let request = request(wanted);
        search::by_vector(&mut tx, &readable, wanted, &request, settings)
            .await
            .unwrap()
    }

    /// The vector of some public passage, a little turned: a question that the library answers.
    async fn question(&self, passage: i32) -> Embedding {
        let stored: Vec<f32> = sqlx::query_scalar(
            "select embedding::real[] from document_chunks where doc_id = $1 and chunk_index = $2",
        )
        .bind(self.readable[0].0)
        .bind(passage)
        .fetch_one(&self.db.owner)
        .await
        .unwrap();
        let noise = embedding(&format!("question {passage}"));
        let components = stored.iter().zip(noise.as_slice());
        Embedding::new(
            components
                .map(|(stored, noise)| stored + 0.1 * noise)
                .collect(),
        )
        .unwrap()
    }

    async fn visible(&self) -> BTreeSet<ChunkId> {
        let mut tx = self.db.reader(&self.teacher).await;
        let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from document_chunks")
            .fetch_all(tx.connection())
            .await
            .unwrap();
        ids.into_iter().map(ChunkId).collect()
    }
}

fn request(wanted: &Embedding) -> SearchRequest<'_> {
    SearchRequest {
        query: "",
        embedding: Some(wanted),
        embedding_model: MODEL,
    }
}

fn common(found: &[Ranked], exact: &[Ranked]) -> usize {
    let exact: BTreeSet<_> = exact.iter().map(|hit| hit.chunk_id).collect();
    found
        .iter()
        .filter(|hit| exact.contains(&hit.chunk_id))
        .count()
}

/// Adds passages with vectors drawn from a fixed seed, quicker than an ingestion would.
async fn fill(db: &Database, document: DocumentId, passages: i32, topics: i32) {
    let mut tx = db.owner.begin().await.unwrap();
    for statement in [
        "set local search_path = public, extensions",
        // Vacuum marks no page whose last transaction has not reached the disk.
        "set local synchronous_commit = on",
        "select setseed(0.5)",
    ] {
        tx.execute(statement).await.unwrap();
    }
    sqlx::query(
        "with directions as materialized ( \
             select topic, (select array_agg((random() - 0.5)::real) \
                            from generate_series(1, $5 + 0 * topic))::halfvec(768) as direction \
             from generate_series(0, greatest($4, 1) - 1) topic \
         ) \
         insert into document_chunks (id, doc_id, owner_id, is_public, chunk_index, content, \
             content_sha256, embedding, embedding_model, page_start, page_end, metadata) \
         select gen_random_uuid(), d.id, d.owner_id, d.is_public, n, 'x', repeat('0', 64), \
             own.direction + case when $4 > 0 then directions.direction else own.direction end, \
             $3, 1, 1, '{\"units\": []}' \
         from knowledge_base_docs d \
         cross join generate_series(1, $2) n \
         join directions on topic = n % greatest($4, 1) \
         cross join lateral ( \
             select array_agg((random() - 0.5)::real)::halfvec(768) as direction \
             from generate_series(1, $5 + 0 * n) \
         ) own \
         where d.id = $1",
    )
    .bind(document.0)
    .bind(passages)
    .bind(MODEL)
    .bind(topics)
    .bind(i32::try_from(DIMENSIONS).unwrap())
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
async fn signs_and_graph_find_what_an_exact_comparison_finds() {
    let library = Library::new(40).await;
    let visible = library.visible().await;
    for passage in [100, 600, 1_100, 1_600, 2_100] {
        let wanted = library.question(passage).await;
        let exact = library.search(&wanted, &library.readable, &EXACT).await;
        assert_eq!(exact.plan, VectorPlan::Documents);
        let by_signs = library
            .search(&wanted, &[], &VectorSettings::default())
            .await;
        assert_eq!(by_signs.plan, VectorPlan::Signs { candidates: 400 });
        let by_graph = library.search(&wanted, &[], &GRAPH).await;
        let plan = VectorPlan::Graph {
            patience: 100,
            private_candidates: 400,
        };
        assert_eq!(by_graph.plan, plan);
        let in_documents = library.search(&wanted, &library.readable, &GRAPH).await;
        let plan = VectorPlan::SignsInDocuments { candidates: 400 };
        assert_eq!(in_documents.plan, plan);
        for list in [&by_signs, &by_graph, &in_documents] {
            assert_eq!(list.ranked.len(), LIST_DEPTH as usize);
            assert!(list.ranked.is_sorted_by(|a, b| a.score <= b.score));
            assert!(
                list.ranked
                    .iter()
                    .all(|hit| visible.contains(&hit.chunk_id))
            );
            let found = common(&list.ranked[..20], &exact.ranked[..20]);
            assert!(found >= 19, "{found} of 20 by {}", list.plan);
        }
    }
}

/// Passages that a walk through the graph has seen.
async fn seen(library: &Library, wanted: &Embedding) -> i64 {
    let mut tx = library.reader().await;
    sqlx::query_scalar("select count(*) from nearest_public($1, $2, 100)")
        .bind(HalfVector::from_f32_slice(wanted.as_slice()))
        .bind(MODEL)
        .fetch_one(tx.connection())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_walk_through_the_graph_goes_on_where_a_question_lies_far_from_everything() {
    let library = Library::new(0).await;
    let visible = library.visible().await;
    let (mut near, mut far) = (0, 0);
    for question in 0..5 {
        near += seen(&library, &library.question(100 + question).await).await;
        let wanted = embedding(&format!("question {question}"));
        far += seen(&library, &wanted).await;
        let exact = library.search(&wanted, &library.readable, &EXACT).await;
        let found = library.search(&wanted, &[], &GRAPH).await;
        assert!(
            found
                .ranked
                .iter()
                .all(|hit| visible.contains(&hit.chunk_id))
        );
        // Without any order, as no encoder's vectors are, a graph finds less.
        let found = common(&found.ranked[..10], &exact.ranked[..10]);
        assert!(found >= 7, "{found} of 10");
    }
    assert!(far > near, "{far} passages seen, {near} for others");
}

#[tokio::test]
async fn each_plan_is_explained_and_reads_the_index_that_it_is_meant_to() {
    let library = Library::new(40).await;
    let wanted = library.question(7).await;
    let mut tx = library.reader().await;
    for (documents, settings, begins, reads) in [
        (
            &[][..],
            VectorSettings::default(),
            "signs (400 compared): ",
            "Index Only Scan using document_chunks_signs",
        ),
        (
            &[],
            GRAPH,
            "graph (patience 100): ",
            "Function Scan on nearest_public",
        ),
        (
            &library.readable,
            GRAPH,
            "signs in documents (400 compared): ",
            "Index Only Scan using document_chunks_place",
        ),
        (
            &library.readable[1..],
            GRAPH,
            "documents: ",
            "Index Scan using document_chunks_place",
        ),
    ] {
        let readable = search::readable(&mut tx).await.unwrap();
        let filters = within(documents);
        let readable = readable.narrow(&mut tx, &filters).await.unwrap();
        let request = request(&wanted);
        let lines = search::explain_vector(&mut tx, &readable, &wanted, &request, &settings)
            .await
            .unwrap();
        assert!(lines[0].starts_with(begins), "{}", lines[0]);
        let plan = lines.join("\n");
        assert!(plan.contains(reads), "{plan}");
        assert!(!plan.contains("Seq Scan on document_chunks"), "{plan}");
    }
    // What a function reads, no plan shows.
    let scans: (i64, i64) = sqlx::query_as(
        "select pg_stat_get_xact_numscans('document_chunks_public_embedding'::regclass), \
                pg_stat_get_xact_numscans('document_chunks'::regclass)",
    )
    .fetch_one(tx.connection())
    .await
    .unwrap();
    assert_eq!(
        scans,
        (1, 0),
        "walks through the graph, and through everything"
    );
}
