//! The wall clock. The pure crates get times from here as arguments.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current time, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The current time, in seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    now_ms().div_euclid(1_000)
}
