//! A network as data: hosts, NATs, routers, links and a timetable. Built here, or read from text
//! (`parse`); written as text again by `Display`.

use std::net::IpAddr;
use std::time::Duration;

use crate::link::loss::Loss;
use crate::link::queue::Capacity;
use crate::link::settings::{Blockable, Change, Conditions, Mtu};
use crate::units::{Probability, Rate};

mod check;
mod text;

pub(crate) use check::check_action;
pub use check::{DescriptionError, Part};

/// The router that every network has, whether it is described or not.
pub const INTERNET: &str = "internet";

/// A whole network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// Where programs run.
    pub hosts: Vec<String>,
    /// NATs.
    pub nats: Vec<Nat>,
    /// Places where links meet, apart from [`INTERNET`].
    pub routers: Vec<String>,
    /// Links.
    pub links: Vec<Link>,
    /// What happens when.
    pub timetable: Vec<Scheduled>,
}

impl Description {
    /// An empty network.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_owned());
        self
    }

    /// Adds a NAT.
    #[must_use]
    pub fn nat(mut self, nat: Nat) -> Self {
        self.nats.push(nat);
        self
    }

    /// Adds a router.
    #[must_use]
    pub fn router(mut self, name: &str) -> Self {
        self.routers.push(name.to_owned());
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Adds an event, `time` after the start.
    #[must_use]
    pub fn at(mut self, time: Duration, action: Action) -> Self {
        self.timetable.push(Scheduled { at: time, every: None, until: None, action });
        self
    }

    /// Adds an event that happens first at `from`, and then again and again.
    #[must_use]
    pub fn every(mut self, period: Duration, from: Duration, action: Action) -> Self {
        self.timetable.push(Scheduled { at: from, every: Some(period), until: None, action });
        self
    }

    /// Reads a description's text; `name` stands in errors, and traces are sought beside it.
    ///
    /// # Errors
    /// File, line and what is allowed there.
    pub fn parse(text: &str, name: &str) -> Result<Self, crate::ParseError> {
        crate::parse::description(text, name)
    }

    /// Whether all names and addresses fit together.
    ///
    /// # Errors
    /// The first thing that doesn't.
    pub fn check(&self) -> Result<(), DescriptionError> {
        check::check(self)
    }
}

/// A NAT: many inside, one address (per family) outside. All links in which it is the upper end are
/// inside; the one in which it is the lower end is outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Its name.
    pub name: String,
    /// A UDP or ICMP mapping is forgotten when nothing went out through it for so long.
    pub timeout: Duration,
    /// The same for TCP.
    pub tcp_timeout: Duration,
    /// Which packets share a mapping.
    pub mapping: NatMapping,
    /// Which packets come in.
    pub filter: NatFilter,
}

/// Which packets of one inside address and port share a port outside (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatMapping {
    /// All ("cone").
    Independent,
    /// Those to the same remote address and port ("symmetric").
    Symmetric,
}

/// From whom packets come in through a mapping (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatFilter {
    /// From everybody.
    Open,
    /// From addresses that were sent to.
    Address,
    /// From addresses and ports that were sent to.
    Port,
}

impl Nat {
    /// A NAT as in most homes: 30 s for UDP, 2 h for TCP, one mapping for all remotes, and only those
    /// that were sent to come in.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            timeout: Duration::from_secs(30),
            tcp_timeout: Duration::from_secs(7200),
            mapping: NatMapping::Independent,
            filter: NatFilter::Port,
        }
    }

    /// Sets the timeout of UDP mappings.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets which packets share a mapping.
    #[must_use]
    pub fn mapping(mut self, mapping: NatMapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Sets which packets come in.
    #[must_use]
    pub fn filter(mut self, filter: NatFilter) -> Self {
        self.filter = filter;
        self
    }
}

/// A link between two nodes. "Up" is from `lower` to `upper`.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Its name; also of the interface at its hosts (at most 15 bytes).
    pub name: String,
    /// The end nearer to the user, by convention.
    pub lower: String,
    /// The end nearer to the internet, by convention.
    pub upper: String,
    /// What it is like from `lower` to `upper`.
    pub up: Conditions,
    /// What it is like from `upper` to `lower`.
    pub down: Conditions,
    /// Addresses of the lower end; empty: chosen by the link's place (see `address`).
    pub lower_addresses: Vec<IpAddr>,
    /// Addresses of the upper end.
    pub upper_addresses: Vec<IpAddr>,
}

impl Link {
    /// A perfect wire between two nodes.
    #[must_use]
    pub fn new(name: &str, lower: &str, upper: &str) -> Self {
        Self {
            name: name.to_owned(),
            lower: lower.to_owned(),
            upper: upper.to_owned(),
            up: Conditions::default(),
            down: Conditions::default(),
            lower_addresses: Vec::new(),
            upper_addresses: Vec::new(),
        }
    }

    /// Changes both directions.
    #[must_use]
    pub fn both(self, change: Change) -> Self {
        self.up(change.clone()).down(change)
    }

    /// Changes the direction from lower to upper.
    #[must_use]
    pub fn up(mut self, change: Change) -> Self {
        self.up.apply(&change);
        self
    }

    /// Changes the direction from upper to lower.
    #[must_use]
    pub fn down(mut self, change: Change) -> Self {
        self.down.apply(&change);
        self
    }

    /// One-way delay, both ways.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.both(Change::Delay(delay))
    }

    /// Up to so much more delay, both ways.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        self.both(Change::Jitter(jitter))
    }

    /// Independent loss, both ways.
    #[must_use]
    pub fn loss(self, chance: Probability) -> Self {
        self.both(Change::Loss(Loss::Independent(chance)))
    }

    /// A rate, both ways.
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        self.both(Change::Capacity(Capacity::Rate(rate)))
    }

    /// A queue's limit in bytes, both ways.
    #[must_use]
    pub fn queue(self, bytes: usize) -> Self {
        self.both(Change::Queue(bytes))
    }

    /// The addresses of the end at `node`.
    #[must_use]
    pub fn addresses(mut self, node: &str, addresses: &[IpAddr]) -> Self {
        if node == self.lower {
            self.lower_addresses = addresses.to_vec();
        } else {
            self.upper_addresses = addresses.to_vec();
        }
        self
    }
}

/// Which way along a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the lower end to the upper.
    Up,
    /// From the upper end to the lower.
    Down,
}

/// An event and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// First time, from the start of the network.
    pub at: Duration,
    /// Again after this time, and again.
    pub every: Option<Duration>,
    /// Not after this time.
    pub until: Option<Duration>,
    /// What happens.
    pub action: Action,
}

/// What can happen to a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A link passes nothing any more; what is on it is lost.
    Down {
        /// The link.
        link: String,
        /// The hosts at its ends see their interface go down.
        is_told: bool,
    },
    /// A link passes packets again.
    Up {
        /// The link.
        link: String,
    },
    /// A host's addresses on a link are replaced.
    Address {
        /// The host.
        host: String,
        /// Its link; needed only where it has several.
        link: Option<String>,
        /// The new addresses: all that it has from now on.
        addresses: Vec<IpAddr>,
        /// The host's interface has them. Else the host keeps the addresses it believes it has, and
        /// the network, which knows it by the new ones, translates.
        is_told: bool,
    },
    /// A NAT forgets all mappings: what goes out next gets new ports.
    Rebind {
        /// The NAT.
        nat: String,
        /// Its new addresses outside; empty: unchanged.
        addresses: Vec<IpAddr>,
    },
    /// A link's conditions change.
    Set {
        /// The link.
        link: String,
        /// Which way; `None`: both.
        direction: Option<Direction>,
        /// What changes.
        changes: Vec<Change>,
    },
    /// Something outside of the network, by name; the caller is told when.
    Signal(String),
    /// A program starts on a host (real packets); in virtual time the caller is told.
    Run {
        /// The host.
        host: String,
        /// A command for `sh`.
        command: String,
    },
}

impl Action {
    /// A link goes down; its hosts aren't told.
    #[must_use]
    pub fn down(link: &str) -> Self {
        Self::Down { link: link.to_owned(), is_told: false }
    }

    /// A link comes up.
    #[must_use]
    pub fn up(link: &str) -> Self {
        Self::Up { link: link.to_owned() }
    }

    /// A host with one link gets new addresses, and is told.
    #[must_use]
    pub fn address(host: &str, addresses: &[IpAddr]) -> Self {
        let (host, addresses) = (host.to_owned(), addresses.to_vec());
        Self::Address { host, link: None, addresses, is_told: true }
    }

    /// A NAT forgets its mappings.
    #[must_use]
    pub fn rebind(nat: &str) -> Self {
        Self::Rebind { nat: nat.to_owned(), addresses: Vec::new() }
    }

    /// Both directions of a link change.
    #[must_use]
    pub fn set(link: &str, change: Change) -> Self {
        Self::Set { link: link.to_owned(), direction: None, changes: vec![change] }
    }

    /// A link's path MTU becomes `size`.
    #[must_use]
    pub fn mtu(link: &str, size: usize, is_silent: bool) -> Self {
        Self::set(link, Change::Mtu(Mtu { size, is_silent }))
    }

    /// A link blocks UDP.
    #[must_use]
    pub fn block_udp(link: &str) -> Self {
        Self::set(link, Change::Block(Blockable::Udp))
    }
}
