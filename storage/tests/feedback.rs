//! What people say of answers, what teachers are told of it, and what teachers answer themselves.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use shared_types::{
    cache::StoredAnswer,
    chat::{FinishReason, Usage},
    claims::{AccessClaims, Role},
    conversation::{Answered, MessageReply},
    feedback::{CuratedBy, Feedback, MAX_CURATED, Rating, UnansweredQuestion},
    ids::{ChatSessionId, CuratedAnswerId, MessageId},
};
use storage::{
    Error,
    conversations::{self, Question},
    curated::{self, Asked, New},
    feedback,
};
use support::{Database, MODEL, embedding, fresh_id};

/// A teacher, and a student who is not hers.
async fn strangers(db: &Database) -> (AccessClaims, AccessClaims) {
    (
        db.person(Role::Teacher).await,
        db.person(Role::Student).await,
    )
}

fn ended(finish_reason: FinishReason, curated_by: Option<CuratedBy>) -> Answered {
    Answered {
        answer: StoredAnswer {
            pieces: Vec::new(),
            confidence: 0.5,
            finish_reason,
            usage: Usage::default(),
            curated_by,
        },
        sources: Vec::new(),
    }
}

/// A question in a conversation of its own, answered or not covered.
async fn asks(
    db: &Database,
    who: &AccessClaims,
    question: &str,
    finish_reason: FinishReason,
    curated_by: Option<CuratedBy>,
) -> (ChatSessionId, MessageId) {
    let (session, id) = (ChatSessionId(fresh_id()), MessageId(fresh_id()));
    let mut tx = db.reader(who).await;
    conversations::create(&mut tx, session, "").await.unwrap();
    let asked = Question {
        id,
        asked: question,
        question,
        normalised: &question.to_lowercase(),
        title: question,
    };
    conversations::ask(&mut tx, session, &asked).await.unwrap();
    let answered = ended(finish_reason, curated_by);
    conversations::answered(&mut tx, id, &answered)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    (session, id)
}

fn says(rating: Rating, shares_name: bool) -> Feedback {
    Feedback {
        rating,
        reason: Some("It is about the other hand.".to_owned()),
        shares_name,
    }
}

async fn give(
    db: &Database,
    who: &AccessClaims,
    message: MessageId,
    given: &Feedback,
) -> Result<(), Error> {
    let mut tx = db.reader(who).await;
    feedback::give(&mut tx, message, given).await?;
    tx.commit().await
}

async fn unanswered(db: &Database, who: &AccessClaims) -> Vec<UnansweredQuestion> {
    let mut tx = db.reader(who).await;
    feedback::unanswered(&mut tx, None, 50).await.unwrap().items
}

async fn curate(
    db: &Database,
    teacher: &AccessClaims,
    question: &str,
) -> Result<CuratedAnswerId, Error> {
    let mut tx = db.reader(teacher).await;
    let new = New {
        id: CuratedAnswerId(fresh_id()),
        question,
        answer: "Slowly.",
    };
    let kept = curated::create(&mut tx, &new).await?;
    tx.commit().await?;
    for (id, question) in curated::bare(&db.ingest, MODEL, 100).await? {
        curated::embedded(&db.ingest, id, MODEL, &embedding(&question)).await?;
    }
    Ok(kept.id)
}

async fn nearest(db: &Database, who: &AccessClaims, question: &str) -> Option<CuratedAnswerId> {
    let mut tx = db.reader(who).await;
    let asked = Asked {
        question,
        embedding: Some(&embedding(question)),
        embedding_model: MODEL,
        min_similarity: 0.99,
    };
    curated::nearest(&mut tx, &asked).await.unwrap()
}

#[tokio::test]
async fn a_teacher_sees_what_her_students_were_not_answered_and_not_who_asked() {
    let db = Database::new().await;
    let (teacher, other) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let student = db.person(Role::Student).await;
    let before = "What did I ask before I was yours?";
    asks(&db, &student, before, FinishReason::NotCovered, None).await;
    db.link(&teacher, &student).await;
    let open = "How do I tune a harpsichord?";
    let (_, missed) = asks(&db, &student, open, FinishReason::NotCovered, None).await;
    let (_, told) = asks(
        &db,
        &student,
        "What is legato?",
        FinishReason::Complete,
        None,
    )
    .await;
    asks(
        &db,
        &student,
        "What is staccato?",
        FinishReason::Complete,
        None,
    )
    .await;
    assert_eq!(unanswered(&db, &teacher).await.len(), 1);

    give(&db, &student, told, &says(Rating::Down, false))
        .await
        .unwrap();
    let shown = unanswered(&db, &teacher).await;
    let texts: Vec<(&str, bool)> = shown
        .iter()
        .map(|question| (question.question.as_str(), question.is_covered))
        .collect();
    assert_eq!(texts, [("What is legato?", true), (open, false)]);
    assert!(shown.iter().all(|question| question.student.is_none()));

    // The student lets it be known, and takes it back.
    for shares_name in [true, false] {
        give(&db, &student, missed, &says(Rating::Down, shares_name))
            .await
            .unwrap();
        let named = unanswered(&db, &teacher).await[1].student.clone();
        assert_eq!(
            named.map(|student| student.id),
            shares_name.then_some(student.sub)
        );
    }
    give(&db, &student, told, &says(Rating::Up, false))
        .await
        .unwrap();
    assert_eq!(unanswered(&db, &teacher).await.len(), 1);

    let admin = db.person(Role::Admin).await;
    for nobody in [&other, &student, &admin] {
        assert_eq!(unanswered(&db, nobody).await, []);
    }
    // What she has answered herself is open no longer.
    curate(&db, &teacher, &open.to_lowercase()).await.unwrap();
    assert_eq!(unanswered(&db, &teacher).await, []);
}

#[tokio::test]
async fn nobody_judges_somebody_elses_answer() {
    let db = Database::new().await;
    let (teacher, student) = strangers(&db).await;
    db.link(&teacher, &student).await;
    let (_, message) = asks(
        &db,
        &student,
        "What is legato?",
        FinishReason::Complete,
        None,
    )
    .await;
    for (who, message) in [(&teacher, message), (&student, MessageId(fresh_id()))] {
        let refused = give(&db, who, message, &says(Rating::Up, true)).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_teachers_own_answer_is_found_by_her_students_and_nobody_else() {
    let db = Database::new().await;
    let (teacher, other) = (
        db.person(Role::Teacher).await,
        db.person(Role::Teacher).await,
    );
    let (student, stranger) = (
        db.person(Role::Student).await,
        db.person(Role::Student).await,
    );
    db.link(&teacher, &student).await;
    db.link(&other, &stranger).await;
    let id = curate(&db, &teacher, "how fast are scales?").await.unwrap();
    for reader in [&teacher, &student] {
        assert_eq!(nearest(&db, reader, "how fast are scales?").await, Some(id));
        assert_eq!(nearest(&db, reader, "what is legato?").await, None);
    }
    for nobody in [&other, &stranger] {
        assert_eq!(nearest(&db, nobody, "how fast are scales?").await, None);
        let mut tx = db.reader(nobody).await;
        let text = curated::text(&mut tx, id).await;
        assert!(matches!(text, Err(Error::NotFound)));
    }
    // Another answer to the same question takes the place of the first.
    let newer = curate(&db, &teacher, "how fast are scales?").await.unwrap();
    assert_eq!(
        nearest(&db, &student, "how fast are scales?").await,
        Some(newer)
    );
    let mut tx = db.reader(&teacher).await;
    let listed = curated::list(&mut tx, None, 10).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    drop(tx);
    let forbidden = curate(&db, &student, "how fast are scales?").await;
    assert!(matches!(forbidden, Err(Error::Forbidden)), "{forbidden:?}");
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared_and_the_same_words_are_found_without() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let id = curate(&db, &teacher, "how fast are scales?").await.unwrap();
    let mut tx = db.reader(&teacher).await;
    for (question, expected) in [
        ("how fast are scales?", Some(id)),
        ("how quick are scales?", None),
    ] {
        for embedding in [None, Some(&embedding("how fast are scales?"))] {
            let asked = Asked {
                question,
                embedding,
                embedding_model: "@test/another#cls",
                min_similarity: 0.5,
            };
            assert_eq!(curated::nearest(&mut tx, &asked).await.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn whoever_leaves_the_teacher_is_not_shown_her_answer_again() {
    let db = Database::new().await;
    let (teacher, student) = strangers(&db).await;
    db.link(&teacher, &student).await;
    let id = curate(&db, &teacher, "how fast are scales?").await.unwrap();
    let by = CuratedBy {
        id,
        teacher_name: "A. Person".to_owned(),
    };
    let (session, _) = asks(&db, &student, "How fast?", FinishReason::Complete, Some(by)).await;
    let reply = async || {
        let mut tx = db.reader(&student).await;
        let listed = conversations::messages(&mut tx, session, None, 1)
            .await
            .unwrap();
        listed.items[0].reply.clone()
    };
    assert!(matches!(reply().await, MessageReply::Answered { .. }));
    sqlx::query("delete from teacher_student_relationships")
        .execute(&db.owner)
        .await
        .unwrap();
    assert_eq!(reply().await, MessageReply::Withheld);
    let kept = async || {
        let count = sqlx::query_scalar::<_, i64>("select count(*) from chat_answers");
        count.fetch_one(&db.owner).await.unwrap()
    };
    assert_eq!(kept().await, 1);

    // What she takes back is kept in nobody's conversation.
    let mut tx = db.reader(&teacher).await;
    curated::delete(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(kept().await, 0);
    assert_eq!(reply().await, MessageReply::Withheld);
}

#[tokio::test]
async fn answers_of_ones_own_change_what_students_find_and_their_number_is_bounded() {
    let db = Database::new().await;
    let (teacher, student) = strangers(&db).await;
    db.link(&teacher, &student).await;
    let scope = async || {
        let mut tx = db.reader(&student).await;
        rag_core::scope::scope_version(&storage::scope::facts(&mut tx).await.unwrap())
    };
    let before = scope().await;
    let id = curate(&db, &teacher, "how fast are scales?").await.unwrap();
    let with = scope().await;
    assert_ne!(before, with);
    let mut tx = db.reader(&teacher).await;
    curated::delete(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_ne!(scope().await, with);

    sqlx::query(
        "insert into curated_answers (id, teacher_id, question, answer) \
         select gen_random_uuid(), $1, 'question ' || n, 'a' from generate_series(1, $2) n",
    )
    .bind(teacher.sub.0)
    .bind(i32::try_from(MAX_CURATED).unwrap())
    .execute(&db.owner)
    .await
    .unwrap();
    let refused = curate(&db, &teacher, "one more?").await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
}

/// The same vector for each, as near as two questions can be.
#[tokio::test]
async fn a_question_of_other_words_is_another_question_however_near() {
    let db = Database::new().await;
    let teacher = db.person(Role::Teacher).await;
    let question = "which finger begins the scale in the left hand?";
    let id = curate(&db, &teacher, question).await.unwrap();
    let mut tx = db.reader(&teacher).await;
    for (asked, expected) in [
        (
            "with which fingers do scales begin in the left hand",
            Some(id),
        ),
        ("which finger begins the scale in the right hand?", None),
        (
            "which finger does not begin the scale in the left hand?",
            None,
        ),
        (
            "which finger doesn't begin the scale in the left hand?",
            None,
        ),
        ("which finger begins the scale?", None),
    ] {
        let asked = Asked {
            question: asked,
            embedding: Some(&embedding(question)),
            embedding_model: MODEL,
            min_similarity: 0.9,
        };
        let found = curated::nearest(&mut tx, &asked).await.unwrap();
        assert_eq!(found, expected, "{}", asked.question);
    }
}

#[tokio::test]
async fn a_judgement_of_what_was_not_answered_yet_shows_nothing_to_a_teacher() {
    let db = Database::new().await;
    let (teacher, student) = strangers(&db).await;
    db.link(&teacher, &student).await;
    let (session, id) = (ChatSessionId(fresh_id()), MessageId(fresh_id()));
    let mut tx = db.reader(&student).await;
    conversations::create(&mut tx, session, "").await.unwrap();
    let asked = Question {
        id,
        asked: "What is legato?",
        question: "What is legato?",
        normalised: "what is legato?",
        title: "",
    };
    conversations::ask(&mut tx, session, &asked).await.unwrap();
    tx.commit().await.unwrap();
    give(&db, &student, id, &says(Rating::Down, true))
        .await
        .unwrap();
    assert_eq!(unanswered(&db, &teacher).await, []);
}

#[tokio::test]
async fn what_was_asked_before_the_teacher_came_is_not_told_by_a_later_question() {
    let db = Database::new().await;
    let (teacher, student) = strangers(&db).await;
    let before = "How do I leave my teacher?";
    let (session, _) = asks(&db, &student, before, FinishReason::NotCovered, None).await;
    db.link(&teacher, &student).await;
    let id = MessageId(fresh_id());
    let mut tx = db.reader(&student).await;
    let follow_up = Question {
        id,
        asked: "And politely?",
        question: "How do I leave my teacher? And politely?",
        normalised: "how do i leave my teacher? and politely?",
        title: "",
    };
    conversations::ask(&mut tx, session, &follow_up)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.reader(&student).await;
    let answered = ended(FinishReason::NotCovered, None);
    conversations::answered(&mut tx, id, &answered)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let shown = unanswered(&db, &teacher).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].question, "And politely?");
}
