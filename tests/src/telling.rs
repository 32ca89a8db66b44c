//! What the running system tells of itself: the spans that reached the collector, the metrics that Prometheus would read, and
//! the log lines.

use local_stack::{Part, Stack};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::HashMap, fs, time::Duration};

/// A span as the collector shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Span {
    /// The process: `etude-edge`, `etude-origin`, `etude-ingest-worker`.
    pub service: String,
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// What it is part of; empty of a trace's first.
    pub parent_span_id: String,
    /// What is done.
    pub name: String,
    /// Details.
    pub attributes: Map<String, Value>,
    /// Whether it failed.
    pub failed: bool,
}

/// The spans of one trace.
#[derive(Clone, Debug)]
pub struct Trace(pub Vec<Span>);

impl Trace {
    /// The span of this name in this process.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn span(&self, service: &str, name: &str) -> &Span {
        let of = |span: &&Span| span.service == service && span.name == name;
        let found = self.0.iter().find(of);
        found.unwrap_or_else(|| panic!("no {name} of {service} in {:#?}", self.names()))
    }

    /// The names of all spans that `span` is part of, nearest first.
    #[must_use]
    pub fn within(&self, span: &Span) -> Vec<&str> {
        let by_id: HashMap<&str, &Span> = self
            .0
            .iter()
            .map(|span| (span.span_id.as_str(), span))
            .collect();
        let mut names = Vec::new();
        let mut at = by_id.get(span.parent_span_id.as_str());
        while let Some(span) = at {
            names.push(span.name.as_str());
            at = by_id.get(span.parent_span_id.as_str());
        }
        names
    }

    /// Whether everything in it is part of something else in it, but for the first.
    #[must_use]
    pub fn is_one_tree(&self) -> bool {
        let is_known = |id: &str| self.0.iter().any(|span| span.span_id == id);
        let roots = self.0.iter().filter(|span| !is_known(&span.parent_span_id));
        let roots: Vec<&Span> = roots.collect();
        matches!(&roots[..], [root] if root.parent_span_id.is_empty())
    }

    fn names(&self) -> Vec<String> {
        let name = |span: &Span| format!("{} {}", span.service, span.name);
        self.0.iter().map(name).collect()
    }
}

/// Everything that `stack` tells.
#[derive(Debug)]
pub struct Told<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
}

impl<'a> Told<'a> {
    /// By this stack.
    ///
    /// # Panics
    /// Where there can be no HTTP client.
    #[must_use]
    pub fn by(stack: &'a Stack) -> Self {
        let http = reqwest::Client::builder().no_proxy().build();
        Self {
            stack,
            http: http.expect("a client can be made"),
        }
    }

    /// A trace, once `is_whole`. Spans take a second or two.
    ///
    /// # Panics
    /// Where it does not become so.
    pub async fn trace(&self, trace_id: &str, is_whole: impl Fn(&Trace) -> bool) -> Trace {
        let url = format!("{}/otlp/traces/{trace_id}", self.stack.local_cloud_url());
        until(async || {
            let trace = Trace(self.json(&url).await);
            if is_whole(&trace) {
                Ok(trace)
            } else {
                Err(format!("never whole: {:#?}", trace.names()))
            }
        })
        .await
    }

    /// The first span of this name, in whichever trace, once there is one.
    ///
    /// # Panics
    /// Where there never is.
    pub async fn span(&self, name: &str) -> Span {
        let url = format!("{}/otlp/spans", self.stack.local_cloud_url());
        until(async || {
            let spans: Vec<Span> = self.json(&url).await;
            let found = spans.into_iter().find(|span| span.name == name);
            found.ok_or_else(|| format!("no {name}"))
        })
        .await
    }

    /// All spans so far, as the collector has them.
    ///
    /// # Panics
    /// Where the collector does not answer.
    pub async fn spans_as_text(&self) -> String {
        let url = format!("{}/otlp/spans", self.stack.local_cloud_url());
        self.text(&url).await
    }

    /// The metrics of a process.
    ///
    /// # Panics
    /// Where it serves none.
    pub async fn metrics(&self, of: Part) -> String {
        let urls = self.stack.metrics_urls();
        let (_, url) = urls.iter().find(|(part, _)| *part == of).expect("it does");
        self.text(url).await
    }

    /// The sum of the samples whose name and labels begin and go on so.
    ///
    /// # Panics
    /// Where the process serves no metrics.
    pub async fn metric(&self, of: Part, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics(of).await;
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        // An exemplar may follow.
        let value = |line: &str| {
            let sample = line.split(" # ").next().unwrap_or_default();
            sample
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse::<f64>().ok())
        };
        samples.filter_map(value).sum()
    }

    /// Waits until the samples are as many as wanted.
    ///
    /// # Panics
    /// Where they never are.
    pub async fn sees(&self, of: Part, name: &str, labels: &[&str], is_it: impl Fn(f64) -> bool) {
        until(async || {
            let now = self.metric(of, name, labels).await;
            if is_it(now) {
                Ok(())
            } else {
                Err(format!("{name} {labels:?} stays at {now}"))
            }
        })
        .await;
    }

    /// The log lines of our own processes, stand-ins apart.
    #[must_use]
    pub fn log_lines(&self) -> String {
        let of = [Part::Edge, Part::Origin, Part::IngestWorker];
        let logs = of.map(|part| self.stack.logs().join(format!("{}.log", part.name())));
        logs.map(|path| fs::read_to_string(path).unwrap_or_default())
            .join("\n")
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> T {
        serde_json::from_str(&self.text(url).await).expect("it is the JSON that was wanted")
    }

    async fn text(&self, url: &str) -> String {
        let reply = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let reply = reply.unwrap_or_else(|error| panic!("{error}"));
        reply.text().await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What `look` finds, looked for every quarter of a second for a minute.
///
/// # Panics
/// With what it says last, where it finds nothing.
async fn until<T>(look: impl AsyncFn() -> Result<T, String>) -> T {
    let mut patience = 240;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(complaint) => assert!(patience > 0, "{complaint}"),
        }
        patience -= 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
