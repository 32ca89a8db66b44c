//! Pub/Sub and Cloud Run jobs, asked wrongly; `ingest-worker/tests/waking.rs` asks them rightly.

use local_cloud::{CloudRunJob, google_cloud};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const JOB: &str = "projects/p/locations/l/jobs/j";

struct Google {
    base: String,
    http: reqwest::Client,
    _keys: TempDir,
}

impl Google {
    async fn start() -> Self {
        let keys = tempfile::tempdir().unwrap();
        let job: CloudRunJob = format!("{JOB}=sleep 600").parse().unwrap();
        let app = google_cloud(keys.path(), vec![CloudRunJob { at_most: 1, ..job }]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            base,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _keys: keys,
        }
    }

    /// Status, and `error.status` of the reply where there is one.
    async fn put(&self, path: &str, body: Value) -> (u16, Option<String>) {
        self.send(reqwest::Method::PUT, path, body).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Option<String>) {
        self.send(reqwest::Method::POST, path, body).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Value,
    ) -> (u16, Option<String>) {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let reply = request.bearer_auth("t").json(&body).send().await.unwrap();
        let status = reply.status().as_u16();
        let body: Value = reply.json().await.unwrap();
        (status, body["error"]["status"].as_str().map(str::to_owned))
    }
}

fn refused(status: u16, name: &str) -> (u16, Option<String>) {
    (status, Some(name.to_owned()))
}

#[tokio::test]
async fn pub_sub_refuses_what_the_real_one_refuses() {
    let google = Google::start().await;
    let (topic, publish) = (
        "/pubsub/v1/projects/p/topics/t",
        "/pubsub/v1/projects/p/topics/t:publish",
    );
    let message = json!({ "messages": [{ "data": "aGVsbG8=" }] });
    let unknown = google.post(publish, message.clone()).await;
    assert_eq!(unknown, refused(404, "NOT_FOUND"));
    assert_eq!(google.put(topic, json!({})).await, (200, None));
    assert_eq!(
        google.put(topic, json!({})).await,
        refused(409, "ALREADY_EXISTS")
    );
    for body in [
        json!({ "messages": [] }),
        json!({ "messages": [{}] }),
        json!({ "messages": [{ "data": "no base64!" }] }),
    ] {
        let answer = google.post(publish, body).await;
        assert_eq!(answer, refused(400, "INVALID_ARGUMENT"));
    }
    assert_eq!(google.post(publish, message.clone()).await, (200, None));
    let bare = google.http.post(format!("{}{publish}", google.base));
    let bare = bare.json(&message).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    let endless = json!({
        "topic": "projects/p/topics/t",
        "pushConfig": { "pushEndpoint": "http://127.0.0.1:1", "oidcToken": { "serviceAccountEmail": "a@b" } },
        "ackDeadlineSeconds": 601,
    });
    let answer = google
        .put("/pubsub/v1/projects/p/subscriptions/s", endless)
        .await;
    assert_eq!(answer, refused(400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn cloud_run_starts_so_many_executions_and_no_more() {
    let google = Google::start().await;
    let run = format!("/run/v2/{JOB}:run");
    assert_eq!(google.post(&run, json!({})).await, (200, None));
    assert_eq!(
        google.post(&run, json!({})).await,
        refused(429, "RESOURCE_EXHAUSTED")
    );
    let other = google.post("/run/v2/projects/p/locations/l/jobs/other:run", json!({}));
    assert_eq!(other.await, refused(404, "NOT_FOUND"));
}
