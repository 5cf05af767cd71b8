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
//! | [`store`] | durability: the append log on disk, and an in-memory stand-in |
//! | [`document`] | the core: changes in, sync messages and events out. Pure |
//! | [`wire`] | bytes to messages and back. Pure |
//! | [`exchange`] | legacy JSON import, JSON and CSV export. Pure |
//! | [`format`] | what all rooms share: document ids, Automerge's chunk format, budgets and dates. Pure |
//! | [`metrics`] | what an operator can watch; counted by whoever does the work |

#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "deals with the world")]
pub mod client;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "deals with the world")]
pub mod command;
pub mod config;
pub mod document;
pub mod exchange;
pub mod format;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "deals with the world")]
pub mod hub;
pub mod metrics;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "deals with the world")]
pub mod server;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "deals with the world")]
pub mod store;
pub mod wire;
