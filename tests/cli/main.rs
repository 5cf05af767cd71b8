//! The real program: its output, its exit status, and its effects on files.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod accounts;
mod commands;
mod configuration;
mod containers;
mod databases;
mod displaced;
mod documents;
mod flags;
mod import_folder;
mod in_use;
mod json_output;
mod keys_and_tokens;
mod memory;
mod migrate;
mod migrate_servers;
mod open_files;
mod output;
mod said_to_clients;
mod secrets;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../../crates/store/tests/sql/servers.rs"]
mod servers;
mod shared_accounts;
mod state_files;
#[path = "../support/mod.rs"]
mod support;
mod torn;
mod traces;

use support::ports;
