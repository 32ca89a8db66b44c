//! A teacher and a student come by themselves, meet, part and leave.

use journeys::{PASSWORD, Pupil, School, booklet, journey};
use local_stack::Client;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use shared_types::{
    documents::{DocumentStatus, Visibility},
    people::{CreatedInvitation, LinkedPerson, PersonList},
    problem::{Problem, ProblemKind},
};
use std::io::Cursor;

const HANDBOOK: &str = "06-studio-handbook-first-teacher.pdf";
const QUESTION: &str = "How many minutes does a lesson in this studio last?";

async fn register(school: &School, email: &str, role: &str, name: &str) -> Client {
    let client = school.stack.client();
    let body = json!({ "email": email, "password": PASSWORD, "role": role, "full_name": name });
    let session = send(&client, Method::POST, "/api/auth/register", Some(body)).await;
    let session: Value = session.json().await.unwrap();
    client.with_token(session["access_token"].as_str().unwrap())
}

async fn send(client: &Client, method: Method, path: &str, body: Option<Value>) -> Response {
    let mut request = client.request(method, path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap()
}

async fn people(client: &Client, path: &str) -> Vec<LinkedPerson> {
    let response = send(client, Method::GET, path, None).await;
    response.json::<PersonList>().await.unwrap().people
}

/// Whether the handbook's private fact is in an answer.
async fn reads_the_handbook(client: &Client) -> bool {
    let answer = client.ask_json(QUESTION).await.unwrap();
    answer.answer.contains("47 minutes")
}

#[test]
fn a_teacher_and_a_student_who_registered_meet_by_a_code_and_part() {
    journey(async |school| {
        let teacher = register(school, "anna@studio.example", "teacher", "Anna").await;
        let student = register(school, "ben@home.example", "student", "Ben").await;
        let handbook = teacher.upload(booklet(HANDBOOK, Visibility::Private)).await;
        let handbook = teacher
            .wait_for(handbook.unwrap().id, |_| ())
            .await
            .unwrap();
        assert_eq!(handbook.status, DocumentStatus::Ready);
        assert!(!reads_the_handbook(&student).await);

        let invited = send(&teacher, Method::POST, "/api/invitations", Some(json!({}))).await;
        let invited: CreatedInvitation = invited.json().await.unwrap();
        // As somebody types it who heard it on the telephone.
        let code = invited.code.unwrap().to_lowercase().replace('-', " ");
        let accept = json!({ "code": code });
        let met = send(
            &student,
            Method::POST,
            "/api/invitations/accept",
            Some(accept),
        )
        .await;
        let met: LinkedPerson = met.json().await.unwrap();
        assert_eq!(met.full_name, "Anna");
        assert!(reads_the_handbook(&student).await, "at once");
        let students = people(&teacher, "/api/students").await;
        assert_eq!(students[0].full_name, "Ben");

        let path = format!("/api/teachers/{}", met.id);
        let parted = send(&student, Method::DELETE, &path, None).await;
        assert_eq!(parted.status(), StatusCode::NO_CONTENT);
        assert!(!reads_the_handbook(&student).await, "at once");
        assert_eq!(people(&teacher, "/api/students").await, []);
        assert_eq!(people(&student, "/api/teachers").await, []);
    });
}

#[test]
fn a_teacher_takes_everything_along_and_leaves_nothing_behind() {
    journey(async |school| {
        let (teacher, student) = (&school.teacher, &school.student);
        let handbook = teacher.adds_booklet(HANDBOOK, Visibility::Public).await;
        assert!(reads_the_handbook(&student.browser).await);

        let export = send(&teacher.browser, Method::GET, "/api/account/export", None).await;
        assert_eq!(export.headers()["content-type"], "application/zip");
        let mut archive = zip::ZipArchive::new(Cursor::new(export.bytes().await.unwrap())).unwrap();
        let account: Value =
            serde_json::from_reader(archive.by_name("account.json").unwrap()).unwrap();
        assert_eq!(account["account"]["email"], json!(teacher.person.email));
        assert_eq!(account["documents"][0]["title"], json!(handbook.title));
        assert_eq!(account["students"][0]["id"], json!(student.person.id));
        let mut file = Vec::new();
        let name = format!("documents/{}.pdf", handbook.id);
        std::io::copy(&mut archive.by_name(&name).unwrap(), &mut file).unwrap();
        assert_eq!(file, booklet(HANDBOOK, Visibility::Public).bytes);

        delete_account(teacher).await;

        assert!(
            !reads_the_handbook(&student.browser).await,
            "at once, for her student"
        );
        let pdf = format!("/api/documents/{}/file", handbook.id);
        let gone = send(&student.browser, Method::GET, &pdf, None).await;
        assert_eq!(gone.status(), StatusCode::NOT_FOUND);
        assert_eq!(people(&student.browser, "/api/teachers").await, []);
        let question = json!({ "query": QUESTION });
        let asked = send(
            &teacher.browser,
            Method::POST,
            "/api/chat/query",
            Some(question),
        )
        .await;
        let refused: Problem = asked.json().await.unwrap();
        assert!(refused.is(ProblemKind::TokenSessionEnded), "{refused:?}");
        let client = school.stack.client();
        assert!(
            client
                .sign_in(&teacher.person.email, PASSWORD)
                .await
                .is_err()
        );
        school.sees_one_file_removed().await;
    });
}

async fn delete_account(person: &Pupil) {
    let by_mistake = json!({ "email": "somebody-else@school.example" });
    let path = "/api/account";
    let refused = send(&person.browser, Method::DELETE, path, Some(by_mistake)).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let confirmed = json!({ "email": person.person.email });
    let deleted = send(&person.browser, Method::DELETE, path, Some(confirmed)).await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
}
