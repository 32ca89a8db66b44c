//! An upload, from its announcement to the queue of the workers.

use crate::{
    database::LEASE,
    origin::{Origin, problem},
};
use reqwest::Response;
use serde_json::{Value, json};
use shared_types::{
    claims::{AccessClaims, Role},
    documents::{
        CreatedDocument, Document, DocumentList, DocumentStatus, LibraryFile, SourceFormat, Upload,
    },
    ids::DocumentId,
    origin::DocumentFile,
    problem::ProblemKind,
};
use storage::jobs;

pub const FILE: &[u8] = b"%PDF-1.7 scales and arpeggios";

fn announcement() -> Value {
    json!({
        "title": "Scales and arpeggios",
        "file_name": "scales.pdf",
        "size_bytes": FILE.len(),
        "sha256": "0a".repeat(32),
        "visibility": "private",
    })
}

pub async fn announce(origin: &Origin, teacher: &AccessClaims) -> CreatedDocument {
    let response = origin.post(teacher, "/v1/documents", &announcement()).await;
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

pub async fn put(created: &CreatedDocument, file: &'static [u8]) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let Upload::Whole(upload) = &created.upload else {
        panic!("{created:?}");
    };
    let mut request = http.put(&upload.url).body(file);
    for (name, value) in &upload.headers {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
}

pub async fn confirm(origin: &Origin, person: &AccessClaims, id: DocumentId) -> Response {
    let path = format!("/v1/documents/{id}/confirm");
    origin.post(person, &path, &json!({})).await
}

#[tokio::test]
async fn a_confirmed_upload_lies_in_the_library_and_in_the_queue() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce(&origin, &teacher).await;
    let id = created.document.id;
    assert_eq!(created.document.status, DocumentStatus::Uploading);
    put(&created, FILE).await;

    let response = confirm(&origin, &teacher, id).await;
    assert_eq!(response.status(), 202);
    let document: Document = response.json().await.unwrap();
    assert_eq!(document.status, DocumentStatus::Queued);
    let files: Vec<String> = origin.clouds.inside().files.keys().cloned().collect();
    let in_library = format!("piano-knowledge/teachers/{}/{id}/original.pdf", teacher.sub);
    assert_eq!(files, [in_library], "the temporary object is gone");
    let job = jobs::claim(&origin.database.ingest, "a worker", LEASE)
        .await
        .unwrap();
    assert_eq!(job.unwrap().file.document_id, id);

    // A client that lost the reply asks again.
    let again: Document = confirm(&origin, &teacher, id).await.json().await.unwrap();
    assert_eq!(again.status, DocumentStatus::Processing);
    let next = jobs::claim(&origin.database.ingest, "a worker", LEASE)
        .await
        .unwrap();
    assert!(next.is_none(), "it was queued once");

    let path = format!("/v1/documents/{id}");
    let own: Document = origin.get(&teacher, &path).await.json().await.unwrap();
    assert_eq!(own.id, id);
    let list: DocumentList = origin
        .get(&teacher, "/v1/documents")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list.documents, [own]);
}

#[tokio::test]
async fn an_admins_word_document_lies_in_the_base_and_stays_one() {
    let origin = Origin::start().await;
    let admin = origin.database.person(Role::Admin).await;
    let mut announced = announcement();
    announced["file_name"] = json!("Scales.docx");
    let response = origin.post(&admin, "/v1/documents", &announced).await;
    let created: CreatedDocument = response.json().await.unwrap();
    let Upload::Whole(upload) = &created.upload else {
        panic!("{created:?}");
    };
    assert_eq!(
        upload.headers["content-type"],
        SourceFormat::Docx.media_type()
    );
    put(&created, FILE).await;
    let id = created.document.id;
    assert_eq!(confirm(&origin, &admin, id).await.status(), 202);
    let job = jobs::claim(&origin.database.ingest, "a worker", LEASE).await;
    let file = LibraryFile {
        document_id: id,
        owner_id: admin.sub,
        format: SourceFormat::Docx,
        is_base: true,
    };
    assert_eq!(job.unwrap().unwrap().file, file);
    let files: Vec<String> = origin.clouds.inside().files.keys().cloned().collect();
    assert_eq!(files, [format!("piano-knowledge/base/{id}/original.docx")]);
}

#[tokio::test]
async fn a_file_that_is_missing_or_another_is_not_taken() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce(&origin, &teacher).await;
    let id = created.document.id;
    problem(
        confirm(&origin, &teacher, id).await,
        ProblemKind::UploadMismatch,
    )
    .await;
    put(&created, b"%PDF-1.7 something else altogether").await;
    problem(
        confirm(&origin, &teacher, id).await,
        ProblemKind::UploadMismatch,
    )
    .await;
    put(&created, FILE).await;
    assert_eq!(confirm(&origin, &teacher, id).await.status(), 202);
}

#[tokio::test]
async fn an_outage_of_the_store_leaves_the_upload_to_be_confirmed_later() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce(&origin, &teacher).await;
    put(&created, FILE).await;
    origin.clouds.inside().store_is_down = true;
    let calls = origin.clouds.inside().store_calls;
    let response = confirm(&origin, &teacher, created.document.id).await;
    let told = problem(response, ProblemKind::StorageUnavailable).await;
    assert_eq!(told.retry_after_s, Some(5));
    assert_eq!(
        origin.clouds.inside().store_calls - calls,
        3,
        "two more tries"
    );
    origin.clouds.inside().store_is_down = false;
    let response = confirm(&origin, &teacher, created.document.id).await;
    assert_eq!(response.status(), 202);
}

#[tokio::test]
async fn documents_are_made_by_teachers_and_minded_by_their_owners() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let colleague = origin.database.person(Role::Teacher).await;
    let student = origin.database.person(Role::Student).await;
    let refused = origin
        .post(&student, "/v1/documents", &announcement())
        .await;
    problem(refused, ProblemKind::Forbidden).await;

    let id = announce(&origin, &teacher).await.document.id;
    problem(
        confirm(&origin, &colleague, id).await,
        ProblemKind::NotFound,
    )
    .await;
    let path = format!("/v1/documents/{id}");
    problem(origin.get(&colleague, &path).await, ProblemKind::NotFound).await;

    let mut wrong = announcement();
    wrong["file_name"] = json!("scales.exe");
    let refused = origin.post(&teacher, "/v1/documents", &wrong).await;
    problem(refused, ProblemKind::UploadRefused).await;
}

#[tokio::test]
async fn the_edge_is_told_where_a_file_lies_for_those_who_may_have_it() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let colleague = origin.database.person(Role::Teacher).await;
    let created = announce(&origin, &teacher).await;
    let id = created.document.id;
    let path = format!("/v1/documents/{id}/file");
    problem(origin.get(&teacher, &path).await, ProblemKind::NotFound).await;

    put(&created, FILE).await;
    assert_eq!(confirm(&origin, &teacher, id).await.status(), 202);
    let response = origin.get(&teacher, &path).await;
    assert_eq!(response.status(), 200);
    let file: DocumentFile = response.json().await.unwrap();
    let told = DocumentFile {
        key: format!("teachers/{}/{id}/original.pdf", teacher.sub),
        file_name: "scales.pdf".into(),
        media_type: "application/pdf".into(),
        size_bytes: FILE.len() as u64,
        sha256: "0a".repeat(32),
        announced_at_s: created.document.created_at.timestamp(),
    };
    assert_eq!(file, told);
    let lies = format!("piano-knowledge/{}", file.key);
    assert!(origin.clouds.inside().files.contains_key(&lies));

    problem(origin.get(&colleague, &path).await, ProblemKind::NotFound).await;
    let nothing = "/v1/documents/not-an-id/file";
    problem(origin.get(&teacher, nothing).await, ProblemKind::NotFound).await;
}

#[tokio::test]
async fn the_same_file_again_is_the_same_document() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let first = announce(&origin, &teacher).await;
    // The tab was closed before the file was sent; now it has another title.
    let mut again = announcement();
    again["title"] = json!("Scales");
    let response = origin.post(&teacher, "/v1/documents", &again).await;
    assert_eq!(response.status(), 201);
    let second: CreatedDocument = response.json().await.unwrap();
    assert_eq!(second.document.id, first.document.id);
    assert_eq!(second.document.title, "Scales");
    put(&second, FILE).await;
    let id = second.document.id;
    assert_eq!(confirm(&origin, &teacher, id).await.status(), 202);

    let refused = origin.post(&teacher, "/v1/documents", &again).await;
    let refused = problem(refused, ProblemKind::Conflict).await;
    let detail = refused.detail.unwrap();
    assert!(
        detail.contains("“Scales”") && detail.contains(&id.to_string()),
        "{detail}"
    );

    // To a colleague it is nothing known, and after a failure it is worth another try.
    let colleague = origin.database.person(Role::Teacher).await;
    assert_ne!(announce(&origin, &colleague).await.document.id, id);
    let ingest = &origin.database.ingest;
    let job = jobs::claim(ingest, "a worker", LEASE)
        .await
        .unwrap()
        .unwrap();
    let failure = jobs::Failure::ForGood {
        reason: "The file is damaged.",
    };
    jobs::fail(ingest, &job.lease, failure).await.unwrap();
    assert_ne!(announce(&origin, &teacher).await.document.id, id);
}

#[tokio::test]
async fn a_list_comes_in_parts() {
    let origin = Origin::start().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let mut announced = Vec::new();
    for n in 0..3 {
        let mut file = announcement();
        file["sha256"] = json!(format!("{n}a").repeat(32));
        let response = origin.post(&teacher, "/v1/documents", &file).await;
        let created: CreatedDocument = response.json().await.unwrap();
        announced.insert(0, created.document);
    }
    let part = async |query: &str| -> DocumentList {
        let path = format!("/v1/documents?{query}");
        origin.get(&teacher, &path).await.json().await.unwrap()
    };
    let first = part("limit=2").await;
    assert_eq!(first.documents, announced[..2]);
    let cursor = first.next_cursor.unwrap();
    let second = part(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!(
        (&*second.documents, second.next_cursor),
        (&announced[2..], None)
    );

    for wrong in [
        "limit=0",
        "limit=201",
        "limit=two",
        "cursor=",
        "cursor=7",
        "page=2",
    ] {
        let path = format!("/v1/documents?{wrong}");
        let refused = origin.get(&teacher, &path).await;
        problem(refused, ProblemKind::ParametersInvalid).await;
    }
}

const MIB: usize = 1024 * 1024;

/// A file of 11 MiB where 5 go in one piece.
async fn announce_large(origin: &Origin, teacher: &AccessClaims) -> CreatedDocument {
    let mut announcement = announcement();
    announcement["size_bytes"] = json!(11 * MIB);
    let response = origin.post(teacher, "/v1/documents", &announcement).await;
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

/// Sends the parts of an upload; what the store calls each.
async fn put_parts(created: &CreatedDocument) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let Upload::Parts(upload) = &created.upload else {
        panic!("{created:?}");
    };
    let mut etags = Vec::new();
    for part in &upload.parts {
        let bytes = vec![7; usize::try_from(part.size_bytes).unwrap()];
        let sent = http.put(&part.url).body(bytes).send().await.unwrap();
        assert_eq!(sent.status(), 200);
        etags.push(sent.headers()["etag"].to_str().unwrap().to_owned());
    }
    etags
}

async fn confirm_parts(
    origin: &Origin,
    teacher: &AccessClaims,
    id: DocumentId,
    etags: &[String],
) -> Response {
    let path = format!("/v1/documents/{id}/confirm");
    origin
        .post(teacher, &path, &json!({ "etags": etags }))
        .await
}

async fn with_large_files() -> Origin {
    let five = (5 * MIB).to_string();
    Origin::start_with(&[("MAX_WHOLE_BYTES", &five)]).await
}

#[tokio::test]
async fn a_large_file_comes_in_parts_and_is_one_file_in_the_library() {
    let origin = with_large_files().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce_large(&origin, &teacher).await;
    let etags = put_parts(&created).await;
    assert_eq!(etags.len(), 3);
    let response = confirm_parts(&origin, &teacher, created.document.id, &etags).await;
    assert_eq!(response.status(), 202);
    let document: Document = response.json().await.unwrap();
    assert_eq!(document.status, DocumentStatus::Queued);
    let inside = origin.clouds.inside();
    let sizes: Vec<usize> = inside.files.values().map(bytes::Bytes::len).collect();
    assert_eq!((sizes, inside.uploads.len()), (vec![11 * MIB], 0));
}

#[tokio::test]
async fn parts_that_were_sent_stay_when_the_rest_is_announced_again() {
    let origin = with_large_files().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let first = announce_large(&origin, &teacher).await;
    let again = announce_large(&origin, &teacher).await;
    assert_eq!(again.document.id, first.document.id);
    assert_eq!(origin.clouds.inside().uploads.len(), 1);
    let etags = put_parts(&again).await;
    let confirmed = confirm_parts(&origin, &teacher, first.document.id, &etags).await;
    assert_eq!(confirmed.status(), 202);
}

#[tokio::test]
async fn parts_that_are_not_said_or_not_there_are_asked_for_and_nothing_is_lost() {
    let origin = with_large_files().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce_large(&origin, &teacher).await;
    let id = created.document.id;
    let etags = put_parts(&created).await;
    for wrong in [&etags[..0], &etags[..2]] {
        let refused = confirm_parts(&origin, &teacher, id, wrong).await;
        let refused = problem(refused, ProblemKind::UploadMismatch).await;
        assert!(refused.detail.unwrap().contains("each of the 3 parts"));
    }
    let mut strange = etags.clone();
    strange[1] = "\"another\"".to_owned();
    let refused = confirm_parts(&origin, &teacher, id, &strange).await;
    let refused = problem(refused, ProblemKind::UploadMismatch).await;
    assert!(refused.detail.unwrap().contains("Announce the file again"));
    // A new upload of the same document.
    let again = announce_large(&origin, &teacher).await;
    assert_eq!(again.document.id, id);
    let etags = put_parts(&again).await;
    let confirmed = confirm_parts(&origin, &teacher, id, &etags).await;
    assert_eq!(confirmed.status(), 202);
}

#[tokio::test]
async fn a_confirmation_that_broke_off_behind_the_join_is_made_good_by_the_next() {
    let origin = with_large_files().await;
    let teacher = origin.database.person(Role::Teacher).await;
    let created = announce_large(&origin, &teacher).await;
    let id = created.document.id;
    let etags = put_parts(&created).await;
    {
        // As the store is after a join that nobody heard the end of.
        let mut inside = origin.clouds.inside();
        let parts = inside.uploads.pop_first().unwrap().1;
        let whole: Vec<u8> = parts.values().flatten().copied().collect();
        let key = format!("piano-pdfs/temp-uploads/{id}/original.pdf");
        inside.files.insert(key, whole.into());
    }
    let confirmed = confirm_parts(&origin, &teacher, id, &etags).await;
    assert_eq!(confirmed.status(), 202);
}
