//! Happierwork: positions and budgets in an [Automerge](https://automerge.org) document, synced to everybody.
//!
//! The map of the house; imports run downwards only:
//!
//! | room | holds |
//! |---|---|
//! | [`command`] | the commands of the program, on top of all |
//! | [`config`] | flags and environment |
//! | [`server`] | axum: routes, one file per surface, limits, who may ask |

pub mod command;
pub mod config;
#[cfg(feature = "legacy")]
pub mod legacy;
pub mod server;
