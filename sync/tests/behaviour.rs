//! What an endpoint promises in single situations.

mod world;

use rand::Rng;
use std::time::{Duration, Instant};
use tern_sync::log::Log;
use tern_sync::session::{VIEWER_EVENTS, ViewerEvent};
use tern_sync::{Endpoint, Output};
use world::{Faults, World};

const MS: Duration = Duration::from_millis(1);
/// Of a datagram with IPv4 (20), UDP (8) and QUIC (1-byte flags, 8-byte connection id, packet number
/// of up to 2, tag of 16, datagram frame of 2).
const OVERHEAD: usize = 20 + 8 + 29;
/// QUIC's own acknowledgement, without a datagram of ours.
const QUIC_ACK: usize = 20 + 8 + 27 + 6;

#[test]
fn first_change_after_a_pause_goes_at_once() {
    let mut world = quiet(50 * MS);
    let before = world.sides[0].datagrams.len();
    world.edit(0, |doc| doc.0.push(b'k'));
    assert_eq!(world.sides[0].datagrams.len(), before + 1);
    let size = world.sides[0].datagrams[before].1;
    // The document's own diff takes 8 bytes and the key.
    assert!(size <= 15 + 9, "{size} bytes for a key");
}

#[test]
fn change_arrives_after_one_delay_and_is_acknowledged_within_the_next() {
    let mut world = quiet(50 * MS);
    world.edit(0, |doc| doc.0.push(b'k'));
    let took = world.run_until(Duration::from_secs(1), |w| !w.sides[1].seen.is_empty());
    assert_eq!(took, Some(50 * MS));
    let took = world.run_until(Duration::from_secs(1), World::is_settled);
    assert_eq!(took, Some(50 * MS), "nothing follows a picture: it is acknowledged at once");
}

#[test]
fn acknowledgement_of_a_key_rides_on_its_echo() {
    let mut world = quiet(50 * MS);
    let sent = world.sides[1].datagrams.len();
    world.write(0, 1);
    world.run(60 * MS);
    world.edit(1, |doc| doc.0.push(b'k'));
    world.run_until(Duration::from_secs(1), World::is_settled).expect("settled");
    assert_eq!(world.sides[1].datagrams.len(), sent + 1);
    // Without an echo it waits for one.
    world.write(0, 1);
    let took = world.run_until(Duration::from_secs(1), World::is_settled);
    assert_eq!(took, Some(125 * MS));
}

#[test]
fn two_changes_close_together_are_not_held_apart_by_half_a_round_trip() {
    let mut world = quiet(100 * MS);
    world.edit(0, |doc| doc.0.push(b'1'));
    world.run(2 * MS);
    world.edit(0, |doc| doc.0.push(b'2'));
    let took = world.run_until(Duration::from_secs(1), |w| {
        w.sides[1].endpoint.received(world::DOC).0.len() == 2
    });
    assert_eq!(took, Some(108 * MS));
}

#[test]
fn what_is_large_arrives_where_only_small_packets_pass() {
    for size in [1_100, 3_000, 20_000] {
        for counts in [false, true] {
            let mut world = quiet(10 * MS);
            world.counts = counts;
            world.faults.passing_size_max = 700;
            let noise: Vec<u8> = (0..size).map(|_| world.rng.random()).collect();
            world.edit(0, |doc| doc.0 = noise);
            let took = world.run_until(Duration::from_secs(10), World::is_settled);
            assert!(took.is_some_and(|took| took < Duration::from_secs(2)), "{size}: {took:?}");
        }
    }
}

#[test]
fn steady_changes_go_at_about_two_frames_per_round_trip_and_small_ones_sooner() {
    for (size, frames) in [(400, 15..=30), (4, 35..=50)] {
        let mut world = quiet(100 * MS);
        let before = world.sides[0].datagrams.len();
        for i in 0..1000u32 {
            // Nothing that could be packed (xorshift).
            let mut noise = i.wrapping_mul(2_654_435_761) | 1;
            let noise = (0..size).map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 17;
                noise ^= noise << 5;
                noise as u8
            });
            world.edit(0, |doc| doc.0 = noise.collect());
            world.run(2 * MS);
        }
        let count = world.sides[0].datagrams.len() - before;
        assert!(frames.contains(&count), "{count} frames of {size} bytes in two seconds");
    }
}

#[test]
fn loss_of_one_datagram_is_repaired_by_the_next_change() {
    let mut world = quiet(50 * MS);
    world.faults.loss = 1.0;
    world.edit(0, |doc| doc.0.push(b'1'));
    world.faults.loss = 0.0;
    world.run(60 * MS);
    world.edit(0, |doc| doc.0.push(b'2'));
    let took = world.run_until(Duration::from_secs(1), |w| {
        w.sides[1].endpoint.received(world::DOC).0.len() == 2
    });
    assert_eq!(took, Some(50 * MS));
}

#[test]
fn loss_of_the_last_datagram_costs_little_more_than_a_round_trip() {
    let mut world = quiet(50 * MS);
    world.faults.loss = 1.0;
    world.edit(0, |doc| doc.0.push(b'1'));
    world.faults.loss = 0.0;
    let took = world.run_until(Duration::from_secs(1), |w| !w.sides[1].seen.is_empty());
    assert!(took.is_some_and(|took| took <= (100 + 5 + 25 + 50) * MS), "{took:?}");
}

#[test]
fn loss_under_a_chain_of_large_changes_is_told_and_repaired() {
    let mut world = quiet(100 * MS);
    for i in 0..3u8 {
        world.faults.loss = if i == 0 { 1.0 } else { 0.0 };
        world.edit(0, |doc| doc.0.extend((0..1100).map(|n| (n % 251) as u8 ^ i.wrapping_mul(77))));
        world.run(60 * MS);
    }
    let settled = world.run_until(Duration::from_secs(1), World::is_settled);
    assert!(settled.is_some_and(|took| took < 450 * MS), "{settled:?}");
}

#[test]
fn idle_hour_stays_under_a_hundred_kilobytes_in_each_direction() {
    let mut world = quiet(50 * MS);
    let before = world.sides.each_ref().map(|side| side.datagrams.len());
    world.run(Duration::from_secs(3600));
    for (side, before) in world.sides.iter().zip(before) {
        let sizes: Vec<usize> = side.datagrams[before..].iter().map(|(_, size)| *size).collect();
        let ours: usize = sizes.iter().map(|size| size + OVERHEAD).sum();
        // QUIC acknowledges what isn't answered with a datagram: at most one per exchange.
        let all = ours + sizes.len() * QUIC_ACK;
        assert!(all < 100_000, "{all} bytes, {} datagrams", sizes.len());
        assert!(sizes.len() > 600, "heard too rarely: {}", sizes.len());
    }
}

#[test]
fn idle_peer_is_heard_at_least_every_six_seconds_and_a_round_trip() {
    let mut world = quiet(50 * MS);
    for _ in 0..1000 {
        world.run(100 * MS);
        for side in &world.sides {
            let heard = side.endpoint.last_heard().expect("heard");
            assert!(world.now - heard <= Duration::from_millis(6100));
        }
    }
}

#[test]
fn outage_of_an_hour_costs_few_datagrams_and_ends_at_once() {
    let mut world = quiet(25 * MS);
    let before = world.sides[0].datagrams.len();
    world.faults.is_down = [true; 2];
    world.write(0, 5);
    world.edit(1, |doc| doc.0 = vec![3; 30]);
    for _ in 0..3600 {
        world.run(Duration::from_secs(1));
        world.edit(0, |doc| doc.0.push(1));
    }
    let count = world.sides[0].datagrams.len() - before;
    // The relay's minute at full pace, then one per second.
    assert!(count < 60 * 40 + 3600 + 100, "{count} datagrams in an hour");
    // The host's probes of about 30 bytes, every 25 ms.
    assert!(world.sides[1].datagrams.len() < 3700 * 40);
    world.faults.is_down = [false; 2];
    let took = world.run_until(Duration::from_secs(3), World::is_settled);
    assert!(took.is_some_and(|took| took <= 130 * MS), "{took:?}");
}

#[test]
fn direction_that_stays_down_costs_few_datagrams() {
    let mut world = quiet(25 * MS);
    world.faults.is_down = [true, false];
    let before = world.sides.each_ref().map(|side| side.datagrams.len());
    for _ in 0..600 {
        world.run(Duration::from_secs(1));
        world.edit(0, |doc| doc.0.push(1));
        world.edit(1, |doc| doc.0.push(1));
    }
    for (side, before) in world.sides.iter().zip(before) {
        let bytes: usize = side.datagrams[before..].iter().map(|(_, size)| size).sum();
        assert!(bytes < 600 * 45 * 400, "{bytes} bytes in ten minutes");
        let count = side.datagrams.len() - before;
        // The host's probes every 25 ms, and the relay's answers to those, with what waits twice a
        // second.
        assert!(count < 600 * 45, "{count} datagrams in ten minutes");
    }
}

#[test]
fn one_way_path_is_not_filled_with_screens() {
    let mut world = quiet(25 * MS);
    world.edit(1, |doc| doc.0 = noise(30_000));
    world.run_until(Duration::from_secs(5), World::is_settled).expect("settled");
    world.faults.is_down = [false, true];
    world.edit(0, |doc| doc.0 = noise(29_000));
    world.run(Duration::from_secs(5));
    let before = world.sides[0].datagrams.len();
    // Side 1 probes and is heard, but hears nothing.
    world.edit(1, |doc| doc.0.push(1));
    world.run(Duration::from_secs(10));
    let bytes: usize = world.sides[0].datagrams[before..].iter().map(|(_, size)| size).sum();
    assert!(bytes < 10 * 2 * 35_000, "{bytes} bytes in ten seconds");
}

#[test]
fn hint_that_the_path_changed_sends_all_at_once_and_measures_anew() {
    let mut world = quiet(50 * MS);
    world.faults.is_down = [true; 2];
    world.edit(0, |doc| doc.0.push(b'1'));
    world.write(1, 10);
    world.run(Duration::from_secs(3));
    world.faults = Faults::none(10 * MS);
    let now = world.now;
    world.sides[0].endpoint.handle_path_change(now);
    world.pump();
    let took = world.run_until(Duration::from_secs(1), World::is_settled);
    assert!(took.is_some_and(|took| took <= 40 * MS), "{took:?}");
    // What was in flight came half over each path; this goes over the new one only.
    world.edit(0, |doc| doc.0.push(b'2'));
    world.run_until(Duration::from_secs(1), World::is_settled).expect("settled");
    let rtt = world.sides[0].endpoint.rtt().expect("samples");
    assert!(rtt < 60 * MS, "{rtt:?}");
}

#[test]
fn new_connection_goes_on_from_what_the_peer_holds() {
    let mut world = quiet(50 * MS);
    world.edit(0, |doc| doc.0 = noise(5000));
    world.write(1, 10);
    world.run_until(Duration::from_secs(2), World::is_settled).expect("settled");
    world.faults.is_down = [true; 2];
    world.edit(0, |doc| doc.0.push(1));
    world.write(1, 10);
    world.run(Duration::from_secs(30));
    world.faults.is_down = [false; 2];
    let before = world.sides[0].datagrams.len();
    world.change_path();
    let took = world.run_until(Duration::from_secs(1), |w| {
        w.sides[1].seen.len() >= 2 || { w.sides[1].endpoint.received(world::DOC).0.len() == 5001 }
    });
    assert_eq!(took, Some(50 * MS));
    assert!(world.sides[0].datagrams[before].1 < 60, "only what the peer lacks is sent");
}

#[test]
fn very_large_state_goes_on_a_stream_and_arrives_whole() {
    let mut world = quiet(50 * MS);
    world.edit(0, |doc| doc.0 = noise(100_000));
    assert_eq!(world.sides[0].streams_count, 1);
    let took = world.run_until(Duration::from_secs(2), World::is_settled);
    assert!(took.is_some(), "{:?}", world.sides[0].endpoint);
}

#[test]
fn stream_is_given_up_for_something_much_smaller() {
    let mut world = quiet(50 * MS);
    world.faults.stream_rate = 10_000;
    world.edit(0, |doc| doc.0 = noise(100_000));
    world.run(500 * MS);
    world.edit(0, |doc| doc.0 = b"ctrl-c".to_vec());
    let took = world.run_until(Duration::from_secs(1), |w| {
        w.sides[1].endpoint.received(world::DOC).0 == b"ctrl-c"
    });
    assert!(took.is_some_and(|took| took <= 150 * MS), "{took:?}");
    assert_eq!(world.sides[0].resets_count, 1);
}

#[test]
fn slow_link_gets_whole_states_though_newer_ones_come_all_the_time() {
    let mut world = quiet(50 * MS);
    world.faults.stream_rate = 50_000;
    for i in 0..300 {
        world.edit(0, |doc| doc.0 = noise(100_000 + i));
        world.run(100 * MS);
    }
    let count = world.sides[1].seen.len();
    assert!(count >= 10, "{count} states of 2 s each in 30 s");
}

#[test]
fn path_that_shrinks_between_two_pieces_is_served() {
    let mut world = quiet(50 * MS);
    for size_max in [1400, 1200, 600, 300, 128, 100, 0, 1200] {
        world.faults.datagram_size_max = size_max;
        world.edit(0, |doc| doc.0 = noise(2_000 + size_max));
        world.write(1, 100);
        let took = world.run_until(Duration::from_secs(3), World::is_settled);
        assert!(took.is_some(), "{size_max}: {:?}", world.sides[0].endpoint);
    }
}

#[test]
fn paste_of_a_megabyte_arrives_once_and_in_order() {
    let mut world = quiet(50 * MS);
    for _ in 0..250 {
        world.write(0, 4000);
    }
    assert_eq!(world.sides[0].written, 250);
    let took = world.run_until(Duration::from_secs(20), World::is_settled);
    assert!(took.is_some());
    assert_eq!(world.sides[1].read, 250);
    assert!(world.sides[0].endpoint.current(world::NUMBERS).is_empty());
}

#[test]
fn round_trip_is_measured_without_the_time_that_answers_were_held() {
    let mut world = quiet(80 * MS);
    for i in 0..50u8 {
        world.edit(0, |doc| doc.0.push(i));
        world.run(700 * MS);
    }
    for side in &world.sides {
        let rtt = side.endpoint.rtt().expect("samples");
        assert!(rtt.abs_diff(160 * MS) <= 5 * MS, "{rtt:?}");
    }
}

#[test]
fn same_seed_gives_the_same_bytes() {
    let run = || {
        let faults = Faults { loss: 0.3, jitter: 30 * MS, ..Faults::none(40 * MS) };
        let mut world = World::new(7, faults);
        for i in 0..100u8 {
            world.edit(usize::from(i % 2), |doc| doc.0.push(i));
            world.run(Duration::from_millis(u64::from(i) * 7));
        }
        let start = world.start;
        world.sides.map(|side| {
            let sent = side.datagrams.iter().map(|(at, size)| (*at - start, *size));
            sent.collect::<Vec<_>>()
        })
    };
    assert_eq!(run(), run());
}

/// A faultless world that has been idle for a while.
fn quiet(delay: Duration) -> World {
    let mut world = World::new(1, Faults::none(delay));
    world.run(Duration::from_secs(300));
    assert!(world.is_settled());
    world
}

/// Bytes that don't compress.
fn noise(size: usize) -> Vec<u8> {
    let mut x = size as u64 | 1;
    std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    })
    .take(size)
    .collect()
}

#[test]
fn new_path_is_opened_by_a_packet_that_lets_the_peer_answer_at_length() {
    let now = Instant::now();
    let mut host = Endpoint::new(1, now);
    host.open_sender(VIEWER_EVENTS, Log::new());
    host.handle_path_change(now);
    let Some(Output::Datagram(datagram)) = host.poll_output(now, 1180) else {
        panic!("a datagram is due at once");
    };
    assert_eq!(datagram.len(), 1180);
    let mut peer = Endpoint::new(2, now);
    peer.open_receiver(VIEWER_EVENTS, Log::<ViewerEvent>::new());
    peer.handle_datagram(&datagram, now).expect("an honest packet");
    assert!(matches!(peer.poll_output(now, 1180), Some(Output::Datagram(_))), "it answers");
}
