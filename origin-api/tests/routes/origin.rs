//! A running origin, and what a test says to it.

use crate::{clouds::Clouds, database::Database, issuer::Issuer};
use origin_api::{config::Config, signing_keys::SigningKeys, state::AppState};
use rag_core::{sse::Decoder, token::TokenPolicy};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use shared_types::{
    claims::AccessClaims,
    event::AnswerEvent,
    headers::EDGE_TOKEN,
    problem::{Problem, ProblemKind},
};
use std::time::Duration;
use tokio::net::TcpListener;

pub const SECRET: &str = "between the edge and the origin";

/// An origin with a database and clouds of its own.
pub struct Origin {
    pub database: Database,
    pub clouds: Clouds,
    pub issuer: Issuer,
    url: String,
    http: Client,
}

impl Origin {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these variables beside or in place of the usual ones.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_on(Database::new().await, variables).await
    }

    /// Over this database.
    pub async fn start_on(database: Database, variables: &[(&str, &str)]) -> Self {
        let clouds = Clouds::start().await;
        let issuer = Issuer::new("key-1");
        clouds.inside().keys = vec![issuer.public_key()];
        let address = clouds.address.clone();
        let config = Config::read(&|name| {
            let own = variables.iter().find(|(own, _)| *own == name);
            own.map(|(_, value)| (*value).to_owned())
                .or_else(|| usual(name, &address))
        })
        .unwrap();
        let mut state = AppState::new(&config, database.origin.clone()).unwrap();
        // Without the cool-down, a test needs no clock to see a second fetch.
        state.signing_keys = SigningKeys::new(
            Client::builder().no_proxy().build().unwrap(),
            config.auth.jwks_url.clone(),
            TokenPolicy {
                issuer: config.auth.issuer.clone(),
                audience: config.auth.audience.clone(),
            },
            Duration::ZERO,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, origin_api::app(state)).await });
        Self {
            database,
            clouds,
            issuer,
            url,
            http: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// The issuer's name in tokens.
    pub fn issuer_url(&self) -> String {
        format!("http://{}/auth/v1", self.clouds.address)
    }

    /// A request with neither secret nor token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request through the edge, with this token.
    pub fn with_token(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.bare(method, path)
            .header(EDGE_TOKEN, SECRET)
            .bearer_auth(token)
    }

    /// A request of this person through the edge.
    pub fn by(&self, person: &AccessClaims, method: Method, path: &str) -> RequestBuilder {
        let token = self.issuer.token(person, &self.issuer_url(), 600);
        self.with_token(method, path, &token)
    }

    pub async fn get(&self, person: &AccessClaims, path: &str) -> Response {
        self.by(person, Method::GET, path).send().await.unwrap()
    }

    pub async fn post(&self, person: &AccessClaims, path: &str, body: &Value) -> Response {
        let request = self.by(person, Method::POST, path).json(body);
        request.send().await.unwrap()
    }
}

fn usual(name: &str, clouds: &str) -> Option<String> {
    Some(match name {
        // The pool is made by the test.
        "DATABASE_URL" => "postgres://unused".to_owned(),
        "EDGE_TOKEN" => SECRET.to_owned(),
        "SUPABASE_URL" | "R2_ENDPOINT" => format!("http://{clouds}"),
        "VERTEX_BASE_URL" => format!("http://{clouds}/vertex/v1"),
        "VERTEX_PROJECT" => "piano".to_owned(),
        "VERTEX_LOCATION" => "us-east5".to_owned(),
        "GCE_METADATA_HOST" => clouds.to_owned(),
        "PUBSUB_BASE_URL" => format!("http://{clouds}/pubsub/v1"),
        "R2_ACCESS_KEY_ID" => "id".to_owned(),
        "R2_SECRET_ACCESS_KEY" => "key".to_owned(),
        "REFUSAL_THRESHOLD" => "0.3".to_owned(),
        _ => return None,
    })
}

/// Takes a response for the problem that it must be.
pub async fn problem(response: Response, kind: ProblemKind) -> Problem {
    assert_eq!(response.status().as_u16(), kind.status(), "{kind:?}");
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let request_id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let problem: Problem = response.json().await.unwrap();
    assert!(problem.is(kind), "{problem:?} is not {kind:?}");
    assert_eq!(problem.instance, Some(request_id));
    problem
}

/// All events of an answer.
pub async fn events(response: Response) -> Vec<AnswerEvent> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let decoded = Decoder::new()
        .push(&response.bytes().await.unwrap())
        .unwrap();
    decoded
        .iter()
        .map(|event| AnswerEvent::parse(&event.name, &event.data).unwrap())
        .collect()
}
