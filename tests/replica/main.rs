//! The offline replica against servers: the real one in the same process, another implementation, and ones that
//! misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

#[path = "../../examples/ceo_and_cfo.rs"]
mod ceo_and_cfo;
mod other_servers;
mod replicas;
#[path = "../support/mod.rs"]
mod support;
