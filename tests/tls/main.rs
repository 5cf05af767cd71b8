//! TLS: everything that is served is served over it; who may not be served is told; certificates come and go.

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
