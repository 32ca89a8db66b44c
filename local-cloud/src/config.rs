//! What the process is started with.

use crate::cloud_run::CloudRunJob;
use clap::{Args, ValueEnum};
use secrecy::SecretString;
use std::path::PathBuf;

/// The encoder that stands for `@cf/baai/bge-base-en-v1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EncoderChoice {
    /// all-mpnet-base-v2: 768 dimensions, the better and slower one.
    Mpnet,
    /// all-MiniLM-L6-v2: 384 dimensions padded with zeros, several times faster.
    Small,
}

/// What answers for the language models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LanguageModelChoice {
    /// Quotes the best sentences of the passages it is given. Instant, deterministic.
    Extractive,
    /// Qwen2.5-Coder-1.5B, on the CPU.
    Qwen,
}

/// The algorithm that access tokens are signed with. Both keys stand in the JWKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SigningChoice {
    /// RSASSA-PKCS1-v1_5, 2048 bits.
    #[value(name = "RS256")]
    Rs256,
    /// ECDSA on P-256.
    #[value(name = "ES256")]
    Es256,
}

/// The settings of `local-cloud serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeConfig {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, env = "LOCAL_CLOUD_PORT", default_value_t = 8789)]
    pub port: u16,
    /// Encoder behind `@cf/baai/bge-base-en-v1.5` and behind the reranker.
    #[arg(long, env = "LOCAL_CLOUD_ENCODER", value_enum, default_value = "mpnet")]
    pub encoder: EncoderChoice,
    /// Folder with `mpnet/`, `minilm/` and `qwen/`.
    #[arg(long, env = "ETUDE_MODELS_DIR")]
    pub models_dir: PathBuf,
    /// Folder that keeps vectors between runs; several processes may share it. It grows by 3 KB per
    /// distinct text and nothing shrinks it: delete it when it is too big.
    #[arg(long, env = "LOCAL_CLOUD_VECTOR_CACHE")]
    pub vector_cache: Option<PathBuf>,
    /// What answers for Claude and Gemini.
    #[arg(
        long,
        env = "LOCAL_CLOUD_LLM",
        value_enum,
        default_value = "extractive"
    )]
    pub llm: LanguageModelChoice,
    /// PostgreSQL, as role `supabase_auth_admin`. Without it there are keys but no sign-in.
    #[arg(long, env = "LOCAL_CLOUD_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// Algorithm of new access tokens.
    #[arg(long, env = "LOCAL_CLOUD_JWT_ALG", value_enum, default_value = "RS256")]
    pub jwt_alg: SigningChoice,
    /// Folder that keeps the signing keys between runs.
    #[arg(long, env = "LOCAL_CLOUD_STATE_DIR")]
    pub state_dir: PathBuf,
    /// The key that opens the admin endpoints.
    #[arg(long, env = "LOCAL_CLOUD_SERVICE_ROLE_KEY", hide_env_values = true)]
    pub service_role_key: SecretString,
    /// The key that browsers send.
    #[arg(long, env = "LOCAL_CLOUD_ANON_KEY", hide_env_values = true)]
    pub anon_key: SecretString,
    /// Address under which others reach this process; the issuer of tokens is derived from it.
    /// Default: `http://127.0.0.1:{port}`.
    #[arg(long, env = "LOCAL_CLOUD_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Threads for the models; default: one per core.
    #[arg(long, env = "LOCAL_CLOUD_CPU_THREADS")]
    pub cpu_threads: Option<usize>,
    /// A Cloud Run job, and the command that stands for its container:
    /// `projects/…/locations/…/jobs/…=program argument …`. May be given several times.
    #[arg(long = "cloud-run-job", value_name = "JOB=COMMAND")]
    pub cloud_run_jobs: Vec<CloudRunJob>,
}
