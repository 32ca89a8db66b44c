//! The host in production: workerd's bindings behind [`crate::ports`].

mod ai;
mod fetch;
mod kv;
mod r2;
mod rate_limit;
mod request;
mod response;
mod runtime;
mod services;
mod webcrypto;

use crate::{
    config::{ConfigError, EdgeConfig},
    gateway::{Gateway, exchange::refusal},
};
use fetch::Target;
use r2::Bucket;
use shared_types::{
    ids::RequestId,
    problem::{Problem, ProblemKind},
};
use std::{cell::OnceCell, rc::Rc};
use webcrypto::ImportedKeys;
use worker::{Ai, Context, Env, RateLimiter, kv::KvStore};

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// What is made once per isolate: settings, handles of bindings, public keys. Nothing of a caller.
struct Isolate {
    gateway: Gateway,
    caches: Caches,
    ai: Ai,
    library: Bucket,
    user_limit: RateLimiter,
    address_limit: RateLimiter,
    imported_keys: ImportedKeys,
    origin: Target,
    auth: Target,
    models: Models,
}

struct Caches {
    scope: KvStore,
    search: KvStore,
    embedding: KvStore,
    answer: KvStore,
}

struct Models {
    embedding: String,
    pooling: shared_types::workers_ai::Pooling,
    rerank: String,
}

/// The host of one request.
struct Workerd {
    isolate: Rc<Isolate>,
    context: Rc<Context>,
}

/// Answers one request.
pub async fn serve(
    request: &web_sys::Request,
    env: Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    let context = Rc::new(context);
    let client = request.signal();
    let request_id = new_request_id();
    let isolate = match isolate(&env) {
        Ok(isolate) => isolate,
        Err(error) => {
            worker::console_error!("the Worker is not set up: {error}");
            let problem = Problem::new(ProblemKind::Internal).with_instance(request_id);
            return response::into_web(refusal(&problem), &context, &client);
        }
    };
    let host = Rc::new(Workerd {
        isolate: Rc::clone(&isolate),
        context: Rc::clone(&context),
    });
    let incoming = request::incoming(request)?;
    let reply = isolate.gateway.handle(host, request_id, incoming).await;
    response::into_web(reply, &context, &client)
}

#[expect(clippy::disallowed_methods, reason = "the host draws the request's id")]
fn new_request_id() -> RequestId {
    RequestId(uuid::Uuid::new_v4())
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
    #[error("binding {name}: {cause}")]
    Binding {
        name: &'static str,
        cause: worker::Error,
    },
}

impl Isolate {
    fn new(env: &Env) -> Result<Self, SetUpError> {
        let config = EdgeConfig::read(|name| env.var(name).ok().map(|value| value.to_string()))?;
        let kv = |name| bound(name, env.kv(name));
        Ok(Self {
            caches: Caches {
                scope: kv("SCOPE_CACHE")?,
                search: kv("SEARCH_CACHE")?,
                embedding: kv("EMBED_CACHE")?,
                answer: kv("ANSWER_CACHE")?,
            },
            ai: bound("AI", env.ai("AI"))?,
            library: bound("PIANO_KNOWLEDGE", r2::bucket(env, "PIANO_KNOWLEDGE"))?,
            user_limit: bound("USER_RATE_LIMIT", env.rate_limiter("USER_RATE_LIMIT"))?,
            address_limit: bound("IP_RATE_LIMIT", env.rate_limiter("IP_RATE_LIMIT"))?,
            imported_keys: ImportedKeys::default(),
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

fn bound<T>(name: &'static str, binding: worker::Result<T>) -> Result<T, SetUpError> {
    binding.map_err(|cause| SetUpError::Binding { name, cause })
}
