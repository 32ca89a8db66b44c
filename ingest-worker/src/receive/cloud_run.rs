//! Starting the Cloud Run job.

use crate::config::ReceiveConfig;
use google_token::{GoogleToken, GoogleTokenError};
use secrecy::ExposeSecret;
use shared_types::google::{Operation, RunJobRequest};
use std::time::Duration;
use thiserror::Error;
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(6);

/// Why no execution was started. Where the call timed out, one may have been all the same: it finds nothing to do.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no token to ask with.
    #[error("there is no access token")]
    Token(#[from] GoogleTokenError),
    /// The call failed, or the service refused.
    #[error("Cloud Run did not start the job")]
    Http(#[from] reqwest::Error),
}

/// `projects.locations.jobs.run` of one job.
pub struct CloudRun {
    http: reqwest::Client,
    url: String,
    token: GoogleToken,
}

impl CloudRun {
    /// The job that `config` names. Calls nobody yet.
    pub fn new(config: &ReceiveConfig) -> anyhow::Result<Self> {
        let base = config.run_base_url.as_str().trim_end_matches('/');
        let direct = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self {
            http: client(&config.run_base_url)?,
            url: format!("{base}/{}:run", config.job),
            token: GoogleToken::new(direct, &config.tokens)?,
        })
    }

    /// Starts an execution; its name. Not tried again here: the push that asks is delivered again.
    pub async fn run(&self) -> Result<String, RunError> {
        let token = self.token.get().await?;
        let response = self
            .http
            .post(&self.url)
            .bearer_auth(token.expose_secret())
            .json(&RunJobRequest::default())
            .timeout(TIMEOUT)
            .send()
            .await?;
        if response.status() == reqwest::StatusCode::UNAUTHORIZED {
            self.token.forget().await;
        }
        let operation: Operation = response.error_for_status()?.json().await?;
        Ok(operation.metadata.name)
    }
}

/// A client for calls to the host of `url`. A proxy of the environment is passed by for this machine's own addresses,
/// which no proxy can reach.
pub(super) fn client(url: &Url) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let builder = if is_loopback {
        builder.no_proxy()
    } else {
        builder
    };
    Ok(builder.build()?)
}
