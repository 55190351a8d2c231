//! A slow link in user space: everything between a host and its relay passes through, UDP at a
//! given rate with a short queue, and is counted.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// One way through the link.
const DELAY: Duration = Duration::from_millis(20);
/// A packet that would wait longer than this for its turn is dropped: a home router's queue.
const QUEUE_TIME_MAX: Duration = Duration::from_millis(250);
/// Packets in flight in the link; far above what fits into rate x (delay + queue).
const PACKETS_MAX: usize = 4096;
/// IPv4 and UDP headers: they take time on the link, and are counted.
const HEADER_SIZE: u64 = 28;

/// Bytes and packets that went up (host to relay), headers included.
#[derive(Default)]
pub(crate) struct Count {
    /// Bytes offered by the host.
    pub bytes: AtomicU64,
    /// Packets offered by the host.
    pub packets: AtomicU64,
}

/// The link; lives until the process ends.
pub(crate) struct Link {
    /// What the host sends.
    pub up: Arc<Count>,
}

impl Link {
    /// Listens on `127.0.0.1:port`; TCP passes as it is, UDP at `bits_per_second` each way.
    pub(crate) fn start(port: u16, to: SocketAddrV4, bits_per_second: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = forward_stream(client, to);
            }
        });
        let host_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        let relay_side = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        relay_side.connect(to)?;
        let up = Arc::<Count>::default();
        let host: Arc<Mutex<Option<SocketAddr>>> = Arc::default();

        let (send_up, queue_up) = sync_channel(PACKETS_MAX);
        let (reader, count, address) = (host_side.try_clone()?, Arc::clone(&up), Arc::clone(&host));
        thread::spawn(move || {
            shape(&send_up, bits_per_second, |buffer| {
                let (size, from) = reader.recv_from(buffer)?;
                *address.lock().expect("nobody panics while holding this") = Some(from);
                count.bytes.fetch_add(size as u64 + HEADER_SIZE, Ordering::Relaxed);
                count.packets.fetch_add(1, Ordering::Relaxed);
                Ok(size)
            });
        });
        let writer = relay_side.try_clone()?;
        thread::spawn(move || deliver(&queue_up, |packet| writer.send(packet).map(|_| ())));

        let (send_down, queue_down) = sync_channel(PACKETS_MAX);
        thread::spawn(move || {
            shape(&send_down, bits_per_second, |buffer| relay_side.recv(buffer));
        });
        thread::spawn(move || {
            deliver(&queue_down, |packet| {
                let address = *host.lock().expect("nobody panics while holding this");
                address.map_or(Ok(()), |address| host_side.send_to(packet, address).map(|_| ()))
            });
        });
        Ok(Self { up })
    }
}

type Packet = (Instant, Vec<u8>);

/// Gives each packet the time at which it comes out, or drops it.
fn shape(
    queue: &SyncSender<Packet>,
    bits_per_second: u64,
    mut recv: impl FnMut(&mut [u8]) -> io::Result<usize>,
) {
    let mut buffer = vec![0; 65_536];
    let mut is_free_at = Instant::now();
    loop {
        // A refused datagram shows here as an error; the next may get through.
        let Ok(size) = recv(&mut buffer) else { continue };
        let now = Instant::now();
        let start = is_free_at.max(now);
        if start - now > QUEUE_TIME_MAX {
            continue;
        }
        let bits = (size as u64 + HEADER_SIZE) * 8;
        is_free_at = start + Duration::from_nanos(bits * 1_000_000_000 / bits_per_second);
        if queue.try_send((is_free_at + DELAY, buffer[..size].to_vec())).is_err() {
            continue;
        }
    }
}

fn deliver(queue: &Receiver<Packet>, mut send: impl FnMut(&[u8]) -> io::Result<()>) {
    for (due, packet) in queue {
        crate::pty::pause(due.saturating_duration_since(Instant::now()));
        let _ = send(&packet);
    }
}

fn forward_stream(client: TcpStream, to: SocketAddrV4) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    for (mut from, mut to) in
        [(client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?)]
    {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
