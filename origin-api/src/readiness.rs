//! Whether the origin can do all of its work: asked by load balancers, answered from what was found within the last second.

use crate::{error::chain, llm::AnswerModel, objects::Objects};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use storage::PgPool;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long a finding is told again.
const FRESH: Duration = Duration::from_secs(1);
/// For each thing that is looked at.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks whether everything is there that the origin needs.
pub struct Readiness {
    pool: PgPool,
    objects: Arc<Objects>,
    model: Arc<dyn AnswerModel>,
    is_ending: AtomicBool,
    /// Held while somebody looks: the others wait for what that one finds.
    last: Mutex<Option<(Instant, Findings)>>,
}

type Findings = BTreeMap<&'static str, Finding>;

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `ready`; `degraded` where object storage or the model's credentials are missing, without which most requests are
    /// answered all the same, and no other origin has them either; `not ready`; or `ending` once the process was asked to end.
    pub status: &'static str,
    /// Each thing that was looked at.
    pub checks: Findings,
}

/// How one thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Whether it is there.
    pub ok: bool,
    /// How long it took to find out.
    pub latency_ms: f64,
}

impl Report {
    /// Whether requests may be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.status, "ready" | "degraded")
    }
}

impl Readiness {
    /// Looks at these. Does not yet.
    #[must_use]
    pub fn new(pool: PgPool, objects: Arc<Objects>, model: Arc<dyn AnswerModel>) -> Self {
        Self {
            pool,
            objects,
            model,
            is_ending: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    /// From now on the process is not to be sent anything new.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Whether it is so.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// How things stand.
    pub async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        let checks = match &*last {
            Some((at, found)) if at.elapsed() < FRESH => found.clone(),
            _ => {
                let found = self.look().await;
                *last = Some((Instant::now(), found.clone()));
                found
            }
        };
        drop(last);
        let is_needed = |name: &str| ["database", "migrations"].contains(&name);
        let status = if self.is_ending() {
            "ending"
        } else if checks.values().all(|finding| finding.ok) {
            "ready"
        } else if checks.iter().all(|(name, it)| it.ok || !is_needed(name)) {
            "degraded"
        } else {
            "not ready"
        };
        Report { status, checks }
    }

    async fn look(&self) -> Findings {
        let (database, schema, files, model) = tokio::join!(
            found("database", async { self.pool.acquire().await.map(drop) }),
            found("migrations", storage::is_up_to_date(&self.pool)),
            found("files", self.objects.answers()),
            found("model", self.model.is_authorised()),
        );
        let mut findings = Findings::from([database, schema, files, model]);
        let connections = storage::connections(&self.pool);
        if connections.used == connections.most {
            // All are at work: the database is there, and to send people elsewhere would help nobody.
            for name in ["database", "migrations"] {
                findings.entry(name).and_modify(|finding| finding.ok = true);
            }
        }
        findings
    }
}

async fn found<E: Error + 'static>(
    name: &'static str,
    looking: impl Future<Output = Result<(), E>>,
) -> (&'static str, Finding) {
    let begun = Instant::now();
    let ok = match timeout(PATIENCE, looking).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(check = name, cause = chain(&error), "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(check = name, cause = "timed out", "not ready");
            false
        }
    };
    let latency_ms = (begun.elapsed().as_secs_f64() * 1e4).round() / 10.0;
    (name, Finding { ok, latency_ms })
}
