//! A reply as the runtime takes it. How a body is written matters more than anything else on the
//! way out: whole ones go as one buffer, live ones through a `ReadableStream` that is fed directly.

use super::{lines, tasks::settled, work::Work};
use crate::gateway::{
    exchange::{Reply, ReplyBody},
    headers::ReplyHeaders,
    protection::PROTECTION_HEADERS,
};
use bytes::Bytes;
use futures_util::{StreamExt, future::select, stream::LocalBoxStream};
use js_sys::Promise;
use std::{cell::OnceCell, pin::pin, rc::Rc};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::{
    AbortSignal, Headers, ReadableStream, ReadableStreamDefaultController, Request, Response,
};

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn respond(
        body: &JsValue,
        status: u16,
        base: &Headers,
        lines: &str,
    ) -> Result<Response, JsValue>;
    #[wasm_bindgen(catch, js_name = respondBytes)]
    fn respond_bytes(
        body: &[u8],
        status: u16,
        base: &Headers,
        lines: &str,
    ) -> Result<Response, JsValue>;
    #[wasm_bindgen(js_name = openBody)]
    fn open_body(client: &AbortSignal) -> Body;
    fn write(controller: &ReadableStreamDefaultController, bytes: &[u8]) -> bool;
}

#[wasm_bindgen]
extern "C" {
    type Body;
    #[wasm_bindgen(method, getter)]
    fn stream(this: &Body) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn controller(this: &Body) -> ReadableStreamDefaultController;
    #[wasm_bindgen(method, getter)]
    fn left(this: &Body) -> Promise;
}

/// Converts the reply to a request. A stream is read on as part of `work`, until the client leaves: then the request's
/// signal is aborted.
pub fn into_web(reply: Reply, work: &Rc<Work>, request: &Request) -> Result<Response, JsValue> {
    let status = reply.status.as_u16();
    let (base, lines) = headers(&reply.headers)?;
    match reply.body {
        ReplyBody::Empty => respond(&JsValue::NULL, status, &base, &lines),
        ReplyBody::Whole(bytes) => respond_bytes(&bytes, status, &base, &lines),
        ReplyBody::File(body) => respond(&body, status, &base, &lines),
        ReplyBody::Stream(stream) => {
            let body = readable(stream, work, request.signal());
            respond(&body, status, &base, &lines)
        }
    }
}

thread_local! {
    static BASES: OnceCell<Bases> = const { OnceCell::new() };
}

/// Headers that replies begin with, made once per isolate.
#[derive(Clone)]
struct Bases {
    /// What protects every reply.
    protection: Headers,
    none: Headers,
}

/// The headers as the runtime takes them: some to begin with, which are copied within the runtime, and the others as
/// lines, names and values by turns.
fn headers(set: &ReplyHeaders) -> Result<(Headers, String), JsValue> {
    let is_protection = |header: &(&str, &str)| PROTECTION_HEADERS.contains(header);
    let is_protected = set.iter().filter(is_protection).count() == PROTECTION_HEADERS.len();
    let mut lines = String::new();
    for (name, value) in set.iter() {
        if !(is_protected && is_protection(&(name, value))) {
            lines::push(&mut lines, name, value);
        }
    }
    let bases = bases()?;
    let base = if is_protected {
        bases.protection
    } else {
        bases.none
    };
    Ok((base, lines))
}

fn bases() -> Result<Bases, JsValue> {
    BASES.with(|cell| {
        if let Some(bases) = cell.get() {
            return Ok(bases.clone());
        }
        let protection = Headers::new()?;
        for (name, value) in PROTECTION_HEADERS {
            protection.set(name, value)?;
        }
        let none = Headers::new()?;
        Ok(cell.get_or_init(|| Bases { protection, none }).clone())
    })
}

/// A stream for the runtime. When the client leaves, the source is dropped at once.
fn readable(
    mut source: LocalBoxStream<'static, Bytes>,
    work: &Rc<Work>,
    client: AbortSignal,
) -> ReadableStream {
    let body = open_body(&client);
    let (stream, controller, left) = (body.stream(), body.controller(), body.left());
    let feed = async move {
        while let Some(bytes) = source.next().await {
            if !write(&controller, &bytes) {
                return;
            }
        }
        // Fails only where the client has already left.
        let _ = controller.close();
    };
    work.begin(async move {
        select(pin!(feed), settled(&left)).await;
        client.set_onabort(None);
    });
    stream
}
