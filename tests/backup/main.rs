//! `backup` and `restore`, and the server's own backups: the real program, on files, databases and a bucket.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod bucket;
mod damage;
mod files;
mod place;
mod retention;
mod schedule;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod under_load;
#[allow(dead_code, reason = "shared with the tests of crashes")]
#[path = "../crash/writers.rs"]
mod writers;
