//! What people live through with Etude, from the browser to the database and back.

#![expect(
    clippy::unwrap_used,
    reason = "a step that can not be taken fails the journey"
)]

mod access;
mod asking;
mod balancer;
mod changing;
mod conversing;
mod crowding;
mod dashboards;
mod failing;
mod finding;
mod freshness;
mod hostile;
mod leaving;
mod opening;
mod people;
mod privacy;
mod purged;
mod resuming;
mod rolling;
mod signing_in;
mod spending;
mod telling;
mod uploading;
