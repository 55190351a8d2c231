//! The machine that plays a description: packets and the time go in, packets and the next deadline
//! come out.
//!
//! Time is what has passed since the network's start. What happens inside happens at its own time,
//! however late the caller comes: a packet that crosses three links is delayed by what they say, and
//! `at` in an [`Output`] tells when it arrived.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::address::{self, End};
use crate::description::{Action, Description, DescriptionError, Direction};
use crate::link::pipe::Pipe;
use crate::nat::NatTable;
use crate::packet::{Flow, Packet};
use crate::routes::{Attachment, NodeId, NodeKind, Routes};
use crate::stats::{LinkStats, LogLine, NetworkStats, NodeDrops};
use crate::timetable::Timetable;

mod events;
mod forward;

#[cfg(test)]
mod tests;

/// A host's end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceId(Attachment);

/// What a host sees of one of its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Which one.
    pub id: InterfaceId,
    /// Whose it is.
    pub host: String,
    /// The link's name, and so the interface's.
    pub link: String,
    /// The addresses that the host believes to have.
    pub addresses: Vec<IpAddr>,
    /// `false`: the host was told that the link is down.
    pub is_up: bool,
    /// The largest packet that the link took at the start.
    pub mtu: usize,
}

/// What comes out of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A packet has arrived at a host.
    Deliver {
        /// When.
        at: Duration,
        /// Where.
        interface: InterfaceId,
        /// What.
        packet: Packet,
    },
    /// A host was told that its addresses or its link's state changed; see [`Network::interface`].
    InterfaceChanged {
        /// When.
        at: Duration,
        /// Which.
        interface: InterfaceId,
    },
    /// An event happened. Those that aren't the network's own ([`Action::Signal`], [`Action::Run`])
    /// are the caller's to carry out.
    Event {
        /// When.
        at: Duration,
        /// What.
        action: Action,
    },
}

/// One end of a link.
#[derive(Debug)]
struct EndState {
    /// What the node there believes to have.
    inside: Vec<IpAddr>,
    /// What the network knows it by; differs after an untold change.
    outside: Vec<IpAddr>,
    is_up: bool,
}

/// A network at work.
#[derive(Debug)]
pub struct Network {
    description: Description,
    now: Duration,
    routes: Routes,
    /// Two for each link: up, down.
    pipes: Vec<Pipe>,
    /// Two for each link: lower, upper.
    ends: Vec<EndState>,
    /// Who has an address; a private one may be had by several, each behind another NAT.
    owners: BTreeMap<IpAddr, Vec<Attachment>>,
    nats: Vec<NatTable>,
    timetable: Timetable,
    drops: NodeDrops,
    /// Drained by the caller after each call.
    output: VecDeque<Output>,
}

impl Network {
    /// A network at time zero, all of whose chances are drawn from `seed`.
    ///
    /// # Errors
    /// Where the description doesn't fit together.
    pub fn new(description: &Description, seed: u64) -> Result<Self, DescriptionError> {
        description.check()?;
        let mut pipes = Vec::new();
        let mut ends = Vec::new();
        for (place, link) in description.links.iter().enumerate() {
            for conditions in [&link.up, &link.down] {
                let own_seed = mix(seed, pipes.len() as u64);
                pipes.push(Pipe::new(conditions.clone(), own_seed, Duration::ZERO));
            }
            for end in [End::Lower, End::Upper] {
                let addresses = address::initial(link, place, end);
                ends.push(EndState { inside: addresses.clone(), outside: addresses, is_up: true });
            }
        }
        let nat = |(place, nat): (usize, &crate::description::Nat)| {
            // Counted from the top, so that no link's seed is met.
            let own_seed = mix(seed, u64::MAX - place as u64);
            NatTable::new(nat.clone(), ChaCha8Rng::seed_from_u64(own_seed))
        };
        let mut network = Self {
            now: Duration::ZERO,
            routes: Routes::new(description),
            pipes,
            ends,
            owners: BTreeMap::new(),
            nats: description.nats.iter().enumerate().map(nat).collect(),
            timetable: Timetable::new(&description.timetable),
            drops: NodeDrops::default(),
            output: VecDeque::new(),
            description: description.clone(),
        };
        network.note_owners();
        Ok(network)
    }

    /// All hosts' interfaces, in the order of hosts and links.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        let hosts = 0..self.description.hosts.len();
        let attachments = hosts.flat_map(|host| self.routes.attachments(host));
        attachments.map(|attachment| self.interface(InterfaceId(attachment))).collect()
    }

    /// What a host sees of its interface now.
    #[must_use]
    pub fn interface(&self, id: InterfaceId) -> Interface {
        let link = &self.description.links[id.0.link];
        let (host, conditions) = match id.0.end {
            End::Lower => (&link.lower, &link.up),
            End::Upper => (&link.upper, &link.down),
        };
        let end = &self.ends[id.0.index()];
        Interface {
            id,
            host: host.clone(),
            link: link.name.clone(),
            addresses: end.inside.clone(),
            is_up: end.is_up,
            mtu: conditions.mtu.size,
        }
    }

    /// Takes a packet that a host sends on an interface at `now`. (Time doesn't go backwards: an
    /// earlier `now` is taken for the latest there was.)
    pub fn handle_packet(&mut self, interface: InterfaceId, packet: Packet, now: Duration) {
        self.handle_timeout(now);
        self.send(interface.0, packet);
    }

    /// Lets all happen that is due by `now`. Bounded by what is inside and by the timetable.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(at) = self.poll_timeout().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            // Events first: what arrives in the moment in which a link goes down is lost.
            if let Some((_, action)) = self.timetable.poll(at) {
                self.carry_out(action);
            } else {
                self.move_packets();
            }
        }
        self.now = self.now.max(now);
    }

    /// Makes an event happen at `now`, beside the timetable.
    ///
    /// # Errors
    /// Where the action names what the network hasn't.
    pub fn handle_event(&mut self, action: Action, now: Duration) -> Result<(), DescriptionError> {
        crate::description::check_action(&action, &self.description)?;
        self.handle_timeout(now);
        self.carry_out(action);
        Ok(())
    }

    /// What has come out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let pipes = self.pipes.iter().filter_map(Pipe::poll_timeout);
        pipes.chain(self.timetable.poll_timeout()).min()
    }

    /// The latest time that the network knows.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Forgets all events that are yet to come.
    pub fn clear_timetable(&mut self) {
        self.timetable = Timetable::new(&[]);
    }

    /// What was described.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What has passed so far.
    #[must_use]
    pub fn stats(&self) -> NetworkStats {
        let links = self.description.links.iter().zip(self.pipes.chunks_exact(2));
        let links = links.map(|(link, pipes)| LinkStats {
            link: link.name.clone(),
            up: pipes[0].stats().clone(),
            down: pipes[1].stats().clone(),
        });
        NetworkStats { links: links.collect(), node_drops: self.drops.clone() }
    }

    /// Packets inside: queued or on a wire.
    #[must_use]
    pub fn packets_held(&self) -> u64 {
        self.pipes.iter().map(|pipe| pipe.stats().held).sum()
    }

    /// Logs every packet from now on.
    pub fn start_logs(&mut self) {
        self.pipes.iter_mut().for_each(|pipe| pipe.start_log(self.now));
    }

    /// What was logged since the last call: link, direction, lines.
    pub fn poll_logs(&mut self) -> Vec<(String, Direction, Vec<LogLine>)> {
        let now = self.now;
        let links = self.description.links.iter().zip(self.pipes.chunks_exact_mut(2));
        links
            .flat_map(|(link, pipes)| {
                let [up, down] = pipes else { return Vec::new() };
                let named =
                    |direction, pipe: &mut Pipe| (link.name.clone(), direction, pipe.poll_log(now));
                vec![named(Direction::Up, up), named(Direction::Down, down)]
            })
            .filter(|(_, _, lines)| !lines.is_empty())
            .collect()
    }

    fn note_owners(&mut self) {
        self.owners.clear();
        for link in 0..self.description.links.len() {
            for end in [End::Lower, End::Upper] {
                let attachment = Attachment { link, end };
                let is_addressed = match self.routes.kind(self.routes.node(attachment)) {
                    NodeKind::Host => true,
                    NodeKind::Nat(_) => end == End::Lower,
                    NodeKind::Router => false,
                };
                if is_addressed {
                    for address in &self.ends[attachment.index()].outside {
                        self.owners.entry(*address).or_default().push(attachment);
                    }
                }
            }
        }
    }
}

/// An independent seed for each part (the finalizer of SplitMix64).
fn mix(seed: u64, part: u64) -> u64 {
    let mut z = seed.wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
