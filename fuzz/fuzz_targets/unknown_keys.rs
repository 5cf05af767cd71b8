#![no_main]

libfuzzer_sys::fuzz_target!(init: happierwork_fuzz::begin(), |bytes: &[u8]| happierwork_fuzz::targets::unknown_keys(bytes));
