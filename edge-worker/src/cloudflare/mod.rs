//! The host in production: workerd's bindings behind [`crate::ports`].

mod ai;
mod fetch;
mod kv;
mod lines;
mod r2;
mod rate_limit;
mod request;
mod request_ids;
mod response;
mod runtime;
mod services;
pub mod tasks;
mod timers;
mod webcrypto;
mod work;

use crate::{
    config::{ConfigError, EdgeConfig},
    gateway::{Gateway, exchange::refusal},
    ports::PortError,
};
use ai::AiBinding;
use fetch::Target;
use js_sys::Reflect;
use kv::{Caches, ReadOptions};
use r2::Bucket;
use rate_limit::RateLimitBinding;
use shared_types::problem::{Problem, ProblemKind};
use std::{cell::OnceCell, rc::Rc};
use timers::Timers;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Request, Response};
use webcrypto::Verifier;
use work::Work;
use worker::{Env, worker_sys::Context};

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// What is made once per isolate: settings, handles of bindings, public keys. Nothing of a caller.
struct Isolate {
    gateway: Gateway,
    caches: Caches,
    ai: AiBinding,
    library: Bucket,
    user_limit: RateLimitBinding,
    address_limit: RateLimitBinding,
    verifier: Verifier,
    origin: Target,
    auth: Target,
    models: Models,
}

struct Models {
    embedding: String,
    pooling: shared_types::workers_ai::Pooling,
    rerank: String,
}

/// The host of one request.
struct Workerd {
    isolate: Rc<Isolate>,
    work: Rc<Work>,
    timers: Rc<Timers>,
}

/// Answers one request.
pub async fn serve(request: Request, env: Env, context: Context) -> Result<Response, JsValue> {
    let work = Work::new(context);
    let request_id = request_ids::next()?;
    let isolate = match isolate(&env) {
        Ok(isolate) => isolate,
        Err(error) => {
            worker::console_error!("the Worker is not set up: {error}");
            let problem = Problem::new(ProblemKind::Internal).with_instance(request_id);
            return response::into_web(refusal(&problem), &work, &request);
        }
    };
    let host = Rc::new(Workerd {
        isolate: Rc::clone(&isolate),
        work: Rc::clone(&work),
        timers: Timers::new(),
    });
    let incoming = request::incoming(&request)?;
    let reply = isolate.gateway.handle(host, request_id, incoming).await;
    response::into_web(reply, &work, &request)
}

fn isolate(env: &Env) -> Result<Rc<Isolate>, SetUpError> {
    ISOLATE.with(|cell| {
        if let Some(isolate) = cell.get() {
            return Ok(Rc::clone(isolate));
        }
        let isolate = Rc::new(Isolate::new(env)?);
        Ok(Rc::clone(cell.get_or_init(|| isolate)))
    })
}

/// Why there is no isolate to serve with.
#[derive(Debug, thiserror::Error)]
enum SetUpError {
    /// A variable or secret.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A binding of `wrangler.toml`.
    #[error("{0} is not bound")]
    Binding(&'static str),
    /// The runtime lacks something that every Worker has.
    #[error("the runtime: {0:?}")]
    Runtime(JsValue),
}

impl Isolate {
    fn new(env: &Env) -> Result<Self, SetUpError> {
        let text = |name: &str| Reflect::get(env.as_ref(), &name.into()).ok()?.as_string();
        let config = EdgeConfig::read(text)?;
        Ok(Self {
            caches: Caches {
                scope: bound(env, "SCOPE_CACHE")?,
                search: bound(env, "SEARCH_CACHE")?,
                embedding: bound(env, "EMBED_CACHE")?,
                answer: bound(env, "ANSWER_CACHE")?,
                options: ReadOptions::new().map_err(SetUpError::Runtime)?,
            },
            ai: bound(env, "AI")?,
            library: bound(env, "PIANO_KNOWLEDGE")?,
            user_limit: bound(env, "USER_RATE_LIMIT")?,
            address_limit: bound(env, "IP_RATE_LIMIT")?,
            verifier: Verifier::new().map_err(SetUpError::Runtime)?,
            origin: services::origin(&config),
            auth: services::auth(&config),
            models: Models {
                embedding: config.embedding_model.clone(),
                pooling: config.embedding_pooling,
                rerank: config.rerank_model.clone(),
            },
            gateway: Gateway::new(config),
        })
    }
}

/// A binding as its type. Whether it is of that type shows at its first call.
fn bound<T: JsCast>(env: &Env, name: &'static str) -> Result<T, SetUpError> {
    match Reflect::get(env.as_ref(), &name.into()) {
        Ok(binding) if binding.is_object() => Ok(binding.unchecked_into()),
        _ => Err(SetUpError::Binding(name)),
    }
}

/// What the runtime says of a failure, for the log.
#[expect(clippy::needless_pass_by_value, reason = "for use in map_err")]
fn failed(error: JsValue) -> PortError {
    let words = error
        .dyn_ref::<js_sys::Error>()
        .map(|error| String::from(error.message()));
    PortError::Failed(words.unwrap_or_else(|| format!("{error:?}")))
}
