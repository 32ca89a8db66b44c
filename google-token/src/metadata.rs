//! Access tokens of the service account that this process runs as, from the metadata server of Google Cloud.
//!
//! Written here, though Google's own library knows that server as well: it ends the process where the machine has no
//! certificates of public authorities, as in an image that holds nothing but the origin. The protocol is one GET.

use secrecy::SecretString;
use serde::Deserialize;
use std::time::Duration;
use tokio::{sync::Mutex, time::Instant};

/// A token is replaced this long before it ends. The metadata server hands out the same token until five
/// minutes before its end, so a longer lead would fetch the same one again and again.
const LEAD: Duration = Duration::from_secs(225);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    expires_in: u64,
}

struct Held {
    token: SecretString,
    expires: Instant,
}

/// The service account's token, fetched when it is needed and kept until shortly before it ends.
pub(crate) struct MetadataServer {
    http: reqwest::Client,
    url: String,
    held: Mutex<Option<Held>>,
}

impl MetadataServer {
    /// The one at `host`. Fetches nothing yet.
    pub(crate) fn new(http: reqwest::Client, host: &str) -> Self {
        Self {
            http,
            url: format!(
                "http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
            ),
            held: Mutex::new(None),
        }
    }

    /// Tells `watch` of each fetch whether it brought a token.
    pub(crate) async fn get(&self, watch: fn(bool)) -> Result<SecretString, reqwest::Error> {
        let mut held = self.held.lock().await;
        let left = held.as_ref().map_or(Duration::ZERO, |held| {
            held.expires.saturating_duration_since(Instant::now())
        });
        if let Some(held) = held.as_ref()
            && left > LEAD
        {
            return Ok(held.token.clone());
        }
        let fetched = self.fetch().await;
        watch(fetched.is_ok());
        match fetched {
            Ok(fresh) => Ok(held.insert(fresh).token.clone()),
            Err(error) => match held.as_ref() {
                Some(held) if !left.is_zero() => {
                    tracing::warn!(
                        cause = ?error,
                        seconds_left = left.as_secs(),
                        "metadata server gave no new token; using the old one"
                    );
                    Ok(held.token.clone())
                }
                _ => Err(error),
            },
        }
    }

    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self) -> Result<Held, reqwest::Error> {
        let mut attempt = 1;
        loop {
            match self.fetch_once().await {
                Err(_) if attempt < ATTEMPTS => tokio::time::sleep(PAUSE * attempt).await,
                outcome => return outcome,
            }
            attempt += 1;
        }
    }

    async fn fetch_once(&self) -> Result<Held, reqwest::Error> {
        let asked = Instant::now();
        let reply: TokenReply = self
            .http
            .get(&self.url)
            .header("metadata-flavor", "Google")
            .timeout(FETCH_TIMEOUT)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(Held {
            token: reply.access_token.into(),
            expires: asked + Duration::from_secs(reply.expires_in.min(24 * 60 * 60)),
        })
    }
}
