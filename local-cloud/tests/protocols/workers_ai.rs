//! Workers AI, through both of its faces.

use crate::running::{Running, start};
use serde_json::{Value, json};
use shared_types::workers_ai::{EmbeddingOutput, RerankOutput, RestEnvelope};

const BGE: &str = "@cf/baai/bge-base-en-v1.5";

async fn rest(running: &Running, model: &str, input: &Value) -> (u16, Value) {
    running
        .post(
            &format!("/cloudflare/client/v4/accounts/acc/ai/run/{model}"),
            input,
        )
        .await
}

async fn binding(running: &Running, model: &str, input: &Value) -> (u16, String, Value) {
    let url = format!("{}/workers-ai-binding", running.base);
    let body = json!({ "inputs": input, "options": {} });
    let request = running.http.post(url).header("mf-binding", "AI");
    let request = request
        .header("mf-header-cf-consn-model-id", model)
        .json(&body);
    let reply = request.send().await.unwrap();
    let kind = reply.headers()["content-type"].to_str().unwrap().to_owned();
    (reply.status().as_u16(), kind, reply.json().await.unwrap())
}

#[tokio::test]
async fn both_faces_yield_the_same_vectors_in_their_own_wrapping() {
    let running = start().await;
    let input = json!({ "text": ["Curve the fingers.", "Curve the fingers.", "Sit tall."], "pooling": "cls" });
    let (status, body) = rest(&running, BGE, &input).await;
    assert_eq!(status, 200);
    let envelope: RestEnvelope<EmbeddingOutput> = serde_json::from_value(body).unwrap();
    assert!(envelope.success && envelope.errors.is_empty());
    let output = envelope.result.unwrap();
    assert_eq!(output.shape, [3, 768]);
    assert_eq!(output.data[0], output.data[1]);
    assert_ne!(output.data[0], output.data[2]);

    let (status, kind, body) = binding(&running, BGE, &input).await;
    // workerd's `Ai` class parses this type alone.
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let bare: EmbeddingOutput = serde_json::from_value(body).unwrap();
    assert_eq!(bare, output);
}

#[tokio::test]
async fn a_single_text_and_no_pooling_are_taken_as_the_service_takes_them() {
    let running = start().await;
    let (_, body) = rest(&running, BGE, &json!({ "text": "Sit tall." })).await;
    assert_eq!(body["result"]["shape"], json!([1, 768]));
    assert_eq!(body["result"]["pooling"], "mean");
}

#[tokio::test]
async fn refusals_carry_cloudflares_codes() {
    let running = start().await;
    let many = json!({ "text": vec!["a"; 101] });
    let cases = [
        (BGE, many.clone(), 413, 3006),
        (BGE, json!({ "txt": "a" }), 400, 5006),
        (BGE, json!({ "text": [] }), 400, 5006),
        ("@cf/meta/llama", json!({ "text": "a" }), 400, 5007),
    ];
    for (model, input, status, code) in cases {
        let (seen, body) = rest(&running, model, &input).await;
        assert_eq!(
            (seen, &body["errors"][0]["code"]),
            (status, &json!(code)),
            "{body}"
        );
        assert_eq!(
            (&body["success"], &body["result"]),
            (&json!(false), &Value::Null)
        );
    }
    let (status, _, body) = binding(&running, BGE, &many).await;
    assert_eq!((status, &body["internalCode"]), (413, &json!(3006)));

    let url = format!(
        "{}/cloudflare/client/v4/accounts/a/ai/run/{BGE}",
        running.base
    );
    let reply = running.http.post(url).json(&many).send().await.unwrap();
    assert_eq!(reply.status(), 401);
}

#[tokio::test]
async fn the_reranker_puts_the_answer_first_and_keeps_to_top_k() {
    let running = start().await;
    let input = json!({
        "query": "what is rubato",
        "contexts": [
            { "text": "Knead the dough for ten minutes." },
            { "text": "Rubato is a flexible tempo that takes time from one note and gives it to another." },
            { "text": "Keep the wrist loose in octaves." },
        ],
        "top_k": 2,
    });
    let (_, body) = rest(&running, "@cf/baai/bge-reranker-base", &input).await;
    let output: RerankOutput = serde_json::from_value(body["result"].clone()).unwrap();
    assert_eq!(output.response.len(), 2);
    assert_eq!(output.response[0].id, 1);
    assert!(output.response[0].score > output.response[1].score);
}

#[tokio::test]
async fn a_service_without_capacity_recovers_and_every_call_is_counted() {
    let running = start().await;
    let fault = json!({ "kind": "status", "status": 429, "retry_after_s": 2 });
    running
        .arm(&json!({ "target": "embedding", "fault": fault, "times": 1 }))
        .await;
    let input = json!({ "text": "Sit tall." });
    let (status, body) = rest(&running, BGE, &input).await;
    assert_eq!((status, &body["errors"][0]["code"]), (429, &json!(3040)));
    assert_eq!(rest(&running, BGE, &input).await.0, 200);
    assert_eq!(
        (
            running.calls("embedding").await,
            running.calls("rerank").await
        ),
        (2, 0)
    );
}

#[tokio::test]
async fn a_cut_connection_is_no_reply() {
    let running = start().await;
    let fault = json!({ "kind": "cut_after_events", "events": 0 });
    running
        .arm(&json!({ "target": "embedding", "fault": fault, "times": 1 }))
        .await;
    let url = format!("{}/workers-ai-binding", running.base);
    let request = running.http.post(url).header("cf-consn-model-id", BGE);
    let reply = request
        .json(&json!({ "inputs": { "text": "a" } }))
        .send()
        .await;
    let body = match reply {
        Ok(reply) => reply.bytes().await,
        Err(error) => Err(error),
    };
    assert!(body.is_err());
}
