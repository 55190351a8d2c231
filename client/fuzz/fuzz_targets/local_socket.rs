//! Any bytes at the agent's socket. `cargo +nightly fuzz run local_socket` in `client/`;
//! `tests/hostile.rs` replays the corpus.
#![no_main]

#[allow(dead_code)] // Each target uses one of the checks.
#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::check_local_socket(bytes));
