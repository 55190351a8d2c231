//! Two endpoints over a bad network in virtual time, drawn from a seed.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its part.

pub mod states;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
pub use states::{DOC, Doc, NAME, NUMBERS, Name, Numbered};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};
use tern_sync::log::{Log, Whole};
use tern_sync::{Endpoint, Event, Output, Patience};

/// What the network does at a time.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Of datagrams, in either direction.
    pub loss: f64,
    /// Chance that a lost datagram is followed by a lost one.
    pub burst: f64,
    pub duplicate: f64,
    pub delay: Duration,
    /// Added to `delay`, at random for each datagram, so that they pass one another.
    pub jitter: Duration,
    pub datagram_size_max: usize,
    /// Larger ones are lost, of which nobody is told.
    pub passing_size_max: usize,
    /// Whether nothing passes, towards a and towards b.
    pub is_down: [bool; 2],
    /// Bytes per second of streams.
    pub stream_rate: u64,
}

impl Faults {
    pub fn none(delay: Duration) -> Self {
        Self {
            loss: 0.0,
            burst: 0.0,
            duplicate: 0.0,
            delay,
            jitter: Duration::ZERO,
            datagram_size_max: 1162,
            passing_size_max: usize::MAX,
            is_down: [false; 2],
            stream_rate: 1_000_000,
        }
    }
}

enum Parcel {
    Datagram(Vec<u8>),
    Stream { id: u64, message: Vec<u8> },
}

/// One end, and what it did and saw.
pub struct Side {
    pub endpoint: Endpoint,
    /// Fingerprints of all documents that it ever had.
    had: HashSet<u64>,
    /// The next number that it writes.
    pub written: u64,
    /// The next number that it must read.
    pub read: u64,
    was_lost: bool,
    pub datagrams: Vec<(Instant, usize)>,
    /// Datagrams that were lost, by the time at which QUIC would know.
    losses: VecDeque<Instant>,
    lost_count: u64,
    pub streams_count: usize,
    pub resets_count: usize,
    /// When documents arrived, with their length.
    pub seen: Vec<Instant>,
}

/// Side 0 is like a relay, with keys to tell; side 1 like a host, with a screen.
pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub sides: [Side; 2],
    pub faults: Faults,
    pub rng: StdRng,
    /// Whether the endpoints are told what was lost, as by QUIC.
    pub counts: bool,
    /// Side 1 answers each number by an edit of its document after this time.
    pub echo_after: Option<Duration>,
    /// An echo replaces the whole document by this many bytes.
    pub echo_size: Option<usize>,
    echoes: VecDeque<Instant>,
    path: u64,
    sent_count: u64,
    /// By time of arrival and number: receiver, path, content.
    parcels: BTreeMap<(Instant, u64), (usize, u64, Parcel)>,
}

impl World {
    pub fn new(seed: u64, faults: Faults) -> Self {
        let start = Instant::now();
        let mut world = Self {
            now: start,
            start,
            sides: [
                Side::new(seed, Patience::Sparing, start),
                Side::new(seed ^ 1, Patience::Eager, start),
            ],
            faults,
            rng: StdRng::seed_from_u64(seed),
            counts: true,
            echo_after: None,
            echo_size: None,
            echoes: VecDeque::new(),
            path: 0,
            sent_count: 0,
            parcels: BTreeMap::new(),
        };
        world.pump();
        world
    }

    /// Lets `time` pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Lets time pass until `is_done`; `None` if that takes longer than `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let (start, end) = (self.now, self.now + limit);
        while !is_done(self) {
            if !self.step(end) {
                return None;
            }
        }
        Some(self.now - start)
    }

    /// The next event up to `end`; `false` when there is none.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.parcels.keys().next().map(|(at, _)| *at);
        let timeouts = self.sides.iter().filter_map(|side| side.endpoint.poll_timeout());
        let echo = self.echoes.front().copied();
        let Some(next) = timeouts.chain(arrival).chain(echo).min().filter(|at| *at <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.parcels.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, path, parcel) = entry.remove();
            self.deliver(to, path, parcel);
        }
        for side in &mut self.sides {
            side.endpoint.handle_timeout(self.now);
            while side.losses.front().is_some_and(|at| *at <= self.now) {
                side.losses.pop_front();
                side.lost_count += 1;
            }
            if self.counts {
                let count = side.datagrams.len() as u64;
                side.endpoint.handle_path_stats(count, side.lost_count, self.now);
            }
        }
        while self.echoes.front().is_some_and(|at| *at <= self.now) {
            self.echoes.pop_front();
            self.echo();
        }
        self.pump();
        true
    }

    fn echo(&mut self) {
        let noise = self.echo_size.map(|size| (0..size).map(|_| self.rng.random()).collect());
        self.edit(1, |doc| match noise {
            Some(noise) => doc.0 = noise,
            None => doc.0.push(b'k'),
        });
    }

    fn deliver(&mut self, to: usize, path: u64, parcel: Parcel) {
        if path != self.path {
            return;
        }
        if self.faults.is_down[to] {
            if let Parcel::Stream { .. } = parcel {
                let later = self.now + Duration::from_millis(50);
                self.sent_count += 1;
                self.parcels.insert((later, self.sent_count), (to, path, parcel));
            }
            return;
        }
        if matches!(&parcel, Parcel::Datagram(datagram) if datagram.len() > self.faults.passing_size_max)
        {
            return;
        }
        let endpoint = &mut self.sides[to].endpoint;
        match parcel {
            Parcel::Datagram(datagram) => endpoint.handle_datagram(&datagram, self.now),
            Parcel::Stream { message, .. } => endpoint.handle_stream(&message, self.now),
        }
        .expect("an honest peer makes no errors");
        self.watch(to);
    }

    /// What `to` shows must be what the other side had.
    fn watch(&mut self, to: usize) {
        while let Some(event) = self.sides[to].endpoint.poll_event() {
            let Event::Received(id) = event else {
                continue;
            };
            if id == DOC.id {
                let print = self.sides[to].endpoint.received(DOC).fingerprint();
                assert!(self.sides[1 - to].had.contains(&print), "a state that never was");
                let now = self.now;
                self.sides[to].seen.push(now);
            }
            if id == NUMBERS.id {
                for Numbered(number, _) in self.sides[to].endpoint.take(NUMBERS) {
                    assert_eq!(number, self.sides[to].read, "each once, in order");
                    self.sides[to].read += 1;
                    if let (1, Some(after)) = (to, self.echo_after) {
                        self.echoes.push_back(self.now + after);
                    }
                }
            }
        }
        let load = self.sides[to].endpoint.load();
        assert!(load.states_count <= 3 * (17 + 18), "{load:?}");
        assert!(load.pending_size <= 3 * 64 * 2048, "{load:?}");
    }

    /// Takes what both sides want to send.
    pub fn pump(&mut self) {
        for from in 0..2 {
            let mut count = 0;
            loop {
                let size_max = self.faults.datagram_size_max;
                let Some(output) = self.sides[from].endpoint.poll_output(self.now, size_max) else {
                    break;
                };
                count += 1;
                assert!(count < 500, "output without end");
                self.send(from, output, size_max);
            }
            let next = self.sides[from].endpoint.poll_timeout();
            assert!(next.is_some_and(|at| at > self.now), "a deadline that was dealt with");
        }
    }

    fn send(&mut self, from: usize, output: Output, size_max: usize) {
        let to = 1 - from;
        match output {
            Output::Datagram(datagram) => {
                assert!(datagram.len() <= size_max, "{} > {size_max}", datagram.len());
                self.sides[from].datagrams.push((self.now, datagram.len()));
                let copies = 1 + usize::from(self.rng.random_bool(self.faults.duplicate));
                for _ in 0..copies {
                    if self.is_lost(from) {
                        let known_at = self.now + self.faults.delay * 9 / 4;
                        self.sides[from].losses.push_back(known_at);
                    } else {
                        let jitter = self.faults.jitter.mul_f64(self.rng.random());
                        let at = self.now + self.faults.delay + jitter;
                        self.post(at, to, Parcel::Datagram(datagram.clone()));
                    }
                }
            }
            Output::Stream { id, message } => {
                self.sides[from].streams_count += 1;
                let micros = message.len() as u64 * 1_000_000 / self.faults.stream_rate;
                let losses = self.rng.random_range(0..3);
                let at =
                    self.now + self.faults.delay * (1 + losses) + Duration::from_micros(micros);
                self.post(at, to, Parcel::Stream { id, message });
            }
            Output::ResetStream { id } => {
                self.sides[from].resets_count += 1;
                self.parcels.retain(|_, (at, _, parcel)| {
                    *at != to || !matches!(parcel, Parcel::Stream { id: other, .. } if *other == id)
                });
            }
        }
    }

    fn post(&mut self, at: Instant, to: usize, parcel: Parcel) {
        self.sent_count += 1;
        self.parcels.insert((at, self.sent_count), (to, self.path, parcel));
    }

    fn is_lost(&mut self, from: usize) -> bool {
        let side = &mut self.sides[from];
        let chance =
            if side.was_lost { self.faults.burst.max(self.faults.loss) } else { self.faults.loss };
        side.was_lost = self.rng.random_bool(chance);
        side.was_lost
    }

    /// The connection is replaced.
    pub fn change_path(&mut self) {
        self.path += 1;
        for side in &mut self.sides {
            side.endpoint.handle_new_path(self.now);
        }
        self.pump();
    }

    /// Changes the document of side `from`.
    pub fn edit(&mut self, from: usize, change: impl FnOnce(&mut Doc)) {
        let side = &mut self.sides[from];
        side.endpoint.update(DOC, self.now, change);
        let print = side.endpoint.current(DOC).fingerprint();
        side.had.insert(print);
        self.pump();
    }

    /// Writes the next number with `size` bytes of padding.
    pub fn write(&mut self, from: usize, size: usize) {
        let side = &mut self.sides[from];
        let entry = Numbered(side.written, vec![7; size]);
        side.endpoint.update(NUMBERS, self.now, |log| {
            if log.push(entry) {
                side.written += 1;
            }
        });
        self.pump();
    }

    /// Sets the name of side `from`.
    pub fn rename(&mut self, from: usize, name: &str) {
        let now = self.now;
        self.sides[from].endpoint.set(NAME, Whole(Name(name.to_owned())), now);
        self.pump();
    }

    /// Whether both sides hold what the other has, and know it.
    pub fn is_settled(&self) -> bool {
        [(0, 1), (1, 0)].iter().all(|(from, to)| {
            let (from, to) = (&self.sides[*from], &self.sides[*to]);
            from.endpoint.is_acknowledged(DOC)
                && from.endpoint.is_acknowledged(NUMBERS)
                && from.endpoint.is_acknowledged(NAME)
                && from.endpoint.current(DOC) == to.endpoint.received(DOC)
                && from.endpoint.current(NAME) == to.endpoint.received(NAME)
                && from.written == to.read
        })
    }

    /// Most datagrams of one side within any second.
    pub fn datagrams_per_second_max(&self) -> usize {
        let mut most = 0;
        for side in &self.sides {
            let mut first = 0;
            for (i, (at, _)) in side.datagrams.iter().enumerate() {
                while *at - side.datagrams[first].0 > Duration::from_secs(1) {
                    first += 1;
                }
                most = most.max(i - first + 1);
            }
        }
        most
    }
}

impl Side {
    fn new(seed: u64, patience: Patience, now: Instant) -> Self {
        let mut endpoint = Endpoint::new(seed, now).with_patience(patience);
        endpoint.open_sender(DOC, Doc::default());
        endpoint.open_receiver(DOC, Doc::default());
        endpoint.open_sender(NUMBERS, Log::new());
        endpoint.open_receiver(NUMBERS, Log::new());
        endpoint.open_sender(NAME, Whole::default());
        endpoint.open_receiver(NAME, Whole::default());
        Self {
            endpoint,
            had: HashSet::from([Doc::default().fingerprint()]),
            written: 0,
            read: 0,
            was_lost: false,
            datagrams: Vec::new(),
            losses: VecDeque::new(),
            lost_count: 0,
            streams_count: 0,
            resets_count: 0,
            seen: Vec::new(),
        }
    }
}
