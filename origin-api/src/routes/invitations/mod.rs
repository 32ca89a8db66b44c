//! `/v1/invitations…`

pub mod accept;
pub mod accept_code;
pub mod create;
pub mod list;
pub mod withdraw;
