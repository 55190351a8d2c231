//! Lines that scrolled off reach the peer whole, and nothing else waits for them: over real QUIC
//! with a bottleneck, in virtual time.

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
use tern_sync::log::Log;
use tern_sync::scrollback::{Block, Place, Scrollback, Trickle};
use tern_sync::session::SCROLLBACK;
use tern_sync::{Endpoint, Event};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Lines of a block, and its bytes: 32 lines of build output, compressed.
const BLOCK: (u16, usize) = (32, 1200);

#[tokio::test(start_paused = true)]
async fn all_lines_arrive_the_newest_first_on_any_path() {
    for (seed, loss) in [(1, 0.0), (2, 0.1), (3, 0.29)] {
        let mut pair = Pair::connect(Net { loss, ..slow() }, seed).await;
        pair.scroll_off(60);
        let range = pair.kept.range();
        pair.run_until(60 * SECOND, |pair| !pair.replica.range().is_empty()).await;
        assert_eq!(pair.replica.range().end, range.end, "what is newest comes first");
        let took = pair.run_until(60 * SECOND, |pair| pair.replica.range() == range).await;
        println!("72 kB at {loss}: {took:?}");
        pair.assert_same();
    }
}

#[tokio::test(start_paused = true)]
async fn echo_waits_for_no_lines() {
    // 1 Mbit/s, 256 kbit/s, and a lossy path: five keys a second, with and without 500 kB to come.
    for (rate, loss) in [(125_000.0, 0.0), (32_000.0, 0.0), (125_000.0, 0.29)] {
        let mut all = [Vec::new(), Vec::new()];
        for seed in 0..5 {
            for (has_lines, times) in [false, true].into_iter().zip(&mut all) {
                let mut pair = Pair::connect(Net { loss, rate, ..slow() }, seed).await;
                if has_lines {
                    pair.scroll_off(400);
                }
                for n in 0..80 {
                    // Somebody types, and thinks at times.
                    let pause = if n % 16 == 0 { 2 * SECOND } else { 200 * MS };
                    times.push(pair.key_in_time(pause).await);
                }
                assert!(pair.replica.range().is_empty() != has_lines, "some lines came meanwhile");
            }
        }
        let [without, with] = all.map(|mut times| {
            times.sort_unstable();
            (times[times.len() / 2], times[times.len() * 95 / 100], times[times.len() * 99 / 100])
        });
        println!("{rate} B/s, loss {loss}: without {without:?}, with {with:?}");
        // Whoever has thought for a while may meet what began meanwhile: a block, at least.
        let block = Duration::from_secs_f64(1.1 * BLOCK.1 as f64 / rate);
        assert!(with.0 <= without.0 + 10 * MS, "median: {without:?}, {with:?}");
        assert!(with.1 <= without.1 + block.max(20 * MS), "95 %: {without:?}, {with:?}");
        // Of 400 keys that are four: where a third is lost, they say little.
        let rest = if loss > 0.0 { 300 * MS } else { (2 * block).max(80 * MS) };
        assert!(with.2 <= without.2 + rest, "99 %: {without:?}, {with:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn flood_is_not_sent_line_by_line_and_its_end_is_known_soon() {
    let mut pair = Pair::connect(slow(), 1).await;
    pair.scroll_off(10);
    let before = pair.relayed;
    let end = Instant::now() + 20 * SECOND;
    while Instant::now() < end {
        // 3200 lines a second, and a screen that never rests.
        pair.scroll_off(5);
        let screen = (0..300).map(|_| pair.rng.random()).collect();
        pair.host.endpoint.set(DOC, Doc(screen), Instant::now().into_std());
        pair.run_for(50 * MS).await;
    }
    let sent = pair.relayed - before;
    assert!(sent < 20 * 3 * BLOCK.1, "{sent} bytes in 20 s");
    let end = pair.kept.range().end;
    pair.run_until(2 * SECOND, |pair| pair.replica.range().end == end).await;
    let all = pair.kept.range();
    pair.run_until(60 * SECOND, |pair| pair.replica.range() == all).await;
    pair.assert_same();
}

#[tokio::test(start_paused = true)]
async fn other_lines_take_the_place_of_those_that_were() {
    let mut pair = Pair::connect(slow(), 1).await;
    pair.scroll_off(20);
    pair.run_for(SECOND / 2).await;
    pair.kept.start(9);
    pair.kept.set_place(Place { left: 3, top: 1, cols: 40, rows: 10, is_alternate: false });
    pair.next_line = 0;
    pair.scroll_off(3);
    let all = pair.kept.range();
    pair.run_until(30 * SECOND, |pair| pair.replica.range() == all).await;
    assert_eq!((pair.replica.source(), pair.replica.place()), (9, pair.kept.place()));
    pair.assert_same();
    // Nothing is left to do: nobody is woken.
    assert_eq!(pair.trickle.poll_timeout(), None);
    pair.kept.start(10);
    pair.run_until(SECOND, |pair| pair.replica.source() == 10).await;
    assert!(pair.replica.range().is_empty());
}

#[tokio::test(start_paused = true)]
async fn outage_and_a_peer_that_forgot_change_nothing_in_the_end() {
    let mut pair = Pair::connect(slow(), 4).await;
    pair.scroll_off(100);
    pair.run_for(3 * SECOND).await;
    pair.path.change(|net| net.is_down = true);
    pair.scroll_off(2);
    pair.run_for(20 * SECOND).await;
    pair.path.change(|net| net.is_down = false);
    pair.run_for(3 * SECOND).await;
    // The relay restarts: both begin with state 0.
    let now = Instant::now().into_std();
    (pair.host.endpoint, pair.relay.endpoint) = (host_endpoint(7), relay_endpoint(8));
    pair.host.endpoint.handle_new_path(now);
    (pair.trickle, pair.replica) = (Trickle::default(), Scrollback::default());
    let all = pair.kept.range();
    pair.run_until(60 * SECOND, |pair| pair.replica.range() == all).await;
    pair.assert_same();
}

/// 1 Mbit/s with a queue of 64 kB, 100 ms.
fn slow() -> Net {
    Net { delay: 50 * MS, rate: 125_000.0, queue: 64_000.0, ..Net::default() }
}

fn host_endpoint(seed: u64) -> Endpoint {
    let mut endpoint = Endpoint::new(seed, Instant::now().into_std());
    endpoint.open_sender(DOC, Doc::default());
    endpoint.open_sender(SCROLLBACK, Log::new());
    endpoint.open_receiver(NUMBERS, Log::<Numbered>::new());
    endpoint
}

fn relay_endpoint(seed: u64) -> Endpoint {
    let mut endpoint = Endpoint::new(seed, Instant::now().into_std());
    endpoint.open_receiver(DOC, Doc::default());
    endpoint.open_receiver(SCROLLBACK, Log::new());
    endpoint.open_sender(NUMBERS, Log::<Numbered>::new());
    endpoint
}

struct Pair {
    host: Driver,
    relay: Driver,
    rng: StdRng,
    keys: u64,
    kept: Scrollback,
    next_line: u64,
    trickle: Trickle,
    /// What the relay has of it.
    replica: Scrollback,
    /// Bytes of blocks that came.
    relayed: usize,
    path: Arc<Path>,
    _quic: [quinn::Endpoint; 2],
}

impl Pair {
    async fn connect(net: Net, seed: u64) -> Self {
        let path = Path::new(net, seed);
        let (mut host, mut relay, quic) = path.connect().await;
        (host.endpoint, relay.endpoint) = (host_endpoint(2 * seed), relay_endpoint(2 * seed + 1));
        run(&mut host, &mut relay, SECOND).await;
        Self {
            host,
            relay,
            rng: StdRng::seed_from_u64(seed),
            keys: 0,
            kept: Scrollback::default(),
            next_line: 1000,
            trickle: Trickle::default(),
            replica: Scrollback::default(),
            relayed: 0,
            path,
            _quic: quic,
        }
    }

    fn scroll_off(&mut self, blocks_count: usize) {
        for _ in 0..blocks_count {
            let (first, (count, size)) = (self.next_line, BLOCK);
            let bytes = (0..size).map(|_| self.rng.random()).collect();
            self.kept.add(Arc::new(Block { first, count, bytes }));
            self.next_line += u64::from(count);
        }
    }

    /// From a key to its echo; then `time` passes, from the key on.
    async fn key_in_time(&mut self, time: Duration) -> Duration {
        let start = Instant::now();
        self.keys += 1;
        let keys = self.keys;
        let event = Numbered(keys, Vec::new());
        self.relay.endpoint.update(NUMBERS, start.into_std(), |log| assert!(log.push(event)));
        let is_echoed =
            |pair: &Self| pair.relay.endpoint.received(DOC).0.ends_with(&keys.to_le_bytes());
        let took = self.run_until(30 * SECOND, is_echoed).await;
        self.run_for((start + time).saturating_duration_since(Instant::now())).await;
        took
    }

    async fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step(end).await;
        }
    }

    async fn run_until(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) -> Duration {
        let start = Instant::now();
        while !is_done(self) {
            assert!(
                start.elapsed() < limit,
                "{:?} of {:?}",
                self.replica.range(),
                self.kept.range()
            );
            self.step(start + limit).await;
        }
        start.elapsed()
    }

    async fn step(&mut self, end: Instant) {
        let now = Instant::now().into_std();
        self.trickle.pump(&mut self.host.endpoint, &self.kept, now);
        let due = self.trickle.poll_timeout().map(|due| Instant::from_std(due).min(end));
        tokio::select! {
            () = self.host.turn(Some(due.unwrap_or(end))) => {}
            () = self.relay.turn(Some(end)) => {}
        }
        while let Some(event) = self.relay.endpoint.poll_event() {
            if event == Event::Received(SCROLLBACK.id) {
                for entry in self.relay.endpoint.take(SCROLLBACK) {
                    if let tern_sync::scrollback::ScrollbackEntry::Lines(block) = &entry {
                        self.relayed += block.bytes.len();
                    }
                    self.replica.handle_entry(entry);
                }
            }
        }
        while let Some(event) = self.host.endpoint.poll_event() {
            if event != Event::Received(NUMBERS.id) {
                continue;
            }
            for Numbered(number, _) in self.host.endpoint.take(NUMBERS) {
                let screen = [vec![0; 20], number.to_le_bytes().to_vec()].concat();
                self.host.endpoint.set(DOC, Doc(screen), Instant::now().into_std());
            }
        }
    }

    fn assert_same(&self) {
        assert!(self.kept.blocks().eq(self.replica.blocks()));
    }
}
