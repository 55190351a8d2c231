//! Somebody downloads beside: one TCP connection that takes what it gets, and fills the queue.

use netsim::real::Lab;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 8080;
/// What Linux does unless it is told otherwise; this machine may have been.
const CONGESTION_CONTROL: &str = "cubic";
/// Longer than this nobody waits for the queue to fill.
const FILL_TIME_MAX: Duration = Duration::from_secs(20);
const CHUNK_SIZE: usize = 64 * 1024;

/// A download; it ends when this is dropped.
pub(crate) struct Download {
    stream: TcpStream,
    read: Arc<AtomicU64>,
}

impl Download {
    /// From `server`, which has `address`, to `client`; returns when it is in full swing: after
    /// `fill_bytes`.
    pub(crate) fn start(
        lab: &Lab,
        server: &str,
        client: &str,
        address: Ipv4Addr,
        fill_bytes: u64,
    ) -> anyhow::Result<Self> {
        let address = SocketAddrV4::new(address, PORT);
        let listener = lab.in_host(server, || TcpListener::bind(address))??;
        let mut stream = lab.in_host(client, || TcpStream::connect(address))??;
        let (mut source, _) = listener.accept()?;
        rustix::net::sockopt::set_tcp_congestion(&source, CONGESTION_CONTROL)?;
        std::thread::spawn(move || {
            let chunk = [b'x'; CHUNK_SIZE];
            while source.write_all(&chunk).is_ok() {}
        });
        let download = Self { stream: stream.try_clone()?, read: Arc::default() };
        let read = Arc::clone(&download.read);
        let start = Instant::now();
        let mut buffer = vec![0; CHUNK_SIZE];
        let mut read_more = move || {
            let more = stream.read(&mut buffer)? as u64;
            read.fetch_add(more, Ordering::Relaxed);
            std::io::Result::Ok(more)
        };
        while download.read_bytes() < fill_bytes && start.elapsed() < FILL_TIME_MAX {
            read_more()?;
        }
        std::thread::spawn(move || while read_more().is_ok_and(|more| more > 0) {});
        Ok(download)
    }

    /// Bytes that have arrived so far, without any headers.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
