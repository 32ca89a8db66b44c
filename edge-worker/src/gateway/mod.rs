//! The flows of the edge, written once over [`crate::ports`]: nothing in here knows Cloudflare.

pub mod admission;
mod auth_proxy;
mod authentication;
mod cached;
pub mod chat;
mod cookie_session;
pub mod cookies;
pub mod csrf;
pub mod exchange;
pub mod files;
mod forwarding;
pub mod headers;
mod health;
pub mod keys;
pub mod memory;
pub mod protection;
mod purge;
mod scopes;
pub mod timing;
mod upstream;

use crate::{
    config::EdgeConfig,
    ports::{Host, Severity},
    router::{Endpoint, Match, Route, allowed, route},
};
use admission::{Admission, Admissions};
use chrono::{DateTime, TimeDelta, Utc};
use csrf::CookieCall;
use exchange::{Exchange, Incoming, Reply, ReplyBody, log_ms, refusal};
use futures_util::StreamExt;
use http::Method;
use keys::KeyRing;
use memory::Memory;
use rag_core::token::TokenPolicy;
use shared_types::{
    headers::{REQUEST_ID, SERVER_TIMING},
    ids::RequestId,
    problem::{Problem, ProblemKind},
    trace::TraceParent,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use timing::Timings;

/// What outlives a request: the configuration, the sign-in service's keys, the tokens that were accepted of late, the
/// count of the others, and what was read from the caches of late.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<EdgeConfig>,
    policy: TokenPolicy,
    keys: KeyRing,
    /// By the tokens' digests.
    accepted: Memory,
    admissions: Rc<Admissions>,
    memory: Rc<Memory>,
}

impl Gateway {
    /// A gateway that knows no keys yet, and remembers nothing.
    #[must_use]
    pub fn new(config: EdgeConfig) -> Self {
        Self {
            policy: TokenPolicy {
                issuer: config.jwt_issuer.clone(),
                audience: config.jwt_audience.clone(),
            },
            accepted: Memory::new(config.memory_values),
            memory: Rc::new(Memory::new(config.memory_values)),
            config: Rc::new(config),
            keys: KeyRing::default(),
            admissions: Rc::default(),
        }
    }

    /// Answers a request. Every failure is a reply with a problem, and every reply carries the
    /// request's id, the stages' durations, and the headers that browsers need.
    pub async fn handle<H: Host>(
        &self,
        host: Rc<H>,
        request_id: RequestId,
        mut incoming: Incoming,
    ) -> Reply {
        let started = host.now();
        let parent = incoming.headers.traceparent.as_deref();
        let parent = parent.and_then(|text| text.parse::<TraceParent>().ok());
        let found = route(&incoming.method, &incoming.path);
        let exchange = Exchange {
            host,
            config: Rc::clone(&self.config),
            memory: Rc::clone(&self.memory),
            request_id,
            trace: parent.map_or_else(
                || TraceParent::beginning(request_id),
                |sent| sent.continued(request_id),
            ),
            started,
            deadline: started + self.patience(found),
            cookies: CookieCall::take(&mut incoming, &self.config.allowed_origins),
            timings: Timings::default(),
            degraded: Cell::new(false),
            notes: RefCell::default(),
        };
        let method = incoming.method.clone();
        let origin = incoming.headers.origin.clone();
        let (template, mut reply) = self.admit(&exchange, started, found, incoming).await;

        let headers = &mut reply.headers;
        headers.set(REQUEST_ID, request_id.to_string());
        let timings = exchange.timings.header();
        if !timings.is_empty() {
            headers.set(SERVER_TIMING, timings);
        }
        protection::protect(headers, origin.as_deref(), &self.config.allowed_origins);
        let status = reply.status.as_u16();
        let severity = if status >= 500 {
            Severity::Error
        } else {
            Severity::Info
        };
        let mut fields = vec![
            ("request_id", request_id.to_string().into()),
            ("trace_id", exchange.trace.trace_id().into()),
            ("method", method.as_str().into()),
            ("route", template.into()),
            ("status", status.into()),
            ("degraded", exchange.degraded.get().into()),
            ("duration_ms", log_ms(exchange.host.now() - started)),
            ("stages", exchange.timings.line().into()),
        ];
        if let Some(sent) = parent {
            fields.push(("parent", sent.to_string().into()));
        }
        fields.append(&mut exchange.notes.borrow_mut());
        exchange.host.log(severity, "request answered", &fields);
        reply
    }

    /// How long the caller waits for the whole.
    fn patience(&self, found: Match) -> TimeDelta {
        let timeouts = &self.config.timeouts;
        let whole_ms = match found {
            Match::Found(found) if found.route.is_slow() => timeouts.answer_ms,
            _ => timeouts.ordinary_ms,
        };
        TimeDelta::milliseconds(whole_ms.into())
    }

    /// Answers the request where there is room for it.
    async fn admit<H: Host>(
        &self,
        exchange: &Exchange<H>,
        now: DateTime<Utc>,
        found: Match,
        incoming: Incoming,
    ) -> (&'static str, Reply) {
        // However much there is to do, health is told, and rights that have changed are forgotten.
        if let Match::Found(Endpoint {
            route: Route::Health | Route::InvalidateScopes,
            ..
        }) = found
        {
            return self.dispatch(exchange, found, incoming).await;
        }
        let silence = TimeDelta::milliseconds(self.config.timeouts.answer_silence_ms.into());
        let ends_at = exchange.deadline + silence;
        let Some(admission) = self.admissions.admit(now, ends_at) else {
            let refused = problem(exchange, Problem::new(ProblemKind::Overloaded));
            return ("none", refused);
        };
        let (template, mut reply) = self.dispatch(exchange, found, incoming).await;
        reply.body = held_until_told(reply.body, admission);
        (template, reply)
    }

    async fn dispatch<H: Host>(
        &self,
        exchange: &Exchange<H>,
        found: Match,
        incoming: Incoming,
    ) -> (&'static str, Reply) {
        if incoming.method == Method::OPTIONS {
            let origin = incoming.headers.origin.as_deref();
            let allowed = &self.config.allowed_origins;
            return ("preflight", protection::preflight(origin, allowed));
        }
        if let Err(refused) = protection::check_sizes(&incoming.headers) {
            return ("none", problem(exchange, refused));
        }
        let found = match found {
            Match::Found(found) => found,
            Match::WrongMethod => {
                let mut reply = problem(exchange, Problem::new(ProblemKind::MethodNotAllowed));
                reply.headers.set("allow", allowed(&incoming.path));
                return ("none", reply);
            }
            Match::NotFound => {
                return (
                    "none",
                    problem(exchange, Problem::new(ProblemKind::NotFound)),
                );
            }
        };
        let reply = self.answer(exchange, found.route, incoming).await;
        (
            found.template,
            reply.unwrap_or_else(|refused| problem(exchange, refused)),
        )
    }

    async fn answer<H: Host>(
        &self,
        exchange: &Exchange<H>,
        found: Route,
        incoming: Incoming,
    ) -> Result<Reply, Problem> {
        match found {
            Route::ChatQuery => chat::query(self, exchange, incoming).await,
            Route::Health => Ok(health::report(exchange).await),
            Route::Register | Route::Login => auth_proxy::sign_in(exchange, found, incoming).await,
            Route::Refresh => auth_proxy::refresh(exchange, incoming).await,
            Route::Logout => auth_proxy::log_out(self, exchange, incoming).await,
            Route::Me => auth_proxy::me(self, exchange, incoming).await,
            Route::Forwarded(forward) => {
                forwarding::forward(self, exchange, forward, incoming).await
            }
            Route::DocumentFile => files::send(self, exchange, incoming).await,
            Route::PurgeCache => purge::purge(self, exchange, incoming).await,
            Route::InvalidateScopes => scopes::invalidate(exchange, incoming).await,
        }
    }
}

/// The body, which keeps its request's place until it has been sent.
fn held_until_told(body: ReplyBody, admission: Admission) -> ReplyBody {
    match body {
        ReplyBody::Stream(stream) => {
            let held = stream.inspect(move |_| {
                let _ = &admission;
            });
            ReplyBody::Stream(held.boxed_local())
        }
        at_once => at_once,
    }
}

fn problem<H>(exchange: &Exchange<H>, problem: Problem) -> Reply {
    refusal(&problem.with_instance(exchange.request_id))
}
