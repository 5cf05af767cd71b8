//! Happierwork: a server that syncs positions and budgets in [Automerge](https://automerge.org) documents.
//!
//! This is the application. The crates below `crates/` hold everything that can stand alone. Modules may import from those
//! further down this table, not from those above:
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line and its configuration |
//! | [`server`] | the axum application: HTTP and WebSocket endpoints, authentication, limits |
//! | [`legacy`] | the protocol of the Django backend that this server replaces |

pub mod cli;
#[cfg(feature = "legacy")]
pub mod legacy;
pub mod server;
