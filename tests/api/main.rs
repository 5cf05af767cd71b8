//! HTTP: the JSON API, its description and strictness, and the legacy REST paths.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod batch;
mod columns;
mod content;
mod description;
mod documents;
mod feed;
mod fields;
mod history;
mod idempotency;
mod import;
mod legacy_rest;
mod metrics;
mod paging;
mod position_ids;
mod problems;
mod scenarios;
mod strictness;
mod successors;
#[path = "../support/mod.rs"]
mod support;
mod unknown_fields;
mod workbooks;
mod year;
