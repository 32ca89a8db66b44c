//! A citation opens its page: the document's file, for those who may read it, in whole and in parts.

use crate::support::{
    Edge, Failure, Received, Sent,
    files::{ANNOUNCED, HANDBOOK, HANDBOOK_PATH},
    library::{FIRST_STUDENT, Library, OTHER_STUDENT},
    request,
};
use edge_worker::gateway::{exchange::ReplyBody, files::selection::Selection};
use futures_util::StreamExt;
use http::Method;
use shared_types::problem::ProblemKind;
use uuid::Uuid;

const BYTES: &str = "%PDF-1.7 practise scales at 60";

fn edge() -> (Edge, String) {
    let edge = Edge::new(Library::of_two_teachers());
    let etag = edge.world.files.add(HANDBOOK, "Übungen.pdf", BYTES);
    (edge, etag)
}

fn opening(edge: &Edge, person: Uuid, method: Method) -> Sent {
    edge.signed_in(
        person,
        method,
        &format!("/api/documents/{HANDBOOK}/file"),
        "",
    )
}

async fn open(edge: &Edge, selection: Selection) -> Received {
    let mut sent = opening(edge, FIRST_STUDENT, Method::GET);
    sent.headers.selection = selection;
    edge.send(sent).await
}

fn is_store_asked(edge: &Edge) -> bool {
    edge.calls().iter().any(|call| call.starts_with("file "))
}

fn range(range: &str) -> Selection {
    Selection {
        range: Some(range.to_owned()),
        ..Selection::default()
    }
}

#[tokio::test]
async fn a_student_opens_the_file_of_her_own_teacher() {
    let (edge, etag) = edge();
    let reply = open(&edge, Selection::default()).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, BYTES));
    for (name, value) in [
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
        (
            "content-disposition",
            "inline; filename=\"_bungen.pdf\"; filename*=UTF-8''%C3%9Cbungen.pdf",
        ),
        ("content-length", "30"),
        (
            "content-security-policy",
            "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; \
             frame-ancestors 'self' https://app.example",
        ),
        ("content-type", "application/pdf"),
        ("cross-origin-resource-policy", "same-site"),
        ("etag", &etag),
        ("last-modified", ANNOUNCED),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.headers[name], value, "{name}");
    }
    let stages = reply.headers["server-timing"].to_str().unwrap();
    assert!(stages.contains("storage;dur="), "{stages}");
}

#[tokio::test]
async fn what_somebody_uploaded_beside_pdfs_can_do_nothing_in_a_browser() {
    let (edge, _) = edge();
    for (name, kind, disposition) in [
        ("page.html", "text/html", "inline"),
        ("notes.md", "text/plain; charset=utf-8", "inline"),
        ("notes.txt", "text/plain; charset=utf-8", "inline"),
        (
            "notes.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "attachment",
        ),
    ] {
        edge.world
            .files
            .add(HANDBOOK, name, "<script>alert(1)</script>");
        let reply = open(&edge, Selection::default()).await;
        assert_eq!(reply.headers["content-type"], kind, "{name}");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("sandbox; default-src 'none';"), "{name}");
        let shown = reply.headers["content-disposition"].to_str().unwrap();
        assert!(shown.starts_with(disposition), "{name}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn how_much_of_a_file_was_to_be_sent_is_told_to_whoever_counts() {
    let (edge, etag) = edge();
    let known = Selection {
        if_none_match: Some(etag),
        ..Selection::default()
    };
    for (selection, told) in [
        (Selection::default(), Some("file_bytes=30")),
        (range("bytes=0-3"), Some("file_bytes=4")),
        (known, None),
    ] {
        edge.world.logged.borrow_mut().clear();
        open(&edge, selection).await;
        let log = edge.world.logged.borrow().join("\n");
        let is_told = told.map_or(!log.contains("file_bytes"), |told| log.contains(told));
        assert!(is_told, "{told:?}: {log}");
    }
}

#[tokio::test]
async fn to_everybody_else_there_is_no_such_file() {
    let (edge, _) = edge();
    for method in [Method::GET, Method::HEAD] {
        let refused = edge
            .send(opening(&edge, OTHER_STUDENT, method.clone()))
            .await;
        assert_eq!(refused.status, 404);
        assert_eq!(refused.headers["cache-control"], "no-store");
        assert!(!refused.headers.contains_key("etag"));

        let nobody = request(method, HANDBOOK_PATH, "");
        assert_eq!(edge.send(nobody).await.status, 401);
    }
    assert!(!is_store_asked(&edge));
}

#[tokio::test]
async fn the_right_to_a_file_is_asked_for_every_time() {
    let (edge, etag) = edge();
    assert_eq!(open(&edge, Selection::default()).await.status, 200);
    edge.world.library.clear(FIRST_STUDENT);
    let known = Selection {
        if_none_match: Some(etag),
        ..Selection::default()
    };
    for selection in [Selection::default(), range("bytes=0-3"), known] {
        assert_eq!(open(&edge, selection).await.status, 404);
    }
}

#[tokio::test]
async fn a_part_is_sent_as_a_part() {
    let (edge, etag) = edge();
    for (asked, told, bytes) in [
        ("bytes=0-4", "bytes 0-4/30", "%PDF-"),
        ("bytes=-2", "bytes 28-29/30", "60"),
        ("bytes=25-99", "bytes 25-29/30", "at 60"),
        ("bytes=0-", "bytes 0-29/30", BYTES),
    ] {
        let reply = open(&edge, range(asked)).await;
        assert_eq!((reply.status, reply.body.as_str()), (206, bytes), "{asked}");
        assert_eq!(reply.headers["content-range"], told);
        assert_eq!(reply.headers["content-length"], bytes.len().to_string());
        assert_eq!(reply.headers["etag"], etag);
    }
    for several_or_none in ["bytes=0-1,4-5", "pages=1-2", "bytes=5-1"] {
        let reply = open(&edge, range(several_or_none)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, BYTES));
        assert!(!reply.headers.contains_key("content-range"));
    }
}

#[tokio::test]
async fn bytes_beyond_the_end_are_refused_with_the_length() {
    let (edge, _) = edge();
    for beyond in ["bytes=30-", "bytes=99-100", "bytes=-0"] {
        let reply = open(&edge, range(beyond)).await;
        assert_eq!(reply.status, 416, "{beyond}");
        assert_eq!(reply.headers["content-range"], "bytes */30");
        assert!(reply.problem().is(ProblemKind::RangeNotSatisfiable));
    }
    assert!(!is_store_asked(&edge));
}

#[tokio::test]
async fn a_browser_that_has_the_file_is_not_sent_it_again() {
    let (edge, etag) = edge();
    edge.calls();
    for known in [
        Selection {
            if_none_match: Some(format!("W/{etag}")),
            ..range("bytes=99-")
        },
        Selection {
            if_modified_since: Some(ANNOUNCED.to_owned()),
            ..Selection::default()
        },
    ] {
        let reply = open(&edge, known).await;
        assert_eq!((reply.status, reply.body.as_str()), (304, ""));
        assert_eq!(reply.headers["etag"], etag);
        assert_eq!(reply.headers["cache-control"], "private, no-cache");
        assert!(!is_store_asked(&edge));
    }
}

#[tokio::test]
async fn a_download_goes_on_only_with_the_same_file() {
    let (edge, etag) = edge();
    let other = "\"another\"".to_owned();
    let going_on = |if_range: &str| Selection {
        if_range: Some(if_range.to_owned()),
        ..range("bytes=25-")
    };
    assert_eq!(open(&edge, going_on(&etag)).await.status, 206);
    assert_eq!(open(&edge, going_on(&other)).await.body, BYTES);

    let changed = Selection {
        if_match: Some(other),
        ..range("bytes=25-")
    };
    let reply = open(&edge, changed).await;
    assert_eq!(reply.status, 412);
    assert!(reply.problem().is(ProblemKind::PreconditionFailed));
    let same = Selection {
        if_match: Some(etag),
        if_unmodified_since: Some(ANNOUNCED.to_owned()),
        ..Selection::default()
    };
    assert_eq!(open(&edge, same).await.status, 200);
}

#[tokio::test]
async fn the_head_alone_is_that_of_the_whole_file() {
    let (edge, etag) = edge();
    let whole = open(&edge, Selection::default()).await;
    edge.calls();
    let mut sent = opening(&edge, FIRST_STUDENT, Method::HEAD);
    sent.headers.selection = range("bytes=0-4");
    let head = edge.send(sent).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for (name, value) in &whole.headers {
        if name != "server-timing" {
            assert_eq!(head.headers.get(name), Some(value), "{name}");
        }
    }
    assert!(edge.calls().contains(&"file Head".to_owned()));

    let mut sent = opening(&edge, FIRST_STUDENT, Method::HEAD);
    sent.headers.selection.if_none_match = Some(etag);
    assert_eq!(edge.send(sent).await.status, 304);
}

#[tokio::test]
async fn a_file_is_saved_where_the_reader_says_so() {
    let (edge, _) = edge();
    for (query, kind) in [
        ("download=1", "attachment; "),
        ("page=3&download=1", "attachment; "),
        ("download=0", "inline; "),
    ] {
        let mut sent = opening(&edge, FIRST_STUDENT, Method::GET);
        sent.query = query.to_owned();
        let reply = edge.send(sent).await;
        let disposition = reply.headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with(kind), "{query}: {disposition}");
    }
}

#[tokio::test]
async fn the_web_app_may_ask_for_parts_and_read_what_it_is_told() {
    let (edge, _) = edge();
    let mut preflight = request(Method::OPTIONS, HANDBOOK_PATH, "");
    preflight.headers.origin = Some("https://app.example".to_owned());
    let reply = edge.send(preflight).await;
    let allowed = reply.headers["access-control-allow-headers"]
        .to_str()
        .unwrap();
    for name in ["authorization", "range", "if-range", "if-none-match"] {
        assert!(allowed.split(", ").any(|word| word == name), "{allowed}");
    }

    let mut sent = opening(&edge, FIRST_STUDENT, Method::GET);
    sent.headers.origin = Some("https://app.example".to_owned());
    sent.headers.selection = range("bytes=0-4");
    let reply = edge.send(sent).await;
    assert_eq!(
        reply.headers["access-control-allow-origin"],
        "https://app.example"
    );
    let exposed = reply.headers["access-control-expose-headers"]
        .to_str()
        .unwrap();
    for name in [
        "accept-ranges",
        "content-disposition",
        "content-range",
        "etag",
    ] {
        assert!(exposed.split(", ").any(|word| word == name), "{exposed}");
    }
}

#[tokio::test]
async fn without_the_store_there_is_no_file_for_the_time_being() {
    for failure in [Failure::Fails, Failure::Stalls] {
        for method in [Method::GET, Method::HEAD] {
            let (edge, etag) = edge();
            edge.break_(|faults| faults.store = Some(failure));
            let reply = edge.send(opening(&edge, FIRST_STUDENT, method)).await;
            assert_eq!(reply.status, 503);
            assert!(reply.problem().is(ProblemKind::StorageUnavailable));
            assert_eq!(reply.headers["retry-after"], "1");
            assert_eq!(reply.headers["cache-control"], "no-store");
            assert!(!reply.headers.contains_key("etag"));

            // What the browser has is still good.
            let known = Selection {
                if_none_match: Some(etag),
                ..Selection::default()
            };
            assert_eq!(open(&edge, known).await.status, 304);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_lost_or_another_is_sent_to_nobody_and_reported() {
    for spoilt in [None, Some("%PDF-1.7 something else altogether, and longer")] {
        for method in [Method::GET, Method::HEAD] {
            let (edge, _) = edge();
            edge.world.files.spoil(spoilt);
            let reply = edge.send(opening(&edge, FIRST_STUDENT, method)).await;
            assert!(reply.problem().is(ProblemKind::StorageUnavailable));
            let log = edge.world.logged.borrow().join("\n");
            assert!(log.contains("Error a confirmed file is missing"), "{log}");
            assert_eq!(edge.world.open_calls.get(), 0, "nothing is read on");
        }
    }
}

#[tokio::test]
async fn a_reader_who_leaves_ends_the_reading() {
    let (edge, _) = edge();
    let reply = edge.begin(opening(&edge, FIRST_STUDENT, Method::GET)).await;
    let ReplyBody::File(mut body) = reply.body else {
        panic!("a file is passed on by the host");
    };
    assert_eq!(body.next().await.unwrap(), "%PDF-");
    assert_eq!(edge.world.open_calls.get(), 1);
    drop(body);
    assert_eq!(edge.world.open_calls.get(), 0);
}

#[tokio::test]
async fn files_are_counted_as_every_request_is() {
    let (edge, _) = edge();
    open(&edge, Selection::default()).await;
    let counted = edge.world.counted.borrow();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].1, FIRST_STUDENT.to_string());
}
