//! Which machines may be asked on somebody else's behalf: a relay must not become a way into its own
//! network (server-side request forgery).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports below this are for services of the system: no web server that takes webhooks is there, but
/// mail servers are, that can be talked to in HTTP.
const SYSTEM_PORTS: u16 = 1024;
/// Those of them that are the web's.
const WEB_PORTS: [u16; 2] = [80, 443];

/// Who may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What the whole internet reaches as well.
    Public,
    /// This machine, by its loopback addresses.
    ThisMachine,
    /// Anybody: who asks and who is asked trust each other, or it is their own machine.
    Any,
}

impl Reach {
    /// Whether this address may be reached at this port.
    pub fn allows(self, address: IpAddr, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::ThisMachine => address.is_loopback(),
            Self::Public => {
                is_public(address) && (port >= SYSTEM_PORTS || WEB_PORTS.contains(&port))
            }
        }
    }
}

impl fmt::Display for Reach {
    /// For people: where somebody isn't who may not be reached.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "on the public internet",
            Self::ThisMachine => "on this machine",
            Self::Any => "anywhere",
        })
    }
}

/// Whether an address is one of the internet's own: no loopback, no private network, no multicast,
/// nor a form of IPv6 that leads there.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IANA registry of special addresses, without what is globally reachable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        // This network, private, loopback, multicast, reserved and broadcast.
        0 | 10 | 127 | 224.. => true,
        // Carriers' NAT (RFC 6598).
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Protocol assignments, documentation, relays of 6to4, private.
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _)),
        // Benchmarks, documentation.
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped; IPv4 behind NAT64 (RFC 6052) and behind 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            inner(high, low)
        }
        [0x2002, high, low, ..] => inner(high, low),
        // Teredo, ORCHID and the rest of 2001::/23; documentation.
        [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // What is given out to the world; all else is special or not yet given out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reached(address: &str) -> bool {
        is_public(address.parse().expect("an address"))
    }

    #[test]
    fn internet_is_public() {
        for address in ["1.1.1.1", "100.63.0.1", "100.128.0.1", "172.32.0.1", "192.0.1.1"] {
            assert!(is_reached(address), "{address}");
        }
        for address in ["2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
        {
            assert!(is_reached(address), "{address}");
        }
    }

    #[test]
    fn no_form_of_an_inner_address_is_public() {
        let inner = [
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "203.0.113.7",
        ];
        for address in inner {
            assert!(!is_reached(address), "{address}");
            let IpAddr::V4(v4) = address.parse().expect("an address") else { panic!("{address}") };
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                format!("::ffff:{address}"),
                format!("::{address}"),
                format!("64:ff9b::{high:x}:{low:x}"),
                format!("64:ff9b:1::{high:x}:{low:x}"),
                format!("2002:{high:x}:{low:x}::1"),
            ] {
                assert!(!is_reached(&form), "{form}");
            }
        }
        for address in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_reached(address), "{address}");
        }
    }

    #[test]
    fn ports_of_the_system_are_not_asked_for_others() {
        let address = "1.1.1.1".parse().expect("an address");
        assert!(Reach::Public.allows(address, 443) && Reach::Public.allows(address, 8080));
        assert!(!Reach::Public.allows(address, 25) && !Reach::Public.allows(address, 22));
        assert!(!Reach::ThisMachine.allows(address, 443));
        assert!(Reach::ThisMachine.allows("::1".parse().expect("an address"), 80));
        assert!(Reach::Any.allows("127.0.0.1".parse().expect("an address"), 25));
    }
}
