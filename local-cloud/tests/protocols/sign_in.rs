//! Sign-in journeys, against a real PostgreSQL with a database per test.

use crate::running::{ANON_KEY, Running, SERVICE_ROLE_KEY, start_with};
use base64ct::{Base64UrlUnpadded, Encoding};
use local_cloud::{EncoderChoice, SigningChoice};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};
use shared_types::claims::{AccessClaims, Role};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const BOOTSTRAP: &str = include_str!("../../supabase/bootstrap.sql");
const PASSWORD: &str = "adagio-ma-non-troppo";

/// Stand-ins over a database of their own.
struct SignIn {
    running: Running,
    server: String,
    database: String,
}

impl SignIn {
    async fn start(algorithm: SigningChoice) -> Self {
        let server = std::env::var("ETUDE_TEST_DATABASE_URL").expect(
            "ETUDE_TEST_DATABASE_URL must be a superuser's address of a PostgreSQL server: `cargo xtask test` starts one and sets it",
        );
        let folder = tempfile::tempdir().unwrap();
        let name = folder
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace('.', "");
        let database = format!("etude_auth_{}", name.to_lowercase());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let create = format!("create database {database}");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .unwrap();
        let (address, _) = server.rsplit_once('/').unwrap();
        let mut connection = PgConnection::connect(&format!("{address}/{database}"))
            .await
            .unwrap();
        sqlx::raw_sql(BOOTSTRAP)
            .execute(&mut connection)
            .await
            .unwrap();
        let host = address.rsplit_once('@').map_or("", |(_, host)| host);
        let url = format!("postgres://supabase_auth_admin@{host}/{database}");
        let running = start_with(EncoderChoice::Small, algorithm, Some(url)).await;
        Self {
            running,
            server,
            database,
        }
    }

    async fn end(self) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let drop = format!("drop database {} with (force)", self.database);
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn post(&self, path: &str, bearer: Option<&str>, body: &Value) -> (u16, Value) {
        let url = format!("{}/supabase/auth/v1/{path}", self.running.base);
        let mut request = self
            .running
            .http
            .post(url)
            .header("apikey", ANON_KEY)
            .json(body);
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let reply = request.send().await.unwrap();
        (
            reply.status().as_u16(),
            reply.json().await.unwrap_or_default(),
        )
    }

    async fn get(&self, path: &str, bearer: &str) -> (u16, Value) {
        let url = format!("{}/supabase/auth/v1/{path}", self.running.base);
        let request = self
            .running
            .http
            .get(url)
            .header("apikey", ANON_KEY)
            .bearer_auth(bearer);
        let reply = request.send().await.unwrap();
        (
            reply.status().as_u16(),
            reply.json().await.unwrap_or_default(),
        )
    }

    async fn sign_up(&self, email: &str) -> Value {
        let body = json!({ "email": email, "password": PASSWORD, "data": { "full_name": "Sample Student" } });
        let (status, session) = self.post("signup", None, &body).await;
        assert_eq!(status, 200, "{session}");
        session
    }

    async fn refresh(&self, token: &Value) -> (u16, Value) {
        self.post(
            "token?grant_type=refresh_token",
            None,
            &json!({ "refresh_token": token }),
        )
        .await
    }

    /// The claims of an access token, after checking it as a stranger would: by the published keys.
    async fn claims(&self, token: &Value, algorithm: &str) -> AccessClaims {
        let url = format!(
            "{}/supabase/auth/v1/.well-known/jwks.json",
            self.running.base
        );
        let keys: Value = self
            .running
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let (signed, signature) = token.as_str().unwrap().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(header["alg"], algorithm);
        let keys = keys["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert_eq!(key["alg"], algorithm);
        let part = |name: &str| decode(key[name].as_str().unwrap());
        let signature = decode(signature);
        if algorithm == "RS256" {
            RsaPublicKeyComponents {
                n: part("n"),
                e: part("e"),
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .unwrap();
        } else {
            let point = [vec![4], part("x"), part("y")].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            key.verify(signed.as_bytes(), &signature).unwrap();
        }
        serde_json::from_slice(&decode(claims)).unwrap()
    }
}

#[tokio::test]
async fn a_new_person_is_a_student_whatever_she_claims_and_signs_in_with_her_password() {
    let sign_in = SignIn::start(SigningChoice::Rs256).await;
    let greedy = json!({
        "email": "Student@Example.com", "password": PASSWORD,
        "data": { "role": "admin" }, "app_metadata": { "role": "admin" },
    });
    let (status, session) = sign_in.post("signup", None, &greedy).await;
    assert_eq!(status, 200);
    assert_eq!(session["expires_in"], 3600);
    let claims = sign_in.claims(&session["access_token"], "RS256").await;
    assert_eq!(claims.app_metadata.role, Role::Student);
    assert_eq!(
        (claims.role.as_str(), claims.aud.as_str()),
        ("authenticated", "authenticated")
    );
    assert_eq!(
        claims.iss,
        format!("{}/supabase/auth/v1", sign_in.running.base)
    );
    assert_eq!(claims.email.as_deref(), Some("student@example.com"));

    let (status, again) = sign_in.post("signup", None, &greedy).await;
    assert_eq!(
        (status, &again["error_code"]),
        (422, &json!("user_already_exists"))
    );

    let good = json!({ "email": "student@example.com", "password": PASSWORD });
    let (status, session) = sign_in.post("token?grant_type=password", None, &good).await;
    assert_eq!(status, 200);
    let token = session["access_token"].as_str().unwrap();
    let (_, user) = sign_in.get("user", token).await;
    assert_eq!(user["email"], "student@example.com");

    for wrong in ["student@example.com", "nobody@example.com"] {
        let wrong = json!({ "email": wrong, "password": "presto" });
        let (status, error) = sign_in
            .post("token?grant_type=password", None, &wrong)
            .await;
        assert_eq!(
            (status, &error["error_code"]),
            (400, &json!("invalid_credentials"))
        );
    }
    sign_in.end().await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let sign_in = SignIn::start(SigningChoice::Es256).await;
    let first = sign_in.sign_up("robert@example.com").await;
    sign_in.claims(&first["access_token"], "ES256").await;

    let (status, second) = sign_in.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);

    let (status, error) = sign_in.refresh(&first["refresh_token"]).await;
    assert_eq!(
        (status, &error["error_code"]),
        (400, &json!("refresh_token_already_used"))
    );
    let (status, error) = sign_in.refresh(&second["refresh_token"]).await;
    assert_eq!(
        (status, &error["error_code"]),
        (400, &json!("refresh_token_already_used"))
    );
    let (status, error) = sign_in.refresh(&json!("made-up")).await;
    assert_eq!(
        (status, &error["error_code"]),
        (400, &json!("refresh_token_not_found"))
    );
    sign_in.end().await;
}

#[tokio::test]
async fn of_two_uses_of_a_refresh_token_at_once_one_is_a_reuse() {
    let sign_in = SignIn::start(SigningChoice::Rs256).await;
    let session = sign_in.sign_up("robert@example.com").await;
    let token = &session["refresh_token"];
    let (one, other) = tokio::join!(sign_in.refresh(token), sign_in.refresh(token));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    sign_in.end().await;
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let sign_in = SignIn::start(SigningChoice::Rs256).await;
    let session = sign_in.sign_up("student@example.com").await;
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(sign_in.post("logout", Some(token), &json!({})).await.0, 204);
    assert_eq!(sign_in.get("user", token).await.0, 403);
    assert_eq!(sign_in.refresh(&session["refresh_token"]).await.0, 400);
    sign_in.end().await;
}

#[tokio::test]
async fn only_the_service_role_makes_teachers() {
    let sign_in = SignIn::start(SigningChoice::Rs256).await;
    let teacher = json!({
        "email": "teacher@example.com", "password": PASSWORD,
        "app_metadata": { "role": "teacher" },
    });
    let session = sign_in.sign_up("student@example.com").await;
    let student = session["access_token"].as_str();
    assert_eq!(sign_in.post("admin/users", student, &teacher).await.0, 403);

    let (status, user) = sign_in
        .post("admin/users", Some(SERVICE_ROLE_KEY), &teacher)
        .await;
    assert_eq!(
        (status, &user["app_metadata"]["role"]),
        (200, &json!("teacher"))
    );
    let (_, list) = sign_in.get("admin/users", SERVICE_ROLE_KEY).await;
    assert_eq!(list["users"].as_array().map(Vec::len), Some(2));

    let good = json!({ "email": "teacher@example.com", "password": PASSWORD });
    let (_, session) = sign_in.post("token?grant_type=password", None, &good).await;
    let claims = sign_in.claims(&session["access_token"], "RS256").await;
    assert_eq!(claims.app_metadata.role, Role::Teacher);
    sign_in.end().await;
}

#[tokio::test]
async fn the_gateway_wants_an_api_key_but_the_keys_are_public() {
    let sign_in = SignIn::start(SigningChoice::Rs256).await;
    let url = |path: &str| format!("{}/supabase/auth/v1/{path}", sign_in.running.base);
    let http = &sign_in.running.http;
    assert_eq!(http.get(url("health")).send().await.unwrap().status(), 401);
    assert_eq!(
        http.get(url(".well-known/jwks.json"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    let fault = json!({ "kind": "status", "status": 503 });
    sign_in
        .running
        .arm(&json!({ "target": "jwks", "fault": fault, "times": 1 }))
        .await;
    assert_eq!(
        http.get(url(".well-known/jwks.json"))
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    assert_eq!(sign_in.get("health", "x").await.0, 200);
    sign_in.end().await;
}
