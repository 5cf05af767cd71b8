//! The sync sockets: automerge-repo's protocol frame by frame, and plain Automerge sync.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod arrivals;
mod bad_input;
mod documents;
mod lifetime;
mod limits;
mod new_documents;
mod outgoing;
mod portions;
mod refusals;
mod returning;
mod slow_lines;
#[path = "../support/mod.rs"]
mod support;
mod unknown_path;
mod who_may;
