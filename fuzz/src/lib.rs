//! The fuzz targets. They do not depend on the fuzzer, so that `tests/fuzz_regressions.rs` can run them, too.

use std::panic;

pub mod targets;

/// Called before the first input. By default the fuzzer stops at every panic, also at those that the server catches.
/// From now on it stops, and prints a message, only for panics that leave a target.
pub fn begin() {
    panic::set_hook(Box::new(|panic| {
        if panic.location().is_some_and(|place| place.file().contains("targets")) {
            eprintln!("{panic}");
        }
    }));
}
