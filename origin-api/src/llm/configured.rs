//! The settings that tests of models have in common.

use crate::config::{Config, ModelConfig};

/// What is read from these variables, beside what has nothing to do with models.
pub(super) fn configured(variables: &[(&str, &str)]) -> ModelConfig {
    let usual = [
        ("DATABASE_URL", "postgres://unused"),
        ("EDGE_TOKEN", "between the edge and the origin"),
        ("SUPABASE_URL", "https://auth.school.example"),
        ("R2_ENDPOINT", "https://files.school.example"),
        ("R2_ACCESS_KEY_ID", "id"),
        ("R2_SECRET_ACCESS_KEY", "key"),
        ("VERTEX_PROJECT", "piano"),
        ("VERTEX_LOCATION", "global"),
    ];
    let config = Config::read(&|name| {
        let mut known = variables.iter().chain(&usual);
        let known = known.find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    });
    config.unwrap().model
}
