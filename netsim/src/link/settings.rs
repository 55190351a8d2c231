//! What one direction of a link is like, and single changes of it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::link::delay::Reorder;
use crate::link::loss::Loss;
use crate::link::queue::{Capacity, QUEUE_BYTES_DEFAULT};
use crate::link::trace::TraceSource;
use crate::packet::Protocol;
use crate::units::{Probability, format_duration};

/// Bytes of the largest IP packet that a link passes where a description says nothing.
pub const MTU_DEFAULT: usize = 1500;
/// Every link passes as much: below it IPv4 (RFC 791) is undefined. IPv6 wants 1280.
pub const MTU_MIN: usize = 68;
/// No IP packet is larger.
pub const MTU_MAX: usize = 65_535;

/// The largest packet that passes, and what happens to larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mtu {
    /// In bytes of IP packet.
    pub size: usize,
    /// Larger packets vanish, instead of being answered with ICMP "too big".
    pub is_silent: bool,
}

/// What can be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blockable {
    /// All UDP.
    Udp,
    /// All TCP.
    Tcp,
    /// All ICMP: echo and errors, "too big" among them.
    Icmp,
}

impl Blockable {
    /// Whether a packet of `protocol` is meant.
    #[must_use]
    pub fn covers(self, protocol: Protocol) -> bool {
        match self {
            Self::Udp => protocol == Protocol::Udp,
            Self::Tcp => protocol == Protocol::Tcp,
            Self::Icmp => matches!(protocol, Protocol::Echo | Protocol::IcmpError),
        }
    }
}

impl fmt::Display for Blockable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
        })
    }
}

/// What one direction of a link is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Time on the wire, one way.
    pub delay: Duration,
    /// Up to so much is added to the delay, uniformly drawn; the order stays.
    pub jitter: Duration,
    /// Some packets are overtaken.
    pub reorder: Reorder,
    /// How fast packets are taken.
    pub capacity: Capacity,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Which packets are lost.
    pub loss: Loss,
    /// Chance for a packet to arrive twice.
    pub duplicate: Probability,
    /// The largest packet.
    pub mtu: Mtu,
    /// What doesn't pass.
    pub blocked: BTreeSet<Blockable>,
}

impl Default for Conditions {
    /// A perfect wire: nothing is delayed or lost, up to [`MTU_DEFAULT`].
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: Reorder::NONE,
            capacity: Capacity::Unlimited,
            queue_bytes: QUEUE_BYTES_DEFAULT,
            loss: Loss::NONE,
            duplicate: Probability::NEVER,
            mtu: Mtu { size: MTU_DEFAULT, is_silent: false },
            blocked: BTreeSet::new(),
        }
    }
}

/// One change of [`Conditions`]; a description's text is made of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets the delay.
    Delay(Duration),
    /// Sets the jitter.
    Jitter(Duration),
    /// Sets the reordering.
    Reorder(Reorder),
    /// Sets rate or trace.
    Capacity(Capacity),
    /// Sets the queue's limit in bytes.
    Queue(usize),
    /// Sets the loss model.
    Loss(Loss),
    /// Sets the chance of duplicates.
    Duplicate(Probability),
    /// Sets the path MTU.
    Mtu(Mtu),
    /// Blocks.
    Block(Blockable),
    /// Blocks no longer.
    Unblock(Blockable),
}

impl Conditions {
    /// Makes one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Delay(delay) => self.delay = *delay,
            Change::Jitter(jitter) => self.jitter = *jitter,
            Change::Reorder(reorder) => self.reorder = *reorder,
            Change::Capacity(capacity) => self.capacity = capacity.clone(),
            Change::Queue(bytes) => self.queue_bytes = *bytes,
            Change::Loss(loss) => self.loss = *loss,
            Change::Duplicate(chance) => self.duplicate = *chance,
            Change::Mtu(mtu) => self.mtu = *mtu,
            Change::Block(what) => {
                self.blocked.insert(*what);
            }
            Change::Unblock(what) => {
                self.blocked.remove(what);
            }
        }
    }

    /// The changes that make a perfect wire into this.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let wire = Self::default();
        let mut changes = Vec::new();
        let mut note = |differs: bool, change: Change| {
            if differs {
                changes.push(change);
            }
        };
        note(self.delay != wire.delay, Change::Delay(self.delay));
        note(self.jitter != wire.jitter, Change::Jitter(self.jitter));
        note(self.capacity != wire.capacity, Change::Capacity(self.capacity.clone()));
        note(self.queue_bytes != wire.queue_bytes, Change::Queue(self.queue_bytes));
        note(self.loss != wire.loss, Change::Loss(self.loss));
        note(self.reorder != wire.reorder, Change::Reorder(self.reorder));
        note(self.duplicate != wire.duplicate, Change::Duplicate(self.duplicate));
        note(self.mtu != wire.mtu, Change::Mtu(self.mtu));
        changes.extend(self.blocked.iter().copied().map(Change::Block));
        changes
    }

    /// Round trip halves: the delay and half of the jitter.
    #[must_use]
    pub fn delay_mean(&self) -> Duration {
        self.delay + self.jitter / 2
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(delay) => write!(f, "delay {}", format_duration(*delay)),
            Self::Jitter(jitter) => write!(f, "jitter {}", format_duration(*jitter)),
            Self::Reorder(Reorder { chance, by }) => {
                write!(f, "reorder {chance} by {}", format_duration(*by))
            }
            Self::Capacity(Capacity::Unlimited) => f.write_str("rate unlimited"),
            Self::Capacity(Capacity::Rate(rate)) => write!(f, "rate {rate}"),
            Self::Capacity(Capacity::Trace(trace)) => match trace.source() {
                TraceSource::File(path) => write!(f, "trace {}", path.display()),
                TraceSource::Generated(model) => write!(f, "cellular {model}"),
                TraceSource::Given => f.write_str("trace (given by the program)"),
            },
            Self::Queue(bytes) => write!(f, "queue {bytes}B"),
            Self::Loss(loss) => write!(f, "loss {loss}"),
            Self::Duplicate(chance) => write!(f, "duplicate {chance}"),
            Self::Mtu(Mtu { size, is_silent }) => {
                write!(f, "mtu {size}{}", if *is_silent { " silent" } else { "" })
            }
            Self::Block(what) => write!(f, "block {what}"),
            Self::Unblock(what) => write!(f, "unblock {what}"),
        }
    }
}
