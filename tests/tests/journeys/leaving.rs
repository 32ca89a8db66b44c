//! Somebody closes the page before the answer has come.

use journeys::{School, WALTZ, journey_with};
use local_stack::{
    StackConfig,
    faults::{Fault, Target},
};
use serde_json::json;
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// An origin that asks the model one thing at a time, and waits for it longer than this test does.
fn one_at_a_time(config: StackConfig) -> StackConfig {
    config
        .with_variable("origin", "LLM_CONCURRENCY", "1")
        .with_variable("origin", "LLM_FIRST_EVENT_TIMEOUT_MS", "60000")
}

/// Asks over a connection of its own. Dropped, it is reset: of one that is closed in good order, a
/// server can't tell that nobody will read on.
async fn ask_and_keep_the_line(school: &School, question: &str) -> TcpStream {
    let address = school.stack.edge_url();
    let address = address.trim_start_matches("http://");
    let token = school.student.browser.token().unwrap();
    let body = json!({ "query": question }).to_string();
    let request = format!(
        "POST /api/chat/query HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut line = TcpStream::connect(address).await.unwrap();
    line.set_zero_linger().unwrap();
    line.write_all(request.as_bytes()).await.unwrap();
    line
}

/// Calls of the model so far.
async fn model_calls(school: &School) -> u64 {
    let calls = school.stack.faults().calls().await.unwrap();
    calls.get(&Target::Vertex).copied().unwrap_or_default()
}

async fn is_answered(school: &School, question: &str) -> bool {
    let answer = school.teacher.browser.ask_to_end(question).await;
    answer.is_ok_and(|answer| answer.done.is_some())
}

#[test]
fn the_model_call_of_a_reader_who_leaves_ends_and_makes_room_for_another() {
    journey_with(one_at_a_time, async |school| {
        school.shows_pedalling().await;
        let silence = Fault::Stall { ms: 60_000 };
        let faults = school.stack.faults();
        faults.arm(Target::Vertex, silence, Some(1)).await.unwrap();
        let line = ask_and_keep_the_line(school, WALTZ).await;
        while model_calls(school).await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let dampers = "What does the pedal do to the dampers?";
        assert!(!is_answered(school, dampers).await, "there was room");

        drop(line);

        // Far less than the model's silence.
        for _ in 0..20 {
            if is_answered(school, dampers).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the model is still busy for a reader who has left");
    });
}
