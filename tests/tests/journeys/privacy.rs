//! What is private to one teacher reaches that teacher's students and nobody else.

use journeys::{Pupil, journey};
use reqwest::{Method, StatusCode};
use shared_types::{documents::Visibility, problem::Problem};

const FIRST: &str = "06-studio-handbook-first-teacher.pdf";
const SECOND: &str = "07-studio-handbook-second-teacher.pdf";
const QUESTION: &str = "How many minutes does a lesson in this studio last?";

/// Everything that an answer shows: text, quotes and the sources' titles.
async fn shown(pupil: &Pupil, question: &str) -> String {
    let answer = pupil.browser.ask_to_end(question).await.unwrap();
    assert!(answer.error.is_none(), "{:?}", answer.error);
    let meta = answer.meta.unwrap();
    let quotes = answer
        .citations
        .iter()
        .map(|citation| citation.quote.clone());
    let titles = meta
        .sources
        .iter()
        .map(|source| source.document_title.clone());
    [answer.text]
        .into_iter()
        .chain(quotes)
        .chain(titles)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_student_reads_her_own_teachers_private_fact_and_never_the_others() {
    journey(async |school| {
        school
            .teacher
            .adds_booklet(FIRST, Visibility::Private)
            .await;
        school
            .other_teacher
            .adds_booklet(SECOND, Visibility::Private)
            .await;

        // Twice, so that the second answers come out of caches that the others have filled.
        for _ in 0..2 {
            let student = shown(&school.student, QUESTION).await;
            assert!(
                student.contains("Every lesson in this studio lasts 47 minutes."),
                "{student}"
            );
            assert!(
                !student.contains("64 minutes") && !student.contains("07-"),
                "{student}"
            );

            let teacher = shown(&school.teacher, QUESTION).await;
            assert!(
                teacher.contains("47 minutes") && !teacher.contains("64 minutes"),
                "{teacher}"
            );

            let other = shown(&school.other_teacher, QUESTION).await;
            assert!(
                other.contains("A lesson in this studio takes 64 minutes"),
                "{other}"
            );
            assert!(
                !other.contains("47 minutes") && !other.contains("06-"),
                "{other}"
            );
        }
    });
}

#[test]
fn nobody_looks_at_a_document_that_is_not_theirs() {
    journey(async |school| {
        let document = school
            .teacher
            .adds_booklet(FIRST, Visibility::Private)
            .await;
        let path = format!("/api/documents/{}", document.id);

        let stranger = school.other_teacher.browser.request(Method::GET, &path);
        assert_eq!(
            stranger.send().await.unwrap().status(),
            StatusCode::NOT_FOUND
        );
        assert!(
            school
                .other_teacher
                .browser
                .documents()
                .await
                .unwrap()
                .is_empty()
        );

        let nobody = school
            .stack
            .client()
            .request(Method::GET, &path)
            .send()
            .await
            .unwrap();
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
        let problem: Problem = nobody.json().await.unwrap();
        assert_eq!(problem.type_uri, "urn:etude:problem:token-missing");
    });
}

#[test]
fn the_origin_talks_to_the_edge_alone() {
    journey(async |school| {
        let token = school.student.browser.token().unwrap().to_owned();
        let direct = reqwest::Client::new()
            .get(format!("{}/v1/scope", school.stack.origin_url()))
            .bearer_auth(token);
        let response = direct.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let problem: Problem = response.json().await.unwrap();
        assert_eq!(problem.type_uri, "urn:etude:problem:not-from-edge");
    });
}

#[test]
fn a_student_uploads_nothing() {
    journey(async |school| {
        let file = journeys::pdf("mine.pdf", b"%PDF-1.7".to_vec(), Visibility::Public);
        let refusal = school.student.browser.upload(file).await.unwrap_err();
        assert!(refusal.to_string().contains("Not allowed"), "{refusal}");
    });
}
