//! Cranfield through the product's own storage, search and fusion, and through what else there is.

use super::{
    collection::{Collection, Labelled},
    judging::{CrossValidated, Judged, cross_validate, judge, mean},
    models::Models,
    outside::{self, Stems},
};
use crate::{
    chart::{self, Chart, Line},
    report::{Report, quantile},
    retrieval::{
        school,
        shelf::{self, Server, Shelf},
    },
};
use local_stack::Install;
use plotters::chart::SeriesLabelPosition;
use rag_core::{
    fusion::{Feedback, Fused, Fusion, RRF_K, Weights},
    query::normalise,
};
use shared_types::{
    chat::SearchFilters,
    claims::{AccessClaims, Role},
    ids::{ChunkId, DocumentId, UserId},
    origin::RETRIEVE_LIMIT,
};
use std::{collections::HashMap, path::Path};
use storage::{
    reader,
    search::{self, Found, RankedLists, SearchRequest, SearchSettings},
};
use tokio::time::Instant;
use uuid::Uuid;

/// Model and pooling of the given vectors.
const MODEL: &str = "@given/all-mpnet-base-v2#mean";
const TEACHER: UserId = UserId(Uuid::from_u128(0xC4A));
const BOOK: DocumentId = DocumentId(Uuid::from_u128(0xC4AB));
/// What others have reached with the same vectors: a weighted sum, its weight cross-validated.
const BEST_OUTSIDE: f64 = 0.4546;
/// bm25s computes in single precision.
const SAME: f64 = 0.000_5;

/// The collection on a shelf, and who asks.
struct Library<'a> {
    collection: &'a Collection,
    shelf: &'a Shelf,
    claims: AccessClaims,
    queries: Vec<String>,
    numbers: HashMap<ChunkId, usize>,
}

/// A row of the table.
struct Method {
    name: String,
    judged: Vec<Judged>,
    /// What cross-validation chose for each part, if that is what was judged.
    chosen: Option<String>,
}

/// Measures, prints and draws.
pub async fn measure(
    server: &Server,
    install: &Install,
    folder: &Path,
    collection: &Collection,
    models: &Models,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shelf = server.empty("cranfield").await?;
    let library = Library::open(collection, &shelf).await?;
    let (mut methods, lists) = library.lists().await?;
    methods.extend(library.fusions(&lists, folder).await?);
    let (fused, ms) = library.fused(&Fusion::default()).await?;
    methods.push(library.method("hybrid as shipped", &fused));
    let reranked = library.reranked(&fused, models).await?;
    methods.push(library.judged("hybrid as shipped + rerank (stand-in)", &reranked));

    let bm25 = SearchSettings::default().bm25;
    let database = server.bare("langchain").await?;
    let stems = library.stems().await?;
    let outside = outside::rankings(
        &install.repository,
        folder,
        database,
        collection,
        &stems,
        bm25,
    )
    .await?;
    let outside: Vec<Method> = outside
        .iter()
        .map(|(name, rankings)| library.judged(name, rankings))
        .collect();

    hold(&methods, &outside, report);
    print(&methods, &outside, report);
    print_chosen(&methods, report);
    let caption =
        "What a hybrid search of Cranfield takes, from beginning its transaction to its end";
    report.begin(caption, &["p50 ms", "p95 ms"]);
    report.row(vec![
        format!("{:.2}", quantile(&ms, 0.5)),
        format!("{:.2}", quantile(&ms, 0.95)),
    ]);
    server.discard(shelf).await
}

impl<'a> Library<'a> {
    /// Stores every document as one passage of a book.
    async fn open(collection: &'a Collection, shelf: &'a Shelf) -> anyhow::Result<Self> {
        shelf::sign_up(&shelf.owner, TEACHER.0, Role::Teacher).await?;
        let passage = |(index, document): (u32, &Labelled)| {
            shelf::passage(index, document.text.clone(), document.embedding.clone())
        };
        let chunks: Vec<_> = (0..).zip(&collection.documents).map(passage).collect();
        shelf.store(BOOK, TEACHER, MODEL, &chunks).await?;
        shelf.settle().await?;
        let rows: Vec<(Uuid, i32)> = sqlx::query_as("select id, chunk_index from document_chunks")
            .fetch_all(&shelf.owner)
            .await?;
        let numbers = rows
            .into_iter()
            .map(|(id, index)| Ok((ChunkId(id), usize::try_from(index)?)))
            .collect::<anyhow::Result<_>>()?;
        let queries = collection
            .queries
            .iter()
            .map(|query| normalise(&query.text))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            collection,
            shelf,
            claims: school::claims(TEACHER, Role::Teacher),
            queries,
            numbers,
        })
    }

    /// Searches for every question, with the milliseconds that each took, sorted.
    async fn search(&self, settings: &SearchSettings) -> anyhow::Result<(Vec<Found>, Vec<f64>)> {
        let mut all = Vec::new();
        let mut ms = Vec::new();
        for (query, labelled) in self.queries.iter().zip(&self.collection.queries) {
            let request = SearchRequest {
                query,
                embedding: Some(&labelled.embedding),
                embedding_model: MODEL,
            };
            let start = Instant::now();
            let mut tx = reader::begin_snapshot(&self.shelf.origin, &self.claims).await?;
            let readable = search::readable(&mut tx).await?;
            let filters = SearchFilters::default();
            all.push(search::fused(&mut tx, readable, &request, &filters, settings).await?);
            tx.commit().await?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        ms.sort_by(f64::total_cmp);
        Ok((all, ms))
    }

    async fn fused(&self, fusion: &Fusion) -> anyhow::Result<(Vec<Vec<Fused>>, Vec<f64>)> {
        let settings = SearchSettings {
            fusion: *fusion,
            ..SearchSettings::default()
        };
        let (found, ms) = self.search(&settings).await?;
        Ok((found.into_iter().map(|found| found.fused).collect(), ms))
    }

    /// The two lists by themselves.
    async fn lists(&self) -> anyhow::Result<(Vec<Method>, Vec<RankedLists>)> {
        let settings = SearchSettings {
            fusion: Fusion::ReciprocalRank { k: RRF_K },
            ..SearchSettings::default()
        };
        let (found, _) = self.search(&settings).await?;
        let lists: Vec<RankedLists> = found.into_iter().map(|found| found.lists).collect();
        let numbers = |list: &[search::Ranked]| -> Vec<usize> {
            list.iter().map(|hit| self.numbers[&hit.chunk_id]).collect()
        };
        let vector: Vec<_> = lists.iter().map(|lists| numbers(&lists.vector)).collect();
        let lexical: Vec<_> = lists.iter().map(|lists| numbers(&lists.lexical)).collect();
        let methods = vec![
            self.judged("vectors", &vector),
            self.judged("BM25", &lexical),
        ];
        Ok((methods, lists))
    }

    /// Both fusions of the lists, and what their settings do.
    async fn fusions(&self, lists: &[RankedLists], folder: &Path) -> anyhow::Result<Vec<Method>> {
        let cut = |lists: &RankedLists, depth: usize| {
            let mut lists = lists.clone();
            lists.vector.truncate(depth);
            lists.lexical.truncate(depth);
            lists
        };
        let fuse = |fusion: &Fusion, depth: usize| -> Vec<Judged> {
            let fused: Vec<_> = lists
                .iter()
                .map(|lists| cut(lists, depth).fuse(fusion))
                .collect();
            self.judge_all(&fused)
        };
        let rrf = Fusion::ReciprocalRank { k: RRF_K };
        let mut methods: Vec<Method> = [20, 100]
            .map(|depth| Method {
                name: format!("hybrid, RRF of top {depth} (k = 60)"),
                judged: fuse(&rrf, depth),
                chosen: None,
            })
            .into();

        let tried: Vec<(Weights, Vec<Judged>)> = (0..=20)
            .map(|twentieths| {
                let weights = Weights {
                    vector: f64::from(twentieths) / 20.0,
                    feedback: None,
                };
                (weights, fuse(&Fusion::Weighted(weights), 100))
            })
            .collect();
        methods.push(of_cross_validation(
            "hybrid, weighted, cross-validated",
            &tried,
        ));
        let mut followed = Vec::new();
        let bar = shelf::bar("ask with guides", 36)?;
        for vector in [0.5, 0.55, 0.6, 0.65] {
            for guides in [1, 2, 3] {
                for weight in [0.25, 0.5, 1.0] {
                    let weights = Weights {
                        vector,
                        feedback: Some(Feedback { guides, weight }),
                    };
                    let (fused, _) = self.fused(&Fusion::Weighted(weights)).await?;
                    followed.push((weights, self.judge_all(&fused)));
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        let name = "hybrid, weighted with guides, cross-validated";
        methods.push(of_cross_validation(name, &followed));

        let curve = |tried: &[(Weights, Vec<Judged>)]| -> Vec<(f64, f64)> {
            let points = tried.iter();
            points
                .map(|(weights, judged)| (weights.vector, mean(judged).ndcg_10))
                .collect()
        };
        let level = |method: &Method| {
            let ndcg_10 = mean(&method.judged).ndcg_10;
            vec![(0.0, ndcg_10), (1.0, ndcg_10)]
        };
        let line = |name, points, width| Line {
            name,
            points,
            width,
            is_dotted: false,
        };
        let shipped = Feedback::default();
        followed.retain(|(weights, _)| weights.feedback == Some(shipped));
        let path = folder.join("fusion.svg");
        let chart = Chart {
            across: "weight of the vectors: 0 is words alone, 1 is vectors alone",
            is_logarithmic: false,
            up: "nDCG@10",
            names_at: SeriesLabelPosition::LowerMiddle,
            lines: vec![
                line("weighted sum", curve(&tried), 2),
                line("weighted sum with guides", curve(&followed), 2),
                line("RRF of top 100", level(&methods[1]), 1),
                line("RRF of top 20", level(&methods[0]), 1),
            ],
        };
        chart::draw(&path, &chart)?;
        eprintln!("nDCG@10 by weight: {}", path.display());
        Ok(methods)
    }

    /// The first [`RETRIEVE_LIMIT`] in the reranker's order, the rest behind them.
    async fn reranked(
        &self,
        fused: &[Vec<Fused>],
        models: &Models,
    ) -> anyhow::Result<Vec<Vec<usize>>> {
        let bar = shelf::bar("rerank", fused.len())?;
        let mut rankings = Vec::new();
        for (query, fused) in self.queries.iter().zip(fused) {
            let ranking = self.ranking(fused);
            let (candidates, rest) = ranking.split_at(ranking.len().min(RETRIEVE_LIMIT));
            let texts: Vec<&str> = candidates
                .iter()
                .map(|number| self.collection.documents[*number].text.as_str())
                .collect();
            let order = models.rerank(query, &texts).await?;
            let mut reranked: Vec<usize> = order.iter().map(|at| candidates[*at]).collect();
            reranked.extend(rest);
            rankings.push(reranked);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(rankings)
    }

    /// What PostgreSQL makes of every text.
    async fn stems(&self) -> anyhow::Result<Stems> {
        let stems = async |texts: Vec<&str>, repeated: bool| {
            let rows: Vec<(Vec<String>,)> = sqlx::query_as(
                "select coalesce(stems, '{}') from unnest($1::text[]) with ordinality as t (text, nth) \
                 cross join lateral (\
                     select array_agg(w.lexeme) as stems \
                     from unnest(passage_words(t.text)) as w \
                     cross join lateral generate_series(\
                         1, case when $2 then cardinality(w.positions) else 1 end\
                     )\
                 ) as words order by nth",
            )
            .bind(texts)
            .bind(repeated)
            .fetch_all(&self.shelf.owner)
            .await?;
            anyhow::Ok(rows.into_iter().map(|(stems,)| stems).collect())
        };
        let documents = self.collection.documents.iter();
        Ok(Stems {
            documents: stems(documents.map(|d| d.text.as_str()).collect(), true).await?,
            // A word that is asked for twice counts once, as in the search.
            queries: stems(self.queries.iter().map(String::as_str).collect(), false).await?,
        })
    }

    fn ranking(&self, fused: &[Fused]) -> Vec<usize> {
        fused
            .iter()
            .map(|hit| self.numbers[&hit.chunk_id])
            .collect()
    }

    fn judge_all(&self, fused: &[Vec<Fused>]) -> Vec<Judged> {
        fused
            .iter()
            .zip(&self.collection.relevant)
            .map(|(fused, relevant)| judge(&self.ranking(fused), relevant))
            .collect()
    }

    fn method(&self, name: &str, fused: &[Vec<Fused>]) -> Method {
        Method {
            name: name.to_owned(),
            judged: self.judge_all(fused),
            chosen: None,
        }
    }

    fn judged(&self, name: &str, rankings: &[Vec<usize>]) -> Method {
        let judged = rankings
            .iter()
            .zip(&self.collection.relevant)
            .map(|(ranking, relevant)| judge(ranking, relevant))
            .collect();
        Method {
            name: name.to_owned(),
            judged,
            chosen: None,
        }
    }
}

fn of_cross_validation(name: &str, tried: &[(Weights, Vec<Judged>)]) -> Method {
    let CrossValidated { judged, chosen } = cross_validate(tried);
    let chosen: Vec<String> = chosen
        .iter()
        .map(|weights| match &weights.feedback {
            None => format!("{}", weights.vector),
            Some(Feedback { guides, weight }) => {
                format!("{}/{guides}/{weight}", weights.vector)
            }
        })
        .collect();
    Method {
        name: name.to_owned(),
        judged,
        chosen: Some(chosen.join(", ")),
    }
}

fn print(methods: &[Method], outside: &[Method], report: &mut Report) {
    report.begin(
        "Cranfield, 225 questions over 1,400 abstracts",
        &["method", "nDCG@10", "recall@20", "recall@100", "MAP"],
    );
    for method in methods.iter().chain(outside) {
        let mean = mean(&method.judged);
        report.row(vec![
            method.name.clone(),
            format!("{:.4}", mean.ndcg_10),
            format!("{:.4}", mean.recall_20),
            format!("{:.4}", mean.recall_100),
            format!("{:.4}", mean.average_precision),
        ]);
    }
}

fn print_chosen(methods: &[Method], report: &mut Report) {
    report.begin(
        "What the other four fifths of the questions choose for each fifth",
        &["method", "weight of vectors / guides / their weight"],
    );
    for method in methods {
        if let Some(chosen) = &method.chosen {
            report.row(vec![method.name.clone(), chosen.clone()]);
        }
    }
}

fn hold(methods: &[Method], outside: &[Method], report: &mut Report) {
    let of = |methods: &[Method], name: &str| {
        let found = methods.iter().find(|method| method.name.starts_with(name));
        found.map_or(f64::NAN, |method| mean(&method.judged).ndcg_10)
    };
    let shipped = of(methods, "hybrid as shipped");
    let crossed = of(methods, "hybrid, weighted with guides");
    report.at_least("hybrid as shipped: nDCG@10", shipped, BEST_OUTSIDE);
    report.at_least("hybrid cross-validated: nDCG@10", crossed, BEST_OUTSIDE);
    for method in outside {
        let theirs = mean(&method.judged).ndcg_10;
        report.at_least(&format!("hybrid beside {}", method.name), shipped, theirs);
    }
    let apart = (of(methods, "BM25") - of(outside, "bm25s on our stems")).abs();
    report.at_most("BM25 beside bm25s on the same stems", apart, SAME, "");
}
