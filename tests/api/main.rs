//! HTTP: the JSON API, its description and strictness, and the legacy REST paths.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod columns;
mod description;
mod documents;
mod feed;
mod fields;
mod history;
mod legacy_rest;
mod position_ids;
mod scenarios;
mod strictness;
#[path = "../support/mod.rs"]
mod support;
mod unknown_fields;
mod year;
