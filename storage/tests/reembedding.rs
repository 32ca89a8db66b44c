//! Another embedding model takes the place of the one that is searched.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::Visibility,
    embedding::Embedding,
    ids::{ChunkId, DocumentId},
};
use sqlx::{AssertSqlSafe, Executor, error::DatabaseError};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};
use storage::{
    Error, documents,
    jobs::{self, Processed},
    reembedding::{self, Bare, Place, Standby},
    scope,
    search::{self, SearchRequest, SearchSettings},
};
use support::{Database, LEASE, MODEL, embedding, passages_of, processed};

const NEXT: &str = "@test/next#cls";
const TEXTS: [&str; 4] = [
    "Curve the fingers.",
    "Sit upright.",
    "Count aloud.",
    "Drop the wrist.",
];

/// The vector of the next model: nothing like that of the first.
fn next_embedding(text: &str) -> Embedding {
    embedding(&format!("{NEXT} {text}"))
}

/// A teacher's library, half of it private.
struct Library {
    db: Database,
    teacher: AccessClaims,
    private: DocumentId,
    public: DocumentId,
}

impl Library {
    async fn new() -> Self {
        let db = Database::new().await;
        let teacher = db.person(Role::Teacher).await;
        let private = db.ready(&teacher, Visibility::Private, &TEXTS[..2]).await;
        let public = db.ready(&teacher, Visibility::Public, &TEXTS[2..]).await;
        Self {
            db,
            teacher,
            private,
            public,
        }
    }

    async fn begin(&self) {
        reembedding::begin(&self.db.ingest, "@test/next", "cls")
            .await
            .unwrap();
    }

    async fn bare(&self) -> Vec<Bare> {
        reembedding::bare(&self.db.ingest, Place::START, 100)
            .await
            .unwrap()
    }

    async fn store(&self, bare: Vec<Bare>) {
        let embedded: Vec<_> = bare
            .into_iter()
            .map(|bare| {
                let embedding = next_embedding(&bare.content);
                (bare, embedding)
            })
            .collect();
        reembedding::store(&self.db.ingest, NEXT, &embedded)
            .await
            .unwrap();
    }

    async fn switch(&self) -> u64 {
        reembedding::switch(&self.db.ingest, NEXT).await.unwrap()
    }

    /// What a question finds by meaning, with how far away it is.
    async fn find(&self, wanted: &Embedding, model: &str) -> Vec<(ChunkId, f64)> {
        let mut tx = self.db.reader(&self.teacher).await;
        let request = SearchRequest {
            query: "",
            embedding: Some(wanted),
            embedding_model: model,
        };
        let lists = search::hybrid(
            &mut tx,
            &request,
            &SearchFilters::default(),
            &SearchSettings::default(),
        )
        .await
        .unwrap();
        let ranked = lists.vector.iter();
        ranked.map(|hit| (hit.chunk_id, hit.score)).collect()
    }

    async fn count(&self, what: &str) -> i64 {
        let statement = format!("select count(*) from {what}");
        sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(&self.db.owner)
            .await
            .unwrap()
    }

    /// The database's code for why a statement is refused even to the owner of the tables.
    async fn refusal(&self, statement: &str) -> String {
        let error = self
            .db
            .owner
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap_err();
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.unwrap().into_owned()
    }
}

#[tokio::test]
async fn searches_find_by_the_former_vectors_before_the_switch_and_by_the_new_ones_after_it() {
    let library = Library::new().await;
    let (by_first, by_next) = (embedding(TEXTS[3]), next_embedding(TEXTS[3]));
    library.begin().await;
    library.store(library.bare().await).await;
    let before = library.find(&by_first, MODEL).await;
    assert_eq!(before.len(), TEXTS.len());
    assert!(before[0].1 < 1e-3, "{before:?}");
    assert_eq!(library.find(&by_next, NEXT).await, []);

    let switched = AtomicBool::new(false);
    let ask = async {
        let mut found_by_next = 0;
        // Past the switch, for as long as it takes to see its effect for certain.
        let mut rounds_after = 0;
        while rounds_after < 5 {
            let is_over = switched.load(Ordering::SeqCst);
            let found = library.find(&by_next, NEXT).await;
            if found_by_next > 0 || is_over {
                assert_eq!(found.len(), TEXTS.len(), "all of them, and from now on");
                assert_eq!(found[0].0, before[0].0);
                assert!(found[0].1 < 1e-3, "{found:?}");
            } else {
                assert!([0, TEXTS.len()].contains(&found.len()), "{found:?}");
            }
            found_by_next = found.len();
            // Whoever still asks by the first model is served as before.
            assert_eq!(library.find(&by_first, MODEL).await, before);
            rounds_after += usize::from(is_over);
        }
    };
    let switch = async {
        assert_eq!(library.switch().await, 0);
        switched.store(true, Ordering::SeqCst);
    };
    tokio::join!(ask, ask_again(&library, &by_first, &before), switch);

    reembedding::clear(&library.db.ingest).await.unwrap();
    assert_eq!(library.find(&by_first, MODEL).await, []);
    assert_eq!(library.find(&by_next, NEXT).await.len(), TEXTS.len());
}

async fn ask_again(library: &Library, wanted: &Embedding, expected: &[(ChunkId, f64)]) {
    for _ in 0..20 {
        assert_eq!(library.find(wanted, MODEL).await, expected);
    }
}

#[tokio::test]
async fn a_passage_that_lacks_its_new_vector_holds_the_switch_up() {
    let library = Library::new().await;
    library.begin().await;
    library.store(library.bare().await).await;

    // All that can happen to a library meanwhile.
    let added = library
        .db
        .ready(&library.teacher, Visibility::Private, &["Breathe."])
        .await;
    library
        .db
        .read_again(library.public, &["Count aloud.", "Another second passage."])
        .await;
    let mut tx = library.db.reader(&library.teacher).await;
    documents::set_visibility(&mut tx, library.private, Visibility::Public)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        library
            .count("standby_document_chunks where is_public")
            .await,
        4,
        "who may read a passage is the same on both sides"
    );

    // Every passage of a document that was read again counts as new: its place in the file may differ.
    assert_eq!(library.switch().await, 3);
    let standing = reembedding::standing(&library.db.ingest).await.unwrap();
    assert_eq!(standing.live.as_deref(), Some(MODEL));
    assert_eq!(standing.standby, Standby::Building(NEXT.into()));
    assert_eq!((standing.passages, standing.beside), (5, 2));

    sqlx::query("delete from knowledge_base_docs where id = $1")
        .bind(added.0)
        .execute(&library.db.owner)
        .await
        .unwrap();
    let bare = library.bare().await;
    assert_eq!(bare.len(), 2);
    library.store(bare).await;
    assert_eq!(library.switch().await, 0);
    let standing = reembedding::standing(&library.db.ingest).await.unwrap();
    assert_eq!(standing.live.as_deref(), Some(NEXT));
    assert_eq!(standing.standby, Standby::Former(MODEL.into()));
    assert_eq!(standing.passages, 4);
}

#[tokio::test]
async fn a_passage_that_goes_while_it_is_embedded_leaves_no_vector_behind() {
    let library = Library::new().await;
    library.begin().await;
    let bare = library.bare().await;
    library
        .db
        .read_again(library.public, &["A new text."])
        .await;
    library.store(bare).await;
    assert_eq!(library.count("standby_document_chunks").await, 2);
    // Another passage stands where one with a vector stood.
    library.store(library.bare().await).await;
    library
        .db
        .read_again(library.public, &["A newer text."])
        .await;
    library.store(library.bare().await).await;
    assert_eq!(library.switch().await, 0);
    assert_eq!(library.count("document_chunks").await, 3);
}

#[tokio::test]
async fn vectors_of_two_models_never_lie_together() {
    let library = Library::new().await;
    library.begin().await;
    library.store(library.bare().await).await;
    let copy = |from: &str, to: &str, model: &str| {
        format!(
            "insert into {to} (id, doc_id, owner_id, is_public, chunk_index, content, \
                 content_sha256, embedding, embedding_model, page_start, page_end, metadata) \
             select gen_random_uuid(), doc_id, owner_id, is_public, 1000 + chunk_index, content, \
                 content_sha256, embedding, '{model}', page_start, page_end, metadata from {from}"
        )
    };
    for _ in 0..2 {
        let standing = reembedding::standing(&library.db.ingest).await.unwrap();
        let live = standing.live.unwrap();
        let (Standby::Building(beside) | Standby::Former(beside)) = standing.standby else {
            panic!("nothing lies beside")
        };
        for statement in [
            copy("standby_document_chunks", "document_chunks", &beside),
            copy("document_chunks", "standby_document_chunks", &live),
            format!("update document_chunks set embedding_model = '{beside}'"),
            copy("document_chunks", "document_chunks", "@test/unknown#cls"),
        ] {
            assert_eq!(library.refusal(&statement).await, "23503", "{statement}");
        }
        for statement in [
            "update document_chunks set shelf = case shelf when 'a' then 'b' else 'a' end",
            "update embedding_models set dimensions = 1024",
        ] {
            assert_eq!(library.refusal(statement).await, "23514", "{statement}");
        }
        for status in ["live", "building", "former"] {
            let statement = format!(
                "insert into embedding_models (model, pooling, status, shelf) \
                 values ('@test/third', 'cls', '{status}', 'a')"
            );
            assert_eq!(library.refusal(&statement).await, "23505", "{statement}");
        }
        if beside == NEXT {
            assert_eq!(library.switch().await, 0);
        }
    }
}

#[tokio::test]
async fn a_document_that_was_embedded_with_another_model_is_not_stored() {
    let library = Library::new().await;
    let id = library
        .db
        .queue(&library.teacher, Visibility::Private)
        .await;
    let job = jobs::claim(&library.db.ingest, "a worker", LEASE)
        .await
        .unwrap();
    let lease = job.unwrap().lease;
    let chunks = passages_of(&["Relax."]);
    let of_another = Processed {
        embedding_model: NEXT,
        ..processed(&chunks)
    };
    let refused = jobs::complete(&library.db.ingest, &lease, &of_another).await;
    assert!(matches!(refused, Err(Error::ModelChanged)), "{refused:?}");
    jobs::complete(&library.db.ingest, &lease, &processed(&chunks))
        .await
        .unwrap();
    let stored = format!("document_chunks where doc_id = '{id}'");
    assert_eq!(library.count(&stored).await, 1);
}

#[tokio::test]
async fn one_model_at_a_time_is_built_and_only_beside_nothing_else() {
    let library = Library::new().await;
    let ingest = &library.db.ingest;
    let begin = |model| reembedding::begin(ingest, model, "cls");
    assert!(matches!(begin("@test/encoder").await, Err(Error::Conflict)));
    let refused = reembedding::switch(ingest, NEXT).await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    library.begin().await;
    library.begin().await;
    assert!(matches!(begin("@test/third").await, Err(Error::Conflict)));
    library.store(library.bare().await).await;
    assert_eq!(library.switch().await, 0);
    assert!(matches!(begin("@test/third").await, Err(Error::Conflict)));
    // Back to the vectors that are still there, and what came since.
    library
        .db
        .queue(&library.teacher, Visibility::Private)
        .await;
    let job = jobs::claim(ingest, "a worker", LEASE).await.unwrap();
    let chunks = passages_of(&["Breathe."]);
    let of_next = Processed {
        embedding_model: NEXT,
        ..processed(&chunks)
    };
    jobs::complete(ingest, &job.unwrap().lease, &of_next)
        .await
        .unwrap();
    begin("@test/encoder").await.unwrap();
    let bare = library.bare().await;
    assert_eq!(bare.len(), 1);
    let embedded = bare.into_iter().map(|bare| (bare, embedding("Breathe.")));
    reembedding::store(ingest, MODEL, &embedded.collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(reembedding::switch(ingest, MODEL).await.unwrap(), 0);
    assert_eq!(library.find(&embedding(TEXTS[0]), MODEL).await.len(), 5);
    // And on to others, each into the table that was left.
    for (model, name) in [("@test/third", "@test/third#cls"), ("@test/next", NEXT)] {
        reembedding::clear(ingest).await.unwrap();
        begin(model).await.unwrap();
        let embedded: Vec<_> = library
            .bare()
            .await
            .into_iter()
            .map(|bare| {
                let embedding = embedding(&bare.content);
                (bare, embedding)
            })
            .collect();
        reembedding::store(ingest, name, &embedded).await.unwrap();
        assert_eq!(reembedding::switch(ingest, name).await.unwrap(), 0);
        let found = library.find(&embedding(TEXTS[0]), name).await;
        assert_eq!(found.len(), 5);
    }
}

#[tokio::test]
async fn a_switch_makes_everybodys_scope_new() {
    let library = Library::new().await;
    let versions = async || {
        let mut tx = library.db.reader(&library.teacher).await;
        let facts = scope::facts(&mut tx).await.unwrap();
        (facts.public_version, facts.owners)
    };
    let before = versions().await;
    library.begin().await;
    library.store(library.bare().await).await;
    assert_eq!(versions().await, before);
    library.switch().await;
    let after = versions().await;
    assert!(after.0 > before.0);
    assert!(after.1 != before.1);
}

/// Columns, keys, checks, indexes, policies and rights of a table, without its name.
async fn shape(db: &Database, table: &str) -> BTreeSet<String> {
    let lines: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', 'column', attname, format_type(atttypid, atttypmod), attnotnull, \
                          attstorage, attgenerated, attacl, \
                          case when attname <> 'shelf' then pg_get_expr(d.adbin, d.adrelid) end) \
         from pg_attribute a \
         left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
         where attrelid = $1::regclass and attnum > 0 and not attisdropped \
         union all \
         select concat_ws(' ', 'constraint', conname, pg_get_constraintdef(oid)) \
         from pg_constraint where conrelid = $1::regclass and conname <> 'document_chunks_shelf' \
         union all \
         select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1::regclass and indisvalid \
         union all \
         select concat_ws(' ', 'policy', policyname, roles, cmd, permissive, qual, with_check) \
         from pg_policies where tablename = $1 \
         union all \
         select concat_ws(' ', 'table', relacl, reloptions, relrowsecurity, relforcerowsecurity) \
         from pg_class where oid = $1::regclass",
    )
    .bind(table)
    .fetch_all(&db.owner)
    .await
    .unwrap();
    let lines = lines.into_iter();
    lines
        .map(|line| line.replace("standby_document_chunks", "document_chunks"))
        .collect()
}

#[tokio::test]
async fn the_two_tables_are_alike_and_trade_every_name() {
    let library = Library::new().await;
    library.begin().await;
    library.store(library.bare().await).await;
    let live = shape(&library.db, "document_chunks").await;
    assert!(live.len() > 25, "{live:#?}");
    for _ in 0..2 {
        for table in ["document_chunks", "standby_document_chunks"] {
            let found = shape(&library.db, table).await;
            let difference: Vec<_> = live.symmetric_difference(&found).collect();
            assert!(difference.is_empty(), "{table}: {difference:#?}");
        }
        let strays = "pg_indexes where schemaname = 'public' and tablename ~ 'document_chunks$' \
                      and left(indexname, length(tablename)) <> tablename";
        assert_eq!(library.count(strays).await, 0);
        if library
            .count("embedding_models where status = 'building'")
            .await
            > 0
        {
            library.switch().await;
        }
    }
}
