//! Alerts, dashboards and documents say the same: every alert has its runbook and its tests, and every metric that is
//! asked for exists.

use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Prometheus makes them itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];
/// What a histogram consists of.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Tests {
    tests: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    alert_rule_test: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    alertname: String,
    exp_alerts: Vec<Value>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = format!("deploy/observability/{name}");
    serde_norway::from_str(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rules(name: &str) -> Vec<Rule> {
    let rules: Rules = yaml(name);
    let groups = rules.groups.into_iter();
    groups.flat_map(|group| group.rules).collect()
}

/// Every dashboard by its file's name.
fn dashboards() -> BTreeMap<String, Value> {
    let folder = root().join("deploy/observability/dashboards");
    let files = fs::read_dir(folder).expect("there is a folder of dashboards");
    files
        .flatten()
        .map(|file| {
            let name = file.file_name().display().to_string();
            let text = read(&format!("deploy/observability/dashboards/{name}"));
            let dashboard =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, dashboard)
        })
        .collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    panels.filter(|panel| panel["type"] != "row")
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.filter_map(|target| target["expr"].as_str())
}

/// The metrics of `docs/METRICS.md`: what stands in the first column of its tables.
fn documented() -> BTreeSet<String> {
    let text = read("docs/METRICS.md");
    let cells = text.lines().filter_map(|line| line.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The names of metrics that a query asks for.
fn metrics(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
    const BEFORE_LABELS: [&str; 6] = [
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
    ];
    let without_texts: String = query.split('"').step_by(2).collect();
    let mut names = BTreeSet::new();
    let mut rest = &*without_texts;
    while let Some(first) = rest.chars().next() {
        if let Some(kind) = "{[".find(first) {
            let closed = rest.split_once(['}', ']'][kind]);
            rest = closed.expect("brackets close").1;
            continue;
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length.max(1));
        rest = after;
        if !first.is_ascii_alphabetic() {
            continue;
        }
        let next = after.trim_start();
        let is_function = ["(", "by ", "without "]
            .iter()
            .any(|begin| next.starts_with(begin));
        if BEFORE_LABELS.contains(&word) {
            rest = next.split_once(')').map_or(after, |(_, after)| after);
        } else if !WORDS.contains(&word) && !is_function {
            names.insert(word.to_owned());
        }
    }
    names
}

#[test]
fn metrics_are_told_from_functions_labels_and_words() {
    let query = r#"sum by (job, le) (rate(a_total{x="up", y=~"{b}"}[5m])) / on () group_left (z) c:d:ratio > 0.5
        unless min_over_time(e_seconds[1h]) offset 1d"#;
    let names: Vec<String> = metrics(query).into_iter().collect();
    assert_eq!(names, ["a_total", "c:d:ratio", "e_seconds"]);
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let documented = documented();
    let records = rules("records.yml");
    let recorded: BTreeSet<&str> = records
        .iter()
        .filter_map(|rule| rule.record.as_deref())
        .collect();
    let exists = |name: &str| {
        let histogram = SERIES.iter().find_map(|series| name.strip_suffix(series));
        documented.contains(name)
            || recorded.contains(name)
            || OF_PROMETHEUS.contains(&name)
            || histogram.is_some_and(|name| documented.contains(name))
    };
    let mut unknown = BTreeSet::new();
    let mut check = |place: &str, query: &str| {
        let names = metrics(query).into_iter().filter(|name| !exists(name));
        unknown.extend(names.map(|name| format!("{place}: {name}")));
    };
    for rule in records.iter().chain(&rules("alerts.yml")) {
        let name = rule.record.as_ref().or(rule.alert.as_ref()).unwrap();
        check(name, &rule.expr);
    }
    for (file, dashboard) in dashboards() {
        for query in panels(&dashboard).flat_map(queries) {
            check(&file, query);
        }
    }
    // A runbook speaks of other things, too: what begins like a metric is one.
    let runbooks = read("docs/OPERATIONS.md");
    let words = runbooks.split(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c));
    let own = ["etude_", "db_client_", "http_server_", "process_"];
    for word in words.filter(|word| own.iter().any(|prefix| word.starts_with(prefix))) {
        check("docs/OPERATIONS.md", word);
    }
    assert!(
        unknown.is_empty(),
        "docs/METRICS.md has none of {unknown:#?}"
    );
}

#[test]
fn every_alert_has_its_runbook_and_says_how_urgent_it_is() {
    let runbooks = read("docs/OPERATIONS.md");
    let headings = runbooks
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let sections: BTreeSet<&str> = headings.collect();
    let alerts = rules("alerts.yml");
    let names: BTreeSet<&str> = alerts
        .iter()
        .map(|rule| rule.alert.as_deref().expect("alerts.yml holds alerts"))
        .collect();
    assert_eq!(sections, names);
    for rule in &alerts {
        let name = rule.alert.as_deref().unwrap_or_default();
        let severity = rule.labels.get("severity").map_or("", |text| text);
        let urgency = match severity {
            "page" => "Page. ",
            "ticket" => "Ticket. ",
            other => panic!("{name} has the severity {other:?}"),
        };
        let section = runbooks.split_once(&format!("### {name}\n\n")).unwrap().1;
        assert!(section.starts_with(urgency), "{name} is a {severity}");
        assert!(rule.annotations.contains_key("summary"), "{name}");
        let anchor = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        assert_eq!(rule.annotations.get("runbook"), Some(&anchor));
    }
}

#[test]
fn every_alert_is_seen_to_fire_and_to_be_silent() {
    let tests: Tests = yaml("alerts.test.yml");
    let expectations: Vec<Expectation> = tests
        .tests
        .into_iter()
        .flat_map(|scenario| scenario.alert_rule_test)
        .collect();
    for rule in rules("alerts.yml") {
        let name = rule.alert.unwrap_or_default();
        let own = expectations.iter().filter(|test| test.alertname == name);
        let (fires, silent): (Vec<_>, Vec<_>) = own.partition(|test| !test.exp_alerts.is_empty());
        assert!(!fires.is_empty(), "no test in which {name} fires");
        assert!(!silent.is_empty(), "no test in which {name} is silent");
    }
}

#[test]
fn every_panel_asks_something_of_the_chosen_source_and_names_its_unit() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 3);
    for (file, dashboard) in dashboards {
        let variable = &dashboard["templating"]["list"][0];
        assert_eq!(variable["name"], "datasource", "{file}");
        assert_eq!(variable["query"], "prometheus", "{file}");
        for panel in panels(&dashboard) {
            let place = format!("{file}: {}", panel["title"]);
            assert!(
                queries(panel).any(|query| !query.is_empty()),
                "{place} asks nothing"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].is_string(),
                "{place} has no unit"
            );
            for target in panel["targets"].as_array().unwrap() {
                assert!(target["legendFormat"].is_string(), "{place} has no legend");
                let is_over_time = panel["type"] == "timeseries";
                let is_latency = queries(panel).any(|query| query.contains("_seconds_bucket"));
                if is_over_time && is_latency {
                    assert_eq!(target["exemplar"], true, "{place} shows no exemplars");
                }
            }
        }
    }
}
