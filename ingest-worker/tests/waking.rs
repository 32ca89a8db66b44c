//! Production's way from a confirmed upload to a worker: Pub/Sub pushes, `receive` hears, Cloud Run runs the job.
//!
//! Pub/Sub and Cloud Run are `local-cloud`'s; they speak the real protocols. Needs what `jobs.rs` needs.

#![expect(
    clippy::unwrap_used,
    reason = "a step of a test that fails is a test that fails"
)]

#[expect(
    dead_code,
    reason = "several test binaries compile this file; this one uses a part of it"
)]
mod studio;
#[path = "../../storage/tests/support/mod.rs"]
mod support;
mod world;

use ingest_worker::{
    config::ReceiveConfig,
    receive::{self, Receiver},
};
use local_cloud::CloudRunJob;
use serde_json::{Value, json};
use shared_types::{documents::DocumentStatus, ids::DocumentId};
use std::time::Duration;
use studio::{BOOKLET, Studio};
use tokio::{net::TcpListener, task::JoinHandle};
use world::until;

const TOPIC: &str = "projects/etude/topics/ingest";
const SUBSCRIPTION: &str = "projects/etude/subscriptions/ingest-push";
const JOB: &str = "projects/etude/locations/europe-west1/jobs/ingest";
const ACCOUNT: &str = "pusher@etude.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://receive.etude.example/push";

/// A studio whose uploads are announced on a topic.
struct Production {
    studio: Studio,
    cloud: String,
    http: reqwest::Client,
    receiver: Receiving,
    _keys: tempfile::TempDir,
}

/// `receive`, behind an address that stays while it is down.
struct Receiving {
    address: std::net::SocketAddr,
    serving: Option<JoinHandle<()>>,
    config: ReceiveConfig,
}

impl Receiving {
    async fn start(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let receiver = Receiver::start(&self.config).await.unwrap();
        self.serving = Some(tokio::spawn(async move {
            axum::serve(listener, receive::app(receiver)).await.unwrap();
        }));
    }

    async fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }
}

impl Production {
    async fn new() -> Self {
        let studio = Studio::new().await;
        let keys = tempfile::tempdir().unwrap();
        let job = CloudRunJob {
            name: JOB.into(),
            command: [env!("CARGO_BIN_EXE_ingest-worker"), "run", "--once"]
                .map(str::to_owned)
                .to_vec(),
            environment: studio.environment(),
            at_most: 3,
        };
        let app = local_cloud::google_cloud(keys.path(), vec![job]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });

        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let database_url = studio.db.ingest_url();
        let variable = |name: &str| {
            Some(match name {
                "DATABASE_URL" => database_url.clone(),
                "PUSH_AUDIENCE" => AUDIENCE.to_owned(),
                "PUSH_SERVICE_ACCOUNT" => ACCOUNT.to_owned(),
                "GOOGLE_JWKS_URL" => format!("http://{host}/google/oauth2/v3/certs"),
                "CLOUD_RUN_JOB" => JOB.to_owned(),
                "CLOUD_RUN_BASE_URL" => format!("http://{host}/run/v2"),
                "GCE_METADATA_HOST" => host.clone(),
                _ => return None,
            })
        };
        let mut config = ReceiveConfig::read(variable).unwrap();
        // Without it, a test needs no clock to see a second fetch.
        config.key_cool_down = Duration::ZERO;
        let mut receiver = Receiving {
            address,
            serving: None,
            config,
        };
        receiver.start().await;
        let production = Self {
            studio,
            cloud: format!("http://{host}"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            receiver,
            _keys: keys,
        };
        production
            .put(&format!("pubsub/v1/{TOPIC}"), json!({}))
            .await;
        let subscription = json!({
            "topic": TOPIC,
            "pushConfig": {
                "pushEndpoint": format!("http://{address}/push"),
                "oidcToken": { "serviceAccountEmail": ACCOUNT, "audience": AUDIENCE },
            },
            "ackDeadlineSeconds": 2,
            "retryPolicy": { "minimumBackoff": "0.1s", "maximumBackoff": "0.4s" },
        });
        production
            .put(&format!("pubsub/v1/{SUBSCRIPTION}"), subscription)
            .await;
        production
    }

    async fn put(&self, path: &str, body: Value) {
        self.send(reqwest::Method::PUT, path, body).await;
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> reqwest::Response {
        self.http
            .request(method, format!("{}/{path}", self.cloud))
            .bearer_auth("a token")
            .json(&body)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/{path}", self.cloud));
        let reply = request.bearer_auth("a token").send().await.unwrap();
        reply.error_for_status().unwrap().json().await.unwrap()
    }

    /// As the origin does after the confirming transaction.
    async fn announce(&self, id: DocumentId) {
        let message = shared_types::google::NewMessage::of(
            json!({ "document_id": id }).to_string().as_bytes(),
        );
        let body = json!({ "messages": [message] });
        self.send(
            reqwest::Method::POST,
            &format!("pubsub/v1/{TOPIC}:publish"),
            body,
        )
        .await;
    }

    async fn upload_and_announce(&self) -> DocumentId {
        let id = self.studio.upload(BOOKLET).await;
        self.announce(id).await;
        id
    }

    async fn disturb(&self, disturbance: Value) {
        self.send(
            reqwest::Method::POST,
            "control/pubsub/disturbances",
            disturbance,
        )
        .await;
    }

    async fn push_with_token(&self, kind: &str) {
        self.put("control/pubsub/token", json!(kind)).await;
    }

    async fn fault(&self, target: &str, fault: Value, times: u32) {
        let body = json!({ "target": target, "fault": fault, "times": times });
        self.send(reqwest::Method::POST, "control/faults", body)
            .await;
    }

    /// What the pushes were answered with, oldest first; 0: nothing in time.
    async fn answers(&self) -> Vec<u64> {
        let deliveries = self.get("control/pubsub/deliveries").await;
        let deliveries = deliveries.as_array().unwrap().iter();
        deliveries
            .map(|delivery| delivery["status"].as_u64().unwrap_or(0))
            .collect()
    }

    async fn answered(&self, times: usize) -> Vec<u64> {
        until(|| async { self.answers().await.len() >= times }).await;
        self.answers().await
    }

    async fn executions(&self) -> usize {
        let executions = self.get(&format!("run/v2/{JOB}/executions")).await;
        executions["executions"].as_array().unwrap().len()
    }

    async fn ready(&self, id: DocumentId) {
        until(|| async { self.studio.document(id).await.status == DocumentStatus::Ready }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_upload_is_read_by_an_execution_of_the_job() {
    let production = Production::new().await;
    let id = production.upload_and_announce().await;
    production.ready(id).await;
    assert_eq!(production.answers().await, [204]);
    assert_eq!(production.executions().await, 1);
    assert_eq!(production.studio.attempts(id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_one_reading() {
    let production = Production::new().await;
    production.disturb(json!({ "kind": "twice" })).await;
    let id = production.upload_and_announce().await;
    production.ready(id).await;
    assert_eq!(production.answered(2).await, [204, 204]);
    // And long after, when there is nothing to do.
    let executions = production.executions().await;
    production.announce(id).await;
    production.answered(3).await;
    assert_eq!(production.executions().await, executions);
    assert_eq!(production.studio.attempts(id).await, 1);
    assert_eq!(
        production.studio.world.embedded().concat(),
        production.studio.contents(id).await,
        "it was embedded once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_out_of_order_wake_all_the_same() {
    let production = Production::new().await;
    production
        .disturb(json!({ "kind": "reversed", "messages": 3 }))
        .await;
    let mut uploads = Vec::new();
    for _ in 0..3 {
        uploads.push(production.upload_and_announce().await);
    }
    for id in uploads {
        production.ready(id).await;
        assert_eq!(production.studio.attempts(id).await, 1);
    }
    assert_eq!(production.answered(3).await, [204; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_comes_is_made_good_by_the_sweep() {
    let production = Production::new().await;
    production.disturb(json!({ "kind": "drop" })).await;
    let id = production.upload_and_announce().await;
    assert_eq!(production.executions().await, 0);
    // As Cloud Scheduler does every few minutes.
    let run = format!("run/v2/{JOB}:run");
    production
        .send(reqwest::Method::POST, &run, json!({}))
        .await;
    production.ready(id).await;
    assert_eq!(production.answers().await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_not_acknowledged_in_time_is_delivered_again() {
    let production = Production::new().await;
    // Longer than the deadline: Pub/Sub has hung up by then.
    production
        .fault("cloud_run", json!({ "kind": "stall", "ms": 3_000 }), 1)
        .await;
    let id = production.upload_and_announce().await;
    production.ready(id).await;
    let answers = production.answered(2).await;
    assert_eq!((answers[0], *answers.last().unwrap()), (0, 204));
    assert_eq!(production.studio.attempts(id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cloud_run_refuses_to_start_is_started_by_a_later_delivery() {
    let production = Production::new().await;
    for status in [429, 503] {
        let fault = json!({ "kind": "status", "status": status });
        production.fault("cloud_run", fault, 1).await;
    }
    let id = production.upload_and_announce().await;
    production.ready(id).await;
    assert_eq!(production.answered(3).await, [503, 503, 204]);
    assert_eq!(production.executions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_hears_it_when_it_is_back() {
    let mut production = Production::new().await;
    production.receiver.stop().await;
    let id = production.upload_and_announce().await;
    production.answered(2).await;
    production.receiver.start().await;
    production.ready(id).await;
    assert_eq!(production.executions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_not_pub_subs_starts_nothing() {
    let production = Production::new().await;
    let cases = [
        ("missing", 401),
        ("expired", 401),
        ("foreign_key", 401),
        ("other_audience", 401),
        ("other_issuer", 401),
        ("other_account", 403),
    ];
    let id = production.studio.upload(BOOKLET).await;
    for (kind, status) in cases {
        production.push_with_token(kind).await;
        let before = production.answers().await.len();
        production.announce(id).await;
        // Those of earlier cases are delivered again, with the token of this one.
        let answers = production.answered(before + 4).await;
        assert_eq!(answers.last(), Some(&status), "{kind}: {answers:?}");
        assert_eq!(production.executions().await, 0, "{kind}");
    }
    assert_eq!(
        production.studio.document(id).await.status,
        DocumentStatus::Queued
    );
    production.push_with_token("genuine").await;
    production.ready(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_google_has_changed_is_fetched_with_the_first_token_that_names_it() {
    let production = Production::new().await;
    let first = production.upload_and_announce().await;
    production.ready(first).await;
    production
        .send(reqwest::Method::POST, "control/pubsub/keys", json!({}))
        .await;
    let second = production.upload_and_announce().await;
    production.ready(second).await;
    assert_eq!(production.answers().await, [204, 204]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_push_is_refused_with_its_reason() {
    let production = Production::new().await;
    let url = format!("http://{}/push", production.receiver.address);
    let refused = production.http.post(&url).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    let large = vec![b' '; 100_000];
    let refused = production.http.post(&url).body(large).send().await.unwrap();
    assert_eq!(refused.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_come_together_share_an_execution() {
    let production = Production::new().await;
    let mut uploads = Vec::new();
    for _ in 0..6 {
        uploads.push(production.studio.upload(BOOKLET).await);
    }
    production.studio.world.hold_embedding();
    for id in &uploads {
        production.announce(*id).await;
    }
    production.answered(6).await;
    let executions = production.executions().await;
    assert!((1..=3).contains(&executions), "{executions}");
    production.studio.world.release_embedding();
    for id in uploads {
        production.ready(id).await;
        assert_eq!(production.studio.attempts(id).await, 1);
    }
}
