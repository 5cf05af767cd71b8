//! TLS: all surfaces, refused clients, and replaced certificates.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod authority;
mod files;
mod handshake;
mod peering;
mod reload;
mod replica;
mod secure;
#[path = "../support/mod.rs"]
mod support;
mod surfaces;
