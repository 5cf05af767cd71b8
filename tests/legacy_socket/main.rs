//! The legacy JSON protocol over WebSocket: the recordings of the original, and what was decided beyond them.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod deviations;
mod people;
mod presence;
mod replay;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod under_load;
