//! Free ports on this machine.

use std::net::{IpAddr, TcpListener, UdpSocket};

/// A port that is free on `address` for TCP and UDP alike. Somebody else may take it before its
/// use; whoever listens on it must report that.
pub fn free(address: impl Into<IpAddr>) -> u16 {
    let address = address.into();
    for _ in 0..100 {
        let tcp = TcpListener::bind((address, 0)).expect("the address is this machine's");
        let port = tcp.local_addr().expect("a bound socket has an address").port();
        if UdpSocket::bind((address, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both TCP and UDP on {address}")
}
