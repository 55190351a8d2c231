//! The addresses of a network's interfaces: as described, or by the link's place.
//!
//! Where a description gives none, the ends of the `K`th link (from 1) have `10.0.K.1` and
//! `2001:db8:K::1` (lower end), `10.0.K.2` and `2001:db8:K::2` (upper end); the outside of a NAT too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::description::{Description, Link};

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The one named first.
    Lower,
    /// The one named second.
    Upper,
}

impl End {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// The addresses with which an end of a link begins; `place` is the link's in the description, from
/// 0.
#[must_use]
pub fn initial(link: &Link, place: usize, end: End) -> Vec<IpAddr> {
    let (given, number) = match end {
        End::Lower => (&link.lower_addresses, 1),
        End::Upper => (&link.upper_addresses, 2),
    };
    if !given.is_empty() {
        return given.clone();
    }
    let subnet = u8::try_from(place + 1).unwrap_or(u8::MAX);
    let v4 = Ipv4Addr::new(10, 0, subnet, number);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(subnet), 0, 0, 0, 0, u16::from(number));
    vec![v4.into(), v6.into()]
}

/// All hosts' addresses at the start, by host and link, in the description's order.
#[must_use]
pub fn of_hosts(network: &Description) -> Vec<(String, String, Vec<IpAddr>)> {
    let mut all = Vec::new();
    for host in &network.hosts {
        for (place, link) in network.links.iter().enumerate() {
            for (node, end) in [(&link.lower, End::Lower), (&link.upper, End::Upper)] {
                if node == host {
                    all.push((host.clone(), link.name.clone(), initial(link, place, end)));
                }
            }
        }
    }
    all
}
