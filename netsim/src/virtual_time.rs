//! Virtual time: sockets in one process over a described network, as far as `sendto` and `recvfrom`
//! go. The caller drives: it sends, lets time go on to the next deadline, and takes what has arrived.
//!
//! ```
//! use netsim::virtual_time::World;
//! use netsim::{Description, Link};
//! use std::time::Duration;
//!
//! let line = Link::new("line", "a", "b").delay(Duration::from_secs(3600));
//! let mut world = World::new(&Description::new().host("a").host("b").link(line), 1)?;
//! let a = world.bind("a", "0.0.0.0:5000".parse()?)?;
//! let b = world.bind("b", "0.0.0.0:7".parse()?)?;
//! world.send(a, "10.0.1.2:7".parse()?, b"hello".to_vec())?;
//! while let Some(at) = world.poll_timeout() {
//!     world.handle_timeout(at);
//! }
//! let datagram = world.receive(b).expect("an hour has passed");
//! assert_eq!((datagram.at, &datagram.payload[..]), (Duration::from_secs(3600), &b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::description::{Action, Description, DescriptionError};
use crate::network::{Interface, InterfaceId, Network, Output};
use crate::packet::{Content, Packet, Protocol};
use crate::stats::NetworkStats;

mod trace;

#[cfg(test)]
mod tests;

pub use trace::{Trace, TraceLine, What};

/// Bytes of payload that wait in a socket; what comes on top is lost, as at a real one (Linux: about
/// 200 kB by default; senders of bursts set more).
pub const INBOX_BYTES_MAX: usize = 1 << 20;
/// Bytes of payload that fit in one IP packet.
pub const PAYLOAD_MAX: usize = 65_507;
/// The first port that is given to a socket that asks for none.
const PORT_EPHEMERAL_MIN: u16 = 32_768;

/// A socket on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(u64);

/// A datagram that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When it arrived at the host.
    pub at: Duration,
    /// Who sent it, as this host sees it.
    pub from: SocketAddr,
    /// The address of this host that it was sent to.
    pub to: SocketAddr,
    /// The two ECN bits.
    pub ecn: u8,
    /// What was sent.
    pub payload: Vec<u8>,
}

/// Why a socket wasn't made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BindError {
    /// The network has no such host.
    #[error("no host \"{0}\"")]
    NoHost(String),
    /// The port is taken.
    #[error("port {0} is taken on this host")]
    PortTaken(u16),
}

/// Why a datagram wasn't sent: what `sendto` says at once. (A datagram that was sent may still be
/// lost.)
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SendError {
    /// No interface that is up has an address of the destination's family.
    #[error("network is unreachable")]
    Unreachable,
    /// The host doesn't have the address that the datagram was to be sent from.
    #[error("the source address is not this host's")]
    WrongSource,
    /// Larger than [`PAYLOAD_MAX`]. (What is larger than a link's MTU is lost there: sockets behave
    /// as with "don't fragment" set, and nothing is fragmented.)
    #[error("the datagram is too long")]
    TooLong,
    /// The socket was closed.
    #[error("no such socket")]
    Closed,
}

#[derive(Debug)]
struct Socket {
    host: String,
    local: SocketAddr,
    inbox: VecDeque<Received>,
    inbox_bytes: usize,
}

/// A network and the sockets on its hosts.
#[derive(Debug)]
pub struct World {
    network: Network,
    sockets: BTreeMap<SocketId, Socket>,
    sockets_made: u64,
    events: VecDeque<(Duration, Action)>,
    readable: BTreeSet<SocketId>,
    trace: Trace,
}

impl World {
    /// A network at time zero; every chance is drawn from `seed`.
    ///
    /// # Errors
    /// Where the description doesn't fit together.
    pub fn new(description: &Description, seed: u64) -> Result<Self, DescriptionError> {
        Ok(Self {
            network: Network::new(description, seed)?,
            sockets: BTreeMap::new(),
            sockets_made: 0,
            events: VecDeque::new(),
            readable: BTreeSet::new(),
            trace: Trace::default(),
        })
    }

    /// Makes a socket. An unspecified IPv6 address takes both families, as on Linux; port 0 any free
    /// one.
    ///
    /// # Errors
    /// Where there is no such host, or the port is taken.
    pub fn bind(&mut self, host: &str, local: SocketAddr) -> Result<SocketId, BindError> {
        if !self.network.description().hosts.iter().any(|each| each == host) {
            return Err(BindError::NoHost(host.to_owned()));
        }
        let is_taken = |port: u16| {
            self.sockets.values().any(|socket| socket.host == host && socket.local.port() == port)
        };
        let port = match local.port() {
            0 => (PORT_EPHEMERAL_MIN..=u16::MAX).find(|port| !is_taken(*port)).unwrap_or(0),
            port => port,
        };
        if port == 0 || is_taken(port) {
            return Err(BindError::PortTaken(port));
        }
        let id = SocketId(self.sockets_made);
        self.sockets_made += 1;
        let local = SocketAddr::new(local.ip(), port);
        let (host, inbox) = (host.to_owned(), VecDeque::new());
        self.sockets.insert(id, Socket { host, local, inbox, inbox_bytes: 0 });
        Ok(id)
    }

    /// Closes a socket; what waited in it is lost.
    pub fn close(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
        self.readable.remove(&socket);
    }

    /// What the socket is bound to.
    #[must_use]
    pub fn local_address(&self, socket: SocketId) -> Option<SocketAddr> {
        self.sockets.get(&socket).map(|socket| socket.local)
    }

    /// Sends a datagram now.
    ///
    /// # Errors
    /// Where the host can't send it.
    pub fn send(
        &mut self,
        socket: SocketId,
        to: SocketAddr,
        payload: Vec<u8>,
    ) -> Result<(), SendError> {
        self.send_from(socket, None, to, 0, payload)
    }

    /// Sends a datagram now, from one of the host's addresses if `source` is given, and with ECN
    /// bits.
    ///
    /// # Errors
    /// Where the host can't send it.
    pub fn send_from(
        &mut self,
        socket: SocketId,
        source: Option<IpAddr>,
        to: SocketAddr,
        ecn: u8,
        payload: Vec<u8>,
    ) -> Result<(), SendError> {
        if payload.len() > PAYLOAD_MAX {
            return Err(SendError::TooLong);
        }
        let Socket { host, local, .. } = self.sockets.get(&socket).ok_or(SendError::Closed)?;
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let bound = Some(local.ip()).filter(|ip| !ip.is_unspecified());
        let source = source.or(bound).map(|ip| ip.to_canonical());
        if local.is_ipv4() && to.is_ipv6() {
            return Err(SendError::Unreachable);
        }
        let interfaces = self.interfaces_of(host);
        let is_own = to.ip().is_loopback()
            || interfaces.iter().any(|interface| interface.addresses.contains(&to.ip()));
        let (interface, ip) = choose(&interfaces, source, to.ip(), is_own)?;
        let mut packet = Packet::datagram(SocketAddr::new(ip, local.port()), to, payload);
        packet.ecn = ecn;
        let now = self.network.now();
        self.trace.note(now, What::Sent, &packet);
        if is_own {
            let host = host.clone();
            self.arrive(&host, now, packet);
        } else {
            self.network.handle_packet(interface, packet, now);
            self.take_output();
        }
        Ok(())
    }

    /// The next datagram that has arrived at a socket.
    pub fn receive(&mut self, socket: SocketId) -> Option<Received> {
        let inbox = self.sockets.get_mut(&socket)?;
        let received = inbox.inbox.pop_front()?;
        inbox.inbox_bytes -= received.payload.len();
        Some(received)
    }

    /// When something happens next, if nobody sends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.network.poll_timeout()
    }

    /// Lets time go on to `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.network.handle_timeout(now);
        self.take_output();
    }

    /// Makes an event happen now.
    ///
    /// # Errors
    /// Where it names what the network hasn't.
    pub fn handle_event(&mut self, action: Action) -> Result<(), DescriptionError> {
        self.network.handle_event(action, self.network.now())?;
        self.take_output();
        Ok(())
    }

    /// The next event that has happened; those that aren't the network's own are the caller's to
    /// carry out.
    pub fn poll_event(&mut self) -> Option<(Duration, Action)> {
        self.events.pop_front()
    }

    /// A socket at which something has arrived since it was last named here.
    pub fn poll_readable(&mut self) -> Option<SocketId> {
        self.readable.pop_first()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.network.now()
    }

    /// What a host sees of its interfaces, the preferred first.
    #[must_use]
    pub fn interfaces_of(&self, host: &str) -> Vec<Interface> {
        self.network.interfaces().into_iter().filter(|each| each.host == host).collect()
    }

    /// What has passed so far.
    #[must_use]
    pub fn stats(&self) -> NetworkStats {
        self.network.stats()
    }

    /// Packets inside the network.
    #[must_use]
    pub fn packets_held(&self) -> u64 {
        self.network.packets_held()
    }

    /// What was sent, arrived and happened: the same for the same seed and the same input.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Keeps the trace's lines from now on, not only its digest.
    pub fn keep_trace_lines(&mut self) {
        self.trace.keep_lines();
    }

    fn take_output(&mut self) {
        while let Some(output) = self.network.poll_output() {
            match output {
                Output::Deliver { at, interface, packet } => {
                    let host = self.network.interface(interface).host;
                    self.arrive(&host, at, packet);
                }
                // Sockets look at their host's interfaces whenever they send.
                Output::InterfaceChanged { .. } => {}
                Output::Event { at, action } => {
                    self.trace.note_event(at, &action);
                    self.events.push_back((at, action));
                }
            }
        }
    }

    fn arrive(&mut self, host: &str, at: Duration, packet: Packet) {
        let Packet { flow, ecn, content, .. } = &packet;
        // ICMP errors find no application: sockets learn path MTUs by trying, as QUIC does.
        let Content::Bytes(payload) = content else { return };
        if flow.protocol != Protocol::Udp {
            return;
        }
        let takes = |socket: &Socket| {
            let local = socket.local;
            let is_bound = match local.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => flow.destination.is_ipv4(),
                IpAddr::V6(ip) if ip.is_unspecified() => true,
                ip => ip.to_canonical() == flow.destination.ip(),
            };
            socket.host == host && local.port() == flow.destination.port() && is_bound
        };
        let Some((id, socket)) = self.sockets.iter_mut().find(|(_, socket)| takes(socket)) else {
            return;
        };
        if socket.inbox_bytes + payload.len() > INBOX_BYTES_MAX {
            return;
        }
        let (from, to, ecn, payload) = (flow.source, flow.destination, *ecn, payload.clone());
        socket.inbox_bytes += payload.len();
        socket.inbox.push_back(Received { at, from, to, ecn, payload });
        self.readable.insert(*id);
        self.trace.note(at, What::Arrived, &packet);
    }
}

/// The interface and the source address: those of the source if it is given; else the first that is
/// up and has the destination's family.
fn choose(
    interfaces: &[Interface],
    source: Option<IpAddr>,
    to: IpAddr,
    is_own: bool,
) -> Result<(InterfaceId, IpAddr), SendError> {
    let addresses = interfaces
        .iter()
        .filter(|interface| interface.is_up)
        .flat_map(|interface| interface.addresses.iter().map(|address| (interface.id, *address)));
    let mut like = addresses.filter(|(_, address)| address.is_ipv4() == to.is_ipv4());
    match source {
        // A loopback address is every host's.
        Some(source) if is_own && source.is_loopback() => {
            interfaces.first().map(|first| (first.id, source)).ok_or(SendError::Unreachable)
        }
        Some(source) => like.find(|(_, address)| *address == source).ok_or(SendError::WrongSource),
        None if to.is_loopback() => {
            interfaces.first().map(|first| (first.id, to)).ok_or(SendError::Unreachable)
        }
        None => like.next().ok_or(SendError::Unreachable),
    }
}
