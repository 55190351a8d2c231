//! Which addresses are this machine's own, though they are public ones: its firewall isn't asked when it
//! talks to itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Addresses that no machine has (RFC 5737, RFC 3849).
const NOBODYS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NOBODYS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Whether an address is this machine's own; so is whatever can't be told. No packet is sent.
///
/// It is one where a socket may be bound to it: that holds for further addresses of an interface, and for
/// whole networks that are routed here (`ip route add local`). What source the kernel would pick for it
/// tells less: for a further address of a network that is the first one.
pub(super) fn is_this_machines(address: IpAddr) -> bool {
    let address = address.to_canonical();
    match can_bind(address) {
        Ok(false) => false,
        // Where the system lets sockets be bound to anything, its interfaces and routes must do.
        Ok(true) if can_bind(nobodys_like(address)).unwrap_or(true) => {
            is_listed(address) || is_source_of_its_own(address)
        }
        Ok(true) | Err(_) => true,
    }
}

fn can_bind(address: IpAddr) -> io::Result<bool> {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(false),
        Err(error) => Err(error),
    }
}

fn nobodys_like(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { NOBODYS_V4 } else { NOBODYS_V6 }
}

fn is_listed(address: IpAddr) -> bool {
    let interfaces = if_addrs::get_if_addrs();
    interfaces.map_or(true, |all| all.iter().any(|interface| interface.ip() == address))
}

/// Whether what is sent there comes from there: so it is in networks that are routed here as a whole.
fn is_source_of_its_own(address: IpAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_that_leads_back_here_is_this_machines() {
        // For all but the first of these the kernel picks another one as source.
        for address in ["127.0.0.1", "127.0.0.2", "127.8.8.8", "::ffff:127.0.0.2"] {
            assert!(is_this_machines(address.parse().expect("an address")), "{address}");
        }
        assert!(!is_this_machines(NOBODYS_V4));
    }

    #[test]
    fn interfaces_tell_it_where_sockets_may_be_bound_to_anything() {
        assert!(is_listed(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_listed(NOBODYS_V4) && !is_listed(NOBODYS_V6));
    }
}
