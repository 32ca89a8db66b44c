//! How each part is started: its program, its variables.

use crate::{
    StackError,
    config::{LanguageModel, StackConfig},
    overrides::LANGUAGE_MODEL_VARIABLES,
    postgres::Database,
    process::{Program, Readiness, RunAs, leftover},
    secrets::Secrets,
    stack::Part,
};
use nix::sys::signal::Signal;
use std::{ffi::OsString, path::Path};

/// The account under which the stand-in of Workers AI is called.
const LOCAL_ACCOUNT: &str = "local";
/// What the stand-in would cost if it were what it stands for: Claude Haiku 4.5, by Anthropic's list of prices.
const STAND_IN_PRICES: [(&str, &str); 4] = [
    ("LLM_INPUT_PRICE_MICROUSD", "1000000"),
    ("LLM_OUTPUT_PRICE_MICROUSD", "5000000"),
    ("LLM_CACHE_READ_PRICE_MICROUSD", "100000"),
    ("LLM_CACHE_WRITE_PRICE_MICROUSD", "1250000"),
];
const UPLOAD_BUCKET: &str = "piano-pdfs";
const LIBRARY_BUCKET: &str = "piano-knowledge";

/// Ports, once none of them is 0 any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundPorts {
    pub(crate) edge: u16,
    pub(crate) origin: u16,
    pub(crate) origin_metrics: u16,
    pub(crate) ingest_metrics: u16,
    pub(crate) local_cloud: u16,
    pub(crate) objects: u16,
}

/// What ties the parts together.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    pub(crate) config: StackConfig,
    pub(crate) ports: BoundPorts,
    pub(crate) secrets: Secrets,
    pub(crate) database: Database,
}

impl Wiring {
    pub(crate) fn edge_url(&self) -> String {
        local(self.ports.edge)
    }

    pub(crate) fn local_cloud_url(&self) -> String {
        local(self.ports.local_cloud)
    }

    fn origin_url(&self) -> String {
        let other = self.config.origin_url.clone();
        other.unwrap_or_else(|| local(self.ports.origin))
    }

    pub(crate) fn supabase_url(&self) -> String {
        match &self.config.overrides.supabase {
            Some(real) => real.url.trim_end_matches('/').to_owned(),
            None => format!("{}/supabase", self.local_cloud_url()),
        }
    }

    pub(crate) fn anon_key(&self) -> &str {
        let real = self.config.overrides.supabase.as_ref();
        real.map_or(&self.secrets.anon_key, |real| &real.anon_key)
    }

    pub(crate) fn service_role_key(&self) -> &str {
        let real = self.config.overrides.supabase.as_ref();
        real.map_or(&self.secrets.service_role_key, |real| {
            &real.service_role_key
        })
    }

    fn embedding_model(&self) -> &str {
        match self.config.overrides.workers_ai {
            Some(_) => "@cf/baai/bge-base-en-v1.5",
            None => self.config.encoder.model_id(),
        }
    }

    fn rerank_model(&self) -> &str {
        match self.config.overrides.workers_ai {
            Some(_) => "@cf/baai/bge-reranker-base",
            None => "@local/reranker",
        }
    }

    /// The reranker as the origin knows it: the stand-in judges by its encoder's vectors.
    fn judging_reranker(&self) -> String {
        let model = self.rerank_model();
        match self.config.overrides.workers_ai {
            Some(_) => model.to_owned(),
            None => format!("{model}#{}", self.config.encoder.name()),
        }
    }

    /// Part of the answer cache's key: what one model said must never be played back as another's.
    fn answer_model(&self) -> String {
        let overrides = &self.config.overrides;
        let mut chosen = overrides.language_model.iter();
        let named = chosen.find(|(name, _)| *name == "LLM_MODEL");
        let named = named.map_or("claude-haiku-4-5@20251001", |(_, model)| model);
        let version = rag_core::prompt::PROMPT_VERSION;
        if overrides.chooses_language_model() {
            format!("{named}/{version}")
        } else {
            // The stand-in speaks for the model that is named.
            format!("{}/{named}/{version}", self.config.language_model.name())
        }
    }

    /// The program of this part.
    pub(crate) fn program(&self, part: Part) -> Result<Program, StackError> {
        let install = &self.config.install;
        let binary = |name: &str| install.binaries.join(name);
        let (executable, arguments, environment) = match part {
            Part::LocalCloud => (
                binary("local-cloud"),
                vec!["serve".into()],
                self.local_cloud_variables(),
            ),
            Part::Origin => (
                binary("origin-api"),
                vec!["serve".into()],
                self.origin_variables(),
            ),
            Part::IngestWorker => (
                binary("ingest-worker"),
                vec!["run".into()],
                self.ingest_variables(),
            ),
            Part::Edge => (
                install.node.clone(),
                self.edge_arguments(),
                self.edge_secrets(),
            ),
        };
        let mut program = Program {
            name: part.name(),
            executable,
            arguments,
            environment: own(environment),
            hidden: hidden(),
            folder: install.repository.clone(),
            run_as: RunAs::Caller,
            stop_signal: Signal::SIGTERM,
            readiness: Readiness::Line,
        };
        program.environment.extend(self.common_variables()?);
        for (name, variable, value) in &self.config.variables {
            if *name == part.name() {
                program.environment.push((variable.clone(), value.clone()));
            }
        }
        Ok(program)
    }

    fn common_variables(&self) -> Result<Vec<(String, String)>, StackError> {
        let folder = self.config.folder.to_str().ok_or_else(|| {
            StackError::Setting(format!(
                "the folder {} has a name that is not UTF-8",
                self.config.folder.display()
            ))
        })?;
        // A proxy must not be asked for what is on this machine.
        let around_proxy = ["NO_PROXY", "no_proxy"]
            .iter()
            .find_map(|name| std::env::var(name).ok());
        let around_proxy = match around_proxy.as_deref() {
            None | Some("") => "127.0.0.1,localhost".to_owned(),
            Some(others) => format!("127.0.0.1,localhost,{others}"),
        };
        Ok(own(vec![
            (leftover::MARKER, folder.to_owned()),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("{}/otlp", self.local_cloud_url()),
            ),
            ("TRACE_SHARE", "1".into()),
            ("NO_PROXY", around_proxy.clone()),
            ("no_proxy", around_proxy),
            ("LOG_FORMAT", "json".into()),
        ]))
    }

    fn local_cloud_variables(&self) -> Vec<(&'static str, String)> {
        let config = &self.config;
        let mut variables = vec![
            ("LOCAL_CLOUD_PORT", self.ports.local_cloud.to_string()),
            ("LOCAL_CLOUD_ENCODER", config.encoder.name().to_owned()),
            ("ETUDE_MODELS_DIR", text(&config.install.models)),
            ("LOCAL_CLOUD_VECTOR_CACHE", text(&config.install.vectors)),
            ("LOCAL_CLOUD_LLM", config.language_model.name().to_owned()),
            (
                "LOCAL_CLOUD_JWT_ALG",
                config.token_algorithm.name().to_owned(),
            ),
            (
                "LOCAL_CLOUD_STATE_DIR",
                text(&config.folder.join("local-cloud")),
            ),
            (
                "LOCAL_CLOUD_SERVICE_ROLE_KEY",
                self.secrets.service_role_key.clone(),
            ),
            ("LOCAL_CLOUD_ANON_KEY", self.secrets.anon_key.clone()),
        ];
        if config.overrides.supabase.is_none() {
            variables.push(("LOCAL_CLOUD_DATABASE_URL", self.database.auth_url()));
        }
        variables
    }

    fn origin_variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.config.overrides.language_model.clone();
        variables.extend([
            ("ORIGIN_PORT", self.ports.origin.to_string()),
            // No load balancer is there to be told.
            ("SHUTDOWN_NOTICE_MS", "0".into()),
            ("METRICS_PORT", self.ports.origin_metrics.to_string()),
            ("DATABASE_URL", self.database.origin_url()),
            ("EDGE_TOKEN", self.secrets.edge_token.clone()),
            ("SUPABASE_URL", self.supabase_url()),
            ("RERANK_MODEL", self.judging_reranker()),
        ]);
        variables.extend(self.objects_variables());
        if !self.config.overrides.chooses_language_model() {
            variables.extend([
                (
                    "VERTEX_BASE_URL",
                    format!("{}/vertex/v1", self.local_cloud_url()),
                ),
                ("VERTEX_PROJECT", "etude-local".into()),
                ("VERTEX_LOCATION", "us-east5".into()),
                (
                    "GCE_METADATA_HOST",
                    format!("127.0.0.1:{}", self.ports.local_cloud),
                ),
            ]);
            variables.extend(STAND_IN_PRICES.map(|(name, price)| (name, price.to_owned())));
            if self.config.language_model == LanguageModel::Qwen {
                // On two cores it reads a prompt in half a minute, and then writes ten tokens a second.
                variables.extend([
                    ("LLM_IDLE_TIMEOUT_MS", "120000".into()),
                    ("LLM_TOTAL_TIMEOUT_MS", "300000".into()),
                ]);
            }
        }
        variables
    }

    fn ingest_variables(&self) -> Vec<(&'static str, String)> {
        let config = &self.config;
        let (base, account, token) = match &config.overrides.workers_ai {
            Some(real) => (
                "https://api.cloudflare.com/client/v4".to_owned(),
                real.account_id.clone(),
                real.api_token.clone(),
            ),
            None => (
                format!("{}/cloudflare/client/v4", self.local_cloud_url()),
                LOCAL_ACCOUNT.to_owned(),
                self.secrets.service_role_key.clone(),
            ),
        };
        let tokenizer = config
            .install
            .models
            .join(config.encoder.folder())
            .join("tokenizer.json");
        let mut variables = vec![
            ("DATABASE_URL", self.database.ingest_url()),
            ("METRICS_PORT", self.ports.ingest_metrics.to_string()),
            ("CLOUDFLARE_API_BASE", base),
            ("CLOUDFLARE_ACCOUNT_ID", account),
            ("CLOUDFLARE_API_TOKEN", token),
            ("EMBEDDING_MODEL", self.embedding_model().to_owned()),
            ("TOKENIZER_FILE", text(&tokenizer)),
            ("PDFIUM_LIBRARY", text(&config.install.pdfium)),
            ("TESSERACT_LIBRARY", text(&config.install.tesseract)),
            ("TESSDATA_DIR", text(&config.install.tessdata)),
            ("EDGE_URL", self.edge_url()),
            ("EDGE_TOKEN", self.secrets.edge_token.clone()),
        ];
        variables.extend(self.objects_variables());
        variables
    }

    fn edge_arguments(&self) -> Vec<OsString> {
        let config = &self.config;
        let supabase = self.supabase_url();
        let mut arguments: Vec<OsString> = vec![
            config
                .install
                .repository
                .join("local-cloud/edge/run.mjs")
                .into(),
            format!("--port={}", self.ports.edge).into(),
            format!("--s3-port={}", self.ports.objects).into(),
            format!("--persist={}", text(&config.folder.join("edge"))).into(),
            format!("--ai-url={}/workers-ai-binding", self.local_cloud_url()).into(),
        ];
        let variables = [
            ("ORIGIN_URL", self.origin_url()),
            ("JWT_ISSUER", format!("{supabase}/auth/v1")),
            ("JWT_AUDIENCE", "authenticated".to_owned()),
            ("SUPABASE_URL", supabase),
            ("EMBEDDING_MODEL", self.embedding_model().to_owned()),
            ("RERANK_MODEL", self.rerank_model().to_owned()),
            ("ANSWER_MODEL", self.answer_model()),
        ];
        arguments
            .extend(variables.map(|(name, value)| OsString::from(format!("--var={name}={value}"))));
        arguments
    }

    /// Everybody on the machine can read arguments, and only the user can read variables.
    fn edge_secrets(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("EDGE_TOKEN", self.secrets.edge_token.clone()),
            ("SUPABASE_ANON_KEY", self.anon_key().to_owned()),
            ("S3_ACCESS_KEY_ID", self.secrets.objects_key_id.clone()),
            ("S3_SECRET_ACCESS_KEY", self.secrets.objects_key.clone()),
        ];
        if let Some(real) = &self.config.overrides.workers_ai {
            variables.extend([
                ("CLOUDFLARE_ACCOUNT_ID", real.account_id.clone()),
                ("CLOUDFLARE_API_TOKEN", real.api_token.clone()),
            ]);
        }
        variables
    }

    fn objects_variables(&self) -> Vec<(&'static str, String)> {
        let (endpoint, key_id, key) = match &self.config.overrides.objects {
            Some(real) => (
                real.endpoint.clone(),
                &real.access_key_id,
                &real.secret_access_key,
            ),
            None => (
                local(self.ports.objects),
                &self.secrets.objects_key_id,
                &self.secrets.objects_key,
            ),
        };
        vec![
            ("R2_ENDPOINT", endpoint),
            ("R2_ACCESS_KEY_ID", key_id.clone()),
            ("R2_SECRET_ACCESS_KEY", key.clone()),
            ("R2_REGION", "auto".into()),
            ("R2_UPLOAD_BUCKET", UPLOAD_BUCKET.into()),
            ("R2_LIBRARY_BUCKET", LIBRARY_BUCKET.into()),
        ]
    }
}

/// Variables of the caller that would change what the parts do behind the stack's back. What is meant
/// to pass is handed over by name.
fn hidden() -> Vec<String> {
    let own = [
        "CLOUDFLARE_ACCOUNT_ID",
        "CLOUDFLARE_API_TOKEN",
        "DATABASE_URL",
        "LOCAL_CLOUD_PUBLIC_URL",
        "MIGRATION_DATABASE_URL",
        "NODE_OPTIONS",
        "SUPABASE_SERVICE_ROLE_KEY",
    ];
    let all = own.into_iter().chain(LANGUAGE_MODEL_VARIABLES);
    all.map(str::to_owned).collect()
}

fn own(variables: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn text(path: &Path) -> String {
    OsString::from(path).to_string_lossy().into_owned()
}
