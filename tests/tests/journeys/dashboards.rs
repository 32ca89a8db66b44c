//! No panel of the dashboards is empty: each one's query is put to a real Prometheus that scrapes a school at work.

use journeys::{School, WALTZ, journey_with};
use local_stack::{Lifetime, Prometheus, client::NewDocument};
use reqwest::Method;
use serde_json::Value;
use shared_types::documents::Visibility;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Rounds of work, half a second each, before a panel counts as empty.
const PATIENCE: u32 = 240;

/// Whether the query has an answer with a number in it.
async fn answers(prometheus: &Prometheus, query: &str) -> bool {
    let samples = prometheus.query(query).await;
    let samples = samples.unwrap_or_else(|error| panic!("{query}: {error}"));
    samples.iter().any(|sample| sample.value.is_finite())
}

fn observability() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability");
    root.canonicalize().unwrap()
}

/// Every query of every panel, by the panel's title, as Grafana would send it for the last minutes.
fn queries() -> BTreeMap<String, String> {
    let mut queries = BTreeMap::new();
    for entry in fs::read_dir(observability().join("dashboards")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let title = format!("{}, {}", dashboard["title"], panel["title"]);
                let query = target["expr"].as_str().unwrap();
                let query = query
                    .replace("$__rate_interval", "30s")
                    .replace("$__range", "10m");
                queries.insert(format!("{title}: {query}"), query);
            }
        }
    }
    queries
}

/// So many passages that not every vector is compared any more: only then a search can miss one.
fn exercises() -> NewDocument {
    let exercise = |n| format!("## Exercise {n}\n\nThe thumb rests on key {n} for two beats.\n\n");
    let text: String = (1..=450).map(exercise).collect();
    NewDocument {
        title: "Exercises".to_owned(),
        file_name: "exercises.md".to_owned(),
        bytes: text.into_bytes(),
        visibility: Visibility::Private,
    }
}

/// One more bit of everything that people do.
async fn goes_on(school: &School, round: u32) {
    let browser = &school.student.browser;
    let new = format!("When do I release the pedal in light waltz number {round}?");
    for question in [WALTZ, &new] {
        browser.ask_to_end(question).await.unwrap();
    }
    if round.is_multiple_of(10) {
        let words = format!("In exercise {round} the thumb rests on the key for two beats.");
        let notes = NewDocument {
            title: format!("Notes {round}"),
            file_name: "notes.txt".to_owned(),
            bytes: words.into_bytes(),
            visibility: Visibility::Private,
        };
        let document = school.teacher.adds_readable(notes).await;
        let file = format!("/api/documents/{}/file", document.id);
        let opened = school
            .teacher
            .browser
            .request(Method::GET, &file)
            .send()
            .await
            .unwrap();
        assert_eq!(opened.status(), 200);
        opened.bytes().await.unwrap();
    }
}

#[test]
fn no_panel_of_a_dashboard_is_empty() {
    let Some(program) = std::env::var_os("ETUDE_PROMETHEUS") else {
        eprintln!("SKIPPED: there is no Prometheus on this machine");
        return;
    };
    let sampling = |config: local_stack::StackConfig| {
        config.with_variable("origin", "RECALL_SAMPLE_EVERY", "1")
    };
    journey_with(sampling, async |school| {
        school.shows_pedalling().await;
        school.teacher.adds_readable(exercises()).await;
        let rules = ["records.yml", "alerts.yml"].map(|file| observability().join(file));
        let rules = [&*rules[0], &*rules[1]];
        let lifetime = Lifetime::WithParent;
        let program = Path::new(&program);
        let started = Prometheus::start(&school.stack, program, &rules, 0, 1, lifetime).await;
        let prometheus = started.unwrap_or_else(|error| panic!("{error}"));
        let mut empty = queries();
        assert!(empty.len() > 40, "{} queries", empty.len());
        for round in 0..PATIENCE {
            goes_on(school, round).await;
            let mut still = BTreeMap::new();
            for (panel, query) in empty {
                if !answers(&prometheus, &query).await {
                    still.insert(panel, query);
                }
            }
            empty = still;
            if empty.is_empty() {
                prometheus.stop().await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let empty: Vec<&String> = empty.keys().collect();
        panic!("empty panels: {empty:#?}");
    });
}
