//! The metadata server of an instance.

use crate::running::start;
use serde_json::Value;

#[tokio::test]
async fn a_token_is_given_to_those_who_send_the_flavor() {
    let running = start().await;
    let url = format!(
        "{}/computeMetadata/v1/instance/service-accounts/default/token",
        running.base
    );
    let refused = running.http.get(&url).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let reply = running
        .http
        .get(&url)
        .header("metadata-flavor", "Google")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.headers()["metadata-flavor"], "Google");
    let token: Value = reply.json().await.unwrap();
    assert_eq!(token["token_type"], "Bearer");
    assert!(
        token["access_token"]
            .as_str()
            .is_some_and(|token| !token.is_empty())
    );
}
