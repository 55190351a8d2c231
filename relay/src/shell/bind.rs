//! Binds TCP and UDP, on IPv6 and IPv4 at once where the system can.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Times that a port free for both TCP and UDP is looked for, if any will do.
const PORT_TRIES: usize = 32;
/// Kernel buffer of the QUIC socket: bursts of all sessions' datagrams until they are read.
const UDP_BUFFER_SIZE: usize = 4 * 1024 * 1024;

/// A listener for SSH and a socket for QUIC.
pub(super) struct Bound {
    pub(super) tcp: TcpListener,
    pub(super) udp: UdpSocket,
}

/// Binds both. QUIC without an address of its own gets SSH's.
pub(super) fn bind(ssh: SocketAddr, quic: Option<SocketAddr>) -> io::Result<Bound> {
    let is_any_port = ssh.port() == 0 && quic.is_none();
    let mut tries = if is_any_port { PORT_TRIES } else { 1 };
    loop {
        let tcp = bind_tcp(ssh)?;
        let same = SocketAddr::new(ssh.ip(), tcp.local_addr()?.port());
        match bind_udp(quic.unwrap_or(same)) {
            Ok(udp) => return Ok(Bound { tcp, udp }),
            Err(error) if tries == 1 => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = with_fallback(address, |address| {
        let socket = open(address, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    })?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = with_fallback(address, |address| {
        let socket = open(address, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&address.into())?;
        Ok(socket)
    })?;
    // The system may allow less; then it is less.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_SIZE);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_SIZE);
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Where there is no IPv6, `[::]` means `0.0.0.0`.
fn with_fallback(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Socket> {
    let is_any_v6 = address.is_ipv6() && address.ip().is_unspecified();
    match bind(address) {
        Err(error) if is_any_v6 && error.kind() != io::ErrorKind::AddrInUse => {
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_get_the_same_port_if_any_will_do() {
        let bound = bind("[::]:0".parse().expect("an address"), None).expect("bound");
        let port = bound.tcp.local_addr().expect("bound").port();
        assert_eq!(bound.udp.local_addr().expect("bound").port(), port);
    }

    #[test]
    fn taken_port_is_an_error() {
        let first = bind("127.0.0.1:0".parse().expect("an address"), None).expect("bound");
        let taken = first.tcp.local_addr().expect("bound");
        let error = bind(taken, None).err().expect("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
