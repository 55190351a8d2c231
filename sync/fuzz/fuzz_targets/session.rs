//! Any bytes as the diff of what a session keeps in step. `cargo +nightly fuzz run session` in `sync/`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::session_diff(bytes));
