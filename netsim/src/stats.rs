//! What has passed, per link and direction, and the log of single packets in Mahimahi's format.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

mod histogram;

pub use histogram::Histogram;

/// Why a packet didn't pass a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// The loss model took it.
    Loss,
    /// The queue was full.
    Queue,
    /// The link was or went down.
    Down,
    /// Its protocol was blocked.
    Blocked,
    /// It was larger than the MTU.
    TooBig,
}

/// One direction of one link.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PathStats {
    /// Packets that were sent into it.
    pub entered: u64,
    /// Their bytes.
    pub entered_bytes: u64,
    /// Packets that came out.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that were made by duplication.
    pub duplicated: u64,
    /// Packets inside: queued or on the wire.
    pub held: u64,
    /// The most bytes that ever waited in the queue.
    pub queue_bytes_max: u64,
    dropped: BTreeMap<DropReason, u64>,
    /// Time from entering to coming out.
    pub delay: Histogram,
}

impl PathStats {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(&reason).copied().unwrap_or(0)
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether all packets are accounted for.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.entered + self.duplicated == self.delivered + self.dropped_total() + self.held
    }

    pub(crate) fn on_entered(&mut self, bytes: usize) {
        self.entered += 1;
        self.entered_bytes += bytes as u64;
    }

    pub(crate) fn on_delivered(&mut self, bytes: usize, delay: Duration) {
        self.delivered += 1;
        self.delivered_bytes += bytes as u64;
        self.delay.record(delay);
    }

    pub(crate) fn on_dropped(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    pub(crate) fn on_queued(&mut self, bytes: usize) {
        self.queue_bytes_max = self.queue_bytes_max.max(bytes as u64);
    }
}

impl fmt::Display for PathStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entered, entered_bytes, delivered, delivered_bytes, .. } = self;
        write!(
            f,
            "{entered} packets ({entered_bytes} B) in, {delivered} ({delivered_bytes} B) out"
        )?;
        for (reason, count) in &self.dropped {
            let reason = match reason {
                DropReason::Loss => "lost",
                DropReason::Queue => "dropped (queue full)",
                DropReason::Down => "dropped (link down)",
                DropReason::Blocked => "dropped (blocked)",
                DropReason::TooBig => "dropped (too big)",
            };
            write!(f, ", {count} {reason}")?;
        }
        if self.duplicated > 0 {
            write!(f, ", {} duplicated", self.duplicated)?;
        }
        if delivered > &0 {
            write!(f, "; delay {}", self.delay)?;
        }
        Ok(())
    }
}

/// Both directions of a link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStats {
    /// The link's name.
    pub link: String,
    /// From its lower (first named) to its upper end.
    pub up: PathStats,
    /// The other way.
    pub down: PathStats,
}

/// Packets that died between links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeDrops {
    /// No host there has the address: unknown, or changed since.
    pub no_route: u64,
    /// Sent from an address that the sending interface doesn't have.
    pub wrong_source: u64,
    /// Refused by a NAT: no mapping, filtered, or a protocol without ports.
    pub nat: u64,
}

/// The whole network.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkStats {
    /// By link, in the description's order.
    pub links: Vec<LinkStats>,
    /// Packets that died between links.
    pub node_drops: NodeDrops,
}

impl fmt::Display for NetworkStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LinkStats { link, up, down } in &self.links {
            writeln!(f, "{link} up:   {up}")?;
            writeln!(f, "{link} down: {down}")?;
        }
        let NodeDrops { no_route, wrong_source, nat } = &self.node_drops;
        let counts = [
            (no_route, "to no known address"),
            (wrong_source, "from a wrong address"),
            (nat, "refused by a NAT"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| **count > 0) {
            writeln!(f, "between links: {count} packets {what}")?;
        }
        Ok(())
    }
}

/// A line of Mahimahi's link log (`mm-link --uplink-log`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// `ms + bytes`: a packet came to the queue.
    Arrived {
        /// When.
        at: Duration,
        /// Its size.
        bytes: usize,
    },
    /// `ms - bytes delay`: a packet came out of the link.
    Departed {
        /// When.
        at: Duration,
        /// Its size.
        bytes: usize,
        /// Since it came.
        delay: Duration,
    },
    /// `ms # bytes`: the link's trace let so much pass, used or not.
    Opportunity {
        /// When.
        at: Duration,
        /// How much.
        bytes: usize,
    },
    /// `ms d packets bytes`: packets were dropped.
    Dropped {
        /// When.
        at: Duration,
        /// How many.
        packets: usize,
        /// Their size.
        bytes: usize,
    },
}

impl LogLine {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Duration {
        match self {
            Self::Arrived { at, .. }
            | Self::Departed { at, .. }
            | Self::Opportunity { at, .. }
            | Self::Dropped { at, .. } => *at,
        }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived { at, bytes } => write!(f, "{} + {bytes}", at.as_millis()),
            Self::Departed { at, bytes, delay } => {
                write!(f, "{} - {bytes} {}", at.as_millis(), delay.as_millis())
            }
            Self::Opportunity { at, bytes } => write!(f, "{} # {bytes}", at.as_millis()),
            Self::Dropped { at, packets, bytes } => {
                write!(f, "{} d {packets} {bytes}", at.as_millis())
            }
        }
    }
}
