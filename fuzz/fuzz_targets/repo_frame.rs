#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| happierwork_fuzz::targets::repo_frame(bytes));
