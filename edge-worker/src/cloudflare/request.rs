//! A request of the runtime as the gateway takes it.

use super::fetch::{read_stream, read_whole};
use crate::{
    gateway::{
        csrf::changes_something,
        exchange::{Incoming, IncomingHeaders},
        files::selection::Selection,
    },
    ports::ByteStream,
};
use futures_util::{StreamExt, stream};
use http::Method;
use shared_types::headers::{CSRF_TOKEN, EDGE_TOKEN, TRACEPARENT};
use wasm_bindgen::JsValue;
use web_sys::Request;

/// How the paths of files end. Their headers are six more calls out of wasm, which a question need
/// not pay for.
const FILE: &str = "/pdf";
/// A body of at most so many bytes is read at once: a stream and its pieces cost more than all of them.
const WHOLE_BYTES: usize = 64 * 1024;

/// Reads head and body handle.
pub fn incoming(request: &Request) -> Result<Incoming, JsValue> {
    let headers = request.headers();
    let header = |name| headers.get(name).ok().flatten();
    // The runtime admits no text here that is not a method.
    let method = Method::from_bytes(request.method().as_bytes()).unwrap_or(Method::TRACE);
    let url = request.url();
    let (path, query) = path_and_query(&url);
    let authorization = header("authorization");
    let has_bearer = authorization.is_some();
    let changes_something = changes_something(&method);
    // What goes with cookies costs a request with a bearer nothing.
    let without_bearer = |name| (!has_bearer).then(|| header(name)).flatten();
    let cookie = without_bearer("cookie");
    let is_guarded = cookie.is_some() && changes_something;
    let selection = if path.ends_with(FILE) {
        Selection {
            range: header("range"),
            if_range: header("if-range"),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            if_modified_since: header("if-modified-since"),
            if_unmodified_since: header("if-unmodified-since"),
        }
    } else {
        Selection::default()
    };
    let length = header("content-length").and_then(|length| length.parse().ok());
    Ok(Incoming {
        path: path.to_owned(),
        query: query.to_owned(),
        headers: IncomingHeaders {
            accept: header("accept"),
            authorization,
            csrf_token: is_guarded.then(|| header(CSRF_TOKEN)).flatten(),
            cookie,
            own_origin: (!has_bearer && changes_something).then(|| origin(&url).to_owned()),
            origin: header("origin"),
            edge_token: header(EDGE_TOKEN),
            traceparent: header(TRACEPARENT),
            client_address: header("cf-connecting-ip"),
            content_length: length,
            selection,
        },
        method,
        body: body(request, length)?,
    })
}

/// The body as it comes. The runtime holds it to the length that was announced.
fn body(request: &Request, length: Option<usize>) -> Result<ByteStream, JsValue> {
    if length == Some(0) {
        return Ok(stream::empty().boxed_local());
    }
    if length.is_some_and(|length| length <= WHOLE_BYTES) {
        let request = Clone::clone(request);
        return Ok(
            stream::once(async move { read_whole(request.array_buffer()).await }).boxed_local(),
        );
    }
    match request.body() {
        Some(body) => read_stream(&body),
        None => Ok(stream::empty().boxed_local()),
    }
}

/// Path and query of an absolute URL that the runtime has already normalised.
fn path_and_query(url: &str) -> (&str, &str) {
    let from_path = &url[origin(url).len()..];
    let without_fragment = from_path.split('#').next().unwrap_or_default();
    let (path, query) = without_fragment
        .split_once('?')
        .unwrap_or((without_fragment, ""));
    (if path.is_empty() { "/" } else { path }, query)
}

/// Scheme, host and port of such a URL, as a browser writes them in `Origin`: what stands before the third slash.
fn origin(url: &str) -> &str {
    let mut ends = url.match_indices(['/', '?', '#']);
    let end = ends.nth(2).map_or(url.len(), |(at, _)| at);
    &url[..end]
}
