//! The origin of Etude: what needs the database, the language model or the signing key of object storage.
//!
//! Only the edge calls it, with its own secret beside the caller's token; see [`app`].

mod admission;
mod answering;
pub mod config;
mod conversations;
mod corpus_memory;
pub mod edge_report;
pub mod error;
mod export;
pub mod extract;
mod feedback;
mod flight;
pub mod host;
mod leaving;
mod library;
pub mod llm;
pub mod metrics;
pub mod objects;
mod outbound;
mod people;
mod progress;
pub mod readiness;
mod recall;
pub mod requests;
mod retrieval;
mod rewriting;
pub mod routes;
pub mod shares;
pub mod signing_keys;
pub mod state;
mod uploads;
pub mod usage;
pub mod wake;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_extractor_with_state, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use error::ApiError;
use extract::{edge_caller::EdgeCaller, json::MAX_BODY_BYTES};
use routes::{
    account, answer, cache, chat, curated_answers, documents, edge_lines, health, invitations,
    ready, retrieve, scope, students, teachers, unanswered,
};
use shared_types::{edge_lines::MAX_EDGE_LINES_BYTES, problem::ProblemKind};
use state::AppState;
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

/// The routes of the origin. Everything below `/v1` is for the edge alone: a call without its secret is
/// refused before its token or its body is read. `/api/health` answers however much there is to do.
pub fn app(state: AppState) -> Router {
    let for_the_edge = Router::new()
        .route("/scope", get(scope::get::handler))
        .route("/retrieve", post(retrieve::post::handler))
        .route("/answer", post(answer::post::handler))
        .merge(conversations())
        .route("/unanswered", get(unanswered::list::handler))
        .route(
            "/curated-answers",
            get(curated_answers::list::handler).post(curated_answers::create::handler),
        )
        .route(
            "/curated-answers/{curated_answer_id}",
            delete(curated_answers::delete::handler),
        )
        .route(
            "/documents",
            get(documents::list::handler).post(documents::create::handler),
        )
        .route(
            "/documents/{document_id}",
            get(documents::get::handler)
                .patch(documents::change::handler)
                .delete(documents::delete::handler),
        )
        .route(
            "/documents/{document_id}/reprocess",
            post(documents::reprocess::handler),
        )
        .route(
            "/documents/{document_id}/events",
            get(documents::events::handler),
        )
        .route(
            "/documents/{document_id}/file",
            get(documents::file::handler),
        )
        .route(
            "/documents/{document_id}/confirm",
            post(documents::confirm::handler),
        )
        .route(
            "/invitations",
            get(invitations::list::handler).post(invitations::create::handler),
        )
        .route(
            "/invitations/accept",
            post(invitations::accept_code::handler),
        )
        .route(
            "/invitations/{invitation_id}",
            delete(invitations::withdraw::handler),
        )
        .route(
            "/invitations/{invitation_id}/accept",
            post(invitations::accept::handler),
        )
        .route("/students", get(students::list::handler))
        .route("/students/{student_id}", delete(students::part::handler))
        .route("/teachers", get(teachers::list::handler))
        .route("/teachers/{teacher_id}", delete(teachers::part::handler))
        .route("/account", delete(account::delete::handler))
        .route("/account/export", get(account::export::handler))
        .route("/account/usage", get(account::usage::handler))
        .route("/admin/cache/purge", post(cache::purge::handler))
        .route_layer(from_fn_with_state(state.clone(), admission::admit))
        .route(
            "/edge-lines",
            post(edge_lines::post::handler).layer(DefaultBodyLimit::max(MAX_EDGE_LINES_BYTES)),
        )
        .route_layer(from_extractor_with_state::<EdgeCaller, _>(state.clone()));
    Router::new()
        .nest("/v1", for_the_edge)
        .route("/api/health", get(health::get::handler))
        .route("/api/ready", get(ready::get::handler))
        .fallback(async || ApiError::new(ProblemKind::NotFound))
        .method_not_allowed_fallback(async || ApiError::new(ProblemKind::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), requests::let_go))
        .layer(from_fn(requests::complete))
        .with_state(state)
}

/// What belongs to conversations.
fn conversations() -> Router<AppState> {
    Router::new()
        .route(
            "/chat/sessions",
            get(chat::list::handler).post(chat::create::handler),
        )
        .route(
            "/chat/sessions/{session_id}",
            get(chat::get::handler).delete(chat::delete::handler),
        )
        .route(
            "/chat/sessions/{session_id}/messages",
            get(chat::messages::handler).post(chat::ask::handler),
        )
        .route(
            "/chat/messages/{message_id}/answer",
            put(chat::answered::handler)
                .layer(DefaultBodyLimit::max(chat::answered::MAX_BODY_BYTES)),
        )
        .route(
            "/chat/messages/{message_id}/feedback",
            post(chat::feedback::handler),
        )
}

/// The reply to a request whose handler panicked. What it said may quote a question; the panic's own line names its place.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::caused(ProblemKind::Internal, "a panic".to_owned()).into_response()
}
