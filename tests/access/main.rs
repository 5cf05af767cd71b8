//! Access control on the whole server: from a token to an answer, on every surface.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod attribution;
mod deletion;
mod families;
mod feed;
mod live;
mod matrix;
mod replica;
mod rights;
mod shares;
#[path = "../support/mod.rs"]
mod support;
