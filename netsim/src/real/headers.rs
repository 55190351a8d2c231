//! IP packets as bytes: read into [`Packet`]s, and written with the flow that the network gave them.
//!
//! IPv4 (RFC 791) and IPv6 (RFC 8200) with UDP, TCP, ICMP echo and ICMP errors, and their fragments.
//! IPv6 packets with other extension headers pass as "other protocols": links carry them, NATs don't.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::packet::{Content, Flow, Packet, Protocol};
use crate::real::headers::checksum::{adjust, sum};

mod checksum;
mod fragments;

pub(crate) use fragments::{FragmentKey, Fragments};

#[cfg(test)]
mod tests;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// IPv6's fragment header (RFC 8200, section 4.5), 8 bytes.
const FRAGMENT: u8 = 44;
/// Bytes of an ICMP header before what it quotes.
const ICMP_HEADER: usize = 8;

/// Where things stand in a packet.
struct Layout {
    is_v4: bool,
    /// Of the header after IP.
    number: u8,
    /// Where the header after IP begins; `None` in later fragments.
    transport: Option<usize>,
    /// What a fragment has in common with the others.
    fragment: Option<u32>,
    source: IpAddr,
    destination: IpAddr,
}

/// Reads a packet that a host sends. `None`: no IP, cut off, or multicast (of which a network of
/// routed links has none).
pub(crate) fn read(bytes: &[u8], fragments: &mut Fragments) -> Option<Packet> {
    let (mut flow, transport) = flow(bytes)?;
    if flow.destination.ip().is_multicast() {
        return None;
    }
    if let Some(key) = fragment_key(bytes) {
        match transport {
            Some(_) => fragments.remember(key, flow),
            None => flow = fragments.flow(&key).unwrap_or(flow),
        }
    }
    let quoted = match (flow.protocol, transport) {
        (Protocol::IcmpError, Some(at)) => {
            self::flow(bytes.get(at + ICMP_HEADER..)?).map(|(f, _)| f)
        }
        _ => None,
    };
    Some(Packet {
        flow,
        quoted,
        size: bytes.len(),
        ecn: 0,
        content: Content::Bytes(bytes.to_vec()),
    })
}

/// The bytes of a packet that arrives at a host.
pub(crate) fn write(packet: Packet) -> Vec<u8> {
    let Packet { flow, quoted, content, .. } = packet;
    let mut bytes = match content {
        Content::Bytes(bytes) => bytes,
        Content::TooBig { mtu, original } => too_big(flow, mtu, &original),
    };
    rewrite(&mut bytes, flow);
    if let Some(quoted) = quoted {
        rewrite_quoted(&mut bytes, quoted);
    }
    bytes
}

fn layout(bytes: &[u8]) -> Option<Layout> {
    match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let fixed = bytes.first_chunk::<20>()?;
            if header < 20 || bytes.len() < header {
                return None;
            }
            let fragment = u16::from_be_bytes([fixed[6], fixed[7]]);
            let (is_more, offset) = (fragment & 0x2000 != 0, fragment & 0x1fff);
            let id = u32::from(u16::from_be_bytes([fixed[4], fixed[5]]));
            Some(Layout {
                is_v4: true,
                number: fixed[9],
                transport: (offset == 0).then_some(header),
                fragment: (is_more || offset > 0).then_some(id),
                source: Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]).into(),
                destination: Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]).into(),
            })
        }
        6 => {
            let fixed = bytes.first_chunk::<40>()?;
            let address = |at: usize| {
                let octets = fixed[at..at + 16].try_into().expect("16 bytes of a header of 40");
                IpAddr::V6(Ipv6Addr::from_octets(octets))
            };
            let part =
                if fixed[6] == FRAGMENT { bytes.get(40..)?.first_chunk::<8>() } else { None };
            let (number, transport) = match part {
                None => (fixed[6], Some(40)),
                Some(part) => {
                    let offset = u16::from_be_bytes([part[2], part[3]]) >> 3;
                    (part[0], (offset == 0).then_some(48))
                }
            };
            let id = part.map(|part| u32::from_be_bytes([part[4], part[5], part[6], part[7]]));
            Some(Layout {
                is_v4: false,
                number,
                transport,
                fragment: id,
                source: address(8),
                destination: address(24),
            })
        }
        _ => None,
    }
}

fn fragment_key(bytes: &[u8]) -> Option<FragmentKey> {
    let Layout { number, fragment, source, destination, .. } = layout(bytes)?;
    fragment.map(|id| FragmentKey { source, destination, number, id })
}

/// The flow, and where the header after IP begins.
fn flow(bytes: &[u8]) -> Option<(Flow, Option<usize>)> {
    let layout = layout(bytes)?;
    let transport = layout.transport.and_then(|at| Some((at, bytes.get(at..)?)));
    let (protocol, ports) = match transport {
        None => (Protocol::Other(layout.number), [0, 0]),
        Some((_, header)) => transport_flow(layout.is_v4, layout.number, header),
    };
    let source = SocketAddr::new(layout.source, ports[0]);
    let destination = SocketAddr::new(layout.destination, ports[1]);
    Some((Flow { protocol, source, destination }, transport.map(|(at, _)| at)))
}

fn transport_flow(is_v4: bool, number: u8, header: &[u8]) -> (Protocol, [u16; 2]) {
    let word = |at: usize| {
        let pair = header.get(at..at + 2).and_then(|pair| pair.first_chunk());
        pair.map(|pair| u16::from_be_bytes(*pair))
    };
    let other = (Protocol::Other(number), [0, 0]);
    match (number, word(0), word(2)) {
        (UDP, Some(source), Some(destination)) => (Protocol::Udp, [source, destination]),
        (TCP, Some(source), Some(destination)) => (Protocol::Tcp, [source, destination]),
        (ICMP, Some(kind), _) if is_v4 => match kind >> 8 {
            0 | 8 => word(4).map_or(other, |id| (Protocol::Echo, [id, id])),
            3 | 11 | 12 => (Protocol::IcmpError, [0, 0]),
            _ => other,
        },
        (ICMP6, Some(kind), _) if !is_v4 => match kind >> 8 {
            128 | 129 => word(4).map_or(other, |id| (Protocol::Echo, [id, id])),
            1..=4 => (Protocol::IcmpError, [0, 0]),
            _ => other,
        },
        _ => other,
    }
}

/// Puts a flow's addresses and ports into a packet, and keeps its checksums right.
fn rewrite(bytes: &mut [u8], flow: Flow) {
    let Some((old, transport)) = self::flow(bytes) else { return };
    if old == flow {
        return;
    }
    let is_v4 = old.source.is_ipv4();
    let (source_at, destination_at) = if is_v4 { (12, 16) } else { (8, 24) };
    // The checksum of the header after IP covers the addresses too, but for ICMPv4's.
    let sum_at = transport.and_then(|at| transport_checksum(bytes, old.protocol, is_v4, at));
    for (at, new) in [(source_at, flow.source.ip()), (destination_at, flow.destination.ip())] {
        let new = octets(new);
        let old = bytes[at..at + new.len()].to_vec();
        if is_v4 {
            adjust(bytes, 10, &old, &new);
        }
        if let Some(sum_at) = sum_at.filter(|_| old_covers_addresses(is_v4, flow.protocol)) {
            adjust(bytes, sum_at, &old, &new);
        }
        bytes[at..at + new.len()].copy_from_slice(&new);
    }
    let Some(transport) = transport else { return };
    let ports: &[(usize, u16)] = match flow.protocol {
        Protocol::Udp | Protocol::Tcp => {
            &[(transport, flow.source.port()), (transport + 2, flow.destination.port())]
        }
        Protocol::Echo => &[(transport + 4, flow.source.port())],
        Protocol::IcmpError | Protocol::Other(_) => &[],
    };
    for (at, port) in ports {
        let new = port.to_be_bytes();
        let old = [bytes[*at], bytes[at + 1]];
        if let Some(sum_at) = sum_at {
            adjust(bytes, sum_at, &old, &new);
        }
        bytes[*at..at + 2].copy_from_slice(&new);
    }
}

/// Whether the checksum after IP covers the addresses (the pseudo-header).
fn old_covers_addresses(is_v4: bool, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Udp | Protocol::Tcp => true,
        Protocol::Echo | Protocol::IcmpError => !is_v4,
        Protocol::Other(_) => false,
    }
}

/// Where the checksum of the header after IP stands, if there is one and it is whole.
fn transport_checksum(bytes: &[u8], protocol: Protocol, is_v4: bool, at: usize) -> Option<usize> {
    let sum_at = match protocol {
        Protocol::Udp => at + 6,
        Protocol::Tcp => at + 16,
        Protocol::Echo | Protocol::IcmpError => at + 2,
        Protocol::Other(_) => return None,
    };
    let stored = bytes.get(sum_at..sum_at + 2)?;
    // Zero says "none" in UDP over IPv4 (RFC 768).
    let is_absent = protocol == Protocol::Udp && is_v4 && stored == [0, 0];
    (!is_absent).then_some(sum_at)
}

/// Puts the quoted packet's flow into an ICMP error, and sums it anew.
fn rewrite_quoted(bytes: &mut [u8], quoted: Flow) {
    let Some((flow, Some(transport))) = flow(bytes) else { return };
    if bytes.len() < transport + ICMP_HEADER {
        return;
    }
    rewrite(&mut bytes[transport + ICMP_HEADER..], quoted);
    sum_icmp(bytes, transport, flow);
}

fn sum_icmp(bytes: &mut [u8], transport: usize, flow: Flow) {
    bytes[transport + 2..transport + 4].fill(0);
    let message = &bytes[transport..];
    let pseudo = match flow.source.ip() {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(_) => {
            let mut pseudo = octets(flow.source.ip());
            pseudo.extend(octets(flow.destination.ip()));
            pseudo.extend((message.len() as u32).to_be_bytes());
            pseudo.extend([0, 0, 0, ICMP6]);
            pseudo
        }
    };
    let checksum = sum(&[&pseudo, message]);
    bytes[transport + 2..transport + 4].copy_from_slice(&checksum.to_be_bytes());
}

/// An ICMP error "packet too big" (RFC 1191, RFC 4443, section 3.2) that quotes the begin of
/// `original`, to be rewritten to `flow`.
fn too_big(flow: Flow, mtu: usize, original: &[u8]) -> Vec<u8> {
    let mut bytes = match flow.destination.ip() {
        IpAddr::V4(_) => {
            let quoted = &original[..original.len().min(548)];
            let total = (20 + ICMP_HEADER + quoted.len()) as u16;
            let mut bytes = vec![0x45, 0];
            bytes.extend(total.to_be_bytes());
            bytes.extend([0, 0, 0x40, 0, 64, ICMP, 0, 0]);
            bytes.extend(octets(flow.source.ip()));
            bytes.extend(octets(flow.destination.ip()));
            let checksum = sum(&[&bytes]);
            bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
            bytes.extend([3, 4, 0, 0, 0, 0]);
            bytes.extend((mtu as u16).to_be_bytes());
            bytes.extend(quoted);
            bytes
        }
        IpAddr::V6(_) => {
            let quoted = &original[..original.len().min(1232)];
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend(((ICMP_HEADER + quoted.len()) as u16).to_be_bytes());
            bytes.extend([ICMP6, 64]);
            bytes.extend(octets(flow.source.ip()));
            bytes.extend(octets(flow.destination.ip()));
            bytes.extend([2, 0, 0, 0]);
            bytes.extend((mtu as u32).to_be_bytes());
            bytes.extend(quoted);
            bytes
        }
    };
    let transport = if flow.destination.is_ipv4() { 20 } else { 40 };
    sum_icmp(&mut bytes, transport, flow);
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
