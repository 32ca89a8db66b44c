//! Each stand-in asked as the real service would be asked, over HTTP.
//!
//! Needs the models folder in `ETUDE_MODELS_DIR`; the sign-in journeys need a superuser's address of a
//! PostgreSQL server in `ETUDE_TEST_DATABASE_URL`.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod claude;
mod google;
mod metadata;
mod models;
mod normalising;
mod running;
mod sign_in;
mod workers_ai;
