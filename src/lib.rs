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
//! | [`auth`] | who somebody is, and what they may do: tokens, keys, accounts |
//! | [`hub`] | runs documents: one task each, opened on demand, closed when idle |
//! | [`document_log`] | a document and its log: what the hub and the client have in common |
//! | [`store`] | durability: the append log on disk, and an in-memory stand-in |
//! | [`document`] | the core: changes in, sync messages and events out. Pure |
//! | [`wire`] | bytes to messages and back. Pure |
//! | [`exchange`] | legacy JSON import, JSON and CSV export. Pure |
//! | [`format`] | what all rooms share: document ids, Automerge's chunk format, budgets and dates. Pure |
//! | [`clock`] | what time it is |
//! | `damper` | what fails again and again is tried less and less often |
//! | [`heavy`] | what takes long runs where it holds up nobody else |
//! | `lock_file` | a file that says which process uses what stands beside it |
//! | [`memory`] | what large messages may take, all connections together |
//! | [`meter`] | a byte stream that knows whether anything moves |
//! | [`metrics`] | what an operator can watch; counted by whoever does the work |
//! | [`shares`] | limits of which one client cannot use up all |
//! | [`token_bucket`] | how often something may happen |

pub mod auth;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
mod damper;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]
pub mod document;
pub mod document_log;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]
pub mod exchange;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]
pub mod format;
pub mod heavy;
pub mod hub;
mod lock_file;
pub mod memory;
pub mod meter;
pub mod metrics;
pub mod server;
pub mod shares;
pub mod store;
pub mod token_bucket;
#[deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]
pub mod wire;
