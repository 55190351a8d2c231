//! Real QUIC with our congestion control over bottlenecks and loss, in virtual time.

mod quic;
#[allow(dead_code)] // The tests of the core use more of it.
#[path = "world/states.rs"]
mod states;

use quic::path::{Net, Path};
use quic::{Driver, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use states::{DOC, Doc, NUMBERS, Numbered};
use std::sync::Arc;
use std::time::Duration;
use tern_sync::Event;
use tern_sync::log::Log;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn echo_at_29_percent_loss_is_as_fast_as_without_mostly() {
    let mut all = Vec::new();
    for seed in 0..10 {
        let mut pair = Pair::connect(Net { loss: 0.29, ..slow() }, seed).await;
        for n in 0..130 {
            let took = pair.key_in_time(200 * MS).await;
            if n >= 30 {
                all.push(took);
            }
        }
    }
    let (median, tail) = percentiles("echo, 29 %", &mut all);
    assert!(median <= RTT * 11 / 10, "{median:?}");
    assert!(tail <= RTT * 22 / 10, "{tail:?}");
}

#[tokio::test(start_paused = true)]
async fn whole_screens_are_complete_within_a_few_round_trips() {
    for (size, loss, limit) in
        [(10, 0.1, 250), (30, 0.1, 250), (40, 0.1, 250), (10, 0.29, 400), (40, 0.29, 400)]
    {
        let mut all = Vec::new();
        for seed in 0..20 {
            let net = Net { loss, rate: 2_500_000.0, ..slow() };
            let mut pair = Pair::connect(net, seed).await;
            for _ in 0..20 {
                pair.key_in_time(200 * MS).await;
            }
            for _ in 0..3 {
                pair.echo_size = size * 1000;
                all.push(pair.key_in_time(Duration::from_secs(2)).await);
            }
        }
        let (median, _) = percentiles(&format!("{size} kB, {loss}"), &mut all);
        assert!(median <= limit * MS, "{size} kB at {loss}: {median:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn interrupt_is_answered_soon_under_a_flood() {
    // Diffs of a screen that scrolls, and of one that is noise.
    for size in [300, 3_000, 20_000] {
        let mut all = Vec::new();
        for seed in 0..3 {
            let mut pair = Pair::connect(slow(), seed).await;
            pair.flood(size, Duration::from_secs(4)).await;
            pair.echo_size = 20;
            all.push(pair.key_in_time(Duration::from_secs(1)).await);
        }
        let (median, _) = percentiles(&format!("Ctrl-C under {size} bytes"), &mut all);
        assert!(median <= 160 * MS, "{size}: {median:?}");
    }
}

/// 1 Mbit/s with a queue of 64 kB, 100 ms.
fn slow() -> Net {
    Net { delay: 50 * MS, rate: 125_000.0, queue: 64_000.0, ..Net::default() }
}

struct Pair {
    host: Driver,
    relay: Driver,
    rng: StdRng,
    keys: u64,
    /// What the host's screen becomes when a key comes: this many bytes and the key's number.
    echo_size: usize,
    _path: Arc<Path>,
    _endpoints: [quinn::Endpoint; 2],
}

impl Pair {
    async fn connect(net: Net, seed: u64) -> Self {
        let path = Path::new(net, seed);
        let (mut host, mut relay, endpoints) = path.connect().await;
        host.endpoint.open_sender(DOC, Doc::default());
        host.endpoint.open_receiver(NUMBERS, Log::<Numbered>::new());
        relay.endpoint.open_receiver(DOC, Doc::default());
        relay.endpoint.open_sender(NUMBERS, Log::<Numbered>::new());
        let rng = StdRng::seed_from_u64(seed);
        let mut pair =
            Self { host, relay, rng, keys: 0, echo_size: 20, _path: path, _endpoints: endpoints };
        run(&mut pair.host, &mut pair.relay, Duration::from_secs(1)).await;
        pair
    }

    /// From a key to its echo; then `time` passes, from the key on.
    async fn key_in_time(&mut self, time: Duration) -> Duration {
        let start = Instant::now();
        self.keys += 1;
        let keys = self.keys;
        let event = Numbered(keys, Vec::new());
        self.relay.endpoint.update(NUMBERS, start.into_std(), |log| assert!(log.push(event)));
        while !self.relay.endpoint.received(DOC).0.ends_with(&keys.to_le_bytes()) {
            self.step(start + Duration::from_secs(30)).await;
        }
        let took = start.elapsed();
        while start.elapsed() < time {
            self.step(start + time).await;
        }
        took
    }

    /// The host's screen changes by `size` bytes of noise every 2 ms.
    async fn flood(&mut self, size: usize, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let noise: Vec<u8> = (0..size).map(|_| self.rng.random()).collect();
            self.host.endpoint.set(DOC, Doc(noise), Instant::now().into_std());
            let next = Instant::now() + 2 * MS;
            while Instant::now() < next {
                self.step(next).await;
            }
        }
    }

    /// Something happens; the host's program answers keys.
    async fn step(&mut self, end: Instant) {
        tokio::select! {
            () = self.host.turn(Some(end)) => {}
            () = self.relay.turn(Some(end)) => {}
        }
        while self.relay.endpoint.poll_event().is_some() {}
        while let Some(event) = self.host.endpoint.poll_event() {
            if event != Event::Received(NUMBERS.id) {
                continue;
            }
            for Numbered(number, _) in self.host.endpoint.take(NUMBERS) {
                let mut screen: Vec<u8> = (0..self.echo_size).map(|_| self.rng.random()).collect();
                screen.extend(number.to_le_bytes());
                self.host.endpoint.set(DOC, Doc(screen), Instant::now().into_std());
            }
        }
    }
}

/// Median and 99th percentile.
fn percentiles(what: &str, all: &mut [Duration]) -> (Duration, Duration) {
    all.sort_unstable();
    let (median, tail) = (all[all.len() / 2], all[all.len() * 99 / 100]);
    println!("{what}: median {median:?}, p99 {tail:?}, worst {:?}", all[all.len() - 1]);
    (median, tail)
}
