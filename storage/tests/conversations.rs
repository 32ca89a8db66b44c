//! Conversations: each person's own, in order, and shown as far as its documents may be read.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod support;

use futures_util::future::join_all;
use shared_types::{
    cache::{AnswerPiece, StoredAnswer},
    chat::{Citation, FinishReason, Source, Usage},
    claims::{AccessClaims, Role},
    conversation::{Answered, MAX_MESSAGES, MAX_SESSIONS, Message, MessageReply},
    documents::Visibility,
    ids::{ChatSessionId, ChunkId, DocumentId, MessageId},
};
use std::time::Duration;
use storage::{
    Error,
    conversations::{self, Question},
    documents,
};
use support::{Database, fresh_id};
use uuid::Uuid;

async fn begin(db: &Database, who: &AccessClaims) -> ChatSessionId {
    let id = ChatSessionId(fresh_id());
    let mut tx = db.reader(who).await;
    conversations::create(&mut tx, id, "").await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn ask(
    db: &Database,
    who: &AccessClaims,
    session: ChatSessionId,
    question: &str,
) -> Result<MessageId, Error> {
    let id = MessageId(fresh_id());
    let question = Question {
        id,
        asked: question,
        question,
        normalised: question,
        title: question,
    };
    let mut tx = db.reader(who).await;
    conversations::ask(&mut tx, session, &question).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

fn answer_from(document: DocumentId) -> Answered {
    let chunk_id = ChunkId(fresh_id());
    let citation = Citation {
        marker: 1,
        chunk_id,
        document_id: document,
        document_title: "Scales".to_owned(),
        page: 1,
        quote: "Curve the fingers.".to_owned(),
        start_char: 0,
        end_char: 18,
        areas: vec![[1, 2, 3, 4]],
    };
    Answered {
        answer: StoredAnswer {
            pieces: vec![
                AnswerPiece::Text("Curve them.".to_owned()),
                AnswerPiece::Citation(citation),
            ],
            confidence: 0.9,
            finish_reason: FinishReason::Complete,
            usage: Usage::default(),
            curated_by: None,
        },
        sources: vec![Source {
            chunk_id,
            document_id: document,
            document_title: "Scales".to_owned(),
            page_start: 1,
            page_end: 1,
            section: None,
            score: Some(0.9),
        }],
    }
}

async fn write_down(
    db: &Database,
    who: &AccessClaims,
    message: MessageId,
    answered: &Answered,
) -> Result<(), Error> {
    let mut tx = db.reader(who).await;
    conversations::answered(&mut tx, message, answered).await?;
    tx.commit().await
}

async fn messages(db: &Database, who: &AccessClaims, session: ChatSessionId) -> Vec<Message> {
    let mut tx = db.reader(who).await;
    let listed = conversations::messages(&mut tx, session, None, 50).await;
    listed.unwrap().items
}

/// A question that is not answered yet, and a booklet that answers it, both a teacher's own.
struct Asked {
    teacher: AccessClaims,
    document: DocumentId,
    session: ChatSessionId,
    message: MessageId,
}

async fn asked_of_a_booklet(db: &Database) -> Asked {
    let teacher = db.person(Role::Teacher).await;
    let document = db
        .ready(&teacher, Visibility::Private, &["Curve the fingers."])
        .await;
    let session = begin(db, &teacher).await;
    let message = ask(db, &teacher, session, "How do I hold them?").await;
    Asked {
        message: message.unwrap(),
        teacher,
        document,
        session,
    }
}

#[tokio::test]
async fn a_conversation_is_nobody_elses_not_even_an_admins() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let (teacher, admin) = (db.person(Role::Teacher).await, db.person(Role::Admin).await);
    db.link(&teacher, &student).await;
    let session = begin(&db, &student).await;
    let message = ask(&db, &student, session, "What is legato?")
        .await
        .unwrap();
    for other in [&teacher, &admin] {
        let mut tx = db.reader(other).await;
        let listed = conversations::list(&mut tx, None, 10).await.unwrap();
        assert_eq!(listed.items, []);
        for refused in [
            conversations::get(&mut tx, session).await.map(|_| ()),
            conversations::context(&mut tx, session).await.map(|_| ()),
            conversations::messages(&mut tx, session, None, 10)
                .await
                .map(|_| ()),
            conversations::delete(&mut tx, session).await,
        ] {
            assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        }
        drop(tx);
        let asked = ask(&db, other, session, "And staccato?").await;
        assert!(matches!(asked, Err(Error::NotFound)), "{asked:?}");
        let answered = answer_from(DocumentId(fresh_id()));
        let written = write_down(&db, other, message, &answered).await;
        assert!(matches!(written, Err(Error::NotFound)), "{written:?}");
    }
    assert_eq!(messages(&db, &student, session).await.len(), 1);
}

#[tokio::test]
async fn an_answer_is_written_down_once_and_read_as_it_was() {
    let db = Database::new().await;
    let Asked {
        teacher,
        document,
        session,
        message,
    } = asked_of_a_booklet(&db).await;
    let unanswered = messages(&db, &teacher, session).await;
    assert_eq!(unanswered[0].reply, MessageReply::Unanswered);

    let answered = answer_from(document);
    write_down(&db, &teacher, message, &answered).await.unwrap();
    let again = write_down(&db, &teacher, message, &answered).await;
    assert!(matches!(again, Err(Error::NotFound)));

    let read = messages(&db, &teacher, session).await;
    let MessageReply::Answered { answer } = &read[0].reply else {
        panic!("{read:?}");
    };
    assert_eq!(answer.text, "Curve them. [1]");
    assert_eq!(answer.sources, answered.sources);
    assert_eq!(answer.citations[0].areas, [[1, 2, 3, 4]]);
}

/// The same person, who loses the right to the page in each of the ways there are.
#[tokio::test]
async fn an_answer_is_withheld_from_whoever_may_not_read_its_pages_any_more() {
    for way in ["parted", "made private", "deleted"] {
        let db = Database::new().await;
        let (teacher, student) = (
            db.person(Role::Teacher).await,
            db.person(Role::Student).await,
        );
        let visibility = if way == "made private" {
            Visibility::Public
        } else {
            db.link(&teacher, &student).await;
            Visibility::Private
        };
        let document = db
            .ready(&teacher, visibility, &["Curve the fingers."])
            .await;
        let session = begin(&db, &student).await;
        let message = ask(&db, &student, session, "How do I hold them?")
            .await
            .unwrap();
        write_down(&db, &student, message, &answer_from(document))
            .await
            .unwrap();
        let before = messages(&db, &student, session).await;
        assert!(
            matches!(before[0].reply, MessageReply::Answered { .. }),
            "{way}"
        );

        match way {
            "deleted" => delete(&db, &teacher, document).await,
            "made private" => {
                sqlx::query("update knowledge_base_docs set is_public = false")
                    .execute(&db.owner)
                    .await
                    .unwrap();
            }
            _ => {
                sqlx::query("delete from teacher_student_relationships")
                    .execute(&db.owner)
                    .await
                    .unwrap();
            }
        }
        let after = messages(&db, &student, session).await;
        assert_eq!(after[0].reply, MessageReply::Withheld, "{way}");
        // The wall itself withholds it, whatever is asked of the table.
        let mut tx = db.reader(&student).await;
        let rows: i64 = sqlx::query_scalar("select count(*) from chat_answers")
            .fetch_one(tx.connection())
            .await
            .unwrap();
        assert_eq!(rows, 0, "{way}");
    }
}

/// Answers that are kept, whoever may see them.
async fn kept(db: &Database) -> i64 {
    sqlx::query_scalar("select count(*) from chat_answers")
        .fetch_one(&db.owner)
        .await
        .unwrap()
}

async fn delete(db: &Database, owner: &AccessClaims, document: DocumentId) {
    let mut tx = db.reader(owner).await;
    documents::delete(&mut tx, document).await.unwrap();
    tx.commit().await.unwrap();
}

/// A teacher's two booklets, and a student who was answered from each.
async fn answered_from_two(db: &Database) -> (AccessClaims, [DocumentId; 2]) {
    let teacher = db.person(Role::Teacher).await;
    let student = db.person(Role::Student).await;
    db.link(&teacher, &student).await;
    let session = begin(db, &student).await;
    let mut booklets = Vec::new();
    for text in ["Curve the fingers.", "Sit upright."] {
        let booklet = db.ready(&teacher, Visibility::Private, &[text]).await;
        let message = ask(db, &student, session, text).await.unwrap();
        let answered = answer_from(booklet);
        write_down(db, &student, message, &answered).await.unwrap();
        booklets.push(booklet);
    }
    (teacher, booklets.try_into().unwrap())
}

#[tokio::test]
async fn words_of_a_deleted_document_are_kept_in_nobodys_conversation() {
    let db = Database::new().await;
    let (teacher, [gone, stays]) = answered_from_two(&db).await;
    delete(&db, &teacher, gone).await;
    let left: Vec<Vec<Uuid>> = sqlx::query_scalar("select document_ids from chat_answers")
        .fetch_all(&db.owner)
        .await
        .unwrap();
    assert_eq!(left, [vec![stays.0]]);
}

#[tokio::test]
async fn words_of_a_teacher_whose_account_is_removed_go_with_it() {
    let db = Database::new().await;
    let (teacher, _) = answered_from_two(&db).await;
    sqlx::query("delete from users where id = $1")
        .bind(teacher.sub.0)
        .execute(&db.owner)
        .await
        .unwrap();
    assert_eq!(kept(&db).await, 0);
}

#[tokio::test]
async fn an_answer_that_comes_after_its_document_went_is_not_written_down() {
    let db = Database::new().await;
    let Asked {
        teacher,
        document,
        session,
        message,
    } = asked_of_a_booklet(&db).await;
    delete(&db, &teacher, document).await;
    let late = write_down(&db, &teacher, message, &answer_from(document)).await;
    assert!(matches!(late, Err(Error::NotFound)), "{late:?}");
    let messages = messages(&db, &teacher, session).await;
    assert_eq!(messages[0].reply, MessageReply::Unanswered);
    assert_eq!(kept(&db).await, 0);
}

#[tokio::test]
async fn a_document_that_goes_while_an_answer_is_written_down_takes_it_along() {
    let db = Database::new().await;
    let Asked {
        teacher,
        document,
        message,
        ..
    } = asked_of_a_booklet(&db).await;
    let mut writing = db.reader(&teacher).await;
    let answered = answer_from(document);
    conversations::answered(&mut writing, message, &answered)
        .await
        .unwrap();
    let committed = async {
        // The other one has begun by then, and waits.
        tokio::time::sleep(Duration::from_millis(200)).await;
        writing.commit().await.unwrap();
    };
    tokio::join!(delete(&db, &teacher, document), committed);
    assert_eq!(kept(&db).await, 0);
}

#[tokio::test]
async fn questions_keep_their_order_however_many_are_asked_at_once() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let session = begin(&db, &student).await;
    let texts: Vec<String> = (0..8).map(|number| format!("Question {number}?")).collect();
    let asked = texts.iter().map(|text| ask(&db, &student, session, text));
    for asked in join_all(asked).await {
        asked.unwrap();
    }
    let numbers: Vec<i32> = sqlx::query_scalar("select number from chat_messages order by number")
        .fetch_all(&db.owner)
        .await
        .unwrap();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    ask(&db, &student, session, "The last one?").await.unwrap();
    let mut tx = db.reader(&student).await;
    let context = conversations::context(&mut tx, session).await.unwrap();
    assert_eq!((context.len(), &*context[2].asked), (3, "The last one?"));
}

#[tokio::test]
async fn a_conversation_gets_its_title_by_the_first_question_and_moves_to_the_front() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let (older, newer) = (begin(&db, &student).await, begin(&db, &student).await);
    ask(&db, &student, older, "What is legato?").await.unwrap();
    ask(&db, &student, older, "And staccato?").await.unwrap();
    let mut tx = db.reader(&student).await;
    let first = conversations::list(&mut tx, None, 1).await.unwrap();
    let session = &first.items[0];
    assert_eq!(
        (session.id, &*session.title, session.message_count),
        (older, "What is legato?", 2)
    );
    let rest = conversations::list(&mut tx, first.next, 1).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next), (newer, None));
}

#[tokio::test]
async fn there_is_an_end_to_conversations_and_to_their_number() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let session = begin(&db, &student).await;
    sqlx::query("update chat_sessions set message_count = $1")
        .bind(i32::try_from(MAX_MESSAGES).unwrap())
        .execute(&db.owner)
        .await
        .unwrap();
    let refused = ask(&db, &student, session, "One more?").await;
    assert!(matches!(refused, Err(Error::Conflict)), "{refused:?}");
    let mut tx = db.reader(&student).await;
    let context = conversations::context(&mut tx, session).await;
    assert!(matches!(context, Err(Error::Conflict)));
    drop(tx);

    sqlx::query(
        "insert into chat_sessions (id, user_id) \
         select gen_random_uuid(), $1 from generate_series(2, $2)",
    )
    .bind(student.sub.0)
    .bind(i32::try_from(MAX_SESSIONS).unwrap())
    .execute(&db.owner)
    .await
    .unwrap();
    let mut tx = db.reader(&student).await;
    let refused = conversations::create(&mut tx, ChatSessionId(fresh_id()), "").await;
    assert!(matches!(refused, Err(Error::Conflict)));
}

#[tokio::test]
async fn a_removed_conversation_leaves_nothing() {
    let db = Database::new().await;
    let student = db.person(Role::Student).await;
    let session = begin(&db, &student).await;
    ask(&db, &student, session, "What is legato?")
        .await
        .unwrap();
    let mut tx = db.reader(&student).await;
    conversations::delete(&mut tx, session).await.unwrap();
    tx.commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from chat_messages")
        .fetch_one(&db.owner)
        .await
        .unwrap();
    assert_eq!(left, 0);
}
