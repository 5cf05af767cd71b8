//! What is fuzzed. The targets know nothing of the fuzzer, so that `tests/fuzz_regressions.rs` can run them, too.

use std::panic;

pub mod targets;

/// Before the first input. The fuzzer ends at every panic, also at those that the server deals with; from here on only
/// at those that leave a target, and only they are told.
pub fn begin() {
    panic::set_hook(Box::new(|panic| {
        if panic.location().is_some_and(|place| place.file().contains("targets")) {
            eprintln!("{panic}");
        }
    }));
}
