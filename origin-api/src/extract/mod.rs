//! What handlers take out of a request: proof of the edge, the caller, parameters, the body.

pub mod claims;
pub mod edge_caller;
pub mod json;
pub mod part;
pub mod path;
pub mod query;
