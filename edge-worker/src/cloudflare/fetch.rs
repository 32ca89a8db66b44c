//! Calls out of the Worker. Whatever stops waiting for a reply also ends the connection: an isolate
//! has six at a time.

use super::failed;
use crate::ports::{ByteStream, PortError, Upstream};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use js_sys::{Promise, Uint8Array};
use secrecy::{ExposeSecret, SecretString};
use shared_types::event::EVENT_STREAM;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, ReadableStream, ReadableStreamDefaultReader,
    RequestInit, RequestRedirect, Response, WorkerGlobalScope,
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

/// A reply of a known length of at most so many bytes is read at once: a stream and its pieces cost more.
const WHOLE_BYTES: usize = 256 * 1024;

/// Ends a fetch when dropped before its time.
struct Connection(Option<AbortController>);

impl Connection {
    fn open() -> Result<Self, JsValue> {
        Ok(Self(Some(AbortController::new()?)))
    }

    fn signal(&self) -> Option<AbortSignal> {
        self.0.as_ref().map(AbortController::signal)
    }

    /// The fetch has come to its own end. To abort it all the same would cost as much as two reads of KV.
    fn close(mut self) {
        self.0.take();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

/// Calls, and resolves when the head of the reply is there.
pub async fn send(target: &Target, outgoing: Outgoing<'_>) -> Result<Upstream, PortError> {
    let connection = Connection::open().map_err(failed)?;
    let init = init(target, &outgoing, &connection).map_err(failed)?;
    let url = format!("{}{}", target.base, outgoing.path);
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = JsFuture::from(scope.fetch_with_str_and_init(&url, &init)).await;
    let response: Response = response.map_err(failed)?.unchecked_into();
    let headers = response.headers();
    let header = |name| headers.get(name).ok().flatten();
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let content_type = header("content-type");
    let is_stream = content_type.as_deref() == Some(EVENT_STREAM);
    Ok(Upstream {
        status: response.status(),
        location: header("location"),
        retry_after: header("retry-after"),
        server_timing: header("server-timing"),
        body: body(response, length, is_stream, connection)?,
        content_type,
    })
}

/// The body as it comes, or in one piece where it is short. Events are wanted as they come.
fn body(
    response: Response,
    length: Option<usize>,
    is_stream: bool,
    connection: Connection,
) -> Result<ByteStream, PortError> {
    if !is_stream && length.is_some_and(|length| length <= WHOLE_BYTES) {
        return Ok(whole(response, connection));
    }
    if let Some(body) = response.body() {
        return read(&body, Some(connection)).map_err(failed);
    }
    connection.close();
    Ok(stream::empty().boxed_local())
}

/// The body in one piece.
fn whole(response: Response, connection: Connection) -> ByteStream {
    stream::once(async move {
        let bytes = read_whole(response.array_buffer()).await?;
        connection.close();
        Ok(bytes)
    })
    .boxed_local()
}

/// The bytes of a body whose `arrayBuffer()` was called.
pub(super) async fn read_whole(reading: Result<Promise, JsValue>) -> Result<Bytes, PortError> {
    let buffer = JsFuture::from(reading.map_err(failed)?).await;
    let buffer = buffer.map_err(failed)?;
    Ok(Bytes::from(Uint8Array::new(&buffer).to_vec()))
}

fn init(
    target: &Target,
    outgoing: &Outgoing<'_>,
    connection: &Connection,
) -> Result<RequestInit, JsValue> {
    let headers = Headers::new()?;
    headers.set(target.credential_header, target.credential.expose_secret())?;
    for (name, value) in outgoing.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(outgoing.method);
    init.set_headers_headers(&headers);
    init.set_signal(connection.signal().as_ref());
    // Neither service redirects; credentials must not travel to where one would point.
    init.set_redirect(RequestRedirect::Manual);
    if let Some(body) = outgoing.body {
        init.set_body_opt_u8_array(Some(&Uint8Array::from(body)));
    }
    Ok(init)
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
                    if let Some(connection) = connection {
                        connection.close();
                    }
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
