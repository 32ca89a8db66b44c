//! `POST /v1/answer`: the answer to a question from chosen passages, as server-sent events.

use crate::{
    answering::in_own_words,
    error::ApiError,
    extract::{claims::Caller, json::Json},
    metrics::{AnswerEnd, metrics},
    requests::RequestContext,
    retrieval,
    state::AppState,
};
use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::StreamExt;
use shared_types::{
    event::{AnswerEvent, Progress},
    origin::AnswerRequest,
};
use std::{convert::Infallible, time::Duration};

/// Proxies on the way cut a silent connection after some tens of seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers with `delta`, `citation`, and one `done` or `error`. The passages are read again under the
/// caller's own rights, also where the answer is being told to somebody else already.
pub async fn handler(
    State(state): State<AppState>,
    caller: Caller,
    Extension(context): Extension<RequestContext>,
    Json(request): Json<AnswerRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let (pool, claims) = (&state.pool, &caller.0);
    let events = if let Some(id) = request.curated {
        let (answer, by) = retrieval::curated_answer(pool, claims, id).await?;
        in_own_words(&answer, by)
    } else {
        let chosen = retrieval::chosen_passages(pool, claims, &state.quota, &request).await?;
        let answers = &state.answers;
        answers.answer(&context, claims, &request, chosen).await?
    };
    let counted = metrics().answer_stream();
    let mut progress = Progress::default();
    let events = events.map(move |event| {
        let _ = &counted;
        progress.tell(&event);
        match &event {
            AnswerEvent::Done(done) => metrics().answered(AnswerEnd::Told(done)),
            AnswerEvent::Error(_) => metrics().answered(AnswerEnd::Interrupted),
            _ => {}
        }
        let id = progress.id().to_string();
        Ok::<_, Infallible>(
            Event::default()
                .id(id)
                .event(event.name())
                .data(event.data()),
        )
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive")))
}
