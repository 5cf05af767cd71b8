//! The offline replica against servers: our own in the same process, another implementation, and ones that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "../../examples/ceo_and_cfo.rs"]
mod ceo_and_cfo;
#[path = "../common_client/mod.rs"]
mod common_client;
mod other_servers;
mod replicas;
