//! Settings of the gateway, read once per isolate.

use http::Uri;
use secrecy::SecretString;
use shared_types::workers_ai::Pooling;
use thiserror::Error;

/// Two or three MB with answers of the usual length.
const DEFAULT_MEMORY_VALUES: usize = 500;
/// Answers of the greatest length that is kept fill half of an isolate's 128 MB then.
const MAX_MEMORY_VALUES: usize = 1_000;

/// Why the Worker can't start. Names the variable, never its value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The variable or secret is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Its value can't be used.
    #[error("{name} is not {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// Milliseconds to wait for each thing outside.
///
/// A caller waits for the whole at most; each stage has a share of it. The last stage of a path has
/// whatever the others left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The whole of an ordinary call.
    pub ordinary_ms: u32,
    /// The whole of a question, up to the first byte of its answer.
    pub answer_ms: u32,
    /// A request's body, from its caller.
    pub body_ms: u32,
    /// A cache read.
    pub cache_ms: u32,
    /// The embedding model.
    pub embed_ms: u32,
    /// The reranker.
    pub rerank_ms: u32,
    /// `GET /v1/scope`.
    pub scope_ms: u32,
    /// `POST /v1/retrieve`.
    pub retrieve_ms: u32,
    /// The head of `POST /v1/answer`.
    pub answer_head_ms: u32,
    /// Silence within an answer before a comment is sent, to keep proxies from closing the stream.
    pub keep_alive_ms: u32,
    /// Silence within an answer before it counts as broken off.
    pub answer_silence_ms: u32,
    /// A forwarded call about documents.
    pub documents_ms: u32,
    /// `GET /v1/documents/{id}/file`.
    pub file_access_ms: u32,
    /// The head of a file out of object storage.
    pub file_head_ms: u32,
    /// The sign-in service.
    pub auth_ms: u32,
    /// The sign-in service's key set.
    pub jwks_ms: u32,
    /// The origin's health.
    pub health_ms: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ordinary_ms: 5_000,
            answer_ms: 30_000,
            body_ms: 2_000,
            cache_ms: 500,
            embed_ms: 2_500,
            rerank_ms: 2_000,
            scope_ms: 2_000,
            retrieve_ms: 4_000,
            answer_head_ms: 20_000,
            keep_alive_ms: 15_000,
            answer_silence_ms: 45_000,
            documents_ms: 5_000,
            file_access_ms: 1_000,
            file_head_ms: 1_500,
            auth_ms: 5_000,
            jwks_ms: 1_500,
            health_ms: 1_500,
        }
    }
}

/// Everything that differs between environments.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Where the origin answers; no trailing slash.
    pub origin_url: String,
    /// The Supabase project; no trailing slash.
    pub supabase_url: String,
    /// The public API key of the Supabase project.
    pub supabase_anon_key: SecretString,
    /// The secret shared with the origin.
    pub edge_token: SecretString,
    /// Required `iss` of access tokens.
    pub jwt_issuer: String,
    /// Required `aud` of access tokens.
    pub jwt_audience: String,
    /// Workers AI model id of the encoder.
    pub embedding_model: String,
    /// Its pooling.
    pub embedding_pooling: Pooling,
    /// Workers AI model id of the reranker.
    pub rerank_model: String,
    /// Model and prompt version of the answers, e.g. `claude-haiku-4-5@20251001/prompt-2`.
    pub answer_model: String,
    /// Web origins that browsers may call from, compared exactly.
    pub allowed_origins: Vec<String>,
    /// How many searches and answers an isolate keeps in its own memory, and how many accepted
    /// tokens.
    pub memory_values: usize,
    /// Patience.
    pub timeouts: Timeouts,
}

impl EdgeConfig {
    /// Reads the configuration through `lookup`, which knows variables and secrets by name.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name| {
            lookup(name)
                .filter(|value| !value.trim().is_empty())
                .ok_or(ConfigError::Missing(name))
        };
        let base = |name| {
            let value = text(name)?;
            match value.parse::<Uri>() {
                Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => {
                    Ok(value.trim_end_matches('/').to_owned())
                }
                _ => Err(ConfigError::Invalid {
                    name,
                    expected: "an http(s) URL",
                }),
            }
        };
        let embedding_pooling = match text("EMBEDDING_POOLING")?.as_str() {
            "cls" => Pooling::Cls,
            "mean" => Pooling::Mean,
            _ => {
                return Err(ConfigError::Invalid {
                    name: "EMBEDDING_POOLING",
                    expected: "cls or mean",
                });
            }
        };
        let memory_values = match lookup("MEMORY_VALUES") {
            None => DEFAULT_MEMORY_VALUES,
            Some(text) => text
                .parse()
                .ok()
                .filter(|values| *values <= MAX_MEMORY_VALUES)
                .ok_or(ConfigError::Invalid {
                    name: "MEMORY_VALUES",
                    expected: "a number from 0 to 1000",
                })?,
        };
        let allowed_origins = lookup("ALLOWED_ORIGINS").unwrap_or_default();
        Ok(Self {
            origin_url: base("ORIGIN_URL")?,
            supabase_url: base("SUPABASE_URL")?,
            supabase_anon_key: text("SUPABASE_ANON_KEY")?.into(),
            edge_token: text("EDGE_TOKEN")?.into(),
            jwt_issuer: text("JWT_ISSUER")?,
            jwt_audience: text("JWT_AUDIENCE")?,
            embedding_model: text("EMBEDDING_MODEL")?,
            embedding_pooling,
            rerank_model: text("RERANK_MODEL")?,
            answer_model: text("ANSWER_MODEL")?,
            allowed_origins: allowed_origins
                .split(',')
                .map(|origin| origin.trim().trim_end_matches('/').to_owned())
                .filter(|origin| !origin.is_empty())
                .collect(),
            memory_values,
            timeouts: Timeouts::default(),
        })
    }

    /// Model and pooling as one text, e.g. `@cf/baai/bge-base-en-v1.5#cls`: vectors of two such
    /// texts are never compared.
    #[must_use]
    pub fn embedding_space(&self) -> String {
        let pooling = match self.embedding_pooling {
            Pooling::Cls => "cls",
            Pooling::Mean => "mean",
        };
        format!("{}#{pooling}", self.embedding_model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(name: &str) -> &str {
        match name {
            "ORIGIN_URL" => "https://origin.example/",
            "SUPABASE_URL" => "https://project.example",
            "EMBEDDING_MODEL" => "@cf/baai/bge-base-en-v1.5",
            "EMBEDDING_POOLING" => "cls",
            "ALLOWED_ORIGINS" => "https://etude.example/, http://localhost:5173",
            "MEMORY_VALUES" => "40",
            _ => "set",
        }
    }

    fn lookup(name: &str, missing: &str) -> Option<String> {
        (name != missing).then(|| value_of(name).to_owned())
    }

    #[test]
    fn a_complete_environment_is_read() {
        let config = EdgeConfig::read(|name| lookup(name, "")).unwrap();
        assert_eq!(config.origin_url, "https://origin.example");
        assert_eq!(config.embedding_space(), "@cf/baai/bge-base-en-v1.5#cls");
        assert_eq!(config.memory_values, 40);
        assert_eq!(
            config.allowed_origins,
            ["https://etude.example", "http://localhost:5173"]
        );
    }

    #[test]
    fn every_stage_leaves_the_later_ones_their_share() {
        /// The least that the last stage of an ordinary call needs: a copy within object storage.
        const ORDINARY_CALL_MS: u32 = 2_500;
        /// As long as the origin waits for the model (`LLM_FIRST_EVENT_TIMEOUT_MS`), and half again.
        const ANSWER_MS: u32 = 15_000;
        let t = Timeouts::default();
        // The keys from their cache, then from the sign-in service; the counter.
        let signed_in = t.cache_ms + t.jwks_ms + t.cache_ms;
        let scope = t.cache_ms + t.scope_ms;
        // The search cache is asked beside it.
        let embedding = t.cache_ms + t.embed_ms;
        let searched = scope + embedding + t.retrieve_ms + t.rerank_ms;

        assert!(signed_in + ORDINARY_CALL_MS <= t.ordinary_ms);
        assert!(signed_in + t.file_access_ms + t.file_head_ms <= t.ordinary_ms);
        assert!(signed_in + searched + t.cache_ms + ANSWER_MS <= t.answer_ms);
        for share in [t.body_ms, t.documents_ms, t.auth_ms, t.health_ms] {
            assert!(share <= t.ordinary_ms);
        }
        assert!(t.answer_head_ms <= t.answer_ms);
    }

    #[test]
    fn a_missing_or_odd_variable_is_named() {
        let without =
            |missing: &'static str| EdgeConfig::read(|name| lookup(name, missing)).unwrap_err();
        for name in ["ORIGIN_URL", "EDGE_TOKEN", "RERANK_MODEL", "JWT_ISSUER"] {
            assert_eq!(without(name), ConfigError::Missing(name));
        }
        let complaints = [
            ("ORIGIN_URL", "origin", "ORIGIN_URL is not an http(s) URL"),
            (
                "MEMORY_VALUES",
                "1001",
                "MEMORY_VALUES is not a number from 0 to 1000",
            ),
        ];
        for (odd, value, complaint) in complaints {
            let read = EdgeConfig::read(|name| {
                if name == odd {
                    Some(value.into())
                } else {
                    lookup(name, "")
                }
            });
            assert_eq!(read.unwrap_err().to_string(), complaint);
        }
    }
}
