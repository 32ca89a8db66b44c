//! Failures on demand: `POST /control/faults` arms one, `DELETE` clears all, `GET /control/calls`
//! counts what was asked of each service, refused calls included.

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A service that can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The embedding model.
    Embedding,
    /// The reranker.
    Rerank,
    /// The language models.
    Vertex,
    /// Supabase Auth, except its keys.
    Auth,
    /// The JWKS.
    Jwks,
    /// Pub/Sub, but for its pushes.
    Pubsub,
    /// Cloud Run jobs.
    CloudRun,
}

const TARGETS: [Target; 7] = [
    Target::Embedding,
    Target::Rerank,
    Target::Vertex,
    Target::Auth,
    Target::Jwks,
    Target::Pubsub,
    Target::CloudRun,
];

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Fault {
    /// The service answers with this status, in its own error shape.
    Status {
        /// 400 to 599.
        status: u16,
        /// Sent as `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u32>,
    },
    /// The service answers properly, but not sooner than this after it was asked: an encoder or a reranker works
    /// meanwhile, and an error of its own comes at once; a language model begins only then.
    Stall {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection breaks after this many events; where nothing is streamed, before the body.
    CutAfterEvents {
        /// Events that still go out.
        events: usize,
    },
    /// A stream pauses after this many events, and goes on. Only language models have it.
    PauseAfter {
        /// Events before the pause.
        events: usize,
        /// Milliseconds.
        ms: u64,
    },
    /// A stream ends with an `error` event after this many events. Only language models have it.
    ErrorEventAfter {
        /// Events that still go out.
        events: usize,
        /// Anthropic's error type, e.g. `overloaded_error`.
        error_type: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmedFault {
    target: Target,
    fault: Fault,
    /// Calls that it strikes; `null` until cleared.
    times: Option<u32>,
}

/// What becomes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The connection is cut after this many events.
    Cut(usize),
    /// An `error` event of this type follows this many events.
    ErrorEvent(usize, String),
    /// It waits so long after this many events.
    Pause(usize, Duration),
}

/// What is to become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer it.
    Proceed,
    /// Refuse it.
    Refuse {
        /// The status.
        status: StatusCode,
        /// Seconds for `Retry-After`.
        retry_after_s: Option<u32>,
    },
    /// Begin to answer and break off.
    Break(Break),
}

/// The armed faults and the counts of calls.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    state: Mutex<FaultState>,
}

#[derive(Debug, Default)]
struct FaultState {
    armed: BTreeMap<Target, VecDeque<ArmedFault>>,
    calls: BTreeMap<Target, u64>,
}

impl Faults {
    /// Counts a call of `target` and says what is to become of it; a stall is waited out in here.
    pub(crate) async fn call(&self, target: Target) -> Verdict {
        match self.strike(target) {
            None => Verdict::Proceed,
            Some(Fault::Status {
                status,
                retry_after_s,
            }) => Verdict::Refuse {
                status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                retry_after_s,
            },
            Some(Fault::Stall { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Verdict::Proceed
            }
            Some(Fault::CutAfterEvents { events }) => Verdict::Break(Break::Cut(events)),
            Some(Fault::PauseAfter { events, ms }) => {
                Verdict::Break(Break::Pause(events, Duration::from_millis(ms)))
            }
            Some(Fault::ErrorEventAfter { events, error_type }) => {
                Verdict::Break(Break::ErrorEvent(events, error_type))
            }
        }
    }

    fn strike(&self, target: Target) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.calls.entry(target).or_default() += 1;
        let queue = state.armed.get_mut(&target)?;
        let front = queue.front_mut()?;
        let fault = front.fault.clone();
        if let Some(times) = &mut front.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                queue.pop_front();
            }
        }
        Some(fault)
    }

    fn arm(&self, fault: ArmedFault) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .armed
            .entry(fault.target)
            .or_default()
            .push_back(fault);
    }

    fn armed(&self) -> Vec<ArmedFault> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.armed.values().flatten().cloned().collect()
    }

    fn clear(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .armed
            .clear();
    }

    fn calls(&self) -> BTreeMap<Target, u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        TARGETS
            .map(|target| (target, state.calls.get(&target).copied().unwrap_or(0)))
            .into()
    }
}

/// A reply whose connection breaks before its body: the fault of a service that does not stream.
pub(crate) fn broken_reply() -> Response {
    let cut = futures_util::stream::once(async {
        Err::<Bytes, _>(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "cut on demand",
        ))
    });
    Response::new(Body::from_stream(cut))
}

/// `/control/faults` and `/control/calls`.
pub(crate) fn router(faults: Arc<Faults>) -> Router {
    Router::new()
        .route("/control/faults", post(arm).delete(clear).get(list))
        .route("/control/calls", get(calls))
        .with_state(faults)
}

/// Faults of one target strike in the order in which they were armed.
async fn arm(
    State(faults): State<Arc<Faults>>,
    Json(fault): Json<ArmedFault>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    if matches!(fault.fault, Fault::Status { status, .. } if !(400..=599).contains(&status)) {
        return Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            "status must be 400 to 599",
        ));
    }
    if fault.times == Some(0) {
        return Err((
            StatusCode::UNPROCESSABLE_ENTITY,
            "times must be null or at least 1",
        ));
    }
    faults.arm(fault);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(faults): State<Arc<Faults>>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}

async fn list(State(faults): State<Arc<Faults>>) -> Json<Vec<ArmedFault>> {
    Json(faults.armed())
}

async fn calls(State(faults): State<Arc<Faults>>) -> Json<BTreeMap<Target, u64>> {
    Json(faults.calls())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, times: Option<u32>) -> ArmedFault {
        let fault = Fault::Status {
            status,
            retry_after_s: None,
        };
        ArmedFault {
            target: Target::Rerank,
            fault,
            times,
        }
    }

    #[tokio::test]
    async fn a_fault_strikes_as_often_as_it_was_armed_for_and_then_the_next_one_does() {
        let faults = Faults::default();
        faults.arm(status(429, Some(2)));
        faults.arm(status(500, None));
        let mut seen = Vec::new();
        for _ in 0..4 {
            let Verdict::Refuse { status, .. } = faults.call(Target::Rerank).await else {
                panic!("a fault was armed");
            };
            seen.push(status.as_u16());
        }
        assert_eq!(seen, [429, 429, 500, 500]);
        assert_eq!(faults.call(Target::Embedding).await, Verdict::Proceed);
        faults.clear();
        assert_eq!(faults.call(Target::Rerank).await, Verdict::Proceed);
        assert_eq!(faults.calls()[&Target::Rerank], 5);
    }
}
