//! One question, asked cold, asked again, asked in other forms.

use crate::support::{
    Edge, Kept, Received,
    library::{FIRST_STUDENT, Library, OTHER_STUDENT, passage},
};
use edge_worker::ports::Layer;
use serde_json::json;
use shared_types::{
    chat::{
        CacheOutcome::{Hit, Miss, Skipped},
        SearchFilters,
    },
    event::AnswerEvent,
    problem::ProblemKind,
};

fn text_of(received: &Received) -> String {
    let events = received.events().into_iter();
    let texts = events.filter_map(|event| match event {
        AnswerEvent::Delta(delta) => Some(delta.text),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn a_first_question_goes_all_the_way_and_a_second_nowhere() {
    let edge = Edge::new(Library::of_two_teachers());

    let cold = edge
        .ask(FIRST_STUDENT, "How fast should I practise scales?")
        .await;
    assert!(cold.is_done());
    let cache = cold.meta().cache;
    assert_eq!(
        [cache.scope, cache.search, cache.embedding, cache.answer],
        [Miss, Miss, Miss, Miss]
    );
    let calls = edge.calls();
    for model in ["embed", "rerank", "/v1/answer"] {
        let asked = calls.iter().filter(|call| *call == model).count();
        assert_eq!(asked, 1, "{model} in {calls:?}");
    }

    let warm = edge
        .ask(FIRST_STUDENT, "  HOW fast should I   practise scales?")
        .await;
    assert!(warm.is_done());
    assert!(warm.is_whole, "a kept answer goes out as one body");
    let cache = warm.meta().cache;
    assert_eq!(
        [cache.scope, cache.search, cache.embedding, cache.answer],
        [Hit, Hit, Skipped, Hit]
    );
    assert_eq!(edge.calls(), Vec::<String>::new());
    assert_eq!(text_of(&warm), text_of(&cold));
    assert_eq!(warm.meta().sources, cold.meta().sources);
}

#[tokio::test]
async fn a_popular_question_is_answered_from_the_isolates_memory_to_whoever_has_its_scope() {
    let edge = Edge::new(Library::of_two_teachers());
    for _ in 0..2 {
        edge.ask(FIRST_STUDENT, "scales?").await;
    }
    // Nothing is left of it but what the isolate has read.
    let is_forgotten = |layer: Layer| matches!(layer, Layer::Search | Layer::Answer);
    let forget = |cached: &mut Kept| cached.retain(|(layer, _), _| !is_forgotten(*layer));
    forget(&mut edge.world.cached.borrow_mut());

    let remembered = edge.ask(FIRST_STUDENT, "scales?").await;
    let cache = remembered.meta().cache;
    assert_eq!([cache.search, cache.answer], [Hit, Hit]);
    let stages = remembered.headers["server-timing"].to_str().unwrap();
    for stage in ["search", "answer_cache"] {
        assert!(
            stages.contains(&format!("{stage};dur=0.0;desc=\"memory\"")),
            "{stages}"
        );
    }

    let another_scope = edge.ask(OTHER_STUDENT, "scales?").await;
    assert_eq!(another_scope.meta().cache.search, Miss);
    let elsewhere = edge.another_isolate().ask(FIRST_STUDENT, "scales?").await;
    assert_eq!(elsewhere.meta().cache.search, Miss);
}

#[tokio::test]
async fn the_reranker_decides_which_three_passages_answer() {
    let edge = Edge::new(Library::of_two_teachers());
    let sources = edge.ask(FIRST_STUDENT, "scales?").await.meta().sources;
    let ids: Vec<u128> = sources
        .iter()
        .map(|source| source.chunk_id.0.as_u128())
        .collect();
    assert_eq!(ids, [101, 4, 3]);
    let best = sources[0].score.unwrap();
    assert!(
        (best - 1.0 / (1.0 + (-4.0_f64).exp())).abs() < 1e-9,
        "{best} is no sigmoid"
    );
}

#[tokio::test]
async fn nothing_but_the_normalised_question_is_embedded() {
    let edge = Edge::new(Library::of_two_teachers());
    let spellings = [
        "\u{ff2c}egato ﬁngering²?",
        " LEGATO\tfingering2?",
        "legato fingering2?",
    ];
    for (asked, spelling) in spellings.into_iter().enumerate() {
        let told = edge.ask(FIRST_STUDENT, spelling).await;
        assert_eq!(told.meta().cache.search == Hit, asked > 0, "{spelling}");
    }
    assert_eq!(*edge.world.embedded.borrow(), ["legato fingering2?"]);
}

#[tokio::test]
async fn json_says_what_the_events_say() {
    let edge = Edge::new(Library::of_two_teachers());
    let events = edge.ask(FIRST_STUDENT, "scales?").await;
    for (name, json) in [
        (
            "live",
            Edge::new(Library::of_two_teachers())
                .ask_json(FIRST_STUDENT, "scales?")
                .await,
        ),
        ("kept", edge.ask_json(FIRST_STUDENT, "scales?").await),
    ] {
        let answer = json.answer();
        let mut told = String::new();
        let mut markers = Vec::new();
        for event in events.events() {
            match event {
                AnswerEvent::Delta(delta) => told.push_str(&delta.text),
                AnswerEvent::Citation(citation) => {
                    told.extend([" [", &citation.marker.to_string(), "]"]);
                    markers.push(citation);
                }
                AnswerEvent::Done(done) => {
                    assert_eq!(answer.confidence.to_bits(), done.confidence.to_bits());
                    assert_eq!(answer.finish_reason, done.finish_reason);
                    assert_eq!(answer.usage, done.usage);
                }
                _ => {}
            }
        }
        assert_eq!(answer.answer, told, "{name}");
        assert_eq!(answer.citations, markers, "{name}");
        assert_eq!(answer.sources, events.meta().sources, "{name}");
    }
}

#[tokio::test]
async fn every_stage_is_timed_including_the_origins_own() {
    let edge = Edge::new(Library::of_two_teachers());
    let cold = edge.ask(FIRST_STUDENT, "scales?").await;
    let header = cold.headers["server-timing"].to_str().unwrap();
    for stage in [
        "auth;",
        "scope;",
        "origin_scope;",
        "search;",
        "embed;",
        "embed_model;",
        "retrieve;",
        "origin_sql;dur=2.5",
        "rerank;",
        "answer_cache;",
        "answer;",
    ] {
        assert!(header.contains(stage), "{stage} is missing in {header}");
    }
    assert_eq!(
        cold.headers["x-request-id"],
        cold.meta().request_id.to_string()
    );
}

#[tokio::test]
async fn each_narrowing_of_a_search_is_another_search_and_reaches_the_origin_as_it_was_asked_for() {
    let edge = Edge::new(Library::of_two_teachers());
    edge.ask(FIRST_STUDENT, "scales?").await;
    let id = passage(101, "").document_id;
    let narrowings = [
        json!({"document_ids": [id]}),
        json!({"owner_ids": [id]}),
        json!({"first_page": 2}),
        json!({"last_page": 2}),
        json!({"uploaded_from_s": 2}),
        json!({"uploaded_before_s": 2}),
        json!({"document_ids": [id], "first_page": 2, "last_page": 2}),
    ];
    for (nth, filters) in (2..).zip(&narrowings) {
        for outcome in [Miss, Hit] {
            let mut narrowed = edge.question(FIRST_STUDENT, "scales?");
            let body = json!({"query": "scales?", "filters": filters});
            narrowed.body = body.to_string().into();
            let cache = edge.send(narrowed).await.meta().cache;
            assert_eq!(cache.search, outcome, "{filters}");
        }
        assert_eq!(edge.kept(Layer::Search), nth);
    }
    assert_eq!(edge.kept(Layer::Embedding), 1);
    let asked_for = edge.world.filters.borrow();
    assert_eq!(asked_for[0], SearchFilters::default());
    assert_eq!(json!(asked_for[1..]), json!(narrowings));
}

#[tokio::test]
async fn an_empty_library_is_an_answer_too() {
    let edge = Edge::new(Library::default());
    let received = edge.ask(FIRST_STUDENT, "scales?").await;
    assert!(received.is_done());
    assert!(received.meta().sources.is_empty());
    assert!(!edge.calls().contains(&"rerank".to_owned()));
}

#[tokio::test]
async fn a_question_that_can_not_be_asked_is_refused() {
    let edge = Edge::new(Library::of_two_teachers());
    let cases = [
        (r#"{"query": "  "}"#.to_owned(), ProblemKind::QueryInvalid),
        (
            format!(r#"{{"query": "{}"}}"#, "a".repeat(2001)),
            ProblemKind::QueryInvalid,
        ),
        (
            r#"{"question": "scales?"}"#.to_owned(),
            ProblemKind::BodyInvalid,
        ),
        (
            r#"{"query": "scales?", "filters": {"owner": "me"}}"#.to_owned(),
            ProblemKind::BodyInvalid,
        ),
        (
            r#"{"query": "scales?", "filters": {"first_page": 3, "last_page": 2}}"#.to_owned(),
            ProblemKind::QueryInvalid,
        ),
        (
            r#"{"query": "scales?", "filters": {"uploaded_from_s": -1}}"#.to_owned(),
            ProblemKind::QueryInvalid,
        ),
        ("scales?".to_owned(), ProblemKind::BodyInvalid),
        (String::new(), ProblemKind::BodyInvalid),
        (
            format!(r#"{{"query": "{}"}}"#, "a".repeat(17_000)),
            ProblemKind::BodyTooLarge,
        ),
    ];
    for (body, kind) in cases {
        let mut sent = edge.question(FIRST_STUDENT, "");
        sent.body = body.into_bytes();
        let refused = edge.send(sent).await;
        assert_eq!(refused.status, kind.status());
        assert!(refused.problem().is(kind), "{}", refused.body);
        assert!(refused.problem().instance.is_some());
    }
    assert!(!edge.calls().iter().any(|call| call == "embed"));
}
