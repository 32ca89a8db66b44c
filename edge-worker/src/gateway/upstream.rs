//! Replies of the origin: relayed where they are meant for the caller, replaced where they are not.

use crate::{
    gateway::exchange::{Exchange, read_body},
    ports::{FileBody, Host, OriginCall, Passing, PortError, Upstream},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use shared_types::problem::{PROBLEM_JSON, Problem, ProblemKind};

/// The largest reply that is read into memory.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// Calls the origin and waits for the head of its reply. A refusal comes back as its problem.
pub async fn call_origin<H: Host>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    call: OriginCall<'_>,
) -> Result<Upstream, Problem> {
    let path = call.path.to_owned();
    let reply = exchange.within(limit_ms, exchange.host.call(call)).await;
    let reply = reply.map_err(|error| unavailable(exchange, &path, &error))?;
    if let Some(header) = &reply.server_timing {
        exchange.timings.add_from_origin(header);
    }
    if (200..300).contains(&reply.status) {
        Ok(reply)
    } else {
        Err(problem_of(exchange, limit_ms, &path, reply).await)
    }
}

/// Calls the origin and has its reply passed on: its media type and its body. A refusal comes back as its problem.
pub async fn pass_from_origin<H: Host>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    call: OriginCall<'_>,
) -> Result<(Option<String>, FileBody), Problem> {
    let path = call.path.to_owned();
    let passing = exchange.within(limit_ms, exchange.host.pass(call)).await;
    match passing.map_err(|error| unavailable(exchange, &path, &error))? {
        Passing::On { content_type, body } => Ok((content_type, body)),
        Passing::Instead(reply) => Err(problem_of(exchange, limit_ms, &path, reply).await),
    }
}

/// Calls the origin and reads its reply as JSON; `limit_ms` is for both.
pub async fn ask_origin<H: Host, T: DeserializeOwned>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    call: OriginCall<'_>,
) -> Result<T, Problem> {
    let path = call.path.to_owned();
    let reply = ask_for_bytes(exchange, limit_ms, call).await?;
    parse(exchange, &path, &reply)
}

/// Calls the origin and reads its reply to its end; `limit_ms` is for both.
pub async fn ask_for_bytes<H: Host>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    call: OriginCall<'_>,
) -> Result<Bytes, Problem> {
    let path = call.path.to_owned();
    let started = exchange.host.now();
    let reply = call_origin(exchange, limit_ms, call).await?;
    let took_ms = (exchange.host.now() - started).num_milliseconds();
    let left_ms = limit_ms.saturating_sub(u32::try_from(took_ms).unwrap_or_default());
    read_bytes(exchange, left_ms, reply)
        .await
        .map_err(|error| unavailable(exchange, &path, &error))
}

/// The JSON of what the origin said at `path`.
pub fn parse<'a, H: Host, T: Deserialize<'a>>(
    exchange: &Exchange<H>,
    path: &str,
    bytes: &'a [u8],
) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| unavailable(exchange, path, &PortError::Failed(error.to_string())))
}

/// Reads a reply to its end.
pub async fn read_bytes<H: Host>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    reply: Upstream,
) -> Result<Bytes, PortError> {
    exchange
        .within(limit_ms, async {
            read_body(reply.body, MAX_REPLY_BYTES)
                .await
                .map_err(|error| PortError::Failed(error.to_string()))
        })
        .await
}

async fn problem_of<H: Host>(
    exchange: &Exchange<H>,
    limit_ms: u32,
    path: &str,
    reply: Upstream,
) -> Problem {
    let status = reply.status;
    let is_problem = reply
        .content_type
        .as_deref()
        .is_some_and(|content_type| content_type.starts_with(PROBLEM_JSON));
    if is_problem
        && let Ok(bytes) = read_bytes(exchange, limit_ms, reply).await
        && let Ok(problem) = serde_json::from_slice::<Problem>(&bytes)
        // Between edge and origin only: the caller did nothing wrong.
        && !problem.is(ProblemKind::NotFromEdge)
        && problem.status == status
    {
        return problem;
    }
    let error = PortError::Failed(format!("status {status}"));
    unavailable(exchange, path, &error)
}

fn unavailable<H: Host>(exchange: &Exchange<H>, path: &str, error: &PortError) -> Problem {
    // Whatever a caller wrote behind it is no matter for logs.
    let path = path.split('?').next().unwrap_or_default();
    let message = format!("origin failed at {path}");
    exchange.fail(ProblemKind::OriginUnavailable, &message, error)
}
