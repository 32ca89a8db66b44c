//! A request of the runtime as the gateway takes it.

use super::{
    fetch::{read_stream, read_whole},
    lines::{names, next_header},
};
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
use js_sys::Array;
use shared_types::headers::{CSRF_TOKEN, EDGE_TOKEN, TRACEPARENT};
use std::{array, thread::LocalKey};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Request;

/// How the paths of files end. A question need not pay for their headers.
const FILE: &str = "/file";
/// How the path of questions ends.
const QUERY: &str = "/query";
/// How the paths for our own services begin.
const INTERNAL: &str = "/internal/";
/// A body of at most so many bytes is read at once: a stream and its pieces cost more than all of them.
const WHOLE_BYTES: usize = 64 * 1024;

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestHead)]
    fn request_head(request: &Request, names: &Array) -> String;
}

thread_local! {
    static COMMON: Array = names(&[
        "accept",
        "authorization",
        "origin",
        TRACEPARENT,
        "cf-connecting-ip",
        "content-length",
    ]);
    static OF_COOKIES: Array = names(&["cookie", CSRF_TOKEN]);
    static OF_QUESTIONS: Array = names(&["last-event-id"]);
    static OF_SERVICES: Array = names(&[EDGE_TOKEN]);
    static OF_FILES: Array = names(&[
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    ]);
}

/// Reads head and body handle. Each header costs a call within the runtime: only those are read that this request can
/// mean something by. Headers are taken in the order of their names above.
pub fn incoming(request: &Request) -> Result<Incoming, JsValue> {
    let text = COMMON.with(|names| request_head(request, names));
    let mut lines = text.split('\n');
    // The runtime admits no text here that is not a method.
    let method = lines.next().unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::TRACE);
    let url = lines.next().unwrap_or_default();
    let (path, query) = path_and_query(url);
    let mut header = || next_header(&mut lines);
    let accept = header();
    let authorization = header();
    let origin = header();
    let traceparent = header();
    let client_address = header();
    let content_length = header().and_then(|length| length.parse().ok());
    let changes_something = changes_something(&method);
    let has_bearer = authorization.is_some();
    let [cookie, csrf_token] = further(request, &OF_COOKIES, !has_bearer);
    let is_guarded = cookie.is_some() && changes_something;
    let [last_event_id] = further(request, &OF_QUESTIONS, path.ends_with(QUERY));
    let [edge_token] = further(request, &OF_SERVICES, path.starts_with(INTERNAL));
    let [
        range,
        if_range,
        if_match,
        if_none_match,
        if_modified_since,
        if_unmodified_since,
    ] = further(request, &OF_FILES, path.ends_with(FILE));
    Ok(Incoming {
        path: path.to_owned(),
        query: query.to_owned(),
        headers: IncomingHeaders {
            accept,
            authorization,
            cookie,
            csrf_token: csrf_token.filter(|_| is_guarded),
            origin,
            own_origin: (!has_bearer && changes_something).then(|| origin_of(url).to_owned()),
            edge_token,
            last_event_id,
            traceparent,
            client_address,
            content_length,
            selection: Selection {
                range,
                if_range,
                if_match,
                if_none_match,
                if_modified_since,
                if_unmodified_since,
            },
        },
        method,
        body: body(request, content_length)?,
    })
}

/// More headers, where this is a request that can mean something by them.
fn further<const N: usize>(
    request: &Request,
    names: &'static LocalKey<Array>,
    are_wanted: bool,
) -> [Option<String>; N] {
    if !are_wanted {
        return [const { None }; N];
    }
    let text = names.with(|names| request_head(request, names));
    // After method and URL.
    let mut lines = text.split('\n').skip(2);
    array::from_fn(|_| next_header(&mut lines))
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
    let from_path = &url[origin_of(url).len()..];
    let without_fragment = from_path.split('#').next().unwrap_or_default();
    let (path, query) = without_fragment
        .split_once('?')
        .unwrap_or((without_fragment, ""));
    (if path.is_empty() { "/" } else { path }, query)
}

/// Scheme, host and port of such a URL, as a browser writes them in `Origin`: what stands before the third slash.
fn origin_of(url: &str) -> &str {
    let mut ends = url.match_indices(['/', '?', '#']);
    let end = ends.nth(2).map_or(url.len(), |(at, _)| at);
    &url[..end]
}
