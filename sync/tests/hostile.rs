//! Any bytes from a peer: an error at worst, bounded memory always.

mod world;

use proptest::prelude::*;
use std::time::{Duration, Instant};
use tern_sync::log::{Log, Whole};
use tern_sync::{Channel, Endpoint, Output};
use world::{DOC, Doc, NAME, NUMBERS, Name, Numbered};

#[path = "../fuzz/checks.rs"]
mod checks;

/// Inputs of the fuzz target `endpoint` that are worth keeping.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/endpoint");

proptest! {
    #[test]
    fn any_bytes_are_refused_or_harmless(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..40),
        as_streams in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut victim = endpoint(now);
        for message in &messages {
            let _ = feed(&mut victim, message, as_streams, now);
            check(&mut victim, now);
        }
    }

    #[test]
    fn altered_packets_are_refused_or_harmless(
        edits in prop::collection::vec((any::<u16>(), any::<u8>(), any::<bool>()), 1..60),
    ) {
        let mut now = Instant::now();
        let (mut peer, mut victim) = (endpoint(now), endpoint(now));
        for (at, value, is_cut) in edits {
            now += Duration::from_millis(u64::from(value));
            let size = usize::from(at) % 7000;
            peer.update(DOC, now, |doc| doc.0 = (0..size).map(|n| (n * n) as u8 ^ value).collect());
            peer.update(NUMBERS, now, |log| { log.push(Numbered(0, vec![value; 20])); });
            while let Some(output) = peer.poll_output(now, 300) {
                let (mut message, is_stream) = match output {
                    Output::Datagram(datagram) => (datagram, false),
                    Output::Stream { message, .. } => (message, true),
                    Output::ResetStream { .. } => continue,
                };
                let at = usize::from(at) % message.len();
                if is_cut { message.truncate(at) } else { message[at] = value }
                let _ = feed(&mut victim, &message, is_stream, now);
                check(&mut victim, now);
            }
        }
    }
}

#[test]
fn corpus_of_the_fuzz_target_passes() {
    let mut count = 0;
    for entry in std::fs::read_dir(CORPUS).expect("the corpus is part of the source") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        let now = Instant::now();
        let mut victim = endpoint(now);
        for (is_stream, message) in messages(&bytes) {
            let _ = feed(&mut victim, message, is_stream, now);
            check(&mut victim, now);
        }
        count += 1;
    }
    assert!(count >= 5, "{count} inputs");
}

/// A shard of channel 1's state 1 from 0, with id 1.
fn shard(index: u16, count: u16, size: u16, bytes: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0, 0xff, 7, 1, 1, 0, 1, 0xcd];
    datagram.extend((index * 128 + (count - 1) * 2).to_be_bytes());
    datagram.push(0xcd);
    datagram.extend(size.to_be_bytes());
    datagram.extend_from_slice(bytes);
    datagram
}

#[test]
fn shards_out_of_range_are_errors() {
    let now = Instant::now();
    let refused = |datagram: Vec<u8>| endpoint(now).handle_datagram(&datagram, now).is_err();
    assert!(!refused(shard(0, 2, 8, b"abcd")));
    assert!(!refused(shard(7, 2, 8, b"abcd")));
    assert!(refused(shard(8, 2, 8, b"abcd")), "an index that this count has not");
    assert!(refused(shard(0, 2, 8, b"abc")), "a length that this size has not");
    assert!(refused(shard(0, 2, 0, b"")), "nothing");
    assert!(refused(shard(0, 2, 5000, &[0; 2500])), "more than the datagrams could hold");
    assert!(refused(shard(256, 64, 640, &[0; 10])), "an index above a byte");
}

#[test]
fn shards_of_noise_make_an_error_at_worst() {
    let now = Instant::now();
    for count in 1..=64u16 {
        let mut victim = endpoint(now);
        let mut is_refused = false;
        for index in count * 2..count * 4 {
            let bytes = [index as u8; 6];
            is_refused |=
                victim.handle_datagram(&shard(index, count, count * 6, &bytes), now).is_err();
            check(&mut victim, now);
        }
        assert!(is_refused || victim.received(DOC).0.len() <= usize::from(count) * 6);
    }
}

#[test]
fn shards_without_end_are_held_within_bounds() {
    let now = Instant::now();
    let mut victim = endpoint(now);
    for id in 0..200u8 {
        for index in 64..127u16 {
            let mut datagram = shard(index, 64, 64 * 1000, &[7; 1000]);
            datagram[6] = id & 0x7f;
            assert!(victim.handle_datagram(&datagram, now).is_ok());
        }
        check(&mut victim, now);
    }
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let now = Instant::now();
    let mut victim = endpoint(now);
    // Clock 0, no echo, channel 1: state 1.
    assert!(victim.handle_datagram(&[0, 0xff, 0xfe, 1], now).is_err());
    assert!(victim.handle_datagram(&[0, 0xff, 0xfe, 0], now).is_ok());
}

#[test]
fn channel_that_is_not_open_is_an_error() {
    let now = Instant::now();
    let mut victim = endpoint(now);
    // Clock 0, no echo, channel 9: state 1 acknowledged, state 0 missed, state 1 from 0.
    for item in [&[0xf6, 1][..], &[0xc0, 9, 0], &[37, 1, 1, 0, 7]] {
        let datagram = [&[0, 0xff], item].concat();
        let error = victim.handle_datagram(&datagram, now).expect_err("channel 9");
        assert_eq!(error.to_string(), "peer broke the protocol: channel 9 is not open");
    }
}

#[test]
fn newer_peer_that_listens_on_more_channels_is_understood() {
    let now = Instant::now();
    let (mut older, mut newer) = (endpoint(now), endpoint(now));
    newer.open_receiver(Channel::<Doc>::new(9), Doc::default());
    // A ping that asks for all acknowledgements.
    newer.handle_datagram(&[0, 0xff, 0xc3], now).expect("a ping");
    let Some(Output::Datagram(answer)) = newer.poll_output(now, 300) else { panic!("no answer") };
    // Channel 9: state 0.
    assert!(answer.windows(2).any(|item| item == [0xf6, 0]), "{answer:?}");
    older.handle_datagram(&answer, now).expect("nothing is said of a state that was never sent");
}

#[test]
fn diff_that_does_not_apply_is_an_error() {
    let now = Instant::now();
    let mut victim = endpoint(now);
    // Channel 1, rest of packet, state 1 from 0: three bytes are no document's diff.
    assert!(victim.handle_datagram(&[0, 0xff, 5, 1, 1, 0, 1, 2, 3], now).is_err());
}

#[test]
fn oversized_input_is_an_error() {
    let now = Instant::now();
    assert!(endpoint(now).handle_datagram(&[0; 3000], now).is_err());
    let long = vec![0xc2; tern_sync::MESSAGE_SIZE_MAX + 1];
    assert!(endpoint(now).handle_stream(&long, now).is_err());
}

fn endpoint(now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(1, now);
    endpoint.open_sender(DOC, Doc::default());
    endpoint.open_receiver(DOC, Doc::default());
    endpoint.open_sender(NUMBERS, Log::<Numbered>::new());
    endpoint.open_receiver(NUMBERS, Log::<Numbered>::new());
    endpoint.open_sender(NAME, Whole::<Name>::default());
    endpoint.open_receiver(NAME, Whole::<Name>::default());
    endpoint
}

fn feed(
    victim: &mut Endpoint,
    message: &[u8],
    is_stream: bool,
    now: Instant,
) -> Result<(), tern_sync::PeerError> {
    if is_stream {
        victim.handle_stream(message, now)
    } else {
        victim.handle_datagram(message, now)
    }
}

/// It still answers, briefly, and holds little.
fn check(victim: &mut Endpoint, now: Instant) {
    let mut count = 0;
    while victim.poll_output(now, 1162).is_some() {
        count += 1;
        assert!(count < 500, "output without end");
    }
    while victim.poll_event().is_some() {}
    let load = victim.load();
    assert!(load.states_count <= 3 * (17 + 18), "{load:?}");
    assert!(load.states_size <= 3 * (17 + 18) * 64 * 1024, "{load:?}");
    assert!(load.pending_size <= 3 * 64 * 2048, "{load:?}");
}

/// As the fuzz target cuts its input: a byte for length and kind before each message.
fn messages(mut bytes: &[u8]) -> Vec<(bool, &[u8])> {
    let mut messages = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        let size = usize::from(first & 0x7f).min(rest.len());
        messages.push((first & 0x80 != 0, &rest[..size]));
        bytes = &rest[size..];
    }
    messages
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_a_state_of_a_session(which in 0u8..6, diff: Vec<u8>) {
        checks::session_diff(&[&[which], diff.as_slice()].concat());
    }

    #[test]
    fn bytes_that_look_like_entries_are_refused_or_a_state_of_a_session(
        which in 0u8..6,
        entries in proptest::collection::vec(entry(), 0..6),
    ) {
        checks::session_diff(&[&[which], entries.concat().as_slice()].concat());
    }
}

/// Parts of MessagePack as logs have them, sound and not.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[jlirdewps]".prop_map(|name| [&[0x81, 0xa1], name.as_bytes()].concat()),
        Just(vec![0x93, 0x01, 0xc4, 0x01, 0x6b, 0x00]),
        Just(vec![0x92, 0x50, 0x18]),
        Just(vec![0xa1, 0x6c]),
        Just(vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        proptest::collection::vec(any::<u8>(), 0..12),
    ]
}
