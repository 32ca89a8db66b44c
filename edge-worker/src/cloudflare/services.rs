//! The origin and the sign-in service, each with the credential that the edge shows to it.

use super::{
    Workerd,
    fetch::{Outgoing, Reply, Target, send},
};
use crate::{
    config::EdgeConfig,
    gateway::exchange::JSON,
    ports::{AuthCall, AuthProvider, Origin, OriginCall, Passing, PortError, Upstream},
};
use shared_types::headers::{EDGE_TOKEN, REQUEST_ID, TRACEPARENT};

/// The origin, which takes calls from the edge alone.
pub fn origin(config: &EdgeConfig) -> Target {
    Target {
        base: config.origin_url.clone(),
        credential_header: EDGE_TOKEN,
        credential: config.edge_token.clone(),
    }
}

/// Supabase Auth.
pub fn auth(config: &EdgeConfig) -> Target {
    Target {
        base: format!("{}/auth/v1", config.supabase_url),
        credential_header: "apikey",
        credential: config.supabase_anon_key.clone(),
    }
}

impl Origin for Workerd {
    async fn call(&self, call: OriginCall<'_>) -> Result<Upstream, PortError> {
        self.ask(call).await?.read()
    }

    async fn pass(&self, call: OriginCall<'_>) -> Result<Passing, PortError> {
        self.ask(call).await?.pass()
    }
}

impl Workerd {
    async fn ask(&self, call: OriginCall<'_>) -> Result<Reply, PortError> {
        let request_id = call.request_id.to_string();
        let trace = call.trace.to_string();
        let mut headers = vec![
            ("accept", call.accept),
            (REQUEST_ID, &*request_id),
            (TRACEPARENT, &*trace),
        ];
        headers.extend(call.authorization.map(|value| ("authorization", value)));
        headers.extend(call.body.is_some().then_some(("content-type", JSON)));
        let outgoing = Outgoing {
            method: call.method.as_str(),
            path: call.path,
            headers: &headers,
            body: call.body.as_deref(),
        };
        send(&self.isolate.origin, outgoing).await
    }
}

impl AuthProvider for Workerd {
    async fn call_auth(&self, call: AuthCall<'_>) -> Result<Upstream, PortError> {
        let mut headers = vec![("accept", JSON)];
        headers.extend(call.authorization.map(|value| ("authorization", value)));
        headers.extend(call.body.is_some().then_some(("content-type", JSON)));
        let outgoing = Outgoing {
            method: call.method.as_str(),
            path: call.path,
            headers: &headers,
            body: call.body.as_deref(),
        };
        send(&self.isolate.auth, outgoing).await?.read()
    }
}
