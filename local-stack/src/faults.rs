//! Making the stand-ins fail, and counting what was asked of them.

use crate::{StackError, client};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// A service that can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The embedding model.
    Embedding,
    /// The reranker.
    Rerank,
    /// The language model.
    Vertex,
    /// The sign-in service.
    Auth,
    /// The sign-in service's public keys.
    Jwks,
    /// Publishing a message.
    Pubsub,
    /// Starting a Cloud Run job.
    CloudRun,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The service answers with this status.
    Status {
        /// 400 to 599.
        status: u16,
    },
    /// The service answers late.
    Stall {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection breaks.
    CutAfterEvents {
        /// Events that still arrive.
        events: usize,
    },
    /// The stream pauses, and goes on.
    PauseAfter {
        /// Events before the pause.
        events: usize,
        /// Milliseconds.
        ms: u64,
    },
    /// The stream ends with an `error` event.
    ErrorEventAfter {
        /// Events that still arrive.
        events: usize,
        /// E.g. `overloaded_error`.
        error_type: String,
    },
}

/// Makes the stand-ins of one stack fail.
#[derive(Clone, Debug)]
pub struct Faults {
    http: reqwest::Client,
    base: String,
}

impl Faults {
    pub(crate) fn new(local_cloud_url: String) -> Self {
        Self {
            http: client::http(),
            base: local_cloud_url,
        }
    }

    /// Arms a fault; `times` calls are struck, all of them where it is `None`.
    pub async fn arm(
        &self,
        target: Target,
        fault: Fault,
        times: Option<u32>,
    ) -> Result<(), StackError> {
        let body = json!({ "target": target, "fault": fault, "times": times });
        let request = self
            .http
            .post(format!("{}/control/faults", self.base))
            .json(&body);
        self.send("arming a fault", request).await.map(drop)
    }

    /// Disarms all faults.
    pub async fn clear(&self) -> Result<(), StackError> {
        let request = self.http.delete(format!("{}/control/faults", self.base));
        self.send("clearing faults", request).await.map(drop)
    }

    /// How often each service was called since the start.
    pub async fn calls(&self) -> Result<BTreeMap<Target, u64>, StackError> {
        let what = "counting calls";
        let response = self
            .send(what, self.http.get(format!("{}/control/calls", self.base)))
            .await?;
        client::answer(what, response).await
    }

    async fn send(
        &self,
        what: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, StackError> {
        let response = request.send().await.map_err(StackError::http(what))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(client::refusal(what, response).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_local_cloud_reads_it() {
        let fault = Fault::ErrorEventAfter {
            events: 2,
            error_type: "overloaded_error".into(),
        };
        assert_eq!(
            serde_json::to_value(fault).unwrap(),
            json!({"kind": "error_event_after", "events": 2, "error_type": "overloaded_error"})
        );
    }
}
