//! Two pictures: what the graph finds for how long a look, and how long a search takes by what is readable.

use super::{
    corpus::{Library, Written},
    measure::{self, Cell},
    school::{self, Caller, Questions, STAGES},
    shelf::{MODEL, Shelf, bar},
};
use crate::{
    chart::{self, Chart, Line},
    report::{Report, quantile},
};
use pgvector::HalfVector;
use plotters::chart::SeriesLabelPosition;
use shared_types::ids::ChunkId;
use std::{fmt, path::Path};
use storage::{reader, search};
use tokio::time::Instant;
use uuid::Uuid;

/// Depths of looks that go as far for every question: `hnsw.ef_search`.
const DEPTHS: [u32; 6] = [40, 60, 100, 200, 400, 800];
/// Questions that only prepare statements and fill caches.
const WARM_UP: usize = 5;
const FIXED: &str = "select id from document_chunks where is_public and embedding_model = $2 \
                     order by embedding <=> $1 limit 100";
const WALK: &str = "select id from nearest_public($1, $2, $3) order by distance, id limit 100";

/// What was found how quickly: median milliseconds of the statement alone, and recall@20.
type Point = (f64, f64);

/// Asks the graph of public passages, which must all be there, by looks of fixed depth and by the walk.
pub async fn graph(
    shelf: &Shelf,
    library: &Library,
    questions: u64,
    path: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.begin(
        "The graph of public passages alone",
        &["questions", "how", "recall@20", "p50 ms", "p95 ms"],
    );
    let public: i64 = sqlx::query_scalar("select count(*) from document_chunks where is_public")
        .fetch_one(&shelf.owner)
        .await?;
    let patience = search::patience(public.unsigned_abs());
    let mut lines = Vec::new();
    let bar = bar("look into the graph", 2 * (DEPTHS.len() + 1))?;
    for (kind, fixed, walk) in [
        (
            Questions::OnTopic,
            "fixed depth, on topic",
            "walk, on topic",
        ),
        (
            Questions::OffTopic,
            "fixed depth, off topic",
            "walk, off topic",
        ),
    ] {
        let asked: Vec<Written> = (0..questions + WARM_UP as u64)
            .map(|number| library.question(number, kind.is_hidden(number)))
            .collect();
        let mut nearest = Vec::new();
        for question in &asked {
            nearest.push(measure::nearest(shelf, question.embedding.as_slice(), &[]).await?);
        }
        let mut look = async |how: Look| {
            let sample = Sample::take(shelf, &asked, &nearest, how).await?;
            report.row(vec![
                kind.name().to_owned(),
                how.to_string(),
                format!("{:.4}", sample.recall_20),
                format!("{:.2}", quantile(&sample.took_ms, 0.5)),
                format!("{:.2}", quantile(&sample.took_ms, 0.95)),
            ]);
            bar.inc(1);
            anyhow::Ok((quantile(&sample.took_ms, 0.5), sample.recall_20))
        };
        let mut points: Vec<Point> = Vec::new();
        for depth in DEPTHS {
            points.push(look(Look::Fixed { depth }).await?);
        }
        let walked = look(Look::Walk { patience }).await?;
        let line = |name, points| Line {
            name,
            points,
            width: 2,
            is_dotted: true,
        };
        lines.extend([line(fixed, points), line(walk, vec![walked])]);
    }
    bar.finish_and_clear();
    let chart = Chart {
        across: "median ms",
        is_logarithmic: false,
        up: "recall@20",
        names_at: SeriesLabelPosition::LowerRight,
        lines,
    };
    chart::draw(path, &chart)?;
    eprintln!("recall against latency: {}", path.display());
    Ok(())
}

/// A way of looking into the graph.
#[derive(Clone, Copy)]
enum Look {
    /// As far for every question: `hnsw.ef_search`.
    Fixed { depth: u32 },
    /// Until so many passages in a row brought nothing.
    Walk { patience: u16 },
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { depth } => write!(f, "ef_search {depth}"),
            Self::Walk { patience } => write!(f, "walk, patience {patience}"),
        }
    }
}

struct Sample {
    /// Sorted.
    took_ms: Vec<f64>,
    recall_20: f64,
}

impl Sample {
    async fn take(
        shelf: &Shelf,
        questions: &[Written],
        nearest: &[Vec<ChunkId>],
        how: Look,
    ) -> anyhow::Result<Self> {
        let callers = school::callers(STAGES.len() - 1);
        let mut sample = Self {
            took_ms: Vec::new(),
            recall_20: 0.0,
        };
        for (nth, (question, nearest)) in questions.iter().zip(nearest).enumerate() {
            let mut tx = reader::begin_snapshot(&shelf.origin, &callers[0].claims).await?;
            if let Look::Fixed { depth } = how {
                sqlx::query("select set_config('hnsw.ef_search', $1, true)")
                    .bind(depth.to_string())
                    .execute(tx.connection())
                    .await?;
            }
            let start = Instant::now();
            let vector = HalfVector::from_f32_slice(question.embedding.as_slice());
            let found = match how {
                Look::Fixed { .. } => sqlx::query_scalar(FIXED).bind(vector).bind(MODEL),
                Look::Walk { patience } => sqlx::query_scalar(WALK)
                    .bind(vector)
                    .bind(MODEL)
                    .bind(i32::from(patience)),
            };
            let found: Vec<Uuid> = found.fetch_all(tx.connection()).await?;
            let took_ms = start.elapsed().as_secs_f64() * 1e3;
            tx.commit().await?;
            if nth < WARM_UP {
                continue;
            }
            sample.took_ms.push(took_ms);
            let found: Vec<ChunkId> = found.into_iter().map(ChunkId).collect();
            sample.recall_20 += measure::recall(&found, nearest, 20);
        }
        sample.recall_20 /= sample.took_ms.len() as f64;
        sample.took_ms.sort_by(f64::total_cmp);
        Ok(sample)
    }
}

/// Draws how long whole searches of one owner took in each library.
pub fn sizes(libraries: &[(usize, Vec<(Caller, Cell)>)], path: &Path) -> anyhow::Result<()> {
    let mut named: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for (passages, cells) in libraries {
        for kind in [Questions::OnTopic, Questions::OffTopic] {
            let cells = cells
                .iter()
                .filter(|(caller, _)| caller.name == "one owner" && caller.questions == kind);
            let by_sql = cells
                .clone()
                .map(|(_, cell)| (cell.readable as f64, quantile(&cell.by_sql.ms, 0.5)));
            let name = format!("{passages} passages, {}, by SQL", kind.name());
            named.push((name, by_sql.collect()));
            // In memory it does not matter what is asked.
            if kind == Questions::OnTopic {
                let in_memory = cells
                    .map(|(_, cell)| (cell.readable as f64, quantile(&cell.in_memory.ms, 0.5)));
                named.push((
                    format!("{passages} passages, in memory"),
                    in_memory.collect(),
                ));
            }
        }
    }
    let lines = named.iter().map(|(name, points)| Line {
        name,
        points: points.clone(),
        width: 2,
        is_dotted: true,
    });
    let chart = Chart {
        across: "readable passages",
        is_logarithmic: true,
        up: "median ms",
        names_at: SeriesLabelPosition::UpperLeft,
        lines: lines.collect(),
    };
    chart::draw(path, &chart)?;
    eprintln!("latency against what is readable: {}", path.display());
    Ok(())
}
