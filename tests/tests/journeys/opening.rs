//! A citation opens its page.

use journeys::{Pupil, booklet_path, journey};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use shared_types::{
    documents::Visibility,
    ids::DocumentId,
    problem::{Problem, ProblemKind},
};
use std::fs;

const HANDBOOK: &str = "06-studio-handbook-first-teacher.pdf";
const QUESTION: &str = "How many minutes does a lesson in this studio last?";

async fn open(reader: &Pupil, id: DocumentId, headers: &[(&'static str, &str)]) -> Response {
    let path = format!("/api/documents/{id}/file");
    let mut request = reader.browser.request(Method::GET, &path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn assert_there_is_no_such_file(response: Response) {
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let problem: Problem = response.json().await.unwrap();
    assert!(problem.is(ProblemKind::NotFound), "{problem:?}");
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

#[test]
fn a_student_opens_the_page_that_her_own_teacher_is_quoted_from() {
    journey(async |school| {
        school
            .teacher
            .adds_booklet(HANDBOOK, Visibility::Private)
            .await;
        let answer = school.student.browser.ask_to_end(QUESTION).await.unwrap();
        let citation = answer.citations.first().expect("the handbook says it");
        let uploaded = fs::read(booklet_path(HANDBOOK)).unwrap();

        let reply = open(&school.student, citation.document_id, &[]).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let headers = reply.headers().clone();
        assert_eq!(text(&headers, "content-type"), "application/pdf");
        assert_eq!(text(&headers, "content-length"), uploaded.len().to_string());
        assert!(text(&headers, "content-disposition").contains(HANDBOOK));
        let bytes = reply.bytes().await.unwrap();
        assert!(
            bytes == uploaded,
            "the file is not the one that was uploaded"
        );
        let pages = pdf_extract::extract_text_from_mem_by_pages(&bytes).unwrap();
        let squash = |text: &str| text.split_whitespace().collect::<String>();
        let page = squash(&pages[citation.page as usize - 1]);
        assert!(page.contains(&squash(&citation.quote)), "{citation:?}");

        // A viewer reads on from the end, and the browser asks again with what it knows.
        let etag = text(&headers, "etag");
        let last = open(
            &school.student,
            citation.document_id,
            &[("range", "bytes=-100")],
        )
        .await;
        assert_eq!(last.status(), StatusCode::PARTIAL_CONTENT);
        assert!(last.bytes().await.unwrap() == uploaded[uploaded.len() - 100..]);
        let known = [("if-none-match", etag.as_str())];
        let again = open(&school.student, citation.document_id, &known).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

        for headers in [&[][..], &known, &[("range", "bytes=0-3")]] {
            let refused = open(&school.other_teacher, citation.document_id, headers).await;
            assert_there_is_no_such_file(refused).await;
        }
    });
}

#[test]
fn a_student_who_is_removed_opens_nothing_more() {
    journey(async |school| {
        let document = school
            .teacher
            .adds_booklet(HANDBOOK, Visibility::Private)
            .await;
        let reply = open(&school.student, document.id, &[]).await;
        assert_eq!(reply.status(), StatusCode::OK);
        let etag = text(reply.headers(), "etag");

        school
            .database()
            .run("delete from teacher_student_relationships")
            .await
            .unwrap();

        let known = [("if-none-match", etag.as_str())];
        for headers in [&[][..], &known] {
            let refused = open(&school.student, document.id, headers).await;
            assert_there_is_no_such_file(refused).await;
        }
    });
}

#[test]
fn a_file_that_was_not_confirmed_is_opened_by_nobody() {
    journey(async |school| {
        let browser = &school.teacher.browser;
        let file = journeys::booklet(HANDBOOK, Visibility::Public);
        let announced = browser.announce(&file).await.unwrap();
        browser.send_file(&announced, file.bytes).await.unwrap();
        for reader in [&school.teacher, &school.student] {
            let refused = open(reader, announced.document.id, &[]).await;
            assert_there_is_no_such_file(refused).await;
        }
    });
}
