//! A teacher's documents after their upload.

use journeys::{Pupil, journey, pdf};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use shared_types::{
    documents::{Document, DocumentStatus, Visibility},
    ids::DocumentId,
    problem::{Problem, ProblemKind},
};

const HANDBOOK: &str = "06-studio-handbook-first-teacher.pdf";
const QUESTION: &str = "How many minutes does a lesson in this studio last?";

async fn change(owner: &Pupil, id: DocumentId, change: Value) -> Document {
    let path = format!("/api/documents/{id}");
    let request = owner.browser.request(Method::PATCH, &path).json(&change);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

async fn send(person: &Pupil, method: Method, path: &str) -> Response {
    let request = person.browser.request(method, path);
    request.send().await.unwrap()
}

/// The titles that an answer rests on.
async fn titles(reader: &Pupil) -> Vec<String> {
    let answer = reader.browser.ask_json(QUESTION).await.unwrap();
    let sources = answer.sources.into_iter();
    sources.map(|source| source.document_title).collect()
}

#[test]
fn what_a_teacher_changes_or_deletes_her_student_finds_so_at_once() {
    journey(async |school| {
        let (teacher, student) = (&school.teacher, &school.student);
        let handbook = teacher.adds_booklet(HANDBOOK, Visibility::Private).await;
        let before = titles(student).await;
        assert!(before.contains(&handbook.title), "{before:?}");

        let renamed = change(teacher, handbook.id, json!({ "title": "House rules" })).await;
        assert_eq!(renamed.title, "House rules");
        let after = titles(student).await;
        assert!(after.contains(&"House rules".to_owned()), "{after:?}");
        assert!(!after.contains(&handbook.title), "{after:?}");

        let path = format!("/api/documents/{}", handbook.id);
        let refused = send(student, Method::DELETE, &path).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        let deleted = send(teacher, Method::DELETE, &path).await;
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);

        assert_eq!(titles(student).await, [""; 0]);
        for gone in [path.clone(), format!("{path}/file")] {
            let response = send(teacher, Method::GET, &gone).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{gone}");
        }
        school.sees_one_file_removed().await;
    });
}

#[test]
fn a_file_that_failed_is_read_once_more_when_its_owner_asks() {
    journey(async |school| {
        let letter = b"Dear teacher, this is no PDF.".to_vec();
        let letter = pdf("letter.pdf", letter, Visibility::Private);
        let failed = school.teacher.adds(letter).await;
        assert_eq!(failed.status, DocumentStatus::Failed);

        let path = format!("/api/documents/{}/reprocess", failed.id);
        let refused = send(&school.student, Method::POST, &path).await;
        let refused: Problem = refused.json().await.unwrap();
        assert!(refused.is(ProblemKind::NotFound), "{refused:?}");
        let accepted = send(&school.teacher, Method::POST, &path).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
        let again: Document = accepted.json().await.unwrap();
        assert_eq!(
            (again.status, again.failure),
            (DocumentStatus::Queued, None)
        );
        let ended = school.teacher.browser.wait_for(failed.id, |_| ()).await;
        assert_eq!(ended.unwrap().failure, failed.failure);
    });
}
