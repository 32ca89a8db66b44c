//! `wrangler.toml` says for every environment what this build needs.

use edge_worker::config::EdgeConfig;
use rag_core::prompt::PROMPT_VERSION;
use shared_types::problem::{Problem, ProblemKind};
use std::{collections::BTreeSet, fs};
use toml::{Table, Value};

const SECRETS: [&str; 2] = ["EDGE_TOKEN", "SUPABASE_ANON_KEY"];

/// Local development, then what is deployed.
fn environments() -> Vec<(String, Table)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wrangler.toml");
    let local: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let deployed = local["env"].as_table().unwrap().clone();
    let deployed = deployed
        .into_iter()
        .map(|(name, table)| (name, table.as_table().unwrap().clone()));
    [("local".to_owned(), local.clone())]
        .into_iter()
        .chain(deployed)
        .collect()
}

fn variable(environment: &Table, name: &str) -> Option<String> {
    environment["vars"].get(name)?.as_str().map(str::to_owned)
}

#[test]
fn every_environment_can_start() {
    for (name, environment) in environments() {
        let read = EdgeConfig::read(|wanted| {
            let is_secret = SECRETS.contains(&wanted);
            variable(&environment, wanted).or_else(|| is_secret.then(|| "secret".to_owned()))
        });
        assert!(read.is_ok(), "{name}: {}", read.unwrap_err());
        for secret in SECRETS {
            assert_eq!(
                variable(&environment, secret),
                None,
                "{name} holds a secret"
            );
        }
    }
}

#[test]
fn every_environment_has_the_same_bindings() {
    let bindings = |environment: &Table| -> BTreeSet<String> {
        let names = |kind: &str, field: &str| -> Vec<String> {
            let all = environment[kind].as_array().unwrap().iter();
            all.map(|binding| binding[field].as_str().unwrap().to_owned())
                .collect()
        };
        let ai = environment["ai"]["binding"].as_str().unwrap().to_owned();
        [
            names("kv_namespaces", "binding"),
            names("r2_buckets", "binding"),
            names("ratelimits", "name"),
            vec![ai],
        ]
        .concat()
        .into_iter()
        .collect()
    };
    let environments = environments();
    let local = bindings(&environments[0].1);
    assert_eq!(local.len(), 9);
    for (name, environment) in &environments {
        assert_eq!(bindings(environment), local, "{name}");
    }
}

#[test]
fn answers_of_another_prompt_are_never_found_in_the_cache() {
    for (name, environment) in environments() {
        let model = variable(&environment, "ANSWER_MODEL").unwrap();
        assert!(
            model.ends_with(&format!("/{PROMPT_VERSION}")),
            "{name}: {model}"
        );
    }
}

#[test]
fn counters_are_shared_between_no_two_environments() {
    let mut seen = BTreeSet::new();
    for (_, environment) in environments() {
        for limit in environment["ratelimits"].as_array().unwrap() {
            let id = limit["namespace_id"].as_str().map(str::to_owned);
            assert!(seen.insert(id.clone()), "{id:?} is used twice");
            assert_eq!(limit["simple"]["period"], Value::Integer(60));
        }
    }
}

#[test]
fn deployed_counters_and_the_rule_in_front_of_them_are_those_of_the_documents() {
    let rule = include_str!("../../../deploy/waf-rate-limit.json");
    let rule: serde_json::Value = serde_json::from_str(rule).unwrap();
    let rule = &rule["rules"][0];
    let limit = &rule["ratelimit"];
    assert_eq!(
        (&limit["requests_per_period"], &limit["period"]),
        (&100.into(), &60.into())
    );
    let told = rule["action_parameters"]["response"]["content"].as_str();
    let mut expected = Problem::new(ProblemKind::RateLimited);
    expected.retry_after_s = Some(60);
    assert_eq!(
        serde_json::from_str::<Problem>(told.unwrap()).unwrap(),
        expected
    );

    for (name, environment) in environments().into_iter().skip(1) {
        let limits = environment["ratelimits"].as_array().unwrap().iter();
        let limits: Vec<_> = limits
            .map(|limit| {
                (
                    limit["name"].as_str(),
                    limit["simple"]["limit"].as_integer(),
                )
            })
            .collect();
        let expected = [
            (Some("USER_RATE_LIMIT"), Some(60)),
            (Some("IP_RATE_LIMIT"), Some(100)),
        ];
        assert_eq!(limits, expected, "{name}");
    }
}
