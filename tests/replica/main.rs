//! The offline replica against servers: our own in the same process, another implementation, and ones that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "../../examples/ceo_and_cfo.rs"]
mod ceo_and_cfo;
mod other_servers;
mod replicas;
#[path = "../support/mod.rs"]
mod support;
