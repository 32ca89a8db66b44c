//! A start with the wrong settings ends with the name of the one that is wrong.

use super::*;
use crate::usage::prices::Prices;
use std::collections::BTreeMap;

fn complete() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("DATABASE_URL", "postgres://etude_origin@127.0.0.1/etude"),
        ("EDGE_TOKEN", "a secret of the two processes"),
        ("SUPABASE_URL", "https://auth.school.example/"),
        ("VERTEX_PROJECT", "piano"),
        ("VERTEX_LOCATION", "us-east5"),
        ("R2_ENDPOINT", "https://account.r2.cloudflarestorage.com"),
        ("R2_ACCESS_KEY_ID", "id"),
        ("R2_SECRET_ACCESS_KEY", "key"),
    ])
}

fn read(vars: &BTreeMap<&str, &str>) -> Result<Config, ConfigError> {
    Config::read(&|name| vars.get(name).map(ToString::to_string))
}

#[test]
fn each_required_variable_is_named_when_it_is_missing_or_empty() {
    for name in complete().into_keys() {
        let mut vars = complete();
        vars.remove(name);
        assert_eq!(read(&vars).unwrap_err(), ConfigError::Missing(name));
        vars.insert(name, "");
        assert_eq!(read(&vars).unwrap_err(), ConfigError::Missing(name));
    }
}

#[test]
fn an_unusable_value_is_named_and_not_repeated() {
    for (name, value) in [
        ("ORIGIN_PORT", "many"),
        ("ORIGIN_CONCURRENCY", "0"),
        ("LLM_CONCURRENCY", "9999999999999999999"),
        ("EDGE_TOKEN", "short-secret"),
        ("R2_ENDPOINT", "ftp://files"),
        ("REFUSAL_THRESHOLD", "NaN"),
        ("BM25_K1", "0.0"),
        ("BM25_B", "1.5"),
        ("FUSION", "max"),
        ("FUSION_VECTOR_WEIGHT", "1.01"),
        ("FUSION_FEEDBACK_WEIGHT", "NaN"),
        ("FUSION_FEEDBACK_GUIDES", "21"),
        ("LLM_IDLE_TIMEOUT_MS", "-1"),
        ("DAILY_TOKEN_LIMIT", "1.5"),
    ] {
        let mut vars = complete();
        vars.insert(name, value);
        let text = read(&vars).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
        assert!(!text.contains(value), "{text}");
    }
}

#[test]
fn the_lists_are_fused_by_weight_unless_ranks_are_asked_for() {
    let fusion_of = |set: &[(&'static str, &'static str)]| {
        let mut vars = complete();
        vars.extend(set.iter().copied());
        read(&vars).map(|config| config.fusion)
    };
    assert_eq!(fusion_of(&[]).unwrap(), Fusion::default());
    let without_feedback = Fusion::Weighted(Weights {
        vector: 0.4,
        feedback: None,
    });
    let set = [
        ("FUSION_VECTOR_WEIGHT", "0.4"),
        ("FUSION_FEEDBACK_WEIGHT", "0"),
    ];
    assert_eq!(fusion_of(&set).unwrap(), without_feedback);
    let by_ranks = fusion_of(&[("FUSION", "rrf")]).unwrap();
    assert_eq!(by_ranks, Fusion::ReciprocalRank { k: 60.0 });
    let unusable = fusion_of(&[("FUSION", "rrf"), ("FUSION_RRF_K", "0.0")]);
    assert!(unusable.unwrap_err().to_string().contains("FUSION_RRF_K"));
}

#[test]
fn the_issuer_and_its_keys_follow_from_the_project_url() {
    let auth = read(&complete()).unwrap().auth;
    assert_eq!(auth.issuer, "https://auth.school.example/auth/v1");
    assert_eq!(
        auth.jwks_url.as_str(),
        "https://auth.school.example/auth/v1/.well-known/jwks.json"
    );
}

#[test]
fn an_anthropic_key_takes_the_place_of_vertex() {
    let mut vars = complete();
    vars.remove("VERTEX_PROJECT");
    vars.remove("VERTEX_LOCATION");
    vars.insert("ANTHROPIC_API_KEY", "key");
    let first = read(&vars).unwrap().model.first;
    assert_eq!(first.name(), "anthropic/claude-haiku-4-5@20251001");
}

#[test]
fn a_provider_is_chosen_by_its_name_and_says_what_it_needs() {
    let mut vars = complete();
    vars.insert("ANTHROPIC_API_KEY", "key");
    vars.insert("LLM_PROVIDER", "vertex-claude");
    let model = read(&vars).unwrap().model;
    assert_eq!(
        model.first.name(),
        "vertex-claude/us-east5/claude-haiku-4-5@20251001"
    );
    assert!(model.second.is_none());

    vars.insert("LLM_PROVIDER", "vertex-gemini");
    let nameless = read(&vars).unwrap_err();
    assert_eq!(nameless, ConfigError::Missing("LLM_MODEL"));
    vars.insert("LLM_MODEL", "gemini-x");
    vars.insert("GEMINI_THINKING_BUDGET", "0");
    let first = read(&vars).unwrap().model.first;
    assert_eq!(first.name(), "vertex-gemini/us-east5/gemini-x");
    assert!(matches!(
        first.provider,
        Provider::VertexGemini {
            thinking_budget: Some(0),
            ..
        }
    ));

    vars.insert("LLM_PROVIDER", "claude");
    assert!(
        read(&vars)
            .unwrap_err()
            .to_string()
            .contains("LLM_PROVIDER")
    );
}

#[test]
fn a_second_provider_may_be_the_first_one_elsewhere() {
    let mut vars = complete();
    vars.insert("FALLBACK_PROVIDER", "vertex-claude");
    let second = |vars: &BTreeMap<&str, &str>| read(vars).map(|config| config.model.second);
    assert_eq!(
        second(&vars).unwrap().unwrap().name(),
        "vertex-claude/us-east5/claude-haiku-4-5@20251001"
    );
    vars.insert("FALLBACK_LOCATION", "global");
    let elsewhere = second(&vars).unwrap().unwrap();
    assert_eq!(
        elsewhere.name(),
        "vertex-claude/global/claude-haiku-4-5@20251001"
    );
    vars.insert("FALLBACK_PROVIDER", "anthropic");
    assert_eq!(
        second(&vars).unwrap_err(),
        ConfigError::Missing("ANTHROPIC_API_KEY")
    );
}

#[test]
fn the_location_chooses_the_vertex_host() {
    for (location, host) in [
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
    ] {
        let mut vars = complete();
        vars.insert("VERTEX_LOCATION", location);
        let provider = read(&vars).unwrap().model.first.provider;
        let Provider::VertexClaude(vertex) = provider else {
            panic!("expected Vertex");
        };
        assert_eq!(vertex.base_url.as_str(), format!("https://{host}/v1"));
    }
}

#[test]
fn a_file_of_credentials_takes_the_place_of_the_metadata_server() {
    let mut vars = complete();
    let tokens = |vars: &BTreeMap<&str, &str>| match read(vars).unwrap().model.first.provider {
        Provider::VertexClaude(vertex) => vertex.tokens,
        other => panic!("expected Vertex, not {other:?}"),
    };
    let usual = TokenSource::MetadataServer("metadata.google.internal".into());
    assert_eq!(tokens(&vars), usual);
    vars.insert("GCE_METADATA_HOST", "127.0.0.1:8790");
    assert_eq!(
        tokens(&vars),
        TokenSource::MetadataServer("127.0.0.1:8790".into())
    );
    vars.insert("GOOGLE_APPLICATION_CREDENTIALS", "/etc/etude/google.json");
    assert_eq!(
        tokens(&vars),
        TokenSource::File("/etc/etude/google.json".into())
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let text = format!("{:?}", read(&complete()).unwrap());
    assert!(!text.contains("a secret of the two processes"));
}

const PRICES: [(&str, &str); 4] = [
    ("LLM_INPUT_PRICE_MICROUSD", "1000000"),
    ("LLM_OUTPUT_PRICE_MICROUSD", "5000000"),
    ("LLM_CACHE_READ_PRICE_MICROUSD", "100000"),
    ("LLM_CACHE_WRITE_PRICE_MICROUSD", "1250000"),
];

#[test]
fn prices_come_all_together_or_not_at_all() {
    let mut vars = complete();
    assert_eq!(read(&vars).unwrap().model.first.prices, None);
    vars.extend(PRICES);
    let prices = Prices {
        input: 1_000_000,
        output: 5_000_000,
        cache_read: 100_000,
        cache_write: 1_250_000,
    };
    assert_eq!(read(&vars).unwrap().model.first.prices, Some(prices));
    for (name, _) in PRICES {
        let mut vars = vars.clone();
        vars.remove(name);
        assert_eq!(read(&vars).unwrap_err(), ConfigError::Missing(name));
        vars.insert(name, "0.10");
        assert!(read(&vars).unwrap_err().to_string().contains(name));
    }
}

#[test]
fn a_limit_of_cost_needs_the_prices_of_every_model_that_may_be_asked() {
    let mut vars = complete();
    let quota = |vars: &BTreeMap<&str, &str>| read(vars).map(|config| config.quota);
    assert!(quota(&vars).unwrap().is_unlimited());
    vars.insert("DAILY_COST_LIMIT_MICROUSD", "0");
    assert!(quota(&vars).unwrap().is_unlimited());
    vars.insert("DAILY_TOKEN_LIMIT", "90000");
    assert_eq!(quota(&vars).unwrap().daily_tokens, Some(90_000));

    vars.insert("DAILY_COST_LIMIT_MICROUSD", "500000");
    let missing = ConfigError::Missing("LLM_INPUT_PRICE_MICROUSD");
    assert_eq!(quota(&vars).unwrap_err(), missing);
    vars.extend(PRICES);
    assert_eq!(quota(&vars).unwrap().daily_cost_microusd, Some(500_000));
    vars.insert("FALLBACK_PROVIDER", "vertex-claude");
    let missing = ConfigError::Missing("FALLBACK_INPUT_PRICE_MICROUSD");
    assert_eq!(quota(&vars).unwrap_err(), missing);
}
