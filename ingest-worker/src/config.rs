//! Settings, read once at start from the environment.

use crate::{
    extract::{Extractor, Limits},
    recognize::Recognizer,
};
use google_token::TokenSource;
use secrecy::SecretString;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use thiserror::Error;
use url::Url;

/// A setting that is missing or can't be read.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Not set, or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Set to something else than it must be.
    #[error("{name} is not {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// Object storage.
#[derive(Clone, Debug)]
pub struct R2Config {
    /// `R2_ENDPOINT`.
    pub endpoint: Url,
    /// `R2_REGION`, by default `auto`.
    pub region: String,
    /// `R2_LIBRARY_BUCKET`, by default `piano-knowledge`.
    pub library_bucket: String,
    /// `R2_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `R2_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
}

/// The embedding service.
#[derive(Clone, Debug)]
pub struct EmbeddingConfig {
    /// `CLOUDFLARE_API_BASE`, by default Cloudflare's.
    pub api_base: Url,
    /// `CLOUDFLARE_ACCOUNT_ID`.
    pub account_id: String,
    /// `CLOUDFLARE_API_TOKEN`.
    pub api_token: SecretString,
    /// `EMBEDDING_MODEL`, by default `@cf/baai/bge-base-en-v1.5`: of the library's first document. From then on the
    /// library says.
    pub model: String,
    /// The first wait between two tries; it doubles from there.
    pub retry_delay: Duration,
}

/// The edge.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// `EDGE_URL`.
    pub url: Url,
    /// `EDGE_TOKEN`.
    pub token: SecretString,
}

/// When the worker does what.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// `INGEST_LEASE_S`, by default 60: how long a claimed job is the worker's own without a heartbeat.
    pub lease: Duration,
    /// How often the lease is renewed.
    pub heartbeat: Duration,
    /// `INGEST_SWEEP_S`, by default 5: how often the queue is looked at without being woken up.
    pub sweep: Duration,
    /// How long one job may take.
    pub job: Duration,
    /// `INGEST_RETRY_S`, by default 10: the wait before a second attempt; it triples for the third.
    pub retry: Duration,
    /// How long running jobs may go on after the worker was told to stop; then they are handed back.
    pub drain: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self::with_lease(Duration::from_mins(1))
    }
}

impl Rhythm {
    /// The usual rhythm with this lease, which is renewed four times before it ends. A shorter one
    /// finds the jobs of a dead worker sooner.
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        Self {
            lease,
            heartbeat: lease / 4,
            sweep: Duration::from_secs(5),
            job: Duration::from_mins(10),
            retry: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// All of `ingest-worker run`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL`, with the role `etude_ingest`.
    pub database_url: SecretString,
    /// Object storage.
    pub r2: R2Config,
    /// The embedding service.
    pub embedding: EmbeddingConfig,
    /// The edge.
    pub edge: EdgeConfig,
    /// `TOKENIZER_FILE`: the encoder's `tokenizer.json`.
    pub tokenizer_file: PathBuf,
    /// How PDFs are read; `PDFIUM_LIBRARY` is the path of `libpdfium.so`, and `MAX_PAGES` (2,000) bounds a document.
    pub extractor: Extractor,
    /// How scanned pages are read. `TESSERACT_LIBRARY` is the path of `libtesseract.so`, `TESSDATA_DIR` the folder of its
    /// models, `OCR_LANGUAGES` (`eng`) those of the library's documents, joined by `+`; `MAX_SCANNED_PAGES` (100) bounds a
    /// document's.
    pub recognizer: Recognizer,
    /// `INGEST_CONCURRENCY`: documents at a time, by default 5.
    pub concurrency: usize,
    /// When what is done.
    pub rhythm: Rhythm,
}

impl Config {
    /// Reads the environment through `variable`; fails with the name of the first bad variable.
    ///
    /// `program` is the executable with the `extract` subcommand.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        program: PathBuf,
    ) -> Result<Self, ConfigError> {
        let environment = Environment(&variable);
        let extractor = environment.extractor(program)?;
        Ok(Self {
            recognizer: environment.recognizer(&extractor)?,
            extractor,
            database_url: environment.secret("DATABASE_URL")?,
            r2: R2Config {
                endpoint: environment.url("R2_ENDPOINT", None)?,
                region: environment.text("R2_REGION", Some("auto"))?,
                library_bucket: environment.text("R2_LIBRARY_BUCKET", Some("piano-knowledge"))?,
                access_key_id: environment.text("R2_ACCESS_KEY_ID", None)?,
                secret_access_key: environment.secret("R2_SECRET_ACCESS_KEY")?,
            },
            embedding: environment.embedding()?,
            edge: EdgeConfig {
                url: environment.url("EDGE_URL", None)?,
                token: environment.secret("EDGE_TOKEN")?,
            },
            tokenizer_file: environment.text("TOKENIZER_FILE", None)?.into(),
            concurrency: environment.number(
                "INGEST_CONCURRENCY",
                "5",
                1..=64,
                "a number from 1 to 64",
            )? as usize,
            rhythm: environment.rhythm()?,
        })
    }
}

/// All of `ingest-worker reembed`.
#[derive(Clone, Debug)]
pub struct ReembedConfig {
    /// `DATABASE_URL`, with the role `etude_ingest`.
    pub database_url: SecretString,
    /// The embedding service.
    pub embedding: EmbeddingConfig,
}

impl ReembedConfig {
    /// As [`Config::read`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let environment = Environment(&variable);
        Ok(Self {
            database_url: environment.secret("DATABASE_URL")?,
            embedding: environment.embedding()?,
        })
    }
}

/// All of `ingest-worker receive`.
#[derive(Clone, Debug)]
pub struct ReceiveConfig {
    /// `RECEIVE_BIND`, by default 127.0.0.1, and `PORT`, by default 8080, as Cloud Run sets it.
    pub listen: SocketAddr,
    /// `DATABASE_URL`, with the role `etude_ingest`.
    pub database_url: SecretString,
    /// `PUSH_AUDIENCE`: the audience that the subscription's tokens are for.
    pub audience: String,
    /// `PUSH_SERVICE_ACCOUNT`: the address of the account that the subscription pushes as.
    pub service_account: String,
    /// `GOOGLE_JWKS_URL`, by default Google's: the keys of those tokens.
    pub jwks_url: Url,
    /// The shortest time between two fetches of them for the sake of unknown keys.
    pub key_cool_down: Duration,
    /// `CLOUD_RUN_JOB`: `projects/…/locations/…/jobs/…`.
    pub job: String,
    /// `CLOUD_RUN_BASE_URL`, by default Google's; ends in `/v2`.
    pub run_base_url: Url,
    /// `GOOGLE_APPLICATION_CREDENTIALS`, a file; without it, the metadata server at `GCE_METADATA_HOST`.
    pub tokens: TokenSource,
}

impl ReceiveConfig {
    /// As [`Config::read`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let environment = Environment(&variable);
        let optional = |name| environment.text(name, None).ok();
        let address: IpAddr = environment
            .text("RECEIVE_BIND", Some("127.0.0.1"))?
            .parse()
            .map_err(|_| ConfigError::Invalid {
                name: "RECEIVE_BIND",
                expected: "an IP address",
            })?;
        let port = environment.number("PORT", "8080", 0..=65_535, "a port")?;
        let job = environment.text("CLOUD_RUN_JOB", None)?;
        let parts: Vec<&str> = job.split('/').collect();
        if !matches!(parts[..], ["projects", _, "locations", _, "jobs", _]) {
            return Err(ConfigError::Invalid {
                name: "CLOUD_RUN_JOB",
                expected: "projects/…/locations/…/jobs/…",
            });
        }
        Ok(Self {
            listen: SocketAddr::new(address, port as u16),
            database_url: environment.secret("DATABASE_URL")?,
            audience: environment.text("PUSH_AUDIENCE", None)?,
            service_account: environment.text("PUSH_SERVICE_ACCOUNT", None)?,
            jwks_url: environment.url(
                "GOOGLE_JWKS_URL",
                Some("https://www.googleapis.com/oauth2/v3/certs"),
            )?,
            key_cool_down: Duration::from_secs(10),
            job,
            run_base_url: environment
                .url("CLOUD_RUN_BASE_URL", Some("https://run.googleapis.com/v2"))?,
            tokens: TokenSource::new(
                optional("GOOGLE_APPLICATION_CREDENTIALS"),
                optional("GCE_METADATA_HOST"),
            ),
        })
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn embedding(&self) -> Result<EmbeddingConfig, ConfigError> {
        Ok(EmbeddingConfig {
            api_base: self.url(
                "CLOUDFLARE_API_BASE",
                Some("https://api.cloudflare.com/client/v4"),
            )?,
            account_id: self.text("CLOUDFLARE_ACCOUNT_ID", None)?,
            api_token: self.secret("CLOUDFLARE_API_TOKEN")?,
            model: self.text("EMBEDDING_MODEL", Some("@cf/baai/bge-base-en-v1.5"))?,
            retry_delay: Duration::from_millis(500),
        })
    }

    fn extractor(&self, program: PathBuf) -> Result<Extractor, ConfigError> {
        let expected = "a number from 1 to 20,000";
        let max_pages = self.number("MAX_PAGES", "2000", 1..=20_000, expected)?;
        Ok(Extractor {
            program,
            library: self.text("PDFIUM_LIBRARY", None)?.into(),
            limits: Limits {
                max_pages: max_pages as u32,
                ..Limits::default()
            },
            deadline: Duration::from_mins(5),
        })
    }

    fn recognizer(&self, extractor: &Extractor) -> Result<Recognizer, ConfigError> {
        let expected = "a number from 0 to 20,000";
        let max_pages = self.number("MAX_SCANNED_PAGES", "100", 0..=20_000, expected)?;
        let languages = self.text("OCR_LANGUAGES", Some("eng"))?;
        let is_name = |name: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
            !name.is_empty() && name.chars().all(is_part)
        };
        if !languages.split('+').all(is_name) {
            return Err(ConfigError::Invalid {
                name: "OCR_LANGUAGES",
                expected: "a list of Tesseract's models joined by +, as in eng+deu",
            });
        }
        Ok(Recognizer {
            program: extractor.program.clone(),
            pdfium: extractor.library.clone(),
            tesseract: self.text("TESSERACT_LIBRARY", None)?.into(),
            models: self.text("TESSDATA_DIR", None)?.into(),
            languages,
            max_pages: max_pages as u32,
            memory_bytes: Recognizer::MEMORY_BYTES,
            page_cpu_s: Recognizer::PAGE_CPU_S,
            deadline: Duration::from_mins(9),
        })
    }

    fn rhythm(&self) -> Result<Rhythm, ConfigError> {
        let seconds = |name, default, least| {
            let expected = match least {
                1 => "a number of seconds from 1 to 600",
                _ => "a number of seconds from 2 to 600",
            };
            let seconds = self.number(name, default, least..=600, expected)?;
            Ok(Duration::from_secs(seconds))
        };
        Ok(Rhythm {
            sweep: seconds("INGEST_SWEEP_S", "5", 1)?,
            retry: seconds("INGEST_RETRY_S", "10", 1)?,
            ..Rhythm::with_lease(seconds("INGEST_LEASE_S", "60", 2)?)
        })
    }

    fn text(&self, name: &'static str, default: Option<&str>) -> Result<String, ConfigError> {
        (self.0)(name)
            .filter(|value| !value.is_empty())
            .or_else(|| default.map(str::to_owned))
            .ok_or(ConfigError::Missing(name))
    }

    fn number(
        &self,
        name: &'static str,
        default: &str,
        allowed: std::ops::RangeInclusive<u64>,
        expected: &'static str,
    ) -> Result<u64, ConfigError> {
        let number = self.text(name, Some(default))?.parse().ok();
        number
            .filter(|number| allowed.contains(number))
            .ok_or(ConfigError::Invalid { name, expected })
    }

    fn secret(&self, name: &'static str) -> Result<SecretString, ConfigError> {
        Ok(self.text(name, None)?.into())
    }

    fn url(&self, name: &'static str, default: Option<&str>) -> Result<Url, ConfigError> {
        let url = self.text(name, default)?;
        Url::parse(&url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or(ConfigError::Invalid {
                name,
                expected: "an http or https URL",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "R2_ENDPOINT" | "EDGE_URL" => "http://127.0.0.1:1",
            "R2_REGION"
            | "R2_LIBRARY_BUCKET"
            | "CLOUDFLARE_API_BASE"
            | "EMBEDDING_MODEL"
            | "INGEST_CONCURRENCY"
            | "INGEST_LEASE_S"
            | "INGEST_RETRY_S"
            | "INGEST_SWEEP_S"
            | "MAX_PAGES"
            | "MAX_SCANNED_PAGES"
            | "OCR_LANGUAGES" => return None,
            _ => "x",
        };
        Some(value.to_owned())
    }

    #[test]
    fn what_is_not_set_has_the_production_value() {
        let config = Config::read(complete, "ingest-worker".into()).unwrap();
        assert_eq!(config.embedding.model, "@cf/baai/bge-base-en-v1.5");
        assert_eq!(config.concurrency, 5);
        assert_eq!(config.extractor.limits.max_pages, 2_000);
        assert_eq!(config.recognizer.max_pages, 100);
        assert_eq!(config.recognizer.languages, "eng");
    }

    #[test]
    fn a_bad_variable_is_named() {
        let missing = |name: &str| complete(name).filter(|_| name != "PDFIUM_LIBRARY");
        let error = Config::read(missing, "w".into()).unwrap_err();
        assert_eq!(error.to_string(), "PDFIUM_LIBRARY is not set");
        let none_at_once = |name: &str| match name {
            "INGEST_CONCURRENCY" => Some("0".into()),
            name => complete(name),
        };
        let error = Config::read(none_at_once, "w".into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INGEST_CONCURRENCY is not a number from 1 to 64"
        );
        for languages in ["eng,deu", "eng+", "eng deu", "../eng", "~deu"] {
            let other = |name: &str| match name {
                "OCR_LANGUAGES" => Some(languages.into()),
                name => complete(name),
            };
            let error = Config::read(other, "w".into()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "OCR_LANGUAGES is not a list of Tesseract's models joined by +, as in eng+deu"
            );
        }
    }
}
