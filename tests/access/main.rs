//! Who may do what, on the whole server: from a token to an answer, on every surface.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod attribution;
mod deletion;
mod live;
mod matrix;
#[allow(dead_code, reason = "another test needs the rest of it")]
#[path = "../sync_socket/peer.rs"]
mod peer;
mod replica;
mod rights;
mod shares;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
