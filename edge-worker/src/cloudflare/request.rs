//! A request of the runtime as the gateway takes it.

use super::fetch::read_stream;
use crate::gateway::exchange::{Incoming, IncomingHeaders};
use futures_util::{StreamExt, stream};
use http::Method;
use shared_types::headers::{EDGE_TOKEN, TRACEPARENT};
use web_sys::Request;

/// Reads head and body handle.
pub fn incoming(request: &Request) -> worker::Result<Incoming> {
    let headers = request.headers();
    let header = |name| headers.get(name).ok().flatten();
    Ok(Incoming {
        // The runtime admits no text here that is not a method.
        method: Method::from_bytes(request.method().as_bytes()).unwrap_or(Method::TRACE),
        path: path(&request.url()).to_owned(),
        headers: IncomingHeaders {
            accept: header("accept"),
            authorization: header("authorization"),
            origin: header("origin"),
            edge_token: header(EDGE_TOKEN),
            traceparent: header(TRACEPARENT),
            client_address: header("cf-connecting-ip"),
            content_length: header("content-length").and_then(|length| length.parse().ok()),
        },
        body: match request.body() {
            Some(body) => read_stream(&body)?,
            None => stream::empty().boxed_local(),
        },
    })
}

/// The path of an absolute URL that the runtime has already normalised.
fn path(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let from_path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
    let end = from_path.find(['?', '#']).unwrap_or(from_path.len());
    &from_path[..end]
}
