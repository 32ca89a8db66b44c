//! What is counted of the edge, from its own completion lines.

use super::{Count, Outcome, Request, known_name};
use prometheus_client::{encoding::EncodeLabelSet, metrics::family::Family, registry::Registry};
use shared_types::chat::{CacheOutcome, CacheReport, Degradation};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use telemetry::metrics::{Durations, durations, observe_of};

/// Names of stages and templates of routes that are told apart. There are some forty; more would be a mistake of ours.
const MOST: usize = 100;
const MAX_NAME_BYTES: usize = 80;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookUp {
    layer: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Everything that is counted of the edge.
pub struct EdgeMetrics {
    requests: Durations<Request>,
    stages: Durations<Stage>,
    look_ups: Family<LookUp, Count>,
    degradations: Family<Reason, Count>,
    invocations: Family<Outcome, Count>,
    lines: Family<Outcome, Count>,
    file_bytes: Count,
    names: Names,
}

impl Default for EdgeMetrics {
    fn default() -> Self {
        Self {
            requests: durations(),
            stages: durations(),
            look_ups: Family::default(),
            degradations: Family::default(),
            invocations: Family::default(),
            lines: Family::default(),
            file_bytes: Count::default(),
            names: Names::default(),
        }
    }
}

/// Names that were met; there are only so many.
#[derive(Default)]
struct Names(Mutex<HashSet<String>>);

impl Names {
    /// `name`, or `other` where it is too long to be one, or too many different ones were met before.
    fn bounded(&self, name: &str) -> String {
        if name.len() > MAX_NAME_BYTES {
            return "other".to_owned();
        }
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            if names.len() >= MOST {
                return "other".to_owned();
            }
            names.insert(name.to_owned());
        }
        name.to_owned()
    }
}

impl EdgeMetrics {
    /// A request was answered.
    pub fn request(&self, method: &str, route: &str, status: u16, seconds: f64, trace_id: &str) {
        let request = Request {
            http_request_method: known_name(method),
            http_route: self.names.bounded(route),
            http_response_status_code: status,
        };
        let requests = self.requests.get_or_create(&request);
        observe_of(&requests, seconds, Some(trace_id.to_owned()));
    }

    /// One stage of it took so long.
    pub fn stage(&self, stage: &str, seconds: f64, trace_id: &str) {
        let stage = Stage {
            stage: self.names.bounded(stage),
        };
        let stages = self.stages.get_or_create(&stage);
        observe_of(&stages, seconds, Some(trace_id.to_owned()));
    }

    /// The caches were asked for a question.
    pub fn looked_up(&self, report: CacheReport) {
        for (layer, outcome) in [
            ("scope", report.scope),
            ("search", report.search),
            ("embedding", report.embedding),
            ("answer", report.answer),
        ] {
            let outcome = match outcome {
                CacheOutcome::Hit => "hit",
                CacheOutcome::Miss => "miss",
                CacheOutcome::Skipped => "skipped",
                CacheOutcome::Failed => "failed",
            };
            let look_ups = self.look_ups.get_or_create(&LookUp { layer, outcome });
            look_ups.inc();
        }
    }

    /// A question was answered with less.
    pub fn degraded(&self, reason: Degradation) {
        let reason = match reason {
            Degradation::EmbeddingUnavailable => "embedding_unavailable",
            Degradation::RerankerUnavailable => "reranker_unavailable",
            Degradation::CacheUnavailable => "cache_unavailable",
        };
        self.degradations.get_or_create(&Reason { reason }).inc();
    }

    /// So much of a document's file was to be sent.
    pub fn sent_of_file(&self, bytes: u64) {
        self.file_bytes.inc_by(bytes);
    }

    /// The runtime has ended an invocation of the edge.
    pub fn invocation(&self, outcome: &str) {
        let outcome = match outcome {
            "ok" => "ok",
            "exception" => "exception",
            "exceededCpu" => "exceeded_cpu",
            "exceededMemory" => "exceeded_memory",
            "canceled" | "responseStreamDisconnected" => "canceled",
            _ => "other",
        };
        self.invocations.get_or_create(&Outcome { outcome }).inc();
    }

    /// A completion line came in.
    pub fn line(&self, is_readable: bool) {
        let outcome = if is_readable { "taken" } else { "unreadable" };
        self.lines.get_or_create(&Outcome { outcome }).inc();
    }

    /// As the process's own.
    fn begin_at_zero(&self) {
        for reason in [
            "embedding_unavailable",
            "reranker_unavailable",
            "cache_unavailable",
        ] {
            self.degradations
                .get_or_create(&Reason { reason })
                .inc_by(0);
        }
        for outcome in [
            "ok",
            "exception",
            "exceeded_cpu",
            "exceeded_memory",
            "canceled",
            "other",
        ] {
            self.invocations
                .get_or_create(&Outcome { outcome })
                .inc_by(0);
        }
        for outcome in ["taken", "unreadable"] {
            self.lines.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        for layer in ["scope", "search", "embedding", "answer"] {
            for outcome in ["hit", "miss", "skipped", "failed"] {
                self.look_ups
                    .get_or_create(&LookUp { layer, outcome })
                    .inc_by(0);
            }
        }
    }

    pub(crate) fn register(&self, r: &mut Registry) {
        self.begin_at_zero();
        r.register(
            "etude_edge_request_duration_seconds",
            "Requests of the edge, to the head of the reply",
            self.requests.clone(),
        );
        r.register(
            "etude_edge_stage_duration_seconds",
            "Stages of the edge's requests",
            self.stages.clone(),
        );
        r.register(
            "etude_edge_cache_lookups",
            "Look-ups of questions in the edge's caches",
            self.look_ups.clone(),
        );
        r.register(
            "etude_edge_degradations",
            "Questions that were answered with less",
            self.degradations.clone(),
        );
        r.register(
            "etude_edge_invocations",
            "Invocations of the edge by how the runtime ended them",
            self.invocations.clone(),
        );
        r.register(
            "etude_edge_lines",
            "Completion lines of the edge that arrived",
            self.lines.clone(),
        );
        r.register(
            "etude_edge_file_bytes",
            "Bytes of documents' files that were to be sent",
            self.file_bytes.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_end_become_one() {
        let names = Names::default();
        let first: HashSet<String> = (0..200).map(|n| names.bounded(&n.to_string())).collect();
        assert_eq!(first.len(), MOST + 1);
        assert_eq!(names.bounded("7"), "7");
        assert_eq!(names.bounded("199"), "other");
    }
}
