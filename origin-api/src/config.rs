//! Settings of the origin, read once at start. A missing or unusable one ends the start with its name.

use crate::uploads::MIN_PART_BYTES;
use google_token::TokenSource;
use rag_core::{
    bm25::Bm25,
    fusion::{Feedback, Fusion, RRF_K, Weights},
};
use secrecy::{ExposeSecret, SecretString};
use shared_types::documents::{MAX_UPLOAD_BYTES, MAX_WHOLE_BYTES};
use std::{net::IpAddr, str::FromStr, time::Duration};
use thiserror::Error;
use url::Url;

/// The shortest secret that the edge and the origin may share, in bytes.
const MIN_EDGE_TOKEN_BYTES: usize = 16;

/// The longest that a model may take for a follow-up, in milliseconds: the edge waits 5 s for the whole call.
const MAX_FOLLOW_UP_MS: u64 = 4_000;

/// Why the origin can't start with these settings.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A setting without a default is absent or empty.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A setting is there, and not usable. Its value is not repeated: it may be a secret.
    #[error("the environment variable {name} is not usable: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it should be.
        reason: String,
    },
}

/// Where the origin listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `ORIGIN_BIND`, default `127.0.0.1`.
    pub address: IpAddr,
    /// `ORIGIN_PORT`, default 8788; 0 takes any free port.
    pub port: u16,
    /// `ORIGIN_CONCURRENCY`, default 512: requests in work at once, answers that are being told among them;
    /// the next is refused with 503.
    pub concurrency: usize,
    /// `SHUTDOWN_NOTICE_MS`, default 5,000: for how long the origin, once it is asked to end, still takes requests while it
    /// says that it is not ready. Longer than a load balancer's health checks take to notice.
    pub shutdown_notice: Duration,
}

/// The database.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`, as the login role `etude_origin`.
    pub url: SecretString,
    /// `DATABASE_MAX_CONNECTIONS`, default 16.
    pub max_connections: u32,
}

/// Who issues access tokens.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `{SUPABASE_URL}/auth/v1`: the `iss` of every token.
    pub issuer: String,
    /// The `aud` of every token.
    pub audience: String,
    /// Where the issuer's public keys are.
    pub jwks_url: Url,
}

/// How a question that leans on those before it is put so that it can be understood by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowUpConfig {
    /// `FOLLOW_UPS`: `model` (default) asks the language model, `joined` puts the question before in front of it, which
    /// costs nothing.
    pub is_by_model: bool,
    /// `FOLLOW_UP_TIMEOUT_MS`, default 1,500: a model that needs longer is not waited for, and the questions are joined.
    pub timeout: Duration,
}

/// Object storage: the two R2 buckets behind one S3 endpoint.
#[derive(Clone, Debug)]
pub struct ObjectsConfig {
    /// `R2_ENDPOINT`; presigned URLs point there too, so browsers must reach it.
    pub endpoint: Url,
    /// `R2_REGION`, default `auto`.
    pub region: String,
    /// `R2_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `R2_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// `R2_UPLOAD_BUCKET`, default `piano-pdfs`.
    pub upload_bucket: String,
    /// `R2_LIBRARY_BUCKET`, default `piano-knowledge`.
    pub library_bucket: String,
}

/// Every setting of `origin-api serve`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the origin listens.
    pub listen: ListenConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// `EDGE_TOKEN`: what the edge proves itself with; at least 16 bytes.
    pub edge_token: SecretString,
    /// Who issues access tokens.
    pub auth: AuthConfig,
    /// The language model.
    pub model: ModelConfig,
    /// How follow-up questions are understood.
    pub follow_ups: FollowUpConfig,
    /// What one person may use of it in a day.
    pub quota: QuotaConfig,
    /// Object storage.
    pub objects: ObjectsConfig,
    /// How workers are told of jobs; none where they listen to the database.
    pub wake: Option<WakeConfig>,
    /// `MAX_UPLOAD_BYTES`, default 50 MiB.
    pub max_upload_bytes: u64,
    /// `MAX_WHOLE_BYTES`, default 100 MiB: larger files come in parts. At least 5 MiB, the least part of S3.
    pub max_whole_bytes: u64,
    /// `RERANK_MODEL`, default `@cf/baai/bge-reranker-base`: the edge's reranker, of which
    /// `rag_core::confidence` knows what its scores are worth.
    pub rerank_model: String,
    /// `REFUSAL_THRESHOLD`, 0 to 1: where it is less probable than this that the passages answer a question,
    /// the library does not cover it. It belongs to the reranker in use; without it, that of the reranker's
    /// calibration stands.
    pub refusal_threshold: Option<f64>,
    /// `CURATED_SIMILARITY`, 0 to 1, default 0.9: the least cosine at which a question is taken for one that a teacher has
    /// answered. It belongs to the encoder in use.
    pub curated_similarity: f64,
    /// `RECALL_SAMPLE_EVERY`, default 200: of so many searches, one is searched once more, exactly and behind everybody's
    /// back, to see what it missed; 0 for none.
    pub recall_sample_every: u64,
    /// `CORPUS_MEMORY_MB`, default 512, of a million bytes: how much memory what is searched may take, some 2.9 kB for a
    /// passage; 0 for none. A search of what is not all there is PostgreSQL's.
    pub corpus_memory_bytes: usize,
    /// `BM25_K1`, above 0, default 1.2, and `BM25_B`, 0 to 1, default 0.75: how far repetition and length
    /// of a passage count for its words.
    pub bm25: Bm25,
    /// `FUSION`, how the lists by vectors and by words become one: `weighted` (default) or `rrf`.
    ///
    /// Of `weighted`: `FUSION_VECTOR_WEIGHT`, 0 to 1, default 0.55, belongs to the encoder in use;
    /// `FUSION_FEEDBACK_WEIGHT`, 0 to 2, default 0.5, and `FUSION_FEEDBACK_GUIDES`, 1 to 20, default 2: how much
    /// the first so many passages count beside the question; a weight of 0 spares the look at them.
    /// Of `rrf`: `FUSION_RRF_K`, above 0, default 60.
    pub fusion: Fusion,
}

impl Config {
    /// Reads every setting of `serve` through `lookup`, which answers with a variable's value.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Vars(lookup);
        let edge_token = vars.secret("EDGE_TOKEN")?;
        if edge_token.expose_secret().len() < MIN_EDGE_TOKEN_BYTES {
            return Err(invalid(
                "EDGE_TOKEN",
                format!("it has fewer than {MIN_EDGE_TOKEN_BYTES} bytes"),
            ));
        }
        let model = model::read(&vars)?;
        Ok(Self {
            listen: ListenConfig {
                address: vars.parsed("ORIGIN_BIND", IpAddr::from([127, 0, 0, 1]))?,
                port: vars.parsed("ORIGIN_PORT", 8788)?,
                concurrency: concurrency(&vars, "ORIGIN_CONCURRENCY", 512)?,
                shutdown_notice: vars.millis("SHUTDOWN_NOTICE_MS", 5_000)?,
            },
            database: DatabaseConfig {
                url: vars.secret("DATABASE_URL")?,
                max_connections: vars.parsed("DATABASE_MAX_CONNECTIONS", 16)?,
            },
            edge_token,
            auth: auth(&vars)?,
            quota: usage::quota(&vars, &model)?,
            model,
            follow_ups: follow_ups(&vars)?,
            objects: objects(&vars)?,
            wake: wake::read(&vars)?,
            max_upload_bytes: vars.parsed("MAX_UPLOAD_BYTES", MAX_UPLOAD_BYTES)?,
            max_whole_bytes: vars
                .parsed("MAX_WHOLE_BYTES", MAX_WHOLE_BYTES)?
                .max(MIN_PART_BYTES),
            rerank_model: vars.text("RERANK_MODEL", "@cf/baai/bge-reranker-base"),
            refusal_threshold: refusal_threshold(&vars)?,
            curated_similarity: curated_similarity(&vars)?,
            recall_sample_every: vars.parsed("RECALL_SAMPLE_EVERY", 200)?,
            corpus_memory_bytes: corpus_memory_bytes(&vars)?,
            bm25: bm25(&vars)?,
            fusion: fusion(&vars)?,
        })
    }
}

/// Reads `MIGRATION_DATABASE_URL`, the one setting of `migrate`: the database as its owner.
pub fn migration_database_url(
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, ConfigError> {
    Vars(lookup).secret("MIGRATION_DATABASE_URL")
}

fn auth(vars: &Vars<'_>) -> Result<AuthConfig, ConfigError> {
    let supabase = vars.url("SUPABASE_URL", None)?;
    let issuer = format!("{}/auth/v1", supabase.as_str().trim_end_matches('/'));
    let jwks_url = format!("{issuer}/.well-known/jwks.json")
        .parse()
        .map_err(|error| invalid("SUPABASE_URL", format!("{error}")))?;
    Ok(AuthConfig {
        issuer,
        audience: "authenticated".to_owned(),
        jwks_url,
    })
}

fn corpus_memory_bytes(vars: &Vars<'_>) -> Result<usize, ConfigError> {
    let megabytes: u32 = vars.parsed("CORPUS_MEMORY_MB", 512)?;
    Ok(usize::try_from(megabytes)
        .unwrap_or(usize::MAX)
        .saturating_mul(1_000_000))
}

fn curated_similarity(vars: &Vars<'_>) -> Result<f64, ConfigError> {
    let similarity = vars.parsed("CURATED_SIMILARITY", 0.9)?;
    if (0.0..=1.0).contains(&similarity) {
        Ok(similarity)
    } else {
        Err(invalid("CURATED_SIMILARITY", "it is not from 0 to 1"))
    }
}

fn follow_ups(vars: &Vars<'_>) -> Result<FollowUpConfig, ConfigError> {
    let timeout_ms = vars.parsed("FOLLOW_UP_TIMEOUT_MS", 1_500)?;
    if timeout_ms > MAX_FOLLOW_UP_MS {
        let reason = format!("it is more than {MAX_FOLLOW_UP_MS}");
        return Err(invalid("FOLLOW_UP_TIMEOUT_MS", reason));
    }
    Ok(FollowUpConfig {
        is_by_model: match vars.optional("FOLLOW_UPS").as_deref() {
            None | Some("model") => true,
            Some("joined") => false,
            Some(_) => return Err(invalid("FOLLOW_UPS", "it is neither model nor joined")),
        },
        timeout: Duration::from_millis(timeout_ms),
    })
}

fn objects(vars: &Vars<'_>) -> Result<ObjectsConfig, ConfigError> {
    Ok(ObjectsConfig {
        endpoint: vars.url("R2_ENDPOINT", None)?,
        region: vars.text("R2_REGION", "auto"),
        access_key_id: vars.required("R2_ACCESS_KEY_ID")?,
        secret_access_key: vars.secret("R2_SECRET_ACCESS_KEY")?,
        upload_bucket: vars.text("R2_UPLOAD_BUCKET", "piano-pdfs"),
        library_bucket: vars.text("R2_LIBRARY_BUCKET", "piano-knowledge"),
    })
}

fn token_source(vars: &Vars<'_>) -> TokenSource {
    TokenSource::new(
        vars.optional("GOOGLE_APPLICATION_CREDENTIALS"),
        vars.optional("GCE_METADATA_HOST"),
    )
}

/// 1 to 65,536: none at all would refuse everybody, and far more is a slip of the finger.
fn concurrency(vars: &Vars<'_>, name: &'static str, default: usize) -> Result<usize, ConfigError> {
    match vars.parsed(name, default)? {
        concurrency @ 1..=65_536 => Ok(concurrency),
        _ => Err(invalid(name, "it is not from 1 to 65536")),
    }
}

fn refusal_threshold(vars: &Vars<'_>) -> Result<Option<f64>, ConfigError> {
    let name = "REFUSAL_THRESHOLD";
    let Some(text) = vars.optional(name) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(threshold) if (0.0..=1.0).contains(&threshold) => Ok(Some(threshold)),
        _ => Err(invalid(name, "it is not a number from 0 to 1")),
    }
}

fn bm25(vars: &Vars<'_>) -> Result<Bm25, ConfigError> {
    let default = Bm25::default();
    let (k1, b) = (
        vars.parsed("BM25_K1", default.k1)?,
        vars.parsed("BM25_B", default.b)?,
    );
    if !(k1 > 0.0 && k1.is_finite()) {
        return Err(invalid("BM25_K1", "it is not a number above 0"));
    }
    if !(0.0..=1.0).contains(&b) {
        return Err(invalid("BM25_B", "it is not a number from 0 to 1"));
    }
    Ok(Bm25 { k1, b })
}

fn fusion(vars: &Vars<'_>) -> Result<Fusion, ConfigError> {
    match vars.optional("FUSION").as_deref() {
        None | Some("weighted") => weights(vars).map(Fusion::Weighted),
        Some("rrf") => {
            let name = "FUSION_RRF_K";
            match vars.parsed(name, RRF_K)? {
                k if k > 0.0 && k.is_finite() => Ok(Fusion::ReciprocalRank { k }),
                _ => Err(invalid(name, "it is not a number above 0")),
            }
        }
        Some(_) => Err(invalid("FUSION", "it is neither weighted nor rrf")),
    }
}

fn weights(vars: &Vars<'_>) -> Result<Weights, ConfigError> {
    let (weights, feedback) = (Weights::default(), Feedback::default());
    let vector = vars.parsed("FUSION_VECTOR_WEIGHT", weights.vector)?;
    if !(0.0..=1.0).contains(&vector) {
        return Err(invalid(
            "FUSION_VECTOR_WEIGHT",
            "it is not a number from 0 to 1",
        ));
    }
    let weight = vars.parsed("FUSION_FEEDBACK_WEIGHT", feedback.weight)?;
    if !(0.0..=2.0).contains(&weight) {
        return Err(invalid(
            "FUSION_FEEDBACK_WEIGHT",
            "it is not a number from 0 to 2",
        ));
    }
    let guides = vars.parsed("FUSION_FEEDBACK_GUIDES", feedback.guides)?;
    if !(1..=20).contains(&guides) {
        return Err(invalid("FUSION_FEEDBACK_GUIDES", "it is not from 1 to 20"));
    }
    Ok(Weights {
        vector,
        feedback: (weight > 0.0).then_some(Feedback { guides, weight }),
    })
}

fn invalid(name: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid {
        name,
        reason: reason.into(),
    }
}

/// Variables by name. An empty one counts as absent: that is how unit files and compose files unset one.
struct Vars<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Vars<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    fn secret(&self, name: &'static str) -> Result<SecretString, ConfigError> {
        self.required(name).map(SecretString::from)
    }

    fn parsed<T: FromStr>(&self, name: &'static str, default: T) -> Result<T, ConfigError>
    where
        T::Err: std::fmt::Display,
    {
        match self.optional(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|error: T::Err| invalid(name, error.to_string())),
        }
    }

    fn millis(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        self.parsed(name, default).map(Duration::from_millis)
    }

    fn url(&self, name: &'static str, default: Option<&str>) -> Result<Url, ConfigError> {
        let text = match (self.optional(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return Err(ConfigError::Missing(name)),
        };
        let url: Url = text
            .parse()
            .map_err(|error: url::ParseError| invalid(name, error.to_string()))?;
        if matches!(url.scheme(), "http" | "https") && url.has_host() {
            Ok(url)
        } else {
            Err(invalid(name, "it is not an http or https URL"))
        }
    }
}

mod model;
mod usage;
mod wake;
pub use model::{ModelConfig, Provider, ProviderConfig, VertexConfig};
pub use usage::QuotaConfig;
pub use wake::WakeConfig;

#[cfg(test)]
mod tests;
