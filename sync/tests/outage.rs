//! Real QUIC over a path that dies and comes back, in virtual time.

mod quic;

use quic::path::{Net, Path};
use quic::run;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tern_sync::log::Log;
use tern_sync::session::{VIEWER_EVENTS, ViewerEvent, ViewerId};
use tern_sync::{Channel, Endpoint};
use tokio::time::Instant;

const BACK: Channel<Log<ViewerEvent>> = Channel::new(17);
const DELAY: Duration = Duration::from_millis(25);

#[tokio::test(start_paused = true)]
async fn path_that_returns_after_a_minute_carries_what_waits_within_a_probe() {
    outage(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn path_that_returns_after_ten_minutes_carries_what_waits_within_a_probe() {
    outage(Duration::from_secs(600)).await;
}

/// Both sides type through a hole of `length`; then all arrives within a probe's interval of 25 ms and
/// two round trips.
async fn outage(length: Duration) {
    let path = Path::new(Net::default(), 1);
    let (mut host, mut relay, _keep) = path.connect().await;
    host.endpoint.open_sender(BACK, Log::new());
    host.endpoint.open_receiver(VIEWER_EVENTS, Log::new());
    relay.endpoint.open_receiver(BACK, Log::new());
    relay.endpoint.open_sender(VIEWER_EVENTS, Log::new());
    run(&mut host, &mut relay, Duration::from_secs(20)).await;
    path.change(|net| net.is_down = true);
    let start = Instant::now();
    let before = path.sent_count.load(Ordering::Relaxed);
    let mut key = 0;
    while start.elapsed() < length {
        // Few enough for a probe to hold them all; the probes themselves fill QUIC's window.
        type_key(&mut host.endpoint, BACK, key);
        type_key(&mut relay.endpoint, VIEWER_EVENTS, key);
        key = key.wrapping_add(1);
        run(&mut host, &mut relay, length / 45).await;
    }
    let count = path.sent_count.load(Ordering::Relaxed) - before;
    let seconds = usize::try_from(length.as_secs()).expect("short");
    // The host probes every 25 ms, the relay for a minute; QUIC's own probes are few.
    assert!(count < 400 + 42 * (seconds + 60) + 2 * seconds, "{count} packets into the hole");
    path.change(|net| net.is_down = false);
    let back_at = Instant::now();
    while !(host.endpoint.is_acknowledged(BACK) && relay.endpoint.is_acknowledged(VIEWER_EVENTS)) {
        run(&mut host, &mut relay, Duration::from_millis(5)).await;
        let limit = Duration::from_millis(25) + 4 * DELAY + Duration::from_millis(30);
        assert!(back_at.elapsed() <= limit, "{:?} {:?}", host.endpoint, relay.endpoint);
    }
}

fn type_key(endpoint: &mut Endpoint, channel: Channel<Log<ViewerEvent>>, key: u8) {
    let event = ViewerEvent::Input { viewer: ViewerId(1), bytes: vec![key; 8], mark: 0 };
    endpoint.update(channel, Instant::now().into_std(), |log| {
        log.push(event);
    });
}
