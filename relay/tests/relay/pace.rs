//! Slow viewers, fast hosts.

use crate::support::host::Host;
use crate::support::viewer::Viewer;
use crate::support::{SIZE, must, relay};
use russh::client;
use std::time::Duration;
use tokio::time::interval;

/// A full screen that has nothing in common with any other.
fn noise(seed: usize) -> Vec<String> {
    let line = |row: usize| {
        (0..usize::from(SIZE.cols))
            .map(|col| {
                let mixed = (seed * 7919 + row * 104_729 + col * 1_299_709) % 94;
                char::from(u8::try_from(33 + mixed).expect("ASCII"))
            })
            .collect()
    };
    (0..usize::from(SIZE.rows) - 1).map(line).chain([format!("screen {seed}.")]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_viewer_skips_to_the_newest_and_delays_nobody() {
    const SCREENS: usize = 2000;
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("begin");
    let slow = Viewer::open(&relay, &host.grant.token).await;
    let fast = Viewer::open(&relay, &host.grant.token).await;
    slow.wait_until_shows("begin").await;
    fast.wait_until_shows("begin").await;
    slow.gate.close();
    let before = slow.gate.byte_count();
    for number in 1..=SCREENS {
        host.show_lines(noise(number));
        if number % 10 == 0 {
            // As fast as the other viewer sees them, at that.
            fast.wait_until_shows(&format!("screen {number}.")).await;
        }
    }
    slow.gate.open();
    slow.wait_until_shows(&format!("screen {SCREENS}.")).await;
    let byte_count = slow.gate.byte_count() - before;
    let screens_size = SCREENS / 10 * usize::from(SIZE.cols) * usize::from(SIZE.rows);
    assert!(byte_count < screens_size / 2, "{byte_count} bytes of {screens_size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_viewer_that_takes_nothing_is_heard() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("begin");
    let slow = Viewer::open(&relay, &host.grant.token).await;
    let fast = Viewer::open(&relay, &host.grant.token_ro).await;
    slow.wait_until_shows("begin").await;
    slow.gate.close();
    for number in 1..=200 {
        host.show_lines(noise(number));
        fast.wait_until_shows(&format!("screen {number}.")).await;
    }
    slow.enter("\x03");
    host.wait_until("Ctrl-C", |seen| seen.typed() == "\x03").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paste_of_a_megabyte_arrives_whole_and_others_type_meanwhile() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let paster = Viewer::open(&relay, &host.grant.token).await;
    let typist = Viewer::open(&relay, &host.grant.token).await;
    host.wait_until("both joined", |seen| seen.present().len() == 2).await;
    let text: String = (0..1_000_000).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
    for part in text.as_bytes().chunks(8192) {
        paster.enter(part);
    }
    typist.enter("!");
    let seen = host.wait_until("everything", |seen| seen.typed().len() == text.len() + 1).await;
    let typed = seen.typed();
    assert!(typed.contains('!'));
    assert!(typed.replace('!', "") == text, "in order, whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_pastes_to_an_absent_host_is_held_and_lets_others_work() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.show("screen");
    let paster = Viewer::open(&relay, &host.grant.token).await;
    let other = Viewer::open(&relay, &host.grant.token).await;
    host.wait_until("both joined", |seen| seen.present().len() == 2).await;
    host.connection.close(0u32.into(), b"");
    other.wait_until_shows("host last heard").await;
    for _ in 0..100 {
        paster.enter([b'x'; 8192]);
    }
    // Who is held still sees what happens.
    paster.wait_until_shows("host last heard").await;
    other.enter("!");
    assert!(host.reconnect(&relay).await, "the backlog was bounded, and kept");
    host.wait_until("everything", |seen| seen.typed().len() == 100 * 8192 + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_hangs_up_while_it_is_held_is_gone() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let paster = Viewer::open(&relay, &host.grant.token).await;
    host.wait_until("it joined", |seen| seen.present().len() == 1).await;
    host.connection.close(0u32.into(), b"");
    paster.wait_until_shows("host last heard").await;
    // Without its host the viewer has credit for a part of this, so that it isn't read any more.
    // What isn't read must fit in the kernel's buffers, else the end is stuck behind it.
    for _ in 0..8 {
        paster.enter([b'x'; 8192]);
    }
    paster.wait_until_shows("host last heard 3 s ago").await;
    paster.gate.hang_up();
    let gone = async {
        let mut look = interval(Duration::from_millis(10));
        while relay.counts().1 > 0 {
            look.tick().await;
        }
    };
    must("it is gone", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_vanished_in_the_middle_of_a_frame_stops_counting() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    // Less than a frame: the relay waits for more of it.
    let config = client::Config { window_size: 1024, ..client::Config::default() };
    let viewer = Viewer::open_with(&relay, &host.grant.token, config).await;
    viewer.wait_until_shows("screen").await;
    host.wait_until("it joined", |seen| seen.present().len() == 1).await;
    viewer.vanish();
    host.show_lines(noise(1));
    host.wait_until("it doesn't count", |seen| seen.present().is_empty()).await;
    viewer.gate.open();
    host.wait_until("it counts again", |seen| seen.present().len() == 1).await;
    viewer.wait_until_shows("screen 1.").await;
}
