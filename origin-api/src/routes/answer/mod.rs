//! The answer to a question.

pub mod post;
