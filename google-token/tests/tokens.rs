//! Tokens of each source, from servers on this machine that stand for Google's.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use google_token::{GoogleToken, GoogleTokenError, TokenSource};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rsa::{RsaPrivateKey, pkcs8::EncodePrivateKey, traits::PublicKeyParts};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The metadata server and the exchange of tokens.
#[derive(Clone, Default)]
struct Google {
    address: String,
    /// How long the next tokens are good for, in seconds; none is given for `None`.
    lifetimes: Arc<Mutex<VecDeque<Option<u64>>>>,
    given: Arc<Mutex<u32>>,
    exchanged: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

impl Google {
    async fn start(lifetimes: &[Option<u64>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let google = Self {
            address: listener.local_addr().unwrap().to_string(),
            lifetimes: Arc::new(Mutex::new(lifetimes.iter().copied().collect())),
            ..Self::default()
        };
        let app = Router::new()
            .route(
                "/computeMetadata/v1/instance/service-accounts/default/token",
                get(metadata_token),
            )
            .route("/v1/token", post(exchange))
            .with_state(google.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        google
    }

    fn token(&self) -> Response {
        let Some(Some(lifetime)) = self.lifetimes.lock().unwrap().pop_front() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let mut given = self.given.lock().unwrap();
        *given += 1;
        Json(json!({
            "access_token": format!("token-{given}"),
            "expires_in": lifetime,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }))
        .into_response()
    }
}

async fn metadata_token(State(google): State<Google>, headers: HeaderMap) -> Response {
    assert_eq!(headers["metadata-flavor"], "Google");
    google.token()
}

async fn exchange(
    State(google): State<Google>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    google.exchanged.lock().unwrap().push(form);
    google.token()
}

fn tokens(source: &TokenSource) -> Result<GoogleToken, GoogleTokenError> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    GoogleToken::new(http, source)
}

async fn metadata(lifetimes: &[Option<u64>]) -> GoogleToken {
    let google = Google::start(lifetimes).await;
    tokens(&TokenSource::new(None, Some(google.address))).unwrap()
}

/// A file of credentials, in a folder that lives as long as it is needed.
fn file(content: &Value) -> (TempDir, TokenSource) {
    let folder = tempfile::tempdir().unwrap();
    let source = file_in(&folder, content);
    (folder, source)
}

fn file_in(folder: &TempDir, content: &Value) -> TokenSource {
    let path = folder.path().join("credentials.json");
    std::fs::write(&path, content.to_string()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    TokenSource::new(Some(path), Some("not.asked.invalid".to_owned()))
}

async fn given(token: &GoogleToken) -> String {
    token.get().await.unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_ends() {
    let token = metadata(&[Some(228), Some(3_600)]).await;
    assert_eq!(given(&token).await, "token-1");
    assert_eq!(given(&token).await, "token-1");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    assert_eq!(given(&token).await, "token-2");
    assert_eq!(given(&token).await, "token-2");
}

#[tokio::test]
async fn a_token_outlives_a_metadata_server_that_is_down() {
    let token = metadata(&[Some(60), None, None, None]).await;
    assert_eq!(given(&token).await, "token-1");
    assert_eq!(given(&token).await, "token-1");
    token.forget().await;
    let none = token.get().await.unwrap_err();
    assert!(matches!(none, GoogleTokenError::Metadata(_)), "{none}");
}

#[tokio::test]
async fn a_refused_token_is_replaced() {
    let token = metadata(&[Some(3_600), Some(3_600)]).await;
    assert_eq!(given(&token).await, "token-1");
    token.forget().await;
    assert_eq!(given(&token).await, "token-2");
}

/// What the middle part of a JWT says.
fn claims(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(middle).unwrap()).unwrap()
}

#[tokio::test]
async fn the_key_of_a_service_account_signs_its_tokens() {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2_048).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let body = base64ct::Base64::encode_string(der.as_bytes());
    let (begin, end) = ("BEGIN PRIVATE KEY", "END PRIVATE KEY");
    let (_folder, source) = file(&json!({
        "type": "service_account",
        "project_id": "piano",
        "private_key_id": "key-1",
        "private_key": format!("-----{begin}-----\n{body}\n-----{end}-----\n"),
        "client_email": "origin@piano.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.invalid/token",
    }));
    let token = tokens(&source).unwrap();
    let first = given(&token).await;
    assert_eq!(given(&token).await, first);

    let told = claims(&first);
    assert_eq!(told["iss"], "origin@piano.iam.gserviceaccount.com");
    assert_eq!(
        told["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let lifetime = told["exp"].as_u64().unwrap() - told["iat"].as_u64().unwrap();
    assert!((3_000..=3_660).contains(&lifetime), "{lifetime}");
    let (signed, signature) = first.rsplit_once('.').unwrap();
    let public = RsaPublicKeyComponents {
        n: key.n().to_bytes_be(),
        e: key.e().to_bytes_be(),
    };
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    public
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
        .unwrap();
}

/// A workload of another cloud whose identity is in a file.
fn workload(google: &Google) -> (TempDir, TokenSource) {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity");
    std::fs::write(&identity, "who-i-am").unwrap();
    let source = file_in(
        &folder,
        &json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("http://{}/v1/token", google.address),
            "credential_source": { "file": identity },
        }),
    );
    (folder, source)
}

#[tokio::test]
async fn the_identity_of_a_workload_is_exchanged_for_a_token() {
    let google = Google::start(&[Some(3_600), Some(3_600)]).await;
    let (_folder, source) = workload(&google);
    let token = tokens(&source).unwrap();
    assert_eq!(given(&token).await, "token-1");
    assert_eq!(given(&token).await, "token-1");
    token.forget().await;
    assert_eq!(given(&token).await, "token-2");
    let exchanged = google.exchanged.lock().unwrap();
    assert_eq!(exchanged.len(), 2);
    assert_eq!(exchanged[0]["subject_token"], "who-i-am");
    assert_eq!(
        exchanged[0]["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
}

#[tokio::test]
async fn an_exchange_that_failed_is_tried_by_the_next_who_asks() {
    let google = Google::start(&[None, Some(3_600)]).await;
    let (_folder, source) = workload(&google);
    let token = tokens(&source).unwrap();
    let none = token.get().await.unwrap_err();
    assert!(matches!(none, GoogleTokenError::Refused(_)), "{none}");
    assert_eq!(given(&token).await, "token-1");
}

#[tokio::test]
async fn a_file_that_is_of_no_use_says_why() {
    let missing = TokenSource::new(Some("/nowhere/credentials.json".into()), None);
    let said = |source: &TokenSource| tokens(source).err().unwrap();
    assert!(matches!(said(&missing), GoogleTokenError::Unreadable(_)));

    let (_folder, other) = file(&json!({ "type": "authorized_user" }));
    assert!(matches!(said(&other), GoogleTokenError::OtherType(kind) if kind == "authorized_user"));

    let (_folder, incomplete) = file(&json!({ "type": "service_account", "project_id": "piano" }));
    assert!(matches!(said(&incomplete), GoogleTokenError::Incomplete(_)));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    std::fs::write(&path, "-----BEGIN").unwrap();
    let text = TokenSource::new(Some(path.to_str().unwrap().to_owned()), None);
    assert!(matches!(said(&text), GoogleTokenError::NotJson(_)));
}
