//! One answer, and what becomes of the model's words in it.

use super::*;

fn quote(passage: usize, block: usize, text: &str) -> Quote {
    Quote {
        passage,
        start_block: block,
        end_block: block + 1,
        text: text.into(),
    }
}

async fn told(said: Vec<ModelEvent>, broken: Option<ModelError>) -> Vec<AnswerEvent> {
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    for word in said.into_iter().map(Ok).chain(broken.map(Err)) {
        call.0.send(word).unwrap();
    }
    drop(call);
    let passages = vec![passage(1), passage(2)];
    let request = request(QUESTION, &passages, SCORE);
    let events = answers
        .answer(&context(1), &payer(1), &request, super::chosen(passages, 0))
        .await;
    events.unwrap().collect().await
}

fn shape(events: &[AnswerEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            AnswerEvent::Delta(delta) => delta.text.clone(),
            AnswerEvent::Citation(c) => format!("[{}] p. {}: {}", c.marker, c.page, c.quote),
            AnswerEvent::Done(done) => {
                format!("{:?} {:.2}", done.finish_reason, done.confidence)
            }
            AnswerEvent::Error(problem) => problem.type_uri.clone(),
            AnswerEvent::Meta(_) => "meta".into(),
        })
        .collect()
}

#[tokio::test]
async fn each_claim_is_followed_by_the_pages_it_rests_on() {
    let events = told(
        vec![
            text("Sit "),
            text("upright."),
            ModelEvent::Cited(vec![
                quote(0, 0, "Sit tall."),
                // The same words in an overlapping passage are the same place in the library.
                quote(1, 0, "Sit tall."),
            ]),
            text(" Relax."),
            ModelEvent::Cited(vec![]),
            end(FinishReason::Complete),
        ],
        None,
    )
    .await;
    insta::assert_snapshot!(shape(&events).join("\n"), @"
    Sit 
    upright.
    [1] p. 1: Sit tall.
     Relax.
    Complete 0.65
    ");
}

#[tokio::test]
async fn a_model_that_a_document_has_turned_says_nothing_but_plain_text() {
    let events = told(
        vec![
            text("Sit tall"),
            ModelEvent::Cited(vec![quote(0, 0, "Sit tall.")]),
            text("(https://evil.example/?q=secret) ![](https://evil.exam"),
            text("ple/pixel) <"),
            text("script>\u{202e}\u{200b}"),
            text("\u{200b}"),
            ModelEvent::Cited(vec![]),
            end(FinishReason::Complete),
        ],
        None,
    )
    .await;
    insta::assert_snapshot!(shape(&events)[..events.len() - 1].join("\n"), @"
    Sit tall
    [1] p. 1: Sit tall.
     (https://evil.example/?q=secret) ![] (https://evil.exam
    ple/pixel) <
     script>
    ");
}

#[tokio::test]
async fn an_invented_citation_is_not_shown_and_carries_nothing() {
    let events = told(
        vec![
            text("Play faster."),
            ModelEvent::Cited(vec![
                quote(0, 0, "Play as fast as you can."),
                quote(9, 0, "Sit tall."),
            ]),
            end(FinishReason::Complete),
        ],
        None,
    )
    .await;
    assert_eq!(shape(&events), ["Play faster.", "NotCovered 0.40"]);
}

#[tokio::test]
async fn a_model_that_breaks_off_ends_the_answer_with_a_problem() {
    let overloaded = ModelError::Interrupted {
        kind: "overloaded_error".into(),
    };
    for broken in [Some(overloaded), None] {
        let events = told(vec![text("Sit ")], broken).await;
        assert_eq!(
            shape(&events),
            ["Sit ", "urn:etude:problem:answer-interrupted"]
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_broken_off() {
    let flood = "tall, ".repeat(MAX_LOG_BYTES / 12);
    let events = told(vec![text("Sit "), text(&flood), text(&flood)], None).await;
    assert_eq!(
        shape(&events),
        ["Sit ", &flood, "urn:etude:problem:answer-interrupted"]
    );
}

#[test]
fn a_score_counts_only_for_a_passage_that_the_caller_may_read() {
    let chosen = |id, score| ChosenPassage {
        chunk_id: ChunkId(Uuid::from_u128(id)),
        rerank_score: score,
    };
    let request = AnswerRequest {
        curated: None,
        query: QUESTION.into(),
        passages: vec![chosen(7, Some(0.9)), chosen(1, Some(0.3)), chosen(2, None)],
    };
    assert_eq!(best_score(&request, &[passage(1), passage(2)]), Some(0.3));
    assert_eq!(best_score(&request, &[passage(2)]), None);
}

#[test]
fn a_block_that_fits_nothing_is_never_sent_blank() {
    let mut broken = passage(1);
    broken.units[1].chunk_end_char = 9_999;
    let mut empty = passage(2);
    empty.units.clear();
    let prompt = prompt(&Matter {
        question: QUESTION.into(),
        excerpts: excerpts(vec![broken, empty]),
        probability: 0,
        generation: 0,
    });
    assert_eq!(prompt.passages[0].blocks, ["Sit tall.", BLANK_BLOCK]);
    assert_eq!(prompt.passages[1].blocks, [BLANK_BLOCK]);
}

#[tokio::test]
async fn the_model_reads_neighbours_as_one_and_each_citation_names_the_passage_that_holds_it() {
    // The first is passage 1; the second says its last sentence again, and goes on.
    let mut next = passage(2);
    next.chunk_index = passage(1).chunk_index + 1;
    next.content = "Keep the wrist level. Breathe.".into();
    next.units = vec![passage(1).units[1], passage(1).units[1]];
    (next.units[0].chunk_start_char, next.units[0].chunk_end_char) = (0, 21);
    (next.units[1].chunk_start_char, next.units[1].chunk_end_char) = (22, 30);
    let passages = vec![next, passage(1)];
    let (answers, model) = answers(1, 1);
    let call = model.will_speak();
    call.say(text("Sit."));
    call.say(ModelEvent::Cited(vec![quote(0, 0, "Sit tall.")]));
    call.say(text("Relax."));
    call.say(ModelEvent::Cited(vec![quote(0, 2, "Breathe.")]));
    call.say(end(FinishReason::Complete));
    drop(call);
    let request = request(QUESTION, &passages, SCORE);
    let events = answers
        .answer(&context(1), &payer(1), &request, super::chosen(passages, 0))
        .await;
    let events: Vec<AnswerEvent> = events.unwrap().collect().await;
    let prompts = model.prompts.lock().unwrap();
    let shown: Vec<_> = prompts[0].passages.iter().map(|p| &p.blocks).collect();
    assert_eq!(shown, [&["Sit tall.", "Keep the wrist level.", "Breathe."]]);
    let cited = events.iter().filter_map(|event| match event {
        AnswerEvent::Citation(citation) => Some((citation.chunk_id.0.as_u128(), citation.page)),
        _ => None,
    });
    assert_eq!(cited.collect::<Vec<_>>(), [(1, 1), (2, 2)]);
}
