//! Teachers and students over HTTP.

use crate::origin::{Origin, problem};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    ids::UserId,
    origin::Changed,
    people::{CreatedInvitation, InvitationList, LinkedPerson, PersonList},
    problem::ProblemKind,
};

async fn invite(origin: &Origin, teacher: &AccessClaims, body: Value) -> CreatedInvitation {
    let response = origin.post(teacher, "/v1/invitations", &body).await;
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

async fn accept(origin: &Origin, student: &AccessClaims, code: &str) -> Response {
    let body = json!({ "code": code });
    origin.post(student, "/v1/invitations/accept", &body).await
}

async fn delete(origin: &Origin, who: &AccessClaims, path: &str) -> Response {
    origin.by(who, Method::DELETE, path).send().await.unwrap()
}

async fn changed(response: Response) -> Changed {
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

async fn people(origin: &Origin, who: &AccessClaims, path: &str) -> PersonList {
    let response = origin.get(who, path).await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn ids(list: &PersonList) -> Vec<UserId> {
    list.people.iter().map(|person| person.id).collect()
}

#[tokio::test]
async fn a_code_brings_a_student_and_the_edge_is_told_whose_rights_have_changed() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let code = invite(&origin, &teacher, json!({})).await.code.unwrap();
    let told = changed(accept(&origin, &student, &code).await).await;
    assert_eq!(told.readers, [student.sub]);
    let met: LinkedPerson = serde_json::from_str(&told.reply).unwrap();
    assert_eq!(met.id, teacher.sub);
    assert_eq!(
        ids(&people(&origin, &teacher, "/v1/students").await),
        [student.sub]
    );
    assert_eq!(
        ids(&people(&origin, &student, "/v1/teachers").await),
        [teacher.sub]
    );

    let path = format!("/v1/students/{}", student.sub);
    let told = changed(delete(&origin, &teacher, &path).await).await;
    assert_eq!((&*told.reply, &*told.readers), ("", &[student.sub][..]));
    problem(
        delete(&origin, &teacher, &path).await,
        ProblemKind::NotFound,
    )
    .await;
}

#[tokio::test]
async fn an_address_in_any_letters_finds_its_invitation() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let address = student.email.as_deref().unwrap().to_uppercase();
    let sent = invite(
        &origin,
        &teacher,
        json!({ "email": format!(" {address} ") }),
    )
    .await;
    assert_eq!(sent.code, None);
    let listed = origin.get(&student, "/v1/invitations").await;
    let listed: InvitationList = listed.json().await.unwrap();
    assert_eq!(listed.invitations, std::slice::from_ref(&sent.invitation));
    let path = format!("/v1/invitations/{}/accept", sent.invitation.id);
    let told = changed(origin.post(&student, &path, &json!({})).await).await;
    assert_eq!(told.readers, [student.sub]);
    let late = origin.post(&student, &path, &json!({})).await;
    let late = problem(late, ProblemKind::NotFound).await;
    assert!(
        late.detail
            .unwrap()
            .contains("Ask your teacher for another")
    );
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused_with_what_to_do() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    for (body, words) in [
        (json!({ "email": "nobody" }), "no e-mail address"),
        (json!({ "places": 51 }), "1 to 50"),
        (json!({ "email": "a@b.example", "places": 2 }), "places"),
        (json!({ "role": "admin" }), "unknown field"),
    ] {
        let refused = origin.post(&teacher, "/v1/invitations", &body).await;
        let refused = problem(refused, ProblemKind::BodyInvalid).await;
        assert!(refused.detail.unwrap().contains(words), "{body}");
    }
    let refused = problem(
        accept(&origin, &student, "7K3").await,
        ProblemKind::BodyInvalid,
    )
    .await;
    assert!(refused.detail.unwrap().contains("ten letters and digits"));
    let unknown = accept(&origin, &student, "7K3QX-0M9TR").await;
    problem(unknown, ProblemKind::NotFound).await;
    for query in ["limit=0", "limit=201", "cursor=x", "page=2"] {
        let refused = origin.get(&teacher, &format!("/v1/students?{query}")).await;
        problem(refused, ProblemKind::ParametersInvalid).await;
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_cursor_says() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let mut students = Vec::new();
    for _ in 0..3 {
        let student = origin.database.person(Role::Student).await;
        origin.database.link(&teacher, &student).await;
        students.insert(0, student.sub);
    }
    let first = people(&origin, &teacher, "/v1/students?limit=2").await;
    let cursor = first.next_cursor.as_deref().unwrap();
    let rest = format!("/v1/students?limit=2&cursor={cursor}");
    let rest = people(&origin, &teacher, &rest).await;
    assert_eq!(rest.next_cursor, None);
    assert_eq!([ids(&first), ids(&rest)].concat(), students);
}

#[tokio::test]
async fn a_code_is_in_no_log_and_in_no_table() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let code = invite(&origin, &teacher, json!({ "places": 3 }))
        .await
        .code
        .unwrap();
    let rows: Vec<String> = sqlx::query_scalar("select i::text from invitations i")
        .fetch_all(&origin.database.owner)
        .await
        .unwrap();
    let bare = code.replace('-', "");
    assert!(
        !rows[0].contains(&code) && !rows[0].contains(&bare),
        "{rows:?}"
    );
}
