//! Happierwork: positions and budgets in an [Automerge](https://automerge.org) document, synced to everybody.
//!
//! The map of the house; imports run downwards only:
//!
//! | room | holds |
//! |---|---|
//! | [`command`] | the commands of the program, on top of all |
//! | [`config`] | flags and environment |
//! | [`server`] | axum: routes, one file per surface, limits, who may ask |
//! | [`client`] | an offline-capable replica: a document on disk that syncs when it can |
//! | [`hub`] | runs documents: one task each, opened on demand, closed when idle |
//! | [`document_log`] | a document and its log: what the hub and the client have in common |
//! | [`document`] | the core: changes in, sync messages and events out. Pure |
//! | [`clock`] | what time it is |
//! | `damper` | what fails again and again is tried less and less often |
//! | [`memory`] | what large messages may take, all connections together |
//! | [`meter`] | a byte stream that knows whether anything moves |
//! | [`metrics`] | what an operator can watch; counted by whoever does the work |

pub mod client;
pub mod clock;
pub mod command;
pub mod config;
mod damper;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]
pub mod document;
pub mod document_log;
pub mod hub;
pub mod legacy;
pub mod memory;
pub mod meter;
pub mod metrics;
pub mod server;
