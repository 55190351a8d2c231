//! What happens in a run, and what came of it.

use super::download;
use super::host::HostSide;
use super::journal::{Echo, Journal};
use super::program::{Printing, Program};
use super::relay::RelaySide;
use super::{HOST, RELAY, RELAY_PORT, Shared};
use netsim::quinn_socket::QuinnNetwork;
use netsim::stats::NetworkStats;
use netsim::{Description, Link, Nat};
use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tern_sync::Load;
use tern_term::Size;
use tokio::time::Instant;

/// Of the shared screen, and of the viewer's terminal.
pub const SIZE: Size = Size { cols: 80, rows: 24 };
/// The relay's address in a [`path`].
const RELAY_ADDRESS: [u8; 4] = [10, 0, 3, 1];
/// When the first key of [`Scenario::typing`] is typed: by then the host is connected, also over a
/// path that loses.
const TYPING_FROM: Duration = Duration::from_secs(5);
/// Between two keys.
const TYPING_INTERVAL: Duration = Duration::from_millis(200);

/// A network between [`HOST`] and [`RELAY`]: the host behind a NAT, in links `wifi`, `dsl` and
/// `data`, with the delay (one way) on `dsl`, which is the one to make worse.
#[must_use]
pub fn path(delay: Duration) -> Description {
    Description::new()
        .host(HOST)
        .host(RELAY)
        .nat(Nat::new("home").timeout(Duration::from_secs(7200)))
        .link(Link::new("wifi", HOST, "home"))
        .link(Link::new("dsl", "home", "internet").delay(delay))
        .link(Link::new("data", RELAY, "internet"))
}

/// What happens.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// With [`HOST`] and [`RELAY`] in it.
    pub network: Description,
    /// The relay's address in it.
    pub relay: SocketAddr,
    /// Of all that is chance.
    pub seed: u64,
    /// When keys are typed, ascending.
    pub keys: Vec<Duration>,
    /// What the program prints beside echoes.
    pub printing: Vec<(Duration, Printing)>,
    /// When a TCP transfer from the host's machine to the relay's runs beside, if one does.
    pub download: Option<Range<Duration>>,
    /// From then on nothing is typed or printed, and the network is well: the run ends when both
    /// are in step.
    pub calm_at: Duration,
    /// Or at last so long after.
    pub settle_max: Duration,
    /// Keep lines of what happens.
    pub is_told: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// One number for every packet and its time.
    pub digest: u64,
    /// Of each key.
    pub echoes: Vec<Echo>,
    /// What must never happen, and did.
    pub violations: Vec<String>,
    /// How long after calm both were in step; `None`: they weren't in time.
    pub settled: Option<Duration>,
    /// The most that the host's endpoint kept.
    pub load_max: Option<Load>,
    /// Connections that carried the session, one after the other.
    pub links: u64,
    /// Bytes of the transfer beside that arrived.
    pub downloaded: u64,
    /// What passed.
    pub stats: NetworkStats,
    /// Where both stood at the end.
    pub standing: String,
    /// What happened, if it was to be told.
    pub story: String,
}

impl Scenario {
    /// `keys` keys at 5 per second over a [`path`], and nothing else.
    #[must_use]
    pub fn typing(network: Description, seed: u64, keys: u32) -> Self {
        let keys: Vec<_> = (0..keys).map(|count| TYPING_FROM + count * TYPING_INTERVAL).collect();
        let calm_at = keys.last().copied().unwrap_or(TYPING_FROM) + TYPING_INTERVAL;
        Self {
            network,
            relay: (RELAY_ADDRESS, RELAY_PORT).into(),
            seed,
            keys,
            printing: Vec::new(),
            download: None,
            calm_at,
            settle_max: Duration::from_secs(60),
            is_told: false,
        }
    }

    /// Plays it.
    ///
    /// # Panics
    /// If the network has no [`HOST`] or [`RELAY`], or doesn't fit together.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(self.play())
    }

    async fn play(&self) -> Outcome {
        let start = Instant::now();
        let network = QuinnNetwork::new(&self.network, self.seed).expect("a network");
        let mut journal = Journal::default();
        journal.lines = self.is_told.then(Vec::new);
        let journal = Arc::new(Mutex::new(journal));
        let shared = Shared { network, journal, start: start.into_std() };
        if self.is_told {
            shared.network.with_world(|world| world.keep_trace_lines());
        }
        let program = Program::new(SIZE, &self.printing, self.seed, start.into_std());
        let relay = RelaySide::new(shared.clone(), &self.keys, SIZE, self.seed);
        let host = HostSide::new(shared.clone(), self.relay, program, self.seed);
        let (beside, to) = (shared.clone(), self.relay);
        let download = async {
            if let Some(time) = self.download.clone() {
                download::run(beside, to, time).await;
            }
        };
        let sides = async { tokio::join!(biased; relay.run(), host.run(), download) };
        let mut end = start + self.calm_at;
        tokio::pin!(sides);
        loop {
            tokio::select! {
                biased;
                _ = &mut sides => {}
                () = tokio::time::sleep_until(end) => {}
            }
            let is_in_step = shared.journal().in_step_at.is_some();
            if is_in_step || end >= start + self.calm_at + self.settle_max {
                return self.outcome(&shared);
            }
            end += LOOK_INTERVAL;
        }
    }

    fn outcome(&self, shared: &Shared) -> Outcome {
        let journal = shared.journal();
        let story = journal.lines.as_ref().map(|lines| story(shared, lines)).unwrap_or_default();
        shared.network.with_world(|world| Outcome {
            digest: world.trace().digest(),
            echoes: journal.echoes.clone(),
            violations: journal.violations.clone(),
            settled: journal.in_step_at.map(|at| at.saturating_sub(self.calm_at)),
            load_max: journal.load_max,
            links: journal.links,
            downloaded: journal.downloaded,
            stats: world.stats(),
            standing: journal.standing(),
            story,
        })
    }
}

/// How often it is looked whether a run is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The journal's lines among those of the network's trace.
fn story(shared: &Shared, lines: &[(Duration, String)]) -> String {
    let trace = shared.network.with_world(|world| world.trace().clone());
    let time_of = |line: &netsim::virtual_time::TraceLine| match line {
        netsim::virtual_time::TraceLine::Datagram { at, .. }
        | netsim::virtual_time::TraceLine::Event { at, .. } => *at,
    };
    let mut all: Vec<(Duration, String)> =
        trace.lines().iter().map(|line| (time_of(line), line.to_string())).collect();
    all.extend(lines.iter().map(|(at, line)| (*at, format!("{:.9} = {line}", at.as_secs_f64()))));
    all.sort_by_key(|(at, _)| *at);
    all.iter().fold(String::new(), |mut text, (_, line)| {
        let _ = writeln!(text, "{line}");
        text
    })
}
