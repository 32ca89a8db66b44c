//! Calls out of the Worker. Whatever stops waiting for a reply also ends the connection: an isolate
//! has six at a time.

use crate::ports::{ByteStream, PortError, Upstream};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use js_sys::Uint8Array;
use secrecy::{ExposeSecret, SecretString};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStream, ReadableStreamDefaultReader, Request, RequestInit,
    RequestRedirect, Response, WorkerGlobalScope,
};

/// A service that is called.
pub struct Target {
    /// URL that paths are appended to.
    pub base: String,
    /// The header of the credential.
    pub credential_header: &'static str,
    /// What proves that the edge calls.
    pub credential: SecretString,
}

/// A call.
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Headers beside the credential.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: Option<&'a [u8]>,
}

/// Ends a fetch when dropped.
struct Connection(AbortController);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Calls, and resolves when the head of the reply is there.
pub async fn send(target: &Target, outgoing: Outgoing<'_>) -> Result<Upstream, PortError> {
    let connection = Connection(AbortController::new().map_err(failed)?);
    let request = request(target, &outgoing, &connection).map_err(failed)?;
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = JsFuture::from(scope.fetch_with_request(&request)).await;
    let response: Response = response.map_err(failed)?.unchecked_into();
    let headers = response.headers();
    let header = |name| headers.get(name).ok().flatten();
    Ok(Upstream {
        status: response.status(),
        content_type: header("content-type"),
        location: header("location"),
        retry_after: header("retry-after"),
        server_timing: header("server-timing"),
        body: match response.body() {
            Some(body) => read(&body, Some(connection)).map_err(failed)?,
            None => stream::empty().boxed_local(),
        },
    })
}

fn request(
    target: &Target,
    outgoing: &Outgoing<'_>,
    connection: &Connection,
) -> Result<Request, JsValue> {
    let headers = Headers::new()?;
    headers.set(target.credential_header, target.credential.expose_secret())?;
    for (name, value) in outgoing.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(outgoing.method);
    init.set_headers_headers(&headers);
    init.set_signal(Some(&connection.0.signal()));
    // Neither service redirects; credentials must not travel to where one would point.
    init.set_redirect(RequestRedirect::Manual);
    if let Some(body) = outgoing.body {
        init.set_body_opt_u8_array(Some(&Uint8Array::from(body)));
    }
    let url = format!("{}{}", target.base, outgoing.path);
    Request::new_with_str_and_init(&url, &init)
}

#[wasm_bindgen]
extern "C" {
    /// What a reader's `read()` resolves to. Typed, since reflection costs more per piece.
    type ReadResult;
    #[wasm_bindgen(method, getter)]
    fn done(this: &ReadResult) -> bool;
    #[wasm_bindgen(method, getter)]
    fn value(this: &ReadResult) -> JsValue;
}

/// A body as bytes. `connection`, if any, ends with the stream.
pub(super) fn read_stream(body: &ReadableStream) -> Result<ByteStream, JsValue> {
    read(body, None)
}

fn read(body: &ReadableStream, connection: Option<Connection>) -> Result<ByteStream, JsValue> {
    let reader = ReadableStreamDefaultReader::new(body)?;
    let pieces = stream::unfold(Some((reader, connection)), |state| async {
        let (reader, connection) = state?;
        match JsFuture::from(reader.read()).await {
            Ok(result) => {
                let result: ReadResult = result.unchecked_into();
                if result.done() {
                    return None;
                }
                let piece = result.value().unchecked_into::<Uint8Array>().to_vec();
                Some((Ok(Bytes::from(piece)), Some((reader, connection))))
            }
            Err(error) => Some((Err(failed(error)), None)),
        }
    });
    Ok(pieces.boxed_local())
}

#[expect(clippy::needless_pass_by_value, reason = "for use in map_err")]
pub(super) fn failed(error: JsValue) -> PortError {
    super::failed(&error)
}
