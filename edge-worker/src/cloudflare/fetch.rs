//! Calls out of the Worker. Whatever stops waiting for a reply also ends the connection: an isolate
//! has six at a time.

use super::{
    failed,
    lines::{self, names, next_header},
    tasks::settled,
};
use crate::ports::{ByteStream, Passing, PortError, Upstream};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use js_sys::{Array, Promise, Uint8Array};
use secrecy::{ExposeSecret, SecretString};
use shared_types::event::EVENT_STREAM;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::{
    AbortController, AbortSignal, ReadableStream, ReadableStreamDefaultReader, Response,
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

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn call(
        head: &str,
        body: Option<&[u8]>,
        signal: Option<AbortSignal>,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = responseHead)]
    fn response_head(response: &Response, names: &Array, usual: usize) -> String;
}

/// How many of [`NAMES`] a reply of status 200 can mean something by. Each costs a call within the runtime.
const USUAL: usize = 3;

thread_local! {
    static NAMES: Array = names(&[
        "content-length",
        "content-type",
        "server-timing",
        "location",
        "retry-after",
    ]);
}

/// Calls, and resolves when the head of the reply is there.
pub async fn send(target: &Target, outgoing: Outgoing<'_>) -> Result<Reply, PortError> {
    let connection = Connection::open().map_err(failed)?;
    let mut head = [outgoing.method, "\n", &target.base, outgoing.path, "\n"].concat();
    lines::push(
        &mut head,
        target.credential_header,
        target.credential.expose_secret(),
    );
    for (name, value) in outgoing.headers {
        lines::push(&mut head, name, value);
    }
    let called = call(&head, outgoing.body, connection.signal());
    let response = settled(&called.map_err(failed)?).await;
    let response: Response = response.map_err(failed)?.unchecked_into();
    let head = NAMES.with(|names| response_head(&response, names, USUAL));
    let mut lines = head.split('\n');
    let status = lines.next().and_then(|status| status.parse().ok());
    let mut header = || next_header(&mut lines);
    let length = header().and_then(|length| length.parse().ok());
    let content_type = header();
    let (server_timing, location, retry_after) = (header(), header(), header());
    Ok(Reply {
        head: Upstream {
            // Every response has one.
            status: status.unwrap_or_default(),
            location,
            retry_after,
            server_timing,
            body: stream::empty().boxed_local(),
            content_type,
        },
        length,
        response,
        connection,
    })
}

/// A reply whose head is there.
pub struct Reply {
    /// Without its body.
    head: Upstream,
    length: Option<usize>,
    response: Response,
    connection: Connection,
}

impl Reply {
    /// To be read.
    pub fn read(self) -> Result<Upstream, PortError> {
        let is_stream = self.head.content_type.as_deref() == Some(EVENT_STREAM);
        Ok(Upstream {
            body: body(self.response, self.length, is_stream, self.connection)?,
            ..self.head
        })
    }

    /// To be passed on, where it is what was asked for: then it is the runtime's to end it when its reader leaves.
    pub fn pass(self) -> Result<Passing, PortError> {
        match self.response.body() {
            Some(body) if self.head.status == 200 => {
                self.connection.close();
                Ok(Passing::On {
                    content_type: self.head.content_type,
                    body,
                })
            }
            _ => self.read().map(Passing::Instead),
        }
    }
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
    let buffer = settled(&reading.map_err(failed)?).await;
    let buffer = buffer.map_err(failed)?;
    Ok(Bytes::from(Uint8Array::new(&buffer).to_vec()))
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
        match settled(&reader.read()).await {
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
