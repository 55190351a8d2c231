//! Any sequence of datagrams and stream messages from a peer. `cargo +nightly fuzz run endpoint`
//! in `sync/`; `tests/hostile.rs` replays the corpus.
#![no_main]

#[allow(dead_code)] // The tests use more of it.
#[path = "../../tests/world/states.rs"]
mod states;

use states::{DOC, Doc, NAME, NUMBERS};
use std::time::{Duration, Instant};
use tern_sync::log::{Log, Whole};
use tern_sync::{Endpoint, Event};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut now = Instant::now();
    let mut victim = Endpoint::new(1, now);
    victim.open_sender(DOC, Doc::default());
    victim.open_receiver(DOC, Doc::default());
    victim.open_sender(NUMBERS, Log::new());
    victim.open_receiver(NUMBERS, Log::new());
    victim.open_sender(NAME, Whole::default());
    victim.open_receiver(NAME, Whole::default());
    victim.set(DOC, Doc(vec![1; 3000]), now);
    let mut rest = bytes;
    // A byte for length and kind, then a message.
    while let Some((first, after)) = rest.split_first() {
        let (message, after) = after.split_at(usize::from(first & 0x7f).min(after.len()));
        rest = after;
        let fed = if first & 0x80 == 0 {
            victim.handle_datagram(message, now)
        } else {
            victim.handle_stream(message, now)
        };
        if fed.is_err() {
            return;
        }
        now += Duration::from_millis(7);
        let mut count = 0;
        while victim.poll_output(now, 300).is_some() {
            count += 1;
            assert!(count < 500, "output without end");
        }
        while let Some(event) = victim.poll_event() {
            if event == Event::Received(NUMBERS.id) {
                victim.take(NUMBERS);
            }
        }
        let load = victim.load();
        assert!(load.states_count <= 3 * (17 + 18) && load.pending_size <= 3 * 64 * 2048);
        assert!(load.states_size <= 3 * (17 + 18) * 64 * 1024);
    }
});
