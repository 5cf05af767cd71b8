//! What is fuzzed. The targets know nothing of the fuzzer, so that `tests/fuzz_regressions.rs` can run them, too.

pub mod targets;
