//! The legacy JSON protocol over WebSocket: recordings of the original, and intended extensions.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod deviations;
mod people;
mod presence;
mod replay;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod under_load;
