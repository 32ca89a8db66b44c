//! What people live through with Etude, from the browser to the database and back.

mod asking;
mod failing;
mod privacy;
mod uploading;
