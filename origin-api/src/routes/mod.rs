//! One file per endpoint. A handler extracts, authorises, makes one domain call and maps the outcome.

pub mod account;
pub mod answer;
pub mod cache;
pub mod chat;
pub mod curated_answers;
pub mod documents;
pub mod edge_lines;
pub mod health;
pub mod invitations;
pub mod ready;
pub mod retrieve;
pub mod scope;
pub mod students;
pub mod teachers;
pub mod unanswered;
