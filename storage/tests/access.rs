//! Nobody is shown a word from a document that they may not read.
//!
//! The crate's own functions, whatever the policies let through; `last_wall.rs` tests the policies,
//! whatever the functions ask. `rag_core::access` says what both must come to.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use rag_core::access::{DocumentAccess, Reader, may_read};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::{DocumentStatus, SourceFormat, Visibility},
    ids::{ChunkId, DocumentId},
};
use sqlx::{AssertSqlSafe, Executor};
use std::collections::{BTreeMap, BTreeSet};
use storage::{
    Error, documents, passages,
    search::{self, SearchRequest, SearchSettings, VectorSettings},
};
use support::{Database, MODEL, Studios, announcement, as_reader, embedding, fresh_id, within};

const TEXT: &str = "Curve the fingers and drop the wrist.";

/// Settings under which the same small library is searched by each plan.
fn every_plan() -> [SearchSettings; 2] {
    let by_index = VectorSettings {
        signs_up_to: 0,
        compared_in_documents: 0,
    };
    [
        SearchSettings::default(),
        SearchSettings {
            vector: by_index,
            ..SearchSettings::default()
        },
    ]
}

/// Two studios, a student in both, one in each, one in none, and an admin. Everyone who may owns a
/// private and a public searchable document.
struct World {
    db: Database,
    people: Vec<(AccessClaims, Reader)>,
    documents: BTreeMap<DocumentId, DocumentAccess>,
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
        // Once a student of the first teacher, now a colleague: the relationship is still there.
        let graduate = db.person(Role::Teacher).await;
        db.link(&first, &graduate).await;
        people.push(as_reader(graduate, &[&first]));
        let mut documents = BTreeMap::new();
        for owner in [&first, &second, &admin] {
            for visibility in [Visibility::Private, Visibility::Public] {
                let access = DocumentAccess {
                    owner_id: owner.sub,
                    visibility,
                };
                documents.insert(db.ready(owner, visibility, &[TEXT]).await, access);
            }
        }
        people.extend([
            as_reader(first, &[]),
            as_reader(second, &[]),
            as_reader(admin, &[]),
        ]);
        Self {
            db,
            people,
            documents,
        }
    }

    fn readable(&self, reader: &Reader) -> BTreeSet<DocumentId> {
        let ids = self.documents.iter();
        ids.filter(|(_, access)| may_read(reader, access))
            .map(|(id, _)| *id)
            .collect()
    }

    async fn chunk(&self, document: DocumentId) -> ChunkId {
        let id = sqlx::query_scalar("select id from document_chunks where doc_id = $1")
            .bind(document.0)
            .fetch_one(&self.db.owner)
            .await
            .unwrap();
        ChunkId(id)
    }
}

#[tokio::test]
async fn nothing_of_a_person_stays_on_the_connection() {
    let world = World::new().await;
    let (admin, _) = world.people.last().unwrap();
    for _ in 0..8 {
        let mut tx = world.db.reader(admin).await;
        tx.connection()
            .execute("select from document_chunks")
            .await
            .unwrap();
        drop(tx);
        let after = world.db.origin.execute("select from document_chunks").await;
        assert!(matches!(after.map_err(Error::from), Err(Error::Forbidden)));
    }
}

#[tokio::test]
async fn search_and_passages_come_to_the_same_as_the_access_rule() {
    let world = World::new().await;
    let mut documents_of = BTreeMap::new();
    for id in world.documents.keys() {
        documents_of.insert(world.chunk(*id).await, *id);
    }
    let all: Vec<ChunkId> = documents_of.keys().copied().collect();
    let every_document: Vec<DocumentId> = world.documents.keys().copied().collect();
    let embedding = embedding(TEXT);
    for (person, reader) in &world.people {
        let readable = world.readable(reader);
        let mut tx = world.db.reader(person).await;
        for document_ids in [&[][..], &every_document] {
            let request = SearchRequest {
                query: "fingers",
                embedding: Some(&embedding),
                embedding_model: MODEL,
            };
            let filters = within(document_ids);
            for settings in every_plan() {
                let lists = search::hybrid(&mut tx, &request, &filters, &settings)
                    .await
                    .unwrap();
                for list in [&lists.vector, &lists.lexical] {
                    let found = list.iter().map(|hit| documents_of[&hit.chunk_id]);
                    let plan = lists.vector_plan;
                    assert_eq!(
                        found.collect::<BTreeSet<_>>(),
                        readable,
                        "{plan}, {reader:?}"
                    );
                }
            }
        }
        let shown = passages::by_ids(&mut tx, &all).await.unwrap();
        let cited = passages::citable(&mut tx, &all).await.unwrap();
        let (shown_ids, cited_ids): (Vec<_>, Vec<_>) = (
            shown.iter().map(|passage| passage.chunk_id).collect(),
            cited.iter().map(|passage| passage.chunk_id).collect(),
        );
        assert_eq!(cited_ids, shown_ids);
        let shown: BTreeSet<_> = shown.iter().map(|passage| passage.document_id).collect();
        assert_eq!(shown, readable, "{reader:?}");
    }
}

#[tokio::test]
async fn the_statements_state_the_rule_themselves_where_policies_would_let_everything_through() {
    let world = World::new().await;
    let loosened = "create policy open on %1$I for select to authenticated using (true)";
    for table in [
        "document_chunks",
        "document_postings",
        "knowledge_base_docs",
    ] {
        let statement = loosened.replace("%1$I", table);
        world
            .db
            .owner
            .execute(AssertSqlSafe(statement))
            .await
            .unwrap();
    }
    let mut all = Vec::new();
    for id in world.documents.keys() {
        all.push(world.chunk(*id).await);
    }
    let every_document: Vec<DocumentId> = world.documents.keys().copied().collect();
    let embedding = embedding(TEXT);
    for (person, reader) in &world.people {
        let readable = world.readable(reader).len();
        let mut tx = world.db.reader(person).await;
        let request = SearchRequest {
            query: "fingers",
            embedding: Some(&embedding),
            embedding_model: MODEL,
        };
        for filters in [SearchFilters::default(), within(&every_document)] {
            for settings in every_plan() {
                let lists = search::hybrid(&mut tx, &request, &filters, &settings)
                    .await
                    .unwrap();
                let plan = lists.vector_plan;
                assert_eq!(lists.vector.len(), readable, "{plan}, {reader:?}");
                assert_eq!(lists.lexical.len(), readable, "{plan}, {reader:?}");
            }
        }
        let shown = passages::by_ids(&mut tx, &all).await.unwrap();
        let cited = passages::citable(&mut tx, &all).await.unwrap();
        let (shown_ids, cited_ids): (Vec<_>, Vec<_>) = (
            shown.iter().map(|passage| passage.chunk_id).collect(),
            cited.iter().map(|passage| passage.chunk_id).collect(),
        );
        assert_eq!(cited_ids, shown_ids);
        assert_eq!(shown.len(), readable, "{reader:?}");
    }
}

#[tokio::test]
async fn a_student_announces_no_document_and_nobody_announces_one_for_another() {
    let world = World::new().await;
    let (student, _) = &world.people[0];
    let mut tx = world.db.reader(student).await;
    let id = DocumentId(fresh_id());
    let refused = documents::create(
        &mut tx,
        id,
        &announcement(Visibility::Private),
        SourceFormat::Pdf,
    )
    .await;
    assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
    drop(tx);

    let owner = world.documents.values().next().unwrap().owner_id;
    let (colleague, _) = &world.people[6];
    assert_ne!(colleague.sub, owner);
    let mut tx = world.db.reader(colleague).await;
    let forged = sqlx::query(
        "insert into knowledge_base_docs (id, owner_id, title, file_name, size_bytes, sha256) \
         values ($1, $2, 't', 'f', 1, repeat('0', 64))",
    )
    .bind(fresh_id())
    .bind(owner.0)
    .execute(tx.connection())
    .await;
    assert!(matches!(forged.map_err(Error::from), Err(Error::Forbidden)));
}

#[tokio::test]
async fn an_owner_alone_publishes_a_document_and_its_passages_follow() {
    let world = World::new().await;
    let (owner, _) = &world.people[5];
    let (stranger, _) = &world.people[3];
    let document = *world
        .documents
        .iter()
        .find(|(_, a)| a.owner_id == owner.sub && a.visibility == Visibility::Private)
        .unwrap()
        .0;
    for (person, _) in world.people.iter().filter(|(p, _)| p.sub != owner.sub) {
        let mut tx = world.db.reader(person).await;
        let refused = documents::set_visibility(&mut tx, document, Visibility::Public).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    let chunk = world.chunk(document).await;
    let mut tx = world.db.reader(stranger).await;
    assert!(
        passages::by_ids(&mut tx, &[chunk])
            .await
            .unwrap()
            .is_empty()
    );
    drop(tx);

    let mut tx = world.db.reader(owner).await;
    let shown = documents::set_visibility(&mut tx, document, Visibility::Public)
        .await
        .unwrap();
    assert_eq!(
        (shown.visibility, shown.status),
        (Visibility::Public, DocumentStatus::Ready)
    );
    tx.commit().await.unwrap();

    let mut tx = world.db.reader(stranger).await;
    assert_eq!(passages::by_ids(&mut tx, &[chunk]).await.unwrap().len(), 1);
    let request = SearchRequest {
        query: "fingers",
        embedding: None,
        embedding_model: MODEL,
    };
    let filters = within(&[document]);
    let lists = search::hybrid(&mut tx, &request, &filters, &SearchSettings::default())
        .await
        .unwrap();
    assert_eq!(lists.lexical.len(), 1);
}

#[tokio::test]
async fn nobody_makes_somebody_a_student_without_an_invitation_that_was_accepted() {
    let world = World::new().await;
    let (first, second) = (&world.people[5].0, &world.people[6].0);
    let (student, stranger) = (&world.people[0].0, &world.people[3].0);
    for person in [first, second, student, stranger] {
        let mut tx = world.db.reader(person).await;
        let forged = sqlx::query(
            "insert into teacher_student_relationships (teacher_id, student_id) values ($1, $2)",
        )
        .bind(first.sub.0)
        .bind(stranger.sub.0)
        .execute(tx.connection())
        .await
        .map_err(Error::from);
        assert!(matches!(forged, Err(Error::Forbidden)), "{forged:?}");
    }
}
