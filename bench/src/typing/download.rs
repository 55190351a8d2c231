//! Somebody downloads beside: one TCP connection that takes what it gets, and fills the queue.

use netsim::real::Lab;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PORT: u16 = 8080;
/// Before anybody types, the queue has filled.
const FILL_BYTES: u64 = 4_000_000;
const FILL_TIME_MAX: Duration = Duration::from_secs(20);
const CHUNK_SIZE: usize = 64 * 1024;

/// A download; it ends when this is dropped.
pub(crate) struct Download {
    stream: TcpStream,
}

impl Download {
    /// From `server`, which has `address`, to `client`; returns when it is in full swing.
    pub(crate) fn start(
        lab: &Lab,
        server: &str,
        client: &str,
        address: Ipv4Addr,
    ) -> anyhow::Result<Self> {
        let address = SocketAddrV4::new(address, PORT);
        let listener = lab.in_host(server, || TcpListener::bind(address))??;
        let mut stream = lab.in_host(client, || TcpStream::connect(address))??;
        let (mut source, _) = listener.accept()?;
        std::thread::spawn(move || {
            let chunk = [b'x'; CHUNK_SIZE];
            while source.write_all(&chunk).is_ok() {}
        });
        let download = Self { stream: stream.try_clone()? };
        let (mut read, start) = (0, Instant::now());
        let mut buffer = vec![0; CHUNK_SIZE];
        while read < FILL_BYTES && start.elapsed() < FILL_TIME_MAX {
            read += stream.read(&mut buffer)? as u64;
        }
        std::thread::spawn(move || while stream.read(&mut buffer).is_ok_and(|read| read > 0) {});
        Ok(download)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
