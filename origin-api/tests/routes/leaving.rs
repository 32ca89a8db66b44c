//! An account is taken along, and removed.

use crate::origin::{Origin, SECRET, problem};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_types::{
    chat::Usage,
    claims::{AccessClaims, Role},
    documents::{LibraryFile, SourceFormat, Visibility},
    ids::DocumentId,
    origin::Changed,
    problem::ProblemKind,
};
use std::io::{Cursor, Read};
use zip::ZipArchive;

async fn export(origin: &Origin, who: &AccessClaims) -> ZipArchive<Cursor<Vec<u8>>> {
    let response = origin.get(who, "/v1/account/export").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/zip");
    let bytes = response.bytes().await.unwrap();
    ZipArchive::new(Cursor::new(bytes.to_vec())).unwrap()
}

fn read(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = archive.by_name(name).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

async fn delete(origin: &Origin, who: &AccessClaims, email: &str) -> Response {
    let request = origin.by(who, Method::DELETE, "/v1/account");
    request
        .json(&json!({ "email": email }))
        .send()
        .await
        .unwrap()
}

fn store(origin: &Origin, owner: &AccessClaims, id: DocumentId, bytes: Vec<u8>) {
    let file = LibraryFile {
        document_id: id,
        owner_id: owner.sub,
        format: SourceFormat::Pdf,
        is_base: false,
    };
    let key = format!("piano-knowledge/{}", file.key());
    origin.clouds.inside().files.insert(key, bytes.into());
}

#[tokio::test]
async fn an_archive_holds_every_file_and_what_is_known_of_the_person() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    origin.database.link(&teacher, &student).await;
    let mut ids = Vec::new();
    for text in ["Curve the fingers.", "Sit upright.", "Wait."] {
        let private = Visibility::Private;
        ids.push(origin.database.ready(&teacher, private, &[text]).await);
    }
    // Announced and never sent: there is no file yet.
    origin
        .database
        .announce(&teacher, Visibility::Private)
        .await;
    let mut reader = origin.database.reader(&teacher).await;
    let call = Usage {
        input_tokens: 99,
        ..Usage::default()
    };
    storage::usage::record(&mut reader, &call).await.unwrap();
    reader.commit().await.unwrap();
    // Larger than what waits for a slow reader.
    let long: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    store(&origin, &teacher, ids[0], long.clone());
    store(&origin, &teacher, ids[1], b"short".to_vec());

    let session = origin.post(&teacher, "/v1/chat/sessions", &json!({})).await;
    let session: Value = session.json().await.unwrap();
    let session = session["id"].as_str().unwrap();
    let asking = format!("/v1/chat/sessions/{session}/messages");
    let question = json!({ "query": "What is legato?" });
    let asked = origin.post(&teacher, &asking, &question).await;
    assert_eq!(asked.status(), 200);

    let mut archive = export(&origin, &teacher).await;
    let said = read(&mut archive, &format!("conversations/{session}.json"));
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said[0]["asked"], "What is legato?");
    let name = |id| format!("documents/{id}.pdf");
    assert_eq!(read(&mut archive, &name(ids[0])), long);
    assert_eq!(read(&mut archive, &name(ids[1])), b"short");
    let account: Value = serde_json::from_slice(&read(&mut archive, "account.json")).unwrap();
    assert_eq!(account["account"]["full_name"], "A. Person");
    assert_eq!(account["students"][0]["id"], json!(student.sub));
    assert_eq!(account["usage"][0]["input_tokens"], 99);
    assert_eq!(account["documents"].as_array().unwrap().len(), 4);
    assert_eq!(account["files_missing"], json!([ids[2]]));
    assert_eq!(account["conversations"][0]["id"], session);
    assert_eq!(archive.len(), 4);

    let mut students = export(&origin, &student).await;
    let account: Value = serde_json::from_slice(&read(&mut students, "account.json")).unwrap();
    assert_eq!(account["teachers"][0]["id"], json!(teacher.sub));
    assert_eq!((students.len(), &account["documents"]), (1, &json!([])));
}

#[tokio::test]
async fn an_archive_that_breaks_off_is_no_archive() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    origin
        .database
        .ready(&teacher, Visibility::Private, &["Wait."])
        .await;
    origin.clouds.inside().store_is_down = true;
    let response = origin.get(&teacher, "/v1/account/export").await;
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    origin.clouds.inside().store_is_down = false;
    export(&origin, &teacher).await;
}

#[tokio::test]
async fn a_few_archives_are_made_at_a_time_and_a_reader_who_left_holds_none_up() {
    let origin = Origin::start().await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let teacher = with_a_large_file(&origin).await;
        let response = origin.get(&teacher, "/v1/account/export").await;
        assert_eq!(response.status(), 200);
        let second = origin.get(&teacher, "/v1/account/export").await;
        problem(second, ProblemKind::Overloaded).await;
        waiting.push(response);
    }
    let teacher = with_a_large_file(&origin).await;
    let refused = origin.get(&teacher, "/v1/account/export").await;
    assert_eq!(refused.headers()["retry-after"], "30");
    problem(refused, ProblemKind::Overloaded).await;
    // All of them leave without having read to the end.
    drop(waiting);
    let mut patience = 200;
    while origin.get(&teacher, "/v1/account/export").await.status() != 200 {
        assert!(patience > 0, "a place is never given back");
        patience -= 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn with_a_large_file(origin: &Origin) -> AccessClaims {
    let teacher = origin.database.person(Role::Teacher).await;
    let private = Visibility::Private;
    let id = origin.database.ready(&teacher, private, &["Wait."]).await;
    store(origin, &teacher, id, vec![7; 8 * 1024 * 1024]);
    teacher
}

#[tokio::test]
async fn an_account_goes_with_all_that_is_its_owners_once_the_address_is_said() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let admin = origin.database.person(Role::Admin).await;
    origin.database.link(&teacher, &student).await;
    for visibility in [Visibility::Private, Visibility::Public] {
        origin
            .database
            .ready(&teacher, visibility, &["Wait."])
            .await;
    }
    origin
        .database
        .announce(&teacher, Visibility::Private)
        .await;
    for wrong in ["", "somebody@example.com"] {
        problem(
            delete(&origin, &teacher, wrong).await,
            ProblemKind::BodyInvalid,
        )
        .await;
    }
    let address = format!(" {} ", teacher.email.as_deref().unwrap().to_uppercase());
    let deleted = delete(&origin, &teacher, &address).await;
    assert_eq!(deleted.status(), 200);
    let told: Changed = deleted.json().await.unwrap();
    assert_eq!(told.reply, "");
    let mut readers = told.readers;
    readers.sort_unstable();
    // An admin is known to an admin alone: the others' scopes follow within the bound on staleness.
    let mut concerned = vec![teacher.sub, student.sub];
    concerned.sort_unstable();
    assert!(!readers.contains(&admin.sub));
    assert_eq!(readers, concerned);
    let left: i64 = sqlx::query_scalar("select count(*) from knowledge_base_docs")
        .fetch_one(&origin.database.owner)
        .await
        .unwrap();
    assert_eq!(left, 0);
    for path in ["/v1/scope", "/v1/account/export"] {
        let refused = origin.get(&teacher, path).await;
        problem(refused, ProblemKind::TokenSessionEnded).await;
    }
    let again = delete(&origin, &teacher, &address).await;
    problem(again, ProblemKind::TokenSessionEnded).await;
}

#[tokio::test]
async fn nobody_leaves_without_a_token() {
    let origin = Origin::start().await;
    for (method, path) in [
        (Method::DELETE, "/v1/account"),
        (Method::GET, "/v1/account/export"),
        (Method::GET, "/v1/students"),
        (Method::POST, "/v1/invitations"),
    ] {
        let request = origin.bare(method, path);
        let edge = request.header(shared_types::headers::EDGE_TOKEN, SECRET);
        problem(edge.send().await.unwrap(), ProblemKind::TokenMissing).await;
    }
}
