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
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::Request;

/// How the paths of files end. A question need not pay for their headers.
const FILE: &str = "/pdf";
/// A body of at most so many bytes is read at once: a stream and its pieces cost more than all of them.
const WHOLE_BYTES: usize = 64 * 1024;

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestHead)]
    fn request_head(request: &Request, names: &Array) -> String;
}

thread_local! {
    static NAMES: [Array; 2] = [names(&COMMON), names(&OF_FILES)];
}

/// In the order in which they are taken below.
const COMMON: [&str; 9] = [
    "accept",
    "authorization",
    "cookie",
    CSRF_TOKEN,
    "origin",
    EDGE_TOKEN,
    TRACEPARENT,
    "cf-connecting-ip",
    "content-length",
];
/// The same.
const OF_FILES: [&str; 6] = [
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];

/// Reads head and body handle.
pub fn incoming(request: &Request) -> Result<Incoming, JsValue> {
    let text = NAMES.with(|[common, _]| request_head(request, common));
    let mut lines = text.split('\n');
    // The runtime admits no text here that is not a method.
    let method = lines.next().unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::TRACE);
    let url = lines.next().unwrap_or_default();
    let (path, query) = path_and_query(url);
    let mut header = || next_header(&mut lines);
    let accept = header();
    let authorization = header();
    let has_bearer = authorization.is_some();
    let cookie = header().filter(|_| !has_bearer);
    let changes_something = changes_something(&method);
    let is_guarded = cookie.is_some() && changes_something;
    let selection = if path.ends_with(FILE) {
        selection(request)
    } else {
        Selection::default()
    };
    let csrf_token = header().filter(|_| is_guarded);
    let origin = header();
    let edge_token = header();
    let traceparent = header();
    let client_address = header();
    let content_length = header().and_then(|length| length.parse().ok());
    Ok(Incoming {
        path: path.to_owned(),
        query: query.to_owned(),
        headers: IncomingHeaders {
            accept,
            authorization,
            cookie,
            csrf_token,
            origin,
            own_origin: (!has_bearer && changes_something).then(|| origin_of(url).to_owned()),
            edge_token,
            traceparent,
            client_address,
            content_length,
            selection,
        },
        method,
        body: body(request, content_length)?,
    })
}

fn selection(request: &Request) -> Selection {
    let text = NAMES.with(|[_, of_files]| request_head(request, of_files));
    let mut lines = text.split('\n').skip(2);
    let mut header = || next_header(&mut lines);
    Selection {
        range: header(),
        if_range: header(),
        if_match: header(),
        if_none_match: header(),
        if_modified_since: header(),
        if_unmodified_since: header(),
    }
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
