//! A packet as the network sees it: who sends to whom, how large, and content it doesn't read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 header without options, and of a UDP header.
pub const IPV4_UDP_OVERHEAD: usize = 20 + 8;
/// Bytes of an IPv6 header without extensions, and of a UDP header.
pub const IPV6_UDP_OVERHEAD: usize = 40 + 8;

/// What a packet carries, as far as a NAT or a filter cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// UDP; the ports are UDP's.
    Udp,
    /// TCP; the ports are TCP's.
    Tcp,
    /// An ICMP echo request or reply; the identifier stands in both ports.
    Echo,
    /// An ICMP error about the packet in [`Packet::quoted`].
    IcmpError,
    /// Anything else, by its number; ports are 0.
    Other(u8),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("udp"),
            Self::Tcp => f.write_str("tcp"),
            Self::Echo => f.write_str("icmp"),
            Self::IcmpError => f.write_str("icmp-error"),
            Self::Other(number) => write!(f, "protocol {number}"),
        }
    }
}

/// Who sends what to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// What the packet carries.
    pub protocol: Protocol,
    /// The sender, as the place that sees the packet sees it (NATs change it on the way).
    pub source: SocketAddr,
    /// Where it is bound.
    pub destination: SocketAddr,
}

impl Flow {
    /// The same flow seen from its other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }
}

/// A packet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sends to whom; the only part that the network changes.
    pub flow: Flow,
    /// For an ICMP error: the flow of the packet that it is about.
    pub quoted: Option<Flow>,
    /// Size in bytes as an IP packet.
    pub size: usize,
    /// The two ECN bits, carried for who has no IP header in `content`.
    pub ecn: u8,
    /// What is carried.
    pub content: Content,
}

/// A packet's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The sender's bytes: a whole IP packet (real packets) or a datagram's payload (virtual time).
    Bytes(Vec<u8>),
    /// "Packet too big", made by a link for the sender of `original`.
    TooBig {
        /// Bytes that the link would have passed.
        mtu: usize,
        /// The content of the packet that was too big.
        original: Vec<u8>,
    },
}

impl Packet {
    /// A UDP datagram with `payload`.
    #[must_use]
    pub fn datagram(source: SocketAddr, destination: SocketAddr, payload: Vec<u8>) -> Self {
        let overhead = if destination.is_ipv4() { IPV4_UDP_OVERHEAD } else { IPV6_UDP_OVERHEAD };
        Self {
            flow: Flow { protocol: Protocol::Udp, source, destination },
            quoted: None,
            size: payload.len() + overhead,
            ecn: 0,
            content: Content::Bytes(payload),
        }
    }

    /// What a link with `mtu` answers to this packet; `None` to an ICMP error (RFC 1122, 3.2.2:
    /// no error about an error).
    #[must_use]
    pub fn too_big(self, mtu: usize) -> Option<Self> {
        let Content::Bytes(original) = self.content else { return None };
        if self.flow.protocol == Protocol::IcmpError {
            return None;
        }
        let (router, quoted_max) = match self.flow.source.ip() {
            IpAddr::V4(_) => (IpAddr::V4(ROUTER_V4), 576),
            IpAddr::V6(_) => (IpAddr::V6(ROUTER_V6), 1280),
        };
        let flow = Flow {
            protocol: Protocol::IcmpError,
            source: SocketAddr::new(router, 0),
            destination: SocketAddr::new(self.flow.source.ip(), 0),
        };
        let size = original.len().min(quoted_max);
        let content = Content::TooBig { mtu, original };
        Some(Self { flow, quoted: Some(self.flow), size, ecn: 0, content })
    }
}

/// The address from which links send their ICMP errors.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The address from which links send their ICMPv6 errors.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
