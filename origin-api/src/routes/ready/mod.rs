//! `/api/ready`

pub mod get;
