//! `GET` and `HEAD /api/documents/{id}/file`: a document's file, for those who may have it now.

mod disposition;
pub mod selection;

use crate::{
    gateway::{
        Gateway, authentication,
        exchange::{Exchange, Incoming, JSON, Reply, ReplyBody, empty, refusal},
        headers::ReplyHeaders,
        upstream::ask_origin,
    },
    ports::{Host, OriginCall, Reading, Severity},
};
use disposition::disposition;
use http::{Method, StatusCode};
use selection::{Extent, Verdict, Version};
use shared_types::{
    origin::DocumentFile,
    problem::{Problem, ProblemKind},
};

const PDF: &str = "application/pdf";
/// A browser may keep the file, and must ask us each time whether its reader may still have it.
const KEPT_AND_ASKED: &str = "private, no-cache";
/// The web app, on a host beside ours, may put it on its pages; no foreign page may.
const RESOURCE_POLICY: (&str, &str) = ("cross-origin-resource-policy", "same-site");

/// The viewer of a browser is a page with styles of its own and one embedded object; a sandbox would
/// keep it shut. The pages that may frame it follow.
const PDF_POLICY: &str = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; \
    frame-ancestors 'self'";
/// Anything else is its uploader's, and a web page among it: it runs nothing, fetches nothing, and is of no origin.
const OTHER_POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
    frame-ancestors 'self'";

/// Asks the origin, each time anew, whether the caller may have the file, and passes it on from the
/// store. Whoever may not is told that there is none.
pub async fn send<H: Host>(
    gateway: &Gateway,
    exchange: &Exchange<H>,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    authentication::signed_in(gateway, exchange, &incoming.headers).await?;
    // `/api/documents/{id}/file`, as the router has made sure.
    let id = incoming.path.split('/').nth(3).unwrap_or_default();
    let path = format!("/v1/documents/{id}/file");
    let call = OriginCall {
        method: Method::GET,
        path: &path,
        authorization: incoming.headers.authorization.as_deref(),
        request_id: exchange.request_id,
        trace: exchange.trace.within("origin"),
        accept: JSON,
        body: None,
    };
    let limit_ms = exchange.config.timeouts.file_access_ms;
    let asked = exchange.stage("origin", ask_origin(exchange, limit_ms, call));
    let file: DocumentFile = asked.await?;

    // The bytes are their own version: a document's file never changes.
    let version = Version {
        etag: format!("\"{}\"", file.sha256),
        modified_s: file.announced_at_s,
    };
    let selection = &incoming.headers.selection;
    let host = &exchange.host;
    let mut reply = match selection.verdict(&version, |text| host.read_date(text)) {
        Verdict::Unwanted => return Err(Problem::new(ProblemKind::PreconditionFailed)),
        Verdict::Known => empty(StatusCode::NOT_MODIFIED),
        Verdict::Wanted => {
            let reading = match selection.extent(&version, file.size_bytes) {
                _ if incoming.method == Method::HEAD => Reading::Head,
                Extent::Whole => Reading::Whole,
                Extent::Part(part) => Reading::Part(part),
                Extent::Beyond => return Ok(beyond(exchange, &file)),
            };
            opened(exchange, &file, reading).await?
        }
    };
    let headers = &mut reply.headers;
    headers.set("etag", version.etag);
    let modified = exchange.host.write_date(version.modified_s);
    headers.set("last-modified", modified);
    headers.set("accept-ranges", "bytes");
    let is_pdf = file.media_type == PDF;
    // No browser shows a document of Word.
    let is_saved = !is_pdf && file.media_type.starts_with("application/")
        || incoming.query.split('&').any(|word| word == "download=1");
    let disposition = disposition(is_saved, &file.file_name);
    headers.set("content-disposition", disposition);
    guard(headers, is_pdf, &exchange.config.allowed_origins);
    Ok(reply)
}

/// The file, a part of it, or its head alone.
async fn opened<H: Host>(
    exchange: &Exchange<H>,
    file: &DocumentFile,
    reading: Reading,
) -> Result<Reply, Problem> {
    let limit_ms = exchange.config.timeouts.file_head_ms;
    let work = exchange.within(limit_ms, exchange.host.open(&file.key, reading));
    let stored = exchange.stage("storage", work).await.map_err(|error| {
        let message = "object storage failed at a document's file";
        exchange.fail(ProblemKind::StorageUnavailable, message, &error)
    })?;
    let size_bytes = stored.as_ref().map(|stored| stored.size_bytes);
    if size_bytes != Some(file.size_bytes) {
        return Err(lost(exchange, file, size_bytes));
    }
    let body = stored.and_then(|stored| stored.body);
    let mut reply = empty(StatusCode::OK);
    reply.body = body.map_or(ReplyBody::Empty, ReplyBody::File);
    let mut length = file.size_bytes;
    if let Reading::Part(part) = reading {
        length = part.length;
        reply.status = StatusCode::PARTIAL_CONTENT;
        let last = part.offset + part.length - 1;
        let range = format!("bytes {}-{last}/{}", part.offset, file.size_bytes);
        reply.headers.set("content-range", range);
    }
    if matches!(reply.body, ReplyBody::File(_)) {
        let mut notes = exchange.notes.borrow_mut();
        notes.push(("file_bytes", length.into()));
    }
    let headers = &mut reply.headers;
    headers.set("content-length", length.to_string());
    headers.set("content-type", file.media_type.clone());
    Ok(reply)
}

/// The store does not have the file that the database knows of. It was checked at its confirmation,
/// so this is our loss, and somebody must look.
fn lost<H: Host>(exchange: &Exchange<H>, file: &DocumentFile, found_bytes: Option<u64>) -> Problem {
    exchange.host.log(
        Severity::Error,
        "a confirmed file is missing from the library, or another",
        &[
            ("request_id", exchange.request_id.to_string().into()),
            ("key", file.key.as_str().into()),
            ("expected_bytes", file.size_bytes.into()),
            ("found_bytes", found_bytes.into()),
        ],
    );
    Problem::new(ProblemKind::StorageUnavailable)
}

fn beyond<H>(exchange: &Exchange<H>, file: &DocumentFile) -> Reply {
    let problem = Problem::new(ProblemKind::RangeNotSatisfiable)
        .with_detail(format!("The file has {} bytes.", file.size_bytes))
        .with_instance(exchange.request_id);
    let mut reply = refusal(&problem);
    let range = format!("bytes */{}", file.size_bytes);
    reply.headers.set("content-range", range);
    reply
}

/// Says what a browser may do with the file: show it, on the web app's pages too, and nothing else.
fn guard(headers: &mut ReplyHeaders, is_pdf: bool, pages: &[String]) {
    headers.set("cache-control", KEPT_AND_ASKED);
    headers.set(RESOURCE_POLICY.0, RESOURCE_POLICY.1);
    let mut policy = String::from(if is_pdf { PDF_POLICY } else { OTHER_POLICY });
    for page in pages {
        policy.push(' ');
        policy.push_str(page);
    }
    headers.set("content-security-policy", policy);
}
