//! The origin over HTTP, against a real PostgreSQL and stand-ins for the services that it calls.

#![expect(clippy::unwrap_used, reason = "a test ends where its helpers fail")]

mod access;
mod answer;
mod changing;
mod clouds;
mod conversations;
#[path = "../../../storage/tests/support/mod.rs"]
mod database;
mod documents;
mod encodings;
mod flights;
mod issuer;
mod keys;
mod leaving;
mod limits;
mod origin;
mod people;
mod progress;
mod purge;
mod retrieve;
mod telling;
mod usage;
mod waking;
