//! A student goes on asking, leaves, comes back, and finds what was said.

use crate::finding::{fill, pupil, rank};
use journeys::{
    Pupil, WALTZ, journey,
    questions::{Questions, Ranks},
};
use local_stack::StackError;
use rag_core::conversation::leans;
use serde_json::json;
use shared_types::{
    chat::{CacheOutcome, ChatAnswer, ChatQuery, FinishReason},
    conversation::{Message, MessageReply},
    documents::Visibility,
    feedback::UnansweredList,
    ids::ChatSessionId,
    problem::ProblemKind,
};
use std::time::Duration;

/// Measured with the small encoder and questions that are joined: 0.850, and 0.550 where each is asked alone.
const MIN_HITS_AT_3: f64 = 0.80;

/// Of the questions that stand by themselves, those that are taken for follow-ups. Measured: 4 of 118.
const MAX_MISTAKEN: usize = 4;

fn in_conversation(session_id: ChatSessionId, question: &str) -> ChatQuery {
    ChatQuery {
        query: question.to_owned(),
        session_id: Some(session_id),
        ..ChatQuery::default()
    }
}

async fn ask(who: &Pupil, session_id: ChatSessionId, question: &str) -> ChatAnswer {
    let query = in_conversation(session_id, question);
    who.browser.ask_json_query(&query).await.unwrap()
}

async fn messages(who: &Pupil, session_id: ChatSessionId) -> Vec<Message> {
    who.browser.sees_answers_in(session_id).await.unwrap()
}

#[test]
fn what_was_said_is_found_again_with_its_citations_until_it_is_removed() {
    journey(async |school| {
        school.shows_pedalling().await;
        let student = &school.student;
        let session = student.browser.begin_conversation().await.unwrap();

        let first = ask(student, session.id, WALTZ).await;
        let follow_up = ask(student, session.id, "And in a slow one?").await;

        let turn = follow_up.turn.unwrap();
        assert!(turn.is_rewritten);
        assert!(turn.question.contains("waltz"), "{}", turn.question);
        let turn = first.turn.unwrap();
        assert_eq!((turn.is_rewritten, &*turn.question), (false, WALTZ));

        let messages = messages(student, session.id).await;
        assert_eq!(messages[0].asked, "And in a slow one?");
        assert_eq!(messages[1].id, turn.message_id);
        let MessageReply::Answered { answer } = &messages[1].reply else {
            panic!("{messages:?}");
        };
        assert_eq!(
            (&answer.text, &answer.citations, &answer.sources),
            (&first.answer, &first.citations, &first.sources)
        );
        let listed = student.browser.conversations().await.unwrap();
        assert_eq!((&*listed[0].title, listed[0].message_count), (WALTZ, 2));

        // Nobody else's, whatever they know.
        for other in [&school.teacher, &school.other_teacher] {
            let shown = other.browser.messages(session.id).await;
            assert!(
                matches!(shown, Err(StackError::Refused { .. })),
                "{shown:?}"
            );
            let query = in_conversation(session.id, WALTZ);
            let refused = other.browser.ask_json_query(&query).await.unwrap_err();
            assert!(refused.is(ProblemKind::NotFound), "{refused}");
        }

        student
            .browser
            .remove_conversation(session.id)
            .await
            .unwrap();
        assert_eq!(student.browser.conversations().await.unwrap(), []);
        let left = "select count(*) from chat_messages";
        assert_eq!(school.database().run(left).await.unwrap().trim(), "0");
    });
}

#[test]
fn a_follow_up_that_somebody_asked_before_is_answered_from_the_cache() {
    journey(async |school| {
        school.shows_pedalling().await;
        let student = &school.student;
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let session = student.browser.begin_conversation().await.unwrap();
            ask(student, session.id, WALTZ).await;
            let again = ask(student, session.id, "And in a slow one?").await;
            outcomes.push((again.cache.search, again.cache.answer));
            let messages = messages(student, session.id).await;
            assert!(matches!(messages[0].reply, MessageReply::Answered { .. }));
        }
        assert_eq!(outcomes[0], (CacheOutcome::Miss, CacheOutcome::Miss));
        assert_eq!(outcomes[1], (CacheOutcome::Hit, CacheOutcome::Hit));
    });
}

#[test]
fn an_answer_from_a_page_that_one_may_not_read_any_more_is_withheld() {
    journey(async |school| {
        let handbook = "06-studio-handbook-first-teacher.pdf";
        school
            .teacher
            .adds_booklet(handbook, Visibility::Private)
            .await;
        let student = &school.student;
        let session = student.browser.begin_conversation().await.unwrap();
        let told = ask(student, session.id, "How long does a lesson last?").await;
        assert!(told.answer.contains("47"), "{}", told.answer);
        let before = messages(student, session.id).await;
        assert!(matches!(before[0].reply, MessageReply::Answered { .. }));

        let path = format!("/api/students/{}", student.person.id);
        let request = school
            .teacher
            .browser
            .request(reqwest::Method::DELETE, &path);
        assert_eq!(request.send().await.unwrap().status(), 204);

        let after = messages(student, session.id).await;
        assert_eq!(after[0].reply, MessageReply::Withheld);
        assert_eq!(after[0].asked, "How long does a lesson last?");
    });
}

#[test]
fn a_follow_up_leans_on_what_was_asked_and_a_question_of_its_own_does_not() {
    let library = Questions::read();
    for follow_up in &library.follow_ups {
        assert!(leans(&follow_up.question.text), "{follow_up:?}");
    }
    let texts = library.questions.iter().map(|question| &question.text);
    let mistaken: Vec<_> = texts.filter(|text| leans(text)).collect();
    assert!(mistaken.len() <= MAX_MISTAKEN, "{mistaken:#?}");
}

#[test]
fn follow_ups_find_the_right_page() {
    journey(async |school| {
        let library = Questions::read();
        fill(school, &library).await;
        let (mut alone, mut in_context) = (Ranks::default(), Ranks::default());
        let mut missed = Vec::new();
        for follow_up in &library.follow_ups {
            let (question, asker) = (
                &follow_up.question,
                pupil(school, &follow_up.question.asker),
            );
            let session = asker.browser.begin_conversation().await.unwrap();
            for before in &follow_up.before {
                ask(asker, session.id, before).await;
            }
            let answer = ask(asker, session.id, &question.text).await;
            let told = answer.turn.as_ref().unwrap();
            assert!(told.is_rewritten, "{}", question.text);
            let found = rank(question, &answer);
            missed.extend(found.is_none().then(|| told.question.clone()));
            in_context.0.push(found);
            let by_itself = asker.browser.ask_json(&question.text).await.unwrap();
            alone.0.push(rank(question, &by_itself));
        }
        let summary = format!(
            "hit@3 {:.3} in context and {:.3} alone, MRR {:.3} and {:.3}; missed: {missed:#?}",
            in_context.hits_at(3),
            alone.hits_at(3),
            in_context.mean_reciprocal(),
            alone.mean_reciprocal(),
        );
        assert!(in_context.hits_at(3) >= MIN_HITS_AT_3, "{summary}");
        assert!(in_context.hits_at(3) > alone.hits_at(3), "{summary}");
    });
}

#[test]
fn a_teacher_answers_herself_what_her_library_could_not() {
    journey(async |school| {
        school.shows_pedalling().await;
        let (teacher, student) = (&school.teacher, &school.student);
        let question = "Which wine goes with grilled mackerel?";
        let missed = student.asks_in_a_conversation(question).await;
        let unanswered = async |who: &Pupil| {
            let request = who.browser.request(reqwest::Method::GET, "/api/unanswered");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200);
            response.json::<UnansweredList>().await.unwrap().questions
        };
        let open = unanswered(teacher).await;
        assert_eq!((open[0].message_id, &*open[0].question), (missed, question));
        assert_eq!(open[0].student, None);
        assert_eq!(unanswered(&school.other_teacher).await, []);

        let path = format!("/api/chat/messages/{missed}/feedback");
        let feedback = json!({ "rating": "down", "shares_name": true });
        let request = student.browser.request(reqwest::Method::POST, &path);
        assert_eq!(request.json(&feedback).send().await.unwrap().status(), 204);
        let named = unanswered(teacher).await[0].student.clone().unwrap();
        assert_eq!(named.id, student.person.id);

        teacher
            .answers_herself(question, "None, before a lesson.")
            .await;
        assert_eq!(unanswered(teacher).await, []);
        let embedded = "select count(*) from curated_answers where embedding is not null";
        while school.database().run(embedded).await.unwrap().trim() != "1" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for close in [question, "what wine goes with  grilled mackerel"] {
            let told = student.browser.ask_json(close).await.unwrap();
            assert_eq!(told.answer, "None, before a lesson.", "{close}");
            assert_eq!(told.curated_by.unwrap().teacher_name, teacher.person.email);
        }
        let about_another = student.browser.ask_json(WALTZ).await.unwrap();
        assert_eq!(about_another.curated_by, None);
        // Who is not her student is told nothing of it.
        let stranger = school
            .other_teacher
            .browser
            .ask_json(question)
            .await
            .unwrap();
        assert_eq!(stranger.finish_reason, FinishReason::NotCovered);
    });
}
