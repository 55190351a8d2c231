//! Scenarios of chance: a network, what befalls it, what is typed and printed. One that fails is
//! shrunk to what it needs to fail.

use super::scenario::{Outcome, Scenario, path};
use super::{HOST, Printing, RELAY_DOWN, RELAY_UP};
use netsim::link::delay::Reorder;
use netsim::link::loss::Loss;
use netsim::link::queue::Capacity;
use netsim::link::settings::{Blockable, Change, MTU_DEFAULT};
use netsim::{Action, Description, Probability, Rate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// When the first key may be typed, and the first fault may come.
const BEGIN: Duration = Duration::from_secs(2);
/// When all is well again.
const CALM_AT: Duration = Duration::from_secs(30);
/// Longest fault.
const FAULT_TIME_MAX: Duration = Duration::from_secs(15);
/// After faults have ceased, both are in step within so many round trips, ...
const SETTLE_TRIPS: u32 = 10;
/// ... after the host has noticed that its connection is dead, if it is, and made another one: by
/// the constants of `tern_client::core::dialling` the next attempt begins after 5 s at most, and its
/// first packet may meet the fault's last moment. And after a full queue has drained, twice.
const SETTLE_DIALLING: Duration = Duration::from_secs(10);
/// Most states that a host's endpoint keeps: for each of four channels 16, the front, and the newest.
const STATES_MAX: usize = 4 * 18;
/// Most bytes that it keeps of diffs which miss a piece.
const PENDING_MAX: usize = 64 * 1024;
/// Runs spent on making one failure smaller.
const SHRINK_RUNS_MAX: usize = 150;

/// Something that befalls a network for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing passes.
    Outage,
    /// Nothing passes, and the host sees its interface go down.
    OutageTold,
    /// The host has this address from then on (last byte), and knows it or doesn't.
    Address(u8, bool),
    /// The NAT forgets its mappings, and has another address outside (last byte) if one is given.
    Rebind(Option<u8>),
    /// The relay's process is killed, and started again at the end.
    RelayRestart,
    /// Only smaller packets pass; routers tell or don't.
    Mtu(usize, bool),
    /// UDP is blocked.
    UdpBlocked,
    /// So many percent are lost in runs of such a length.
    Loss(f64, f64),
}

/// A [`Fault`] and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Befall {
    /// When it begins.
    pub at: Duration,
    /// How long it lasts.
    pub length: Duration,
    /// What it is.
    pub fault: Fault,
}

/// A scenario in parts that can be taken away.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of all chances.
    pub seed: u64,
    /// One way.
    pub delay: Duration,
    /// Bits per second and the queue in bytes.
    pub rate: Option<(u64, usize)>,
    /// What the network is like until calm.
    pub changes: Vec<Change>,
    /// What befalls it.
    pub faults: Vec<Befall>,
    /// When keys are typed.
    pub keys: Vec<Duration>,
    /// What the program prints.
    pub printing: Vec<(Duration, Printing)>,
}

impl Plan {
    /// Draws one.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut chances = ChaCha8Rng::seed_from_u64(seed);
        let chances = &mut chances;
        let delay = Duration::from_micros(chances.random_range(500..150_000));
        let rate = chances.random_bool(0.5).then(|| {
            let rate = 256_000 << chances.random_range(0..6_u32);
            (rate, chances.random_range(16_000..64_000))
        });
        Self {
            seed,
            delay,
            rate,
            changes: draw_changes(chances),
            faults: draw_faults(chances),
            keys: draw_keys(chances),
            printing: draw_printing(chances),
        }
    }

    /// What is played.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        let mut network = path(self.delay);
        let mut changes = self.changes.clone();
        if let Some((rate, queue)) = self.rate {
            changes.push(Change::Capacity(Capacity::Rate(Rate::bits_per_second(rate))));
            changes.push(Change::Queue(queue));
        }
        for link in network.links.iter_mut().filter(|link| link.name == "dsl") {
            *link = changes.iter().fold(link.clone(), |link, change| link.both(change.clone()));
        }
        for befall in &self.faults {
            network = befall.schedule(network);
        }
        let mut calm = self.changes.clone();
        for change in &mut calm {
            *change = undone(change);
        }
        if !calm.is_empty() {
            network = network.at(CALM_AT, set(calm));
        }
        Scenario {
            keys: self.keys.clone(),
            printing: self.printing.clone(),
            calm_at: CALM_AT,
            settle_max: self.settle_max(),
            ..Scenario::typing(network, self.seed, 0)
        }
    }

    /// Within this time after calm both are in step.
    #[must_use]
    pub fn settle_max(&self) -> Duration {
        let drain = self
            .rate
            .map_or(Duration::ZERO, |(rate, queue)| Rate::bits_per_second(rate).time_of(queue));
        SETTLE_TRIPS * 2 * self.delay + 2 * drain + SETTLE_DIALLING
    }

    /// Plays it and looks at what came of it. An error says what was wrong.
    ///
    /// # Errors
    /// What was wrong, for people.
    pub fn play(&self) -> Result<Outcome, String> {
        let outcome = self.scenario().run();
        if !outcome.violations.is_empty() {
            return Err(outcome.violations.join("\n"));
        }
        if outcome.settled.is_none() {
            let standing = &outcome.standing;
            return Err(format!("not in step {:?} after calm: {standing}", self.settle_max()));
        }
        let load = outcome.load_max.ok_or("the host did nothing")?;
        if load.states_count > STATES_MAX || load.pending_size > PENDING_MAX {
            return Err(format!("the host's endpoint held {load:?}"));
        }
        Ok(outcome)
    }

    /// The least that still fails, found by taking parts away one after the other.
    #[must_use]
    pub fn shrunk(mut self) -> Self {
        let mut runs_count = 0;
        loop {
            let smaller = self.smaller().into_iter().find(|plan| {
                runs_count += 1;
                runs_count <= SHRINK_RUNS_MAX && plan.play().is_err()
            });
            match smaller {
                Some(plan) => self = plan,
                None => return self,
            }
        }
    }

    /// Itself without one part, the largest parts first.
    fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let mut push = |change: &dyn Fn(&mut Self)| {
            let mut plan = self.clone();
            change(&mut plan);
            plans.push(plan);
        };
        for at in 0..self.faults.len() {
            push(&|plan| {
                plan.faults.remove(at);
            });
        }
        for at in 0..self.changes.len() {
            push(&|plan| {
                plan.changes.remove(at);
            });
        }
        for at in 0..self.printing.len() {
            push(&|plan| {
                plan.printing.remove(at);
            });
        }
        if self.rate.is_some() {
            push(&|plan| plan.rate = None);
        }
        let half = self.keys.len() / 2;
        if half > 0 {
            push(&|plan| drop(plan.keys.drain(..half)));
            push(&|plan| plan.keys.truncate(half));
        }
        plans
    }
}

/// What a person needs to see why it failed, and to play it again.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = self.scenario();
        writeln!(f, "seed {}, {} keys at {:?}", self.seed, self.keys.len(), self.keys)?;
        for (at, printing) in &self.printing {
            writeln!(f, "at {at:?} prints {printing:?}")?;
        }
        write!(f, "{}", scenario.network)
    }
}

impl Befall {
    fn schedule(&self, network: Description) -> Description {
        let (from, until) = (self.at, self.at + self.length);
        let both = |begin, end| network.clone().at(from, begin).at(until, end);
        match self.fault {
            Fault::Outage => both(Action::down("dsl"), Action::up("dsl")),
            Fault::OutageTold => {
                let down = Action::Down { link: "wifi".to_owned(), is_told: true };
                both(down, Action::up("wifi"))
            }
            Fault::Address(last, is_told) => {
                let (host, addresses) = (HOST.to_owned(), vec![IpAddr::from([10, 0, 1, last])]);
                network.at(from, Action::Address { host, link: None, addresses, is_told })
            }
            Fault::Rebind(last) => {
                let address = last.map(|last| IpAddr::from([10, 0, 2, last]));
                let addresses = address.into_iter().collect();
                network.at(from, Action::Rebind { nat: "home".to_owned(), addresses })
            }
            Fault::RelayRestart => {
                both(Action::Signal(RELAY_DOWN.to_owned()), Action::Signal(RELAY_UP.to_owned()))
            }
            Fault::Mtu(size, is_silent) => both(
                Action::mtu("dsl", size, is_silent),
                Action::mtu("dsl", MTU_DEFAULT, is_silent),
            ),
            Fault::UdpBlocked => {
                let end = Action::set("dsl", Change::Unblock(Blockable::Udp));
                both(Action::block_udp("dsl"), end)
            }
            Fault::Loss(percent, length) => {
                let loss = Loss::bursts(Probability::percent(percent), length);
                both(set(vec![Change::Loss(loss)]), set(vec![Change::Loss(Loss::NONE)]))
            }
        }
    }
}

fn set(changes: Vec<Change>) -> Action {
    Action::Set { link: "dsl".to_owned(), direction: None, changes }
}

/// What takes a drawn change back.
fn undone(change: &Change) -> Change {
    match change {
        Change::Jitter(_) => Change::Jitter(Duration::ZERO),
        Change::Reorder(_) => Change::Reorder(Reorder::NONE),
        Change::Loss(_) => Change::Loss(Loss::NONE),
        Change::Duplicate(_) => Change::Duplicate(Probability::NEVER),
        other => other.clone(),
    }
}

fn draw_changes(chances: &mut ChaCha8Rng) -> Vec<Change> {
    let mut changes = Vec::new();
    let percent =
        |chances: &mut ChaCha8Rng, max| Probability::percent(chances.random_range(0.1..max));
    if chances.random_bool(0.5) {
        changes.push(Change::Jitter(Duration::from_micros(chances.random_range(0..40_000))));
    }
    if chances.random_bool(0.4) {
        let by = Duration::from_micros(chances.random_range(1_000..60_000));
        changes.push(Change::Reorder(Reorder { chance: percent(chances, 20.0), by }));
    }
    if chances.random_bool(0.4) {
        changes.push(Change::Duplicate(percent(chances, 20.0)));
    }
    match chances.random_range(0..3) {
        0 => changes.push(Change::Loss(Loss::Independent(percent(chances, 35.0)))),
        1 => {
            let (mean, length) = (percent(chances, 20.0), chances.random_range(1.0..12.0));
            changes.push(Change::Loss(Loss::bursts(mean, length)));
        }
        _ => {}
    }
    changes
}

/// Of each kind none or one or two, so that many runs lack some kinds wholly.
fn draw_faults(chances: &mut ChaCha8Rng) -> Vec<Befall> {
    let mut faults = Vec::new();
    for kind in 0..8 {
        let count = if chances.random_bool(0.3) { chances.random_range(1..=2) } else { 0 };
        for _ in 0..count {
            let fault = match kind {
                0 => Fault::Outage,
                1 => Fault::OutageTold,
                2 => Fault::Address(chances.random_range(50..200), chances.random()),
                3 => {
                    let has_other = chances.random_bool(0.5);
                    Fault::Rebind(has_other.then(|| chances.random_range(50..200)))
                }
                4 => Fault::RelayRestart,
                5 => Fault::Mtu(chances.random_range(400..1400), chances.random()),
                6 => Fault::UdpBlocked,
                _ => Fault::Loss(chances.random_range(1.0..80.0), chances.random_range(1.0..20.0)),
            };
            let at = time(chances, BEGIN, CALM_AT);
            let length = time(chances, Duration::ZERO, FAULT_TIME_MAX.min(CALM_AT - at));
            faults.push(Befall { at, length, fault });
        }
    }
    faults.sort_by_key(|befall| befall.at);
    faults
}

/// Singly, or some at once, as a paste or a network delivers them.
fn draw_keys(chances: &mut ChaCha8Rng) -> Vec<Duration> {
    let mut keys = Vec::new();
    for _ in 0..chances.random_range(1..60) {
        let at = time(chances, BEGIN, CALM_AT);
        let count = if chances.random_bool(0.1) { chances.random_range(2..30) } else { 1 };
        keys.extend((0..count).map(|_| at));
    }
    keys.sort();
    keys
}

fn draw_printing(chances: &mut ChaCha8Rng) -> Vec<(Duration, Printing)> {
    let count = if chances.random_bool(0.6) { chances.random_range(1..5) } else { 0 };
    let mut printing = Vec::new();
    for _ in 0..count {
        let at = time(chances, Duration::ZERO, CALM_AT);
        let what = match chances.random_range(0..4) {
            0 => {
                let longest = (CALM_AT - at).min(Duration::from_secs(3));
                Printing::Flood(time(chances, Duration::ZERO, longest))
            }
            1 => Printing::Redraw,
            _ => Printing::Word,
        };
        printing.push((at, what));
    }
    printing.sort_by_key(|(at, _)| *at);
    printing
}

fn time(chances: &mut ChaCha8Rng, from: Duration, until: Duration) -> Duration {
    from + (until - from).mul_f64(chances.random())
}
