//! The load generator: drives the real server, and others beside it, with real protocol clients over loopback.

mod results;

fn main() {}
