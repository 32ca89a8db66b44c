//! Which traces leave the process: a share of all, and every one that failed or was slow to begin its answer. That is known
//! at the end of a request alone, so its spans wait for it.

use super::Share;
use opentelemetry::{
    Context, SpanId, Value,
    trace::{Span as _, Status, TraceContextExt},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Requests whose spans wait at a time; the spans of one more are lost.
const MAX_WAITING: usize = 4_096;
/// Spans of one request that wait; one more is lost.
const MAX_SPANS: usize = 512;
/// The attribute of a request's span that says after how many milliseconds its answer began: what is slow is judged by that,
/// since a good answer may take as long to be told as it likes.
pub const HEAD_MS: &str = "etude.head_ms";

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Of all traces.
    pub share: Share,
    /// What takes longer to begin its answer, or else to end, is kept.
    pub slow: Duration,
}

impl Policy {
    /// Whether the trace of this request is kept; `has_failed` says whether any of its spans has.
    fn keeps(&self, root: &SpanData, has_failed: bool) -> bool {
        has_failed || self.share.has(root.span_context.trace_id()) || duration(root) > self.slow
    }
}

/// Until the answer began, or the span ended.
fn duration(span: &SpanData) -> Duration {
    let said = span.attributes.iter().find(|it| it.key.as_str() == HEAD_MS);
    match said.map(|it| &it.value) {
        Some(Value::I64(ms)) => Duration::from_millis((*ms).try_into().unwrap_or_default()),
        _ => span
            .end_time
            .duration_since(span.start_time)
            .unwrap_or_default(),
    }
}

/// How many traces went which way.
#[derive(Debug, Default)]
pub struct Counts {
    kept: AtomicU64,
    sampled_out: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// Each outcome with its number: `kept`, `sampled_out`, and `lost` for want of room.
    #[must_use]
    pub fn read(&self) -> [(&'static str, u64); 3] {
        [
            ("kept", &self.kept),
            ("sampled_out", &self.sampled_out),
            ("lost", &self.lost),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }
}

/// Holds the spans of each request until it ends, then passes them on or drops them.
#[derive(Debug)]
pub struct Keeping<P> {
    next: P,
    policy: Policy,
    counts: Arc<Counts>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The request that each span that has begun belongs to, by the request's own span.
    roots: HashMap<SpanId, SpanId>,
    requests: HashMap<SpanId, Request>,
}

/// One request in this process.
#[derive(Debug, Default)]
struct Request {
    /// Spans that have not ended.
    open: usize,
    ended: Vec<SpanData>,
    has_failed: bool,
    /// Whether it is kept, once its own span has ended. Spans that outlive it go the same way.
    verdict: Option<bool>,
}

impl<P: SpanProcessor> Keeping<P> {
    /// Passes what `policy` keeps to `next`.
    pub fn new(next: P, policy: Policy, counts: Arc<Counts>) -> Self {
        Self {
            next,
            policy,
            counts,
            held: Mutex::default(),
        }
    }

    /// Takes all spans of a request that happened elsewhere, its own span first.
    pub fn take(&self, spans: Vec<SpanData>) {
        let Some(root) = spans.first() else { return };
        let has_failed = spans.iter().any(failed);
        let keeps = self.policy.keeps(root, has_failed);
        self.count(keeps);
        if keeps {
            for span in spans {
                self.next.on_end(span);
            }
        }
    }

    fn count(&self, keeps: bool) {
        let counter = if keeps {
            &self.counts.kept
        } else {
            &self.counts.sampled_out
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

impl Held {
    /// Notes that a span has begun. Without room nothing is known of it.
    fn begin(&mut self, id: SpanId, parent: Option<SpanId>) -> bool {
        let root = parent.and_then(|parent| self.roots.get(&parent).copied());
        let root = root.unwrap_or(id);
        if root == id && self.requests.len() >= MAX_WAITING {
            return false;
        }
        let request = self.requests.entry(root).or_default();
        request.open += 1;
        self.roots.insert(id, root);
        true
    }

    /// Notes that a span has ended; answers with what is to be passed on, and with the verdict where there is one by this.
    fn end(&mut self, span: SpanData, policy: &Policy) -> (Vec<SpanData>, Option<bool>) {
        let id = span.span_context.span_id();
        let Some(root) = self.roots.remove(&id) else {
            return (Vec::new(), None);
        };
        let Entry::Occupied(mut held) = self.requests.entry(root) else {
            return (Vec::new(), None);
        };
        let request = held.get_mut();
        request.open = request.open.saturating_sub(1);
        request.has_failed |= failed(&span);
        let mut new = None;
        if id == root {
            new = Some(policy.keeps(&span, request.has_failed));
            request.verdict = new;
        }
        let passed = match request.verdict {
            Some(true) => {
                let mut passed = std::mem::take(&mut request.ended);
                passed.push(span);
                passed
            }
            Some(false) => {
                request.ended = Vec::new();
                Vec::new()
            }
            None => {
                if request.ended.len() < MAX_SPANS {
                    request.ended.push(span);
                }
                Vec::new()
            }
        };
        if request.open == 0 && request.verdict.is_some() {
            held.remove();
        }
        (passed, new)
    }
}

impl<P: SpanProcessor> SpanProcessor for Keeping<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        let parent = context.span().span_context().clone();
        let is_ours = parent.is_valid() && !parent.is_remote();
        let id = span.span_context().span_id();
        if !self.held().begin(id, is_ours.then(|| parent.span_id())) {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn on_end(&self, span: SpanData) {
        let (passed, verdict) = self.held().end(span, &self.policy);
        if let Some(keeps) = verdict {
            self.count(keeps);
        }
        for span in passed {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::{
        KeyValue,
        trace::{Tracer, TracerProvider},
    };
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

    /// The names of the spans that were kept.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span.name.into_owned());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    /// A tracer of which nothing is kept but what failed or took more than a second to begin, what it has kept, and how many
    /// went which way.
    fn picky() -> (SdkTracer, Kept, Arc<Counts>) {
        let kept = Kept::default();
        let counts = Arc::<Counts>::default();
        let policy = Policy {
            share: Share::new(0.0).unwrap(),
            slow: Duration::from_secs(1),
        };
        let keeping = Keeping::new(kept.clone(), policy, Arc::clone(&counts));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(keeping)
            .build();
        (provider.tracer("test"), kept, counts)
    }

    fn names(kept: &Kept) -> Vec<String> {
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn a_quick_success_is_not_kept_and_nothing_of_it_stays() {
        let (tracer, kept, counts) = picky();
        tracer.in_span("request", |_| tracer.in_span("sql.search", |_| ()));
        assert_eq!(names(&kept), [""; 0]);
        assert_eq!(
            counts.read(),
            [("kept", 0), ("sampled_out", 1), ("lost", 0)]
        );
    }

    #[test]
    fn a_failure_anywhere_keeps_the_whole_request() {
        let (tracer, kept, counts) = picky();
        tracer.in_span("request", |_| {
            tracer.in_span("retrieve", |_| {
                tracer.in_span("sql.search", |cx| cx.span().set_status(Status::error("")));
            });
            tracer.in_span("answer", |_| ());
        });
        assert_eq!(
            names(&kept),
            ["sql.search", "retrieve", "answer", "request"]
        );
        assert_eq!(counts.read()[0], ("kept", 1));
    }

    #[test]
    fn a_long_answer_that_began_soon_is_not_slow_and_one_that_began_late_is() {
        let (tracer, kept, _) = picky();
        for head_ms in [20, 1_500] {
            tracer.in_span("request", |cx| {
                cx.span().set_attribute(KeyValue::new(HEAD_MS, head_ms));
            });
        }
        assert_eq!(names(&kept), ["request"]);
    }

    #[test]
    fn what_outlives_its_request_goes_the_same_way() {
        let (tracer, kept, _) = picky();
        for fails in [true, false] {
            let request = tracer.start("request");
            let cx = Context::new().with_span(request);
            let late = tracer.start_with_context("late", &cx);
            if fails {
                cx.span().set_status(Status::error(""));
            }
            cx.span().end();
            drop(late);
        }
        assert_eq!(names(&kept), ["request", "late"]);
    }

    #[test]
    fn requests_beyond_all_bounds_are_lost_and_counted() {
        let (tracer, _, counts) = picky();
        let open: Vec<_> = (0..=MAX_WAITING).map(|_| tracer.start("request")).collect();
        assert_eq!(counts.read()[2], ("lost", 1));
        drop(open);
        assert_eq!(counts.read()[1], ("sampled_out", MAX_WAITING as u64));
    }
}
