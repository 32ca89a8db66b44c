//! Whoever runs Etude at night sees what it did: one trace from the browser to SQL, counts, and lines. And never a word of
//! what anybody asked or read.

use journeys::{PASSWORD, School, WALTZ, journey, telling::Told};
use local_stack::{
    Part,
    client::NewDocument,
    faults::{Fault, Target},
};
use serde_json::Value;
use shared_types::{
    documents::{DocumentStatus, SourceFormat, Visibility},
    ids::RequestId,
};
use std::collections::BTreeSet;

/// The edge names a trace that it begins after its request.
fn trace_of(request_id: RequestId) -> String {
    request_id.0.simple().to_string()
}

#[test]
fn a_question_is_one_trace_from_the_edge_to_the_last_statement() {
    journey(async |school| {
        school.shows_pedalling().await;
        let answer = school.student.browser.ask_to_end(WALTZ).await.unwrap();
        let request_id = answer.meta.unwrap().request_id;

        let told = Told::by(&school.stack);
        let trace = told
            .trace(&trace_of(request_id), |trace| {
                let names: Vec<&str> = trace.0.iter().map(|span| &*span.name).collect();
                names.contains(&"POST /api/chat/query") && names.contains(&"POST /v1/answer")
            })
            .await;

        assert!(trace.is_one_tree(), "{trace:#?}");
        let question = trace.span("etude-edge", "POST /api/chat/query");
        assert_eq!(question.attributes["http.response.status_code"], 200);
        for stage in [
            "auth",
            "scope",
            "search",
            "embed",
            "embed_model",
            "retrieve",
            "rerank",
        ] {
            let stage = trace.span("etude-edge", stage);
            assert_eq!(trace.within(stage), ["POST /api/chat/query"]);
        }
        assert_eq!(
            trace.span("etude-edge", "search").attributes["outcome"],
            "miss"
        );
        let statement = trace.span("etude-origin", "sql.passages.by_ids");
        assert_eq!(
            trace.within(statement),
            ["POST /v1/retrieve", "retrieve", "POST /api/chat/query"]
        );
        let model = trace.span("etude-origin", "model.answer");
        assert_eq!(
            trace.within(model),
            ["POST /v1/answer", "answer", "POST /api/chat/query"]
        );
        for said in [
            "gen_ai.request.model",
            "gen_ai.usage.output_tokens",
            "model.first_token_ms",
        ] {
            assert!(model.attributes.contains_key(said), "{model:#?}");
        }
    });
}

#[test]
fn an_upload_is_one_trace_until_it_is_searchable() {
    journey(async |school| {
        school.shows_pedalling().await;
        let told = Told::by(&school.stack);
        told.sees(Part::IngestWorker, "etude_ingest_chunks_total", &[], |n| {
            n > 0.0
        })
        .await;
        let job = told.span("job").await;
        let trace = told
            .trace(&job.trace_id, |trace| {
                let names: Vec<&str> = trace.0.iter().map(|span| &*span.name).collect();
                names.contains(&"POST /api/documents/{id}/confirm")
                    && names.contains(&"sql.jobs.complete")
                    && names.contains(&"POST /internal/scope/invalidate")
            })
            .await;

        assert!(trace.is_one_tree(), "{trace:#?}");
        let stored = trace.span("etude-ingest-worker", "sql.jobs.complete");
        let within = trace.within(stored);
        assert!(within.contains(&"job"), "{within:?}");
        assert_eq!(within.last(), Some(&"POST /api/documents/{id}/confirm"));
        let job = trace.span("etude-ingest-worker", "job");
        assert_eq!(
            trace.within(job)[0],
            "POST /v1/documents/{document_id}/confirm"
        );
    });
}

#[test]
fn the_counts_of_a_question_and_its_repetition_are_there_for_prometheus() {
    journey(async |school| {
        school.shows_pedalling().await;
        for _ in 0..2 {
            school.student.browser.ask_to_end(WALTZ).await.unwrap();
        }

        let told = Told::by(&school.stack);
        let questions = [
            "http_route=\"/api/chat/query\"",
            "http_response_status_code=\"200\"",
        ];
        let name = "etude_edge_request_duration_seconds_count";
        told.sees(Part::Origin, name, &questions, |n| n >= 2.0)
            .await;
        for (name, labels) in [
            (
                "etude_edge_cache_lookups_total",
                &["layer=\"answer\"", "outcome=\"miss\""][..],
            ),
            (
                "etude_edge_cache_lookups_total",
                &["layer=\"answer\"", "outcome=\"hit\""],
            ),
            (
                "etude_edge_stage_duration_seconds_count",
                &["stage=\"rerank\""],
            ),
            ("etude_edge_invocations_total", &["outcome=\"ok\""]),
            ("etude_answers_total", &["outcome=\"complete\""]),
            ("etude_citations_total", &["outcome=\"sent\""]),
            ("etude_model_tokens_total", &["kind=\"input\""]),
            ("etude_model_cost_usd_total", &[]),
            ("etude_model_first_token_seconds_count", &[]),
            ("etude_search_plans_total", &[]),
            ("etude_usage_records_total", &["outcome=\"kept\""]),
            (
                "etude_credential_refreshes_total",
                &["credential=\"signing_keys\"", "outcome=\"ok\""],
            ),
            (
                "db_client_operation_duration_seconds_count",
                &["operation=\"passages.by_ids\""],
            ),
            ("db_client_connections_max", &[]),
            (
                "http_server_request_duration_seconds_count",
                &["http_route=\"/v1/retrieve\""],
            ),
            ("etude_traces_total", &["outcome=\"kept\""]),
        ] {
            told.sees(Part::Origin, name, labels, |n| n > 0.0).await;
        }
        let streams = told.metric(Part::Origin, "etude_answer_streams", &[]).await;
        assert!(
            streams.abs() < 0.5,
            "{streams} answers are still being told"
        );
        let ended = ["outcome=\"searchable\""];
        told.sees(
            Part::IngestWorker,
            "etude_ingest_jobs_ended_total",
            &ended,
            |n| n > 0.0,
        )
        .await;
    });
}

#[test]
fn every_metric_has_its_row_and_every_row_its_metric() {
    journey(async |school| {
        school.shows_pedalling().await;
        school.student.browser.ask_to_end(WALTZ).await.unwrap();
        let told = Told::by(&school.stack);
        let question = ["http_route=\"/api/chat/query\""];
        let name = "etude_edge_request_duration_seconds_count";
        told.sees(Part::Origin, name, &question, |n| n > 0.0).await;
        let told = [
            told.metrics(Part::Origin).await,
            told.metrics(Part::IngestWorker).await,
        ];
        let described = told.iter().flat_map(|text| text.lines());
        let described = described.filter_map(|line| line.strip_prefix("# TYPE "));
        let described: BTreeSet<String> = described
            .filter_map(|line| {
                let (name, kind) = line.split_once(' ')?;
                Some(match kind {
                    "counter" => format!("{name}_total"),
                    "info" => format!("{name}_info"),
                    _ => name.to_owned(),
                })
            })
            .collect();
        assert_eq!(described, rows());
    });
}

/// The names in the tables of `docs/METRICS.md`.
fn rows() -> BTreeSet<String> {
    let rows = include_str!("../../../docs/METRICS.md").lines();
    let cells = rows.filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_that_is_told_holds_a_word_of_a_person() {
    journey(async |school| {
        let said = "The moonflower exercise strengthens the fourth finger.";
        let notes = NewDocument {
            title: "Zephyrine's notes".to_owned(),
            file_name: "zephyrine.txt".to_owned(),
            bytes: format!("{said} Play it twice a day.\n").into_bytes(),
            visibility: Visibility::Private,
        };
        assert_eq!(
            SourceFormat::of_file_name(&notes.file_name),
            Some(SourceFormat::Text)
        );
        school.teacher.adds_readable(notes).await;
        let question = "Which finger does the moonflower exercise strengthen, dear Quillon?";
        let answer = school.student.browser.ask_to_end(question).await.unwrap();
        assert!(answer.text.contains("moonflower"), "{}", answer.text);
        school.student.asks_in_a_conversation(question).await;
        fails_in_every_way(school, question).await;
        let request_id = answer.meta.unwrap().request_id;
        let told = Told::by(&school.stack);
        told.trace(&trace_of(request_id), |trace| {
            trace.0.iter().any(|span| span.name == "POST /v1/answer")
                && trace.0.iter().any(|span| span.service == "etude-edge")
        })
        .await;

        let token = school.student.browser.token().unwrap();
        let secrets = [
            "moonflower",
            "Quillon",
            "quillon",
            "Zephyrine",
            "zephyrine",
            "fourth finger",
            "school.example",
            PASSWORD,
            token,
        ];
        let emitted = [
            ("spans", told.spans_as_text().await),
            ("the origin's metrics", told.metrics(Part::Origin).await),
            (
                "the ingest worker's metrics",
                told.metrics(Part::IngestWorker).await,
            ),
            ("log lines", told.log_lines()),
        ];
        for (what, text) in &emitted {
            assert!(text.len() > 1_000, "{what}: nothing was told");
            for secret in secrets {
                let at = text.find(secret);
                assert_eq!(at, None, "{what}: {}", excerpt(text, at));
            }
        }
        assert_lines_name_their_trace(&emitted[3].1, &trace_of(request_id));
    });
}

/// Asks while one service after the other is out, since what goes wrong is told at more length than what does not. Then
/// somebody uploads what is not what it says.
async fn fails_in_every_way(school: &School, question: &str) {
    let status = |status| Fault::Status { status };
    let broken = Fault::ErrorEventAfter {
        events: 3,
        error_type: "overloaded_error".to_owned(),
    };
    let troubles = [
        (Target::Embedding, status(500)),
        (Target::Rerank, status(500)),
        (Target::Vertex, status(400)),
        (Target::Vertex, status(500)),
        (Target::Vertex, Fault::CutAfterEvents { events: 3 }),
        (Target::Vertex, broken),
    ];
    for (number, (target, fault)) in troubles.into_iter().enumerate() {
        school
            .stack
            .faults()
            .arm(target, fault, None)
            .await
            .unwrap();
        // A new one, which no cache knows; whether there is an answer is nothing to this.
        let question = format!("{question} ({number})");
        let _ = school.student.browser.ask_to_end(&question).await;
        school.stack.faults().clear().await.unwrap();
    }
    let damaged = NewDocument {
        title: "Zephyrine's score".to_owned(),
        file_name: "zephyrine.pdf".to_owned(),
        bytes: b"%PDF-1.7\nThe moonflower exercise.\n".to_vec(),
        visibility: Visibility::Private,
    };
    let document = school.teacher.adds(damaged).await;
    assert_eq!(document.status, DocumentStatus::Failed);
}

/// The origin's lines of a request name its trace in the way of Cloud Logging.
fn assert_lines_name_their_trace(lines: &str, trace_id: &str) {
    let lines = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let completed = lines.filter(|line| {
        line["message"] == "request completed" && line["logging.googleapis.com/trace"] == *trace_id
    });
    let completed: Vec<Value> = completed.collect();
    assert!(
        !completed.is_empty(),
        "no line of the origin names {trace_id}"
    );
    for line in completed {
        assert_eq!(line["severity"], "INFO", "{line}");
        assert!(
            line["duration_ms"].is_number() && line["time"].is_string(),
            "{line}"
        );
    }
}

fn excerpt(text: &str, at: Option<usize>) -> &str {
    let at = at.unwrap_or_default();
    let from = text.floor_char_boundary(at.saturating_sub(200));
    &text[from..text.ceil_char_boundary((at + 100).min(text.len()))]
}
