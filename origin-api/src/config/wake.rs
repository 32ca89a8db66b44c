use super::{ConfigError, Vars, invalid, token_source};
use google_token::TokenSource;
use url::Url;

/// The Pub/Sub topic that tells workers of queued jobs.
#[derive(Clone, Debug)]
pub struct WakeConfig {
    /// `WAKE_TOPIC`: `projects/…/topics/…`.
    pub topic: String,
    /// `PUBSUB_BASE_URL`, default `https://pubsub.googleapis.com/v1`.
    pub base_url: Url,
    /// `GOOGLE_APPLICATION_CREDENTIALS`, a file; without it, the metadata server at `GCE_METADATA_HOST`.
    pub tokens: TokenSource,
}

/// Reads the topic, where one is named.
pub(super) fn read(vars: &Vars<'_>) -> Result<Option<WakeConfig>, ConfigError> {
    let name = "WAKE_TOPIC";
    let Some(topic) = vars.optional(name) else {
        return Ok(None);
    };
    let parts: Vec<&str> = topic.split('/').collect();
    if !matches!(parts[..], ["projects", _, "topics", _]) {
        return Err(invalid(name, "it is not projects/…/topics/…"));
    }
    Ok(Some(WakeConfig {
        topic,
        base_url: vars.url("PUBSUB_BASE_URL", Some("https://pubsub.googleapis.com/v1"))?,
        tokens: token_source(vars),
    }))
}
