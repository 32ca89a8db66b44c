//! A reply as the runtime takes it. How a body is written matters more than anything else on the
//! way out: whole ones go as one buffer, live ones through a `ReadableStream` that is fed directly.

use crate::gateway::{
    exchange::{Reply, ReplyBody},
    headers::ReplyHeaders,
    protection::PROTECTION_HEADERS,
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{AbortHandle, Abortable},
    stream::LocalBoxStream,
};
use js_sys::{Object, Reflect, Uint8Array};
use std::{cell::OnceCell, rc::Rc};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{
    AbortSignal, Headers, ReadableStream, ReadableStreamDefaultController, Response, ResponseInit,
};
use worker::Context;

/// Converts a reply. A stream is read on in the background of `context`, until the client leaves:
/// then `client` is aborted.
pub fn into_web(
    reply: Reply,
    context: &Context,
    client: &AbortSignal,
) -> Result<Response, JsValue> {
    let headers = headers(&reply.headers)?;
    let init = ResponseInit::new();
    init.set_status(reply.status.as_u16());
    init.set_headers(&headers);
    let response = match reply.body {
        ReplyBody::Empty => Response::new_with_opt_str_and_init(None, &init)?,
        ReplyBody::Whole(bytes) => {
            // A copy in JavaScript's own memory: of a slice, workerd would keep a view into ours,
            // and read it after the next request has written there.
            let bytes = Uint8Array::from(&*bytes);
            Response::new_with_opt_js_u8_array_and_init(Some(&bytes), &init)?
        }
        ReplyBody::File(body) => {
            Response::new_with_opt_readable_stream_and_init(Some(&body), &init)?
        }
        ReplyBody::Stream(stream) => {
            let body = readable(stream, context, client)?;
            Response::new_with_opt_readable_stream_and_init(Some(&body), &init)?
        }
    };
    Ok(response)
}

thread_local! {
    static PROTECTION: OnceCell<Headers> = const { OnceCell::new() };
}

/// The headers as the runtime takes them. Those that every reply has are copied within the runtime: to write one
/// costs more than to copy all.
fn headers(set: &ReplyHeaders) -> Result<Headers, JsValue> {
    let is_protection = |header: &(&str, &str)| PROTECTION_HEADERS.contains(header);
    let is_protected = set.iter().filter(is_protection).count() == PROTECTION_HEADERS.len();
    let headers = if is_protected {
        Headers::new_with_headers(&protection()?)?
    } else {
        Headers::new()?
    };
    for (name, value) in set.iter() {
        if !(is_protected && is_protection(&(name, value))) {
            // Appended, since there may be more than one cookie.
            headers.append(name, value)?;
        }
    }
    Ok(headers)
}

/// The headers that every reply has, made once per isolate.
fn protection() -> Result<Headers, JsValue> {
    PROTECTION.with(|cell| {
        if let Some(headers) = cell.get() {
            return Ok(headers.clone());
        }
        let headers = Headers::new()?;
        for (name, value) in PROTECTION_HEADERS {
            headers.set(name, value)?;
        }
        Ok(cell.get_or_init(|| headers).clone())
    })
}

/// A stream for the runtime. When the client leaves, the source is dropped at once.
fn readable(
    mut source: LocalBoxStream<'static, Bytes>,
    context: &Context,
    client: &AbortSignal,
) -> Result<ReadableStream, JsValue> {
    let controller: Rc<OnceCell<ReadableStreamDefaultController>> = Rc::default();
    let start = {
        let controller = Rc::clone(&controller);
        Closure::once(move |given: ReadableStreamDefaultController| {
            // `start` is called once.
            let _ = controller.set(given);
        })
    };
    let (leave, registration) = AbortHandle::new_pair();
    let cancel = Closure::<dyn FnMut()>::new(move || leave.abort());
    // A stream that is written by us is not cancelled while its invocation lives; the request's
    // signal is aborted at once (flag `enable_request_signal`).
    client.set_onabort(Some(cancel.as_ref().unchecked_ref()));

    let underlying = Object::new();
    Reflect::set(&underlying, &"start".into(), start.as_ref())?;
    Reflect::set(&underlying, &"cancel".into(), cancel.as_ref())?;
    let stream = ReadableStream::new_with_underlying_source(&underlying)?;
    let controller = controller.get().cloned();
    let controller = controller.ok_or_else(|| JsValue::from_str("the stream did not start"))?;

    let feed = async move {
        while let Some(bytes) = source.next().await {
            let chunk = Uint8Array::from(&*bytes);
            if controller
                .enqueue_with_chunk(chunk.unchecked_ref())
                .is_err()
            {
                return;
            }
        }
        // Fails only where the client has already left.
        let _ = controller.close();
    };
    let client = client.clone();
    context.wait_until(async move {
        // `Abortable` drops the source as soon as it is aborted; the closures live as long as the
        // stream may call them.
        let _ = Abortable::new(feed, registration).await;
        client.set_onabort(None);
        drop(cancel);
    });
    Ok(stream)
}
