//! The stand-ins, running on a free port.

use local_cloud::{EncoderChoice, LanguageModelChoice, LocalCloud, ServeConfig, SigningChoice};
use secrecy::SecretString;
use serde_json::Value;
use std::path::PathBuf;
use tempfile::TempDir;

pub const ANON_KEY: &str = "anon-key-of-the-tests";
pub const SERVICE_ROLE_KEY: &str = "service-role-key-of-the-tests";

/// Where the models are.
pub fn models_dir() -> PathBuf {
    let folder = std::env::var_os("ETUDE_MODELS_DIR");
    folder.map(PathBuf::from).expect(
        "ETUDE_MODELS_DIR must name the folder with minilm/ (and mpnet/): `cargo xtask test` fetches them and sets it",
    )
}

/// A running process in miniature; ends with the test.
pub struct Running {
    pub base: String,
    pub http: reqwest::Client,
    _folder: TempDir,
}

/// Starts the stand-ins with the small encoder.
pub async fn start() -> Running {
    start_with(EncoderChoice::Small, SigningChoice::Rs256, None).await
}

/// Starts the stand-ins.
pub async fn start_with(
    encoder: EncoderChoice,
    jwt_alg: SigningChoice,
    database_url: Option<String>,
) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let local_cloud = LocalCloud::start(ServeConfig {
        port: 0,
        encoder,
        models_dir: models_dir(),
        vector_cache: Some(folder.path().join("vectors")),
        llm: LanguageModelChoice::Extractive,
        database_url: database_url.map(SecretString::from),
        jwt_alg,
        state_dir: folder.path().join("state"),
        service_role_key: SERVICE_ROLE_KEY.into(),
        anon_key: ANON_KEY.into(),
        public_url: None,
        cpu_threads: None,
        cloud_run_jobs: Vec::new(),
    })
    .await
    .unwrap();
    let base = format!("http://127.0.0.1:{}", local_cloud.port());
    tokio::spawn(local_cloud.serve(std::future::pending()));
    Running {
        base,
        http: reqwest::Client::new(),
        _folder: folder,
    }
}

impl Running {
    /// Posts JSON with a bearer token; the status and the JSON of the reply.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth("t")
            .json(body);
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }

    /// Arms a fault.
    pub async fn arm(&self, fault: &Value) {
        let url = format!("{}/control/faults", self.base);
        self.http
            .post(url)
            .json(fault)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }

    /// How often `target` was called.
    pub async fn calls(&self, target: &str) -> u64 {
        let url = format!("{}/control/calls", self.base);
        let counts: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        counts[target].as_u64().unwrap()
    }
}
