use super::{
    LIST_DEPTH, Ranked, Readable, SearchRequest,
    narrowed::Narrowed,
    plan::{VectorPlan, VectorSettings},
    ranked,
};
use crate::{Error, ReaderTx};
use pgvector::HalfVector;
use rag_core::bm25::Place;
use shared_types::embedding::Embedding;
use sqlx::{Arguments, AssertSqlSafe, postgres::PgArguments};
use uuid::Uuid;

const BY_SIGNS: &str = include_str!("by_signs.sql");
const PRIVATE_BY_SIGNS: &str = include_str!("private_by_signs.sql");
const NEAREST_PUBLIC: &str = include_str!("nearest_public.sql");
const IN_DOCUMENTS: &str = include_str!("in_documents.sql");
const SIGNS_IN_DOCUMENTS: &str = include_str!("signs_in_documents.sql");

/// Vectors compared after their signs, among those of a model that was searched before.
const FORMER_CANDIDATES: u32 = 1_000;

/// The vector list and how it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorList {
    /// By cosine distance, ascending; at most [`LIST_DEPTH`].
    pub ranked: Vec<Ranked>,
    /// Where each of them stands, if they are in memory.
    pub(super) places: Vec<Place>,
    /// How it was found.
    pub plan: VectorPlan,
}

/// The passages nearest to a vector, by cosine distance.
///
/// One index over vectors that the reader may partly not read loses answers to the access rule, so
/// the graph (HNSW) holds public passages alone, and is asked only where they are many. A walk of fixed
/// length gets lost where a question lies far from all of them: this one goes on until it has arrived
/// (`nearest_public` in the migrations). A search that is narrowed to documents compares all their
/// vectors, or their signs where they are many. Where all that is readable is in this process's memory,
/// signs and vectors are compared there, and PostgreSQL is asked for none.
pub async fn by_vector(
    reader: &mut ReaderTx,
    readable: &Readable,
    embedding: &Embedding,
    request: &SearchRequest<'_>,
    settings: &VectorSettings,
) -> Result<VectorList, Error> {
    let plan = chosen(readable, request, settings);
    if let (VectorPlan::Memory { candidates }, Some(in_memory)) =
        (plan, readable.in_memory(request))
    {
        let (ranked, places): (Vec<_>, Vec<_>) = in_memory.nearest(embedding, candidates).unzip();
        tell(readable, plan, ranked.len());
        return Ok(VectorList {
            ranked,
            places,
            plan,
        });
    }
    let search = VectorSearch::new(reader, readable, embedding, request);
    let ranked = by_sql(search, plan).await?;
    tell(readable, plan, ranked.len());
    Ok(VectorList {
        ranked,
        places: Vec::new(),
        plan,
    })
}

#[tracing::instrument(name = "sql.search.by_vector", skip_all)]
async fn by_sql(mut search: VectorSearch<'_>, plan: VectorPlan) -> Result<Vec<Ranked>, Error> {
    let ranked = match plan {
        VectorPlan::Nothing | VectorPlan::Memory { .. } => Vec::new(),
        VectorPlan::Documents => search.in_documents(None).await?,
        VectorPlan::SignsInDocuments { candidates } => {
            search.in_documents(Some(candidates)).await?
        }
        VectorPlan::Exact {
            readable: candidates,
        }
        | VectorPlan::Signs { candidates } => search.by_signs(BY_SIGNS, candidates).await?,
        VectorPlan::Graph {
            patience,
            private_candidates,
        } => {
            let public = search.nearest_public(patience).await?;
            search.with_private(public, private_candidates).await?
        }
    };
    if ranked.is_empty() && plan != VectorPlan::Nothing {
        search.among_former().await
    } else {
        Ok(ranked)
    }
}

fn tell(readable: &Readable, plan: VectorPlan, found: usize) {
    tracing::debug!(
        plan = plan.name(),
        reason = plan.reason(),
        public_passages = readable.passages.public,
        private_passages = readable.passages.private,
        found,
        "vector list found"
    );
}

/// The passages nearest to a vector among all that the reader may read, by comparing every one of them: what any plan is
/// measured by. At most [`LIST_DEPTH`], by cosine distance, ascending.
#[tracing::instrument(name = "sql.search.exactly", skip_all)]
pub async fn exactly(
    reader: &mut ReaderTx,
    readable: &Readable,
    embedding: &Embedding,
    request: &SearchRequest<'_>,
) -> Result<Vec<Ranked>, Error> {
    let all = readable.passages.public + readable.passages.private;
    let all = u32::try_from(all).unwrap_or(u32::MAX);
    VectorSearch::new(reader, readable, embedding, request)
        .by_signs(BY_SIGNS, all)
        .await
}

/// What PostgreSQL does for each statement of the plan that would be chosen, as it explains it. Runs
/// them.
#[tracing::instrument(name = "sql.search.explain", skip_all)]
pub async fn explain_vector(
    reader: &mut ReaderTx,
    readable: &Readable,
    embedding: &Embedding,
    request: &SearchRequest<'_>,
    settings: &VectorSettings,
) -> Result<Vec<String>, Error> {
    let search = VectorSearch::new(reader, readable, embedding, request);
    let plan = chosen(readable, request, settings);
    let mut lines = vec![format!("{plan}: {}", plan.reason())];
    let statements = match plan {
        VectorPlan::Nothing | VectorPlan::Memory { .. } => vec![],
        VectorPlan::Documents => vec![(IN_DOCUMENTS, search.for_documents(None)?)],
        VectorPlan::SignsInDocuments { candidates } => {
            vec![(SIGNS_IN_DOCUMENTS, search.for_documents(Some(candidates))?)]
        }
        VectorPlan::Exact {
            readable: candidates,
        }
        | VectorPlan::Signs { candidates } => {
            vec![(BY_SIGNS, search.for_signs(candidates)?)]
        }
        VectorPlan::Graph {
            patience,
            private_candidates,
        } => vec![
            (NEAREST_PUBLIC, search.for_nearest_public(patience)?),
            (PRIVATE_BY_SIGNS, search.for_signs(private_candidates)?),
        ],
    };
    for (statement, arguments) in statements {
        let explained = AssertSqlSafe(format!("explain (analyze, buffers) {statement}"));
        let explained: Vec<String> = sqlx::query_scalar_with(explained, arguments)
            .fetch_all(search.reader.connection())
            .await?;
        lines.extend(explained);
    }
    Ok(lines)
}

fn chosen(
    readable: &Readable,
    request: &SearchRequest<'_>,
    settings: &VectorSettings,
) -> VectorPlan {
    match &readable.narrowed {
        None if readable.in_memory(request).is_some() => VectorPlan::in_memory(readable.passages),
        None => VectorPlan::choose(readable.passages, settings),
        Some(narrowed) => VectorPlan::within_documents(narrowed.passages, settings),
    }
}

struct VectorSearch<'a> {
    reader: &'a mut ReaderTx,
    owners: &'a [Uuid],
    narrowed: Option<&'a Narrowed>,
    vector: HalfVector,
    model: &'a str,
}

impl<'a> VectorSearch<'a> {
    fn new(
        reader: &'a mut ReaderTx,
        readable: &'a Readable,
        embedding: &Embedding,
        request: &SearchRequest<'a>,
    ) -> Self {
        Self {
            reader,
            owners: &readable.owners,
            narrowed: readable.narrowed.as_ref(),
            vector: HalfVector::from_f32_slice(embedding.as_slice()),
            model: request.embedding_model,
        }
    }

    /// By every vector, or by signs and so many vectors.
    async fn in_documents(&mut self, candidates: Option<u32>) -> Result<Vec<Ranked>, Error> {
        let arguments = self.for_documents(candidates)?;
        let statement = match candidates {
            None => IN_DOCUMENTS,
            Some(_) => SIGNS_IN_DOCUMENTS,
        };
        self.fetch(statement, arguments).await
    }

    async fn by_signs(
        &mut self,
        statement: &'static str,
        candidates: u32,
    ) -> Result<Vec<Ranked>, Error> {
        let arguments = self.for_signs(candidates)?;
        self.fetch(statement, arguments).await
    }

    /// What is nearest among the vectors of the model that was searched before, where that is the question's. A caller
    /// that has not learnt of a change of models yet is served as before: by signs, however much is readable.
    async fn among_former(&mut self) -> Result<Vec<Ranked>, Error> {
        // In a snapshot from before the switch it is still the live one.
        let is_known: bool = sqlx::query_scalar(
            "select exists (select from embedding_models where name = $1 and status <> 'building')",
        )
        .bind(self.model)
        .fetch_one(self.reader.connection())
        .await?;
        if !is_known {
            return Ok(Vec::new());
        }
        let (statement, arguments) = if self.narrowed.is_none() {
            (BY_SIGNS, self.for_signs(FORMER_CANDIDATES)?)
        } else {
            let arguments = self.for_documents(Some(FORMER_CANDIDATES))?;
            (SIGNS_IN_DOCUMENTS, arguments)
        };
        let statement = statement.replace("document_chunks", "standby_document_chunks");
        let rows = sqlx::query_as_with(AssertSqlSafe(statement), arguments)
            .fetch_all(self.reader.connection())
            .await?;
        Ok(ranked(rows))
    }

    async fn nearest_public(&mut self, patience: u16) -> Result<Vec<Ranked>, Error> {
        let arguments = self.for_nearest_public(patience)?;
        self.fetch(NEAREST_PUBLIC, arguments).await
    }

    /// What the graph found, and the nearest private passages.
    async fn with_private(
        &mut self,
        public: Vec<Ranked>,
        candidates: u32,
    ) -> Result<Vec<Ranked>, Error> {
        if self.owners.is_empty() {
            return Ok(public);
        }
        let private = self.by_signs(PRIVATE_BY_SIGNS, candidates).await?;
        Ok(merged(public, private))
    }

    async fn fetch(
        &mut self,
        statement: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<Ranked>, Error> {
        let rows = sqlx::query_as_with(statement, arguments)
            .fetch_all(self.reader.connection())
            .await?;
        Ok(ranked(rows))
    }

    fn for_question(&self) -> Result<PgArguments, Error> {
        let mut arguments = PgArguments::default();
        let added = arguments
            .add(&self.vector)
            .and_then(|()| arguments.add(self.model));
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }

    fn for_nearest_public(&self, patience: u16) -> Result<PgArguments, Error> {
        let mut arguments = self.for_question()?;
        let added = arguments
            .add(i64::from(LIST_DEPTH))
            .and_then(|()| arguments.add(i32::from(patience)));
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }

    fn for_list(&self) -> Result<PgArguments, Error> {
        let mut arguments = self.for_question()?;
        let added = arguments
            .add(self.owners)
            .and_then(|()| arguments.add(i64::from(LIST_DEPTH)));
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }

    fn for_signs(&self, candidates: u32) -> Result<PgArguments, Error> {
        let mut arguments = self.for_list()?;
        let added = arguments.add(i64::from(candidates));
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }

    fn for_documents(&self, candidates: Option<u32>) -> Result<PgArguments, Error> {
        let mut arguments = self.for_list()?;
        let Some(Narrowed {
            documents, pages, ..
        }) = self.narrowed
        else {
            return Ok(arguments);
        };
        let added = arguments
            .add(documents)
            .and_then(|()| arguments.add(pages.first))
            .and_then(|()| arguments.add(pages.last))
            .and_then(|()| candidates.map_or(Ok(()), |limit| arguments.add(i64::from(limit))));
        added.map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }
}

fn merged(public: Vec<Ranked>, private: Vec<Ranked>) -> Vec<Ranked> {
    let mut all = public;
    all.extend(private);
    all.sort_by(|a, b| {
        a.score
            .total_cmp(&b.score)
            .then(a.chunk_id.cmp(&b.chunk_id))
    });
    all.truncate(LIST_DEPTH as usize);
    all
}
