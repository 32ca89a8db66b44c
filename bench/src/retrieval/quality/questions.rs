//! The questions of `tests/data/questions.toml`, asked of the sample library as a real stack has ingested it.

use super::models::Models;
use crate::{
    library::{Passage, connect, fill, passages},
    report::Report,
    retrieval::school,
};
use journeys::questions::{Question, Questions, Ranks};
use local_stack::{Encoder, Stack};
use rag_core::{
    fusion::{Feedback, Fusion, RRF_K, Weights},
    query::normalise,
};
use shared_types::{
    chat::SearchFilters, claims::AccessClaims, ids::ChunkId, origin::RETRIEVE_LIMIT,
};
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};
use storage::{
    reader,
    search::{self, Ranked, SearchRequest, SearchSettings},
};

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
    let members = fill(stack, repository, &questions).await?;
    let askers = members.into_iter();
    let askers = askers.map(|(email, member)| (email, school::claims(member.id, member.role)));
    let library = Library {
        questions: &questions,
        models,
        origin: connect(&stack.database().origin_url()).await?,
        askers: askers.collect(),
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
