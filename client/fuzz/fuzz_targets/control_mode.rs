//! Any bytes from a control-mode client. `cargo +nightly fuzz run control_mode` in `client/`;
//! `tests/hostile.rs` replays the corpus.
#![no_main]

#[allow(dead_code)] // Each target uses one of the checks.
#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::check_control_mode(bytes));
