//! What a stack is started with.

use crate::{Overrides, StackError, process};
use std::{
    env,
    path::{Path, PathBuf},
};

pub use process::Lifetime;

/// The encoder that local-cloud runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// all-mpnet-base-v2.
    Mpnet,
    /// all-MiniLM-L6-v2: fast, for tests.
    Small,
}

impl Encoder {
    /// The name that local-cloud takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mpnet => "mpnet",
            Self::Small => "small",
        }
    }

    /// The model id that is stored beside every vector.
    #[must_use]
    pub fn model_id(self) -> &'static str {
        match self {
            Self::Mpnet => "@local/all-mpnet-base-v2",
            Self::Small => "@local/all-minilm-l6-v2",
        }
    }

    /// The folder of its files in the models folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Mpnet => "mpnet",
            Self::Small => "minilm",
        }
    }
}

/// What answers for the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguageModel {
    /// Quotes sentences of the passages.
    Extractive,
    /// A small language model on the CPU.
    Qwen,
}

impl LanguageModel {
    /// The name that local-cloud takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Extractive => "extractive",
            Self::Qwen => "qwen",
        }
    }
}

/// The algorithm of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// RSA, 2048 bits.
    Rs256,
    /// Elliptic curve P-256.
    Es256,
}

impl TokenAlgorithm {
    /// The name that local-cloud takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Where the programs and their files are.
#[derive(Clone, Debug)]
pub struct Install {
    /// The checkout.
    pub repository: PathBuf,
    /// The folder of the built binaries.
    pub binaries: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The models folder.
    pub models: PathBuf,
    /// `libpdfium.so`.
    pub pdfium: PathBuf,
    /// Tesseract's library.
    pub tesseract: PathBuf,
    /// The folder of its models.
    pub tessdata: PathBuf,
    /// `PostgreSQL`'s own installation: the folder with `bin/`, `lib/` and `share/`.
    pub postgres: PathBuf,
    /// Vectors kept between runs; several stacks share it.
    pub vectors: PathBuf,
}

impl Install {
    /// The installation that `cargo xtask test` and `cargo xtask bench` announce in the environment.
    pub fn from_env() -> Result<Self, StackError> {
        let path = |name: &'static str| {
            env::var_os(name).map(PathBuf::from).ok_or_else(|| {
                StackError::Setting(format!(
                    "{name} is not set: run this through `cargo xtask test` or `cargo xtask bench`"
                ))
            })
        };
        Ok(Self {
            repository: path("ETUDE_REPOSITORY")?,
            binaries: path("ETUDE_BINARIES")?,
            node: path("ETUDE_NODE")?,
            models: path("ETUDE_MODELS_DIR")?,
            pdfium: path("PDFIUM_LIBRARY")?,
            tesseract: path("TESSERACT_LIBRARY")?,
            tessdata: path("TESSDATA_DIR")?,
            postgres: path("ETUDE_POSTGRES")?,
            vectors: path("ETUDE_VECTORS")?,
        })
    }

    /// What [`Install::from_env`] reads.
    #[must_use]
    pub fn to_env(&self) -> Vec<(&'static str, &Path)> {
        vec![
            ("ETUDE_REPOSITORY", &self.repository),
            ("ETUDE_BINARIES", &self.binaries),
            ("ETUDE_NODE", &self.node),
            ("ETUDE_MODELS_DIR", &self.models),
            ("PDFIUM_LIBRARY", &self.pdfium),
            ("TESSERACT_LIBRARY", &self.tesseract),
            ("TESSDATA_DIR", &self.tessdata),
            ("ETUDE_POSTGRES", &self.postgres),
            ("ETUDE_VECTORS", &self.vectors),
        ]
    }
}

/// Ports of 127.0.0.1. 0 takes a free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// What browsers use.
    pub edge: u16,
    /// The origin.
    pub origin: u16,
    /// The stand-ins.
    pub local_cloud: u16,
    /// The S3 face of the R2 buckets.
    pub objects: u16,
    /// `PostgreSQL`.
    pub postgres: u16,
    /// The origin's metrics.
    pub origin_metrics: u16,
    /// The ingest worker's metrics.
    pub ingest_metrics: u16,
}

impl Ports {
    /// Seven ports in a row.
    #[must_use]
    pub fn from_base(base: u16) -> Self {
        Self {
            edge: base,
            origin: base + 1,
            local_cloud: base + 2,
            objects: base + 3,
            postgres: base + 4,
            origin_metrics: base + 5,
            ingest_metrics: base + 6,
        }
    }
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// A server of the stack's own, in its data folder.
    Embedded,
    /// A new database on a local server that others use too, cloned from a template that has the
    /// migrations. The URL is the superuser's. The database is dropped when the stack stops.
    Shared(String),
    /// A database as it is; migrations run there. The URL is its owner's.
    External(String),
}

/// What a stack is started with.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Programs and their files.
    pub install: Install,
    /// The stack's own folder: data, secrets, logs. Made if it is not there.
    pub folder: PathBuf,
    /// Ports.
    pub ports: Ports,
    /// Where the data is.
    pub database: DatabaseChoice,
    /// The encoder.
    pub encoder: Encoder,
    /// What answers for the language model.
    pub language_model: LanguageModel,
    /// The algorithm of access tokens.
    pub token_algorithm: TokenAlgorithm,
    /// Where the edge finds the origin, where that is not the stack's own but, say, a balancer before it.
    pub origin_url: Option<String>,
    /// Real services in place of stand-ins.
    pub overrides: Overrides,
    /// Whether the processes outlive this one.
    pub lifetime: Lifetime,
    /// More variables for single parts, by the part's name: `("origin", "LLM_IDLE_TIMEOUT_MS", "500")`.
    pub variables: Vec<(&'static str, String, String)>,
}

impl StackConfig {
    /// A stack for one test: small encoder, free ports, a database of its own on the server that
    /// `cargo xtask test` has started.
    pub fn for_test(folder: impl Into<PathBuf>) -> Result<Self, StackError> {
        let install = Install::from_env()?;
        let database = match env::var("ETUDE_TEST_DATABASE_URL") {
            Ok(url) => DatabaseChoice::Shared(url),
            Err(_) => DatabaseChoice::Embedded,
        };
        Ok(Self {
            install,
            folder: folder.into(),
            ports: Ports::default(),
            database,
            encoder: Encoder::Small,
            language_model: LanguageModel::Extractive,
            token_algorithm: TokenAlgorithm::Rs256,
            origin_url: None,
            overrides: Overrides::default(),
            lifetime: Lifetime::WithParent,
            variables: Vec::new(),
        })
    }

    /// Adds a variable for one part.
    #[must_use]
    pub fn with_variable(
        mut self,
        part: &'static str,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.variables.push((part, name.into(), value.into()));
        self
    }
}
