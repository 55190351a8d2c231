//! A NAT's table: which port outside stands for which address and port inside, and for how long.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::description::{Nat, NatFilter, NatMapping};
use crate::packet::{Flow, Protocol};

/// Mappings that one NAT holds; beyond, the one idle for longest is forgotten. A cheap home router
/// holds 4096.
pub(crate) const MAPPINGS_MAX: usize = 4096;
/// Remotes that one mapping knows; beyond, further ones don't come in. A client of tens of servers
/// is far below.
const REMOTES_MAX: usize = 1024;
/// The first port that is given out.
const PORT_MIN: u16 = 1024;

/// What goes out is told apart by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inside {
    protocol: Protocol,
    address: SocketAddr,
    /// Only where the mapping is symmetric.
    remote: Option<SocketAddr>,
}

/// What comes in is told apart by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outside {
    protocol: Protocol,
    is_v4: bool,
    port: u16,
}

#[derive(Debug)]
struct Mapping {
    outside: Outside,
    last_out: Duration,
    remotes: BTreeSet<SocketAddr>,
}

/// A NAT's table.
#[derive(Debug)]
pub(crate) struct NatTable {
    nat: Nat,
    rng: ChaCha8Rng,
    mappings: BTreeMap<Inside, Mapping>,
    by_outside: BTreeMap<Outside, Inside>,
}

impl NatTable {
    pub(crate) fn new(nat: Nat, rng: ChaCha8Rng) -> Self {
        Self { nat, rng, mappings: BTreeMap::new(), by_outside: BTreeMap::new() }
    }

    /// What a flow from inside looks like outside, under one of `addresses`; makes a mapping where
    /// there is none. `None`: the NAT can't pass it.
    pub(crate) fn outbound(
        &mut self,
        flow: Flow,
        addresses: &[IpAddr],
        now: Duration,
    ) -> Option<Flow> {
        let outside_address = same_family(addresses, flow.source)?;
        let inside = self.inside_key(flow)?;
        self.forget_if_expired(inside, now);
        let port = match self.mappings.get_mut(&inside) {
            Some(mapping) => {
                mapping.last_out = now;
                if mapping.remotes.len() < REMOTES_MAX {
                    mapping.remotes.insert(flow.destination);
                }
                mapping.outside.port
            }
            None => self.add(inside, flow.destination, now)?,
        };
        let mut translated = Flow { source: SocketAddr::new(outside_address, port), ..flow };
        if flow.protocol == Protocol::Echo {
            translated.destination.set_port(port);
        }
        Some(translated)
    }

    /// What a flow to the NAT's address is inside; `None` where nothing is mapped or it is filtered.
    pub(crate) fn inbound(&mut self, flow: Flow, now: Duration) -> Option<Flow> {
        let inside = self.mapped(flow.protocol, flow.destination, now)?;
        let mapping = self.mappings.get(&inside)?;
        let passes = match self.nat.filter {
            NatFilter::Open => true,
            NatFilter::Address => {
                mapping.remotes.iter().any(|remote| remote.ip() == flow.source.ip())
            }
            // An echo's "port" is its identifier, which was translated: only the address counts.
            NatFilter::Port if flow.protocol == Protocol::Echo => {
                mapping.remotes.iter().any(|remote| remote.ip() == flow.source.ip())
            }
            NatFilter::Port => mapping.remotes.contains(&flow.source),
        };
        let mut translated = Flow { destination: inside.address, ..flow };
        if flow.protocol == Protocol::Echo {
            translated.source.set_port(inside.address.port());
        }
        passes.then_some(translated)
    }

    /// What the flow that an ICMP error from outside quotes (one that had gone out) was inside.
    pub(crate) fn inbound_quoted(&mut self, quoted: Flow, now: Duration) -> Option<Flow> {
        let inside = self.mapped(quoted.protocol, quoted.source, now)?;
        let mut translated = Flow { source: inside.address, ..quoted };
        if quoted.protocol == Protocol::Echo {
            translated.destination.set_port(inside.address.port());
        }
        Some(translated)
    }

    /// What the flow that an ICMP error from inside quotes (one that had come in) was outside. No
    /// mapping is made or kept alive by it.
    pub(crate) fn outbound_quoted(
        &mut self,
        quoted: Flow,
        addresses: &[IpAddr],
        now: Duration,
    ) -> Option<Flow> {
        let inside = self.inside_key(quoted.reversed())?;
        self.forget_if_expired(inside, now);
        let port = self.mappings.get(&inside)?.outside.port;
        let address = same_family(addresses, quoted.destination)?;
        let mut translated = Flow { destination: SocketAddr::new(address, port), ..quoted };
        if quoted.protocol == Protocol::Echo {
            translated.source.set_port(port);
        }
        Some(translated)
    }

    /// Forgets all mappings.
    pub(crate) fn forget_all(&mut self) {
        self.mappings.clear();
        self.by_outside.clear();
    }

    fn inside_key(&self, flow: Flow) -> Option<Inside> {
        let protocol = flow.protocol;
        match protocol {
            Protocol::Udp | Protocol::Tcp | Protocol::Echo => {}
            Protocol::IcmpError | Protocol::Other(_) => return None,
        }
        let is_symmetric = self.nat.mapping == NatMapping::Symmetric;
        let remote = is_symmetric.then_some(flow.destination);
        Some(Inside { protocol, address: flow.source, remote })
    }

    fn mapped(&mut self, protocol: Protocol, to: SocketAddr, now: Duration) -> Option<Inside> {
        let outside = Outside { protocol, is_v4: to.is_ipv4(), port: to.port() };
        let inside = *self.by_outside.get(&outside)?;
        self.forget_if_expired(inside, now);
        self.by_outside.contains_key(&outside).then_some(inside)
    }

    fn add(&mut self, inside: Inside, remote: SocketAddr, now: Duration) -> Option<u16> {
        if self.mappings.len() >= MAPPINGS_MAX {
            let oldest = self.mappings.iter().min_by_key(|(_, mapping)| mapping.last_out);
            let oldest = *oldest?.0;
            self.forget(oldest);
        }
        let is_v4 = inside.address.is_ipv4();
        let outside = |port| Outside { protocol: inside.protocol, is_v4, port };
        // At most a fifteenth of the ports is taken, so a few draws find a free one.
        let port = (0..64)
            .map(|_| self.rng.random_range(PORT_MIN..=u16::MAX))
            .find(|port| !self.by_outside.contains_key(&outside(*port)))?;
        let outside = outside(port);
        self.by_outside.insert(outside, inside);
        let remotes = BTreeSet::from([remote]);
        self.mappings.insert(inside, Mapping { outside, last_out: now, remotes });
        Some(port)
    }

    fn forget_if_expired(&mut self, inside: Inside, now: Duration) {
        let timeout = match inside.protocol {
            Protocol::Tcp => self.nat.tcp_timeout,
            Protocol::Udp | Protocol::Echo | Protocol::IcmpError | Protocol::Other(_) => {
                self.nat.timeout
            }
        };
        if self.mappings.get(&inside).is_some_and(|mapping| now >= mapping.last_out + timeout) {
            self.forget(inside);
        }
    }

    fn forget(&mut self, inside: Inside) {
        if let Some(mapping) = self.mappings.remove(&inside) {
            self.by_outside.remove(&mapping.outside);
        }
    }
}

fn same_family(addresses: &[IpAddr], like: SocketAddr) -> Option<IpAddr> {
    addresses.iter().copied().find(|address| address.is_ipv4() == like.is_ipv4())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));

    #[test]
    fn answers_come_in_until_the_mapping_times_out() {
        let mut nat = table(Nat::new("home"));
        let out = outbound(&mut nat, flow(5000, 1), 0).expect("a mapping");
        assert_eq!(out.source.ip(), PUBLIC);
        let back = nat.inbound(out.reversed(), s(29)).expect("still mapped");
        assert_eq!(back, flow(5000, 1).reversed());
        // What comes in doesn't keep the mapping alive.
        assert_eq!(nat.inbound(out.reversed(), s(30)), None);
    }

    #[test]
    fn what_goes_out_keeps_its_port_alive() {
        let mut nat = table(Nat::new("home"));
        let first = outbound(&mut nat, flow(5000, 1), 0);
        assert_eq!(outbound(&mut nat, flow(5000, 1), 29), first);
        assert_eq!(outbound(&mut nat, flow(5000, 1), 58), first);
        assert_ne!(outbound(&mut nat, flow(5000, 1), 88), first);
    }

    #[test]
    fn rebinding_gives_new_ports_and_closes_the_old() {
        let mut nat = table(Nat::new("home"));
        let before = outbound(&mut nat, flow(5000, 1), 0).expect("a mapping");
        nat.forget_all();
        assert_eq!(nat.inbound(before.reversed(), s(1)), None);
        assert_ne!(outbound(&mut nat, flow(5000, 1), 1), Some(before));
    }

    #[test]
    fn filters_and_mappings_are_those_of_the_kind() {
        let stranger = |out: Flow, port| Flow {
            source: SocketAddr::new(out.destination.ip(), port),
            ..out.reversed()
        };
        for (filter, passes) in
            [(NatFilter::Open, true), (NatFilter::Address, true), (NatFilter::Port, false)]
        {
            let mut nat = table(Nat::new("home").filter(filter));
            let out = outbound(&mut nat, flow(5000, 1), 0).expect("a mapping");
            assert_eq!(nat.inbound(stranger(out, 99), s(1)).is_some(), passes, "{filter:?}");
        }
        let port = |nat: &mut NatTable, to| outbound(nat, flow(5000, to), 0).map(|f| f.source);
        let mut cone = table(Nat::new("home"));
        assert_eq!(port(&mut cone, 1), port(&mut cone, 2));
        let mut symmetric = table(Nat::new("home").mapping(NatMapping::Symmetric));
        assert_ne!(port(&mut symmetric, 1), port(&mut symmetric, 2));
    }

    #[test]
    fn an_error_about_what_went_out_finds_its_sender() {
        let mut nat = table(Nat::new("home"));
        let out = outbound(&mut nat, flow(5000, 1), 0).expect("a mapping");
        assert_eq!(nat.inbound_quoted(out, s(1)), Some(flow(5000, 1)));
        let came_in = flow(5000, 1).reversed();
        assert_eq!(nat.outbound_quoted(came_in, &[PUBLIC], s(1)), Some(out.reversed()));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut nat = table(Nat::new("home"));
        for port in 1..=(MAPPINGS_MAX as u16 + 100) {
            assert!(outbound(&mut nat, flow(port, 1), 0).is_some());
        }
        assert_eq!((nat.mappings.len(), nat.by_outside.len()), (MAPPINGS_MAX, MAPPINGS_MAX));
    }

    proptest! {
        #[test]
        fn no_two_insides_share_an_outside(ports in proptest::collection::vec((1_u16..50, 1_u16..4, 0_u64..40), 1..200), is_symmetric: bool) {
            let mapping = if is_symmetric { NatMapping::Symmetric } else { NatMapping::Independent };
            let mut nat = table(Nat::new("home").mapping(mapping));
            let mut now = 0;
            for (from, to, gap) in ports {
                now += gap;
                let out = outbound(&mut nat, flow(from, to), now).expect("a mapping");
                let back = nat.inbound(out.reversed(), s(now)).expect("just mapped");
                prop_assert_eq!(back, flow(from, to).reversed());
                prop_assert_eq!(nat.mappings.len(), nat.by_outside.len());
            }
        }
    }

    fn table(nat: Nat) -> NatTable {
        NatTable::new(nat, ChaCha8Rng::seed_from_u64(1))
    }

    fn outbound(nat: &mut NatTable, flow: Flow, now: u64) -> Option<Flow> {
        nat.outbound(flow, &[PUBLIC], s(now))
    }

    fn flow(from: u16, to: u16) -> Flow {
        let source = SocketAddr::from(([192, 168, 1, 2], from));
        let destination = SocketAddr::from(([198, 51, 100, 7], to));
        Flow { protocol: Protocol::Udp, source, destination }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
}
