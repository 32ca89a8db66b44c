//! The questions of `tests/data/questions.toml`, asked of the sample library as a real stack has ingested it.

use super::models::Models;
use crate::{report::Report, retrieval::school};
use anyhow::{Context, ensure};
use journeys::questions::{Question, Questions, Ranks};
use local_stack::{Encoder, Role as Account, Stack, client::NewDocument};
use rag_core::{
    fusion::{Feedback, Fusion, RRF_K, Weights},
    query::normalise,
};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    documents::DocumentStatus,
    ids::ChunkId,
    origin::RETRIEVE_LIMIT,
};
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};
use storage::{
    PoolSettings, reader,
    search::{self, Ranked, SearchRequest, SearchSettings},
};
use uuid::Uuid;

const PASSWORD: &str = "correct-horse-battery";

/// Where a passage stands, and what it says.
struct Passage {
    file: String,
    pages: (u32, u32),
    content: String,
}

/// The library, and who asks.
struct Library<'a> {
    questions: &'a Questions,
    models: &'a Models,
    origin: PgPool,
    askers: BTreeMap<String, AccessClaims>,
    passages: HashMap<ChunkId, Passage>,
}

/// A method and the ranks that it gave the answers.
type Row = (&'static str, Ranks);

/// Fills the stack with the sample library, asks, and prints.
pub async fn measure(
    stack: &Stack,
    repository: &Path,
    models: &Models,
    encoder: Encoder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let questions = Questions::read();
    let askers = fill(stack, repository, &questions).await?;
    let library = Library {
        questions: &questions,
        models,
        origin: connect(&stack.database().origin_url()).await?,
        askers,
        passages: passages(stack).await?,
    };
    let rows = library.rows().await?;
    let answerable = rows.first().map_or(0, |(_, ranks)| ranks.0.len());
    report.begin(
        &format!(
            "Sample library, {answerable} questions over {} passages, {}",
            library.passages.len(),
            encoder.model_id()
        ),
        &["method", "hit@1", "hit@3", "hit@20", "MRR"],
    );
    for (name, ranks) in rows {
        report.row(vec![
            name.to_owned(),
            format!("{:.3}", ranks.hits_at(1)),
            format!("{:.3}", ranks.hits_at(3)),
            format!("{:.3}", ranks.hits_at(20)),
            format!("{:.3}", ranks.mean_reciprocal()),
        ]);
    }
    library.origin.close().await;
    Ok(())
}

/// Uploads every booklet as its owner. Returns whom each address stands for.
async fn fill(
    stack: &Stack,
    repository: &Path,
    questions: &Questions,
) -> anyhow::Result<BTreeMap<String, AccessClaims>> {
    let mut askers: BTreeMap<String, AccessClaims> = BTreeMap::new();
    for person in &questions.people {
        let (account, role) = match person.role.as_str() {
            "teacher" => (Account::Teacher, Role::Teacher),
            _ => (Account::Student, Role::Student),
        };
        let email = person.email.as_str();
        let known = stack
            .people()
            .create(email, PASSWORD, email, account)
            .await?;
        askers.insert(email.to_owned(), school::claims(known.id, role));
        let browser = stack.client().signed_in(email, PASSWORD).await?;
        for booklet in questions.documents.iter().filter(|own| own.owner == email) {
            let path = repository.join("sample-library/pdf").join(&booklet.file);
            let file = NewDocument {
                title: booklet.title.clone(),
                file_name: booklet.file.clone(),
                bytes: fs::read(&path).with_context(|| path.display().to_string())?,
                visibility: booklet.visibility(),
            };
            eprintln!("ingest {}", booklet.title);
            let document = browser.upload(file).await?;
            let document = browser.wait_for(document.id, |_| ()).await?;
            ensure!(
                document.status == DocumentStatus::Ready,
                "{}: {:?}",
                booklet.title,
                document.failure
            );
        }
    }
    for person in &questions.people {
        if let Some(teacher) = &person.teacher {
            let id = |email: &String| askers.get(email).map(|claims| claims.sub);
            let (teacher, student) = id(teacher)
                .zip(id(&person.email))
                .with_context(|| format!("nobody is {teacher}"))?;
            stack.people().link_student(teacher, student).await?;
        }
    }
    Ok(askers)
}

async fn connect(url: &str) -> anyhow::Result<PgPool> {
    let settings = PoolSettings {
        max_connections: 1,
        application_name: "bench",
        ..PoolSettings::default()
    };
    Ok(storage::connect(url, settings).await?)
}

async fn passages(stack: &Stack) -> anyhow::Result<HashMap<ChunkId, Passage>> {
    let owner = connect(stack.database().owner().url().as_str()).await?;
    let rows: Vec<(Uuid, String, i32, i32, String)> = sqlx::query_as(
        "select c.id, d.file_name, c.page_start, c.page_end, c.content \
         from document_chunks c join knowledge_base_docs d on d.id = c.doc_id",
    )
    .fetch_all(&owner)
    .await?;
    owner.close().await;
    rows.into_iter()
        .map(|(id, file, first, last, content)| {
            let passage = Passage {
                file,
                pages: (first.try_into()?, last.try_into()?),
                content,
            };
            Ok((ChunkId(id), passage))
        })
        .collect()
}

impl Library<'_> {
    async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let without_guides = Fusion::Weighted(Weights {
            feedback: None,
            ..Weights::default()
        });
        let strong_guides = Fusion::Weighted(Weights {
            feedback: Some(Feedback {
                weight: 1.0,
                ..Feedback::default()
            }),
            ..Weights::default()
        });
        let rrf = Fusion::ReciprocalRank { k: RRF_K };
        let names = [
            "vectors",
            "BM25",
            "hybrid, RRF of top 20 (k = 60)",
            "hybrid, RRF of top 100 (k = 60)",
            "hybrid, weighted",
            "hybrid, weighted, guides twice as strong",
            "hybrid as shipped",
            "hybrid as shipped + rerank (stand-in)",
        ];
        let mut rows: Vec<Row> = names.map(|name| (name, Ranks::default())).into();
        let answerable = |question: &&Question| !question.answers.is_empty();
        for question in self.questions.questions.iter().filter(answerable) {
            let query = normalise(&question.text)?;
            let embedding = self.models.embed(&query).await?;
            let space = self.models.embedding_space();
            let request = SearchRequest {
                query: &query,
                embedding: Some(&embedding),
                embedding_model: &space,
            };
            let claims = &self.askers[&question.asker];
            let search = async |fusion: Fusion| {
                let settings = SearchSettings {
                    fusion,
                    ..SearchSettings::default()
                };
                let mut tx = reader::begin_snapshot(&self.origin, claims).await?;
                let readable = search::readable(&mut tx).await?;
                let filters = SearchFilters::default();
                let found = search::fused(&mut tx, readable, &request, &filters, &settings).await?;
                tx.commit().await?;
                anyhow::Ok(found)
            };
            let of_list =
                |list: &[Ranked]| -> Vec<ChunkId> { list.iter().map(|hit| hit.chunk_id).collect() };
            let of_fused = |fused: &[rag_core::fusion::Fused]| -> Vec<ChunkId> {
                fused.iter().map(|hit| hit.chunk_id).collect()
            };
            let shipped = search(Fusion::default()).await?;
            let mut top_20 = shipped.lists.clone();
            top_20.vector.truncate(20);
            top_20.lexical.truncate(20);
            let order = of_fused(&shipped.fused);
            let rankings = [
                of_list(&shipped.lists.vector),
                of_list(&shipped.lists.lexical),
                of_fused(&top_20.fuse(&rrf)),
                of_fused(&shipped.lists.fuse(&rrf)),
                of_fused(&shipped.lists.fuse(&without_guides)),
                of_fused(&search(strong_guides).await?.fused),
                order.clone(),
                self.reranked(&query, &order).await?,
            ];
            for ((_, ranks), ranking) in rows.iter_mut().zip(rankings) {
                ranks.0.push(self.rank(question, &ranking));
            }
        }
        Ok(rows)
    }

    async fn reranked(&self, query: &str, ranking: &[ChunkId]) -> anyhow::Result<Vec<ChunkId>> {
        let candidates = &ranking[..ranking.len().min(RETRIEVE_LIMIT)];
        let texts: Vec<&str> = candidates
            .iter()
            .map(|id| self.passages[id].content.as_str())
            .collect();
        let order = self.models.rerank(query, &texts).await?;
        Ok(order.iter().map(|at| candidates[*at]).collect())
    }

    /// The rank of the first passage on a page that answers.
    fn rank(&self, question: &Question, ranking: &[ChunkId]) -> Option<usize> {
        let answers = ranking.iter().take(RETRIEVE_LIMIT).position(|id| {
            let passage = &self.passages[id];
            question.is_answered_by(&passage.file, passage.pages.0..=passage.pages.1)
        });
        answers.map(|at| at + 1)
    }
}
