//! Somebody between host and relay: TCP goes to one place, UDP to another.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// Largest UDP payload.
const DATAGRAM_SIZE_MAX: usize = 65_536;

/// Listens on one port for TCP and UDP, on threads that end with the test's process.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
}

impl Proxy {
    /// Forwards TCP at `127.0.0.1:port` to `tcp_to`, and UDP at the same port to `udp_to`.
    pub fn start(port: u16, tcp_to: SocketAddrV4, udp_to: SocketAddrV4) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let _ = forward_stream(stream, tcp_to);
                });
            }
        });
        thread::spawn(move || forward_datagrams(&socket, udp_to));
        Ok(Self { port })
    }
}

fn forward_stream(client: TcpStream, to: SocketAddrV4) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    let (client_reads, server_writes) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(client_reads, server_writes));
    copy(server, client);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// One client at a time is enough: answers go to whoever sent last.
fn forward_datagrams(socket: &UdpSocket, to: SocketAddrV4) -> io::Result<()> {
    let server = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    server.connect(to)?;
    let client: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let (answers, back) = (server.try_clone()?, socket.try_clone()?);
    let last_client = Arc::clone(&client);
    thread::spawn(move || {
        let mut buffer = vec![0; DATAGRAM_SIZE_MAX];
        loop {
            // A refused datagram shows here as an error; the next may get through.
            let Ok(size) = answers.recv(&mut buffer) else { continue };
            let address = *last_client.lock().expect("nobody panics while holding this");
            if let Some(address) = address {
                let _ = back.send_to(&buffer[..size], address);
            }
        }
    });
    let mut buffer = vec![0; DATAGRAM_SIZE_MAX];
    loop {
        let (size, from) = socket.recv_from(&mut buffer)?;
        *client.lock().expect("nobody panics while holding this") = Some(from);
        let _ = server.send(&buffer[..size]);
    }
}
