//! A request of the runtime as the gateway takes it.

use super::fetch::read_stream;
use crate::gateway::{
    exchange::{Incoming, IncomingHeaders},
    files::selection::Selection,
};
use futures_util::{StreamExt, stream};
use http::Method;
use shared_types::headers::{EDGE_TOKEN, TRACEPARENT};
use web_sys::Request;

/// How the paths of files end. Their headers are six more calls out of wasm, which a question need
/// not pay for.
const FILE: &str = "/pdf";

/// Reads head and body handle.
pub fn incoming(request: &Request) -> worker::Result<Incoming> {
    let headers = request.headers();
    let header = |name| headers.get(name).ok().flatten();
    let url = request.url();
    let (path, query) = path_and_query(&url);
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
    Ok(Incoming {
        // The runtime admits no text here that is not a method.
        method: Method::from_bytes(request.method().as_bytes()).unwrap_or(Method::TRACE),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: IncomingHeaders {
            accept: header("accept"),
            authorization: header("authorization"),
            origin: header("origin"),
            edge_token: header(EDGE_TOKEN),
            traceparent: header(TRACEPARENT),
            client_address: header("cf-connecting-ip"),
            content_length: header("content-length").and_then(|length| length.parse().ok()),
            selection,
        },
        body: match request.body() {
            Some(body) => read_stream(&body)?,
            None => stream::empty().boxed_local(),
        },
    })
}

/// Path and query of an absolute URL that the runtime has already normalised.
fn path_and_query(url: &str) -> (&str, &str) {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let from_path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
    let without_fragment = from_path.split('#').next().unwrap_or_default();
    without_fragment
        .split_once('?')
        .unwrap_or((without_fragment, ""))
}
