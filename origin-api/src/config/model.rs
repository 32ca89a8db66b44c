use super::{
    ConfigError, Vars, concurrency, invalid, token_source,
    usage::{FIRST, PriceNames, SECOND, prices},
};
use crate::usage::prices::Prices;
use google_token::TokenSource;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// Claude where no other model is named.
const CLAUDE: &str = "claude-haiku-4-5@20251001";

/// A project on Vertex AI.
#[derive(Clone, Debug)]
pub struct VertexConfig {
    /// `VERTEX_BASE_URL`, ends in `/v1`; default by location.
    pub base_url: Url,
    /// `VERTEX_PROJECT`.
    pub project: String,
    /// `VERTEX_LOCATION`, e.g. `us-east5` or `global`; of the second provider, `FALLBACK_LOCATION`.
    pub location: String,
    /// `GOOGLE_APPLICATION_CREDENTIALS`, a file; without it, the metadata server at `GCE_METADATA_HOST`.
    pub tokens: TokenSource,
}

/// Who runs a model, and how it is reached.
#[derive(Clone, Debug)]
pub enum Provider {
    /// `vertex-claude`: Claude on Vertex AI.
    VertexClaude(VertexConfig),
    /// `anthropic`: Claude by the Anthropic API, authorised by a key.
    Anthropic {
        /// `ANTHROPIC_BASE_URL`.
        base_url: Url,
        /// `ANTHROPIC_API_KEY`.
        api_key: SecretString,
    },
    /// `vertex-gemini`: Gemini on Vertex AI.
    VertexGemini {
        /// The project.
        vertex: VertexConfig,
        /// `GEMINI_THINKING_BUDGET`: tokens that the model may think with, which count as tokens of the answer;
        /// by default the model's own. Not every model takes it.
        thinking_budget: Option<u32>,
    },
}

/// A model at its provider.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// `LLM_PROVIDER`, by default `anthropic` where there is a key and `vertex-claude` otherwise; of the second,
    /// `FALLBACK_PROVIDER`.
    pub provider: Provider,
    /// `LLM_MODEL` or `FALLBACK_MODEL`: Claude as Vertex writes it, e.g. `claude-haiku-4-5@20251001`, which is the
    /// default; Gemini has none, since its models come and go.
    pub model: String,
    /// `LLM_INPUT_PRICE_MICROUSD`, `LLM_OUTPUT_PRICE_MICROUSD`, `LLM_CACHE_READ_PRICE_MICROUSD` and
    /// `LLM_CACHE_WRITE_PRICE_MICROUSD`, or the same with `FALLBACK_`: millionths of a US dollar for a million tokens,
    /// all four of them. Without any, answers tell no cost.
    pub prices: Option<Prices>,
}

impl ProviderConfig {
    /// The name of model and provider in logs.
    #[must_use]
    pub fn name(&self) -> String {
        let model = &self.model;
        match &self.provider {
            Provider::VertexClaude(vertex) => format!("vertex-claude/{}/{model}", vertex.location),
            Provider::Anthropic { .. } => format!("anthropic/{model}"),
            Provider::VertexGemini { vertex, .. } => {
                format!("vertex-gemini/{}/{model}", vertex.location)
            }
        }
    }
}

/// The language model.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Who is asked.
    pub first: ProviderConfig,
    /// Who is asked where the first is out; nobody unless `FALLBACK_PROVIDER` is set.
    pub second: Option<ProviderConfig>,
    /// `LLM_MAX_TOKENS`, default 1,024: the longest answer.
    pub max_tokens: u32,
    /// `LLM_CONCURRENCY`, default 64: answers in the making at once; the next is refused with 503.
    pub concurrency: usize,
    /// `LLM_FIRST_EVENT_TIMEOUT_MS`, default 10,000: from a request until a model's first event, whoever is asked and
    /// however often.
    pub first_event_timeout: Duration,
    /// `LLM_IDLE_TIMEOUT_MS`, default 15,000: between two pieces of a stream.
    pub idle_timeout: Duration,
    /// `LLM_TOTAL_TIMEOUT_MS`, default 90,000: for a whole stream.
    pub total_timeout: Duration,
    /// `ANSWER_LINGER_MS`, default 5,000: how long a model goes on for a reader who was cut off, and who may come back;
    /// 0: not at all.
    pub linger: Duration,
}

/// Reads who is asked, and how long they may take.
pub(super) fn read(vars: &Vars<'_>) -> Result<ModelConfig, ConfigError> {
    let location = || vars.required("VERTEX_LOCATION");
    let first = match vars.optional("LLM_PROVIDER") {
        Some(kind) => kind,
        None if vars.optional("ANTHROPIC_API_KEY").is_some() => "anthropic".to_owned(),
        None => "vertex-claude".to_owned(),
    };
    let first = provider(
        vars,
        ("LLM_PROVIDER", &first),
        "LLM_MODEL",
        FIRST,
        &location,
    )?;
    let second = match vars.optional("FALLBACK_PROVIDER") {
        None => None,
        Some(kind) => {
            let location = || {
                let own = vars.optional("FALLBACK_LOCATION");
                own.map_or_else(location, Ok)
            };
            let kind = ("FALLBACK_PROVIDER", kind.as_str());
            Some(provider(vars, kind, "FALLBACK_MODEL", SECOND, &location)?)
        }
    };
    Ok(ModelConfig {
        first,
        second,
        max_tokens: vars.parsed("LLM_MAX_TOKENS", 1_024)?,
        concurrency: concurrency(vars, "LLM_CONCURRENCY", 64)?,
        first_event_timeout: vars.millis("LLM_FIRST_EVENT_TIMEOUT_MS", 10_000)?,
        idle_timeout: vars.millis("LLM_IDLE_TIMEOUT_MS", 15_000)?,
        total_timeout: vars.millis("LLM_TOTAL_TIMEOUT_MS", 90_000)?,
        linger: vars.millis("ANSWER_LINGER_MS", 5_000)?,
    })
}

fn provider(
    vars: &Vars<'_>,
    (kind_name, kind): (&'static str, &str),
    model_name: &'static str,
    price_names: PriceNames,
    location: &dyn Fn() -> Result<String, ConfigError>,
) -> Result<ProviderConfig, ConfigError> {
    let provider = match kind {
        "vertex-claude" => Provider::VertexClaude(vertex(vars, location()?)?),
        "anthropic" => Provider::Anthropic {
            base_url: vars.url("ANTHROPIC_BASE_URL", Some("https://api.anthropic.com"))?,
            api_key: vars.secret("ANTHROPIC_API_KEY")?,
        },
        "vertex-gemini" => Provider::VertexGemini {
            vertex: vertex(vars, location()?)?,
            thinking_budget: match vars.optional("GEMINI_THINKING_BUDGET") {
                None => None,
                Some(_) => Some(vars.parsed("GEMINI_THINKING_BUDGET", 0)?),
            },
        },
        _ => {
            return Err(invalid(
                kind_name,
                "it is none of vertex-claude, anthropic and vertex-gemini",
            ));
        }
    };
    let model = match &provider {
        Provider::VertexGemini { .. } => vars.required(model_name)?,
        Provider::VertexClaude(_) | Provider::Anthropic { .. } => vars.text(model_name, CLAUDE),
    };
    Ok(ProviderConfig {
        provider,
        model,
        prices: prices(vars, price_names)?,
    })
}

fn vertex(vars: &Vars<'_>, location: String) -> Result<VertexConfig, ConfigError> {
    let host = match location.as_str() {
        "global" => "aiplatform.googleapis.com".to_owned(),
        region => format!("{region}-aiplatform.googleapis.com"),
    };
    Ok(VertexConfig {
        base_url: vars.url("VERTEX_BASE_URL", Some(&format!("https://{host}/v1")))?,
        project: vars.required("VERTEX_PROJECT")?,
        location,
        tokens: token_source(vars),
    })
}
