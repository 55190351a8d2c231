//! Two ends in memory, with a bottleneck of one's choice each way.

use super::{Driver, NAME, configs};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, UdpPoller};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tern_sync::link::{QuicLink, QuicRuntime};
use tern_sync::{Endpoint, Patience};
use tokio::time::Instant;

/// What the network does, in either direction.
#[derive(Debug, Clone, Copy)]
pub struct Net {
    pub is_down: bool,
    pub delay: Duration,
    pub loss: f64,
    /// Bytes per second.
    pub rate: f64,
    /// Bytes that wait at most.
    pub queue: f64,
}

impl Default for Net {
    fn default() -> Self {
        let delay = Duration::from_millis(25);
        Self { is_down: false, delay, loss: 0.0, rate: 1e9, queue: 1e9 }
    }
}

#[derive(Debug, Default)]
pub struct Path {
    pub net: Mutex<Net>,
    pub sent_count: AtomicUsize,
    inboxes: [Mutex<Inbox>; 2],
}

#[derive(Debug, Default)]
struct Inbox {
    packets: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
    free_at: Option<Instant>,
    random: u64,
}

impl Path {
    pub fn new(net: Net, seed: u64) -> Arc<Self> {
        let path = Self { net: Mutex::new(net), ..Self::default() };
        for (inbox, n) in path.inboxes.iter().zip(0..) {
            inbox.lock().expect("no panic holds it").random = seed * 2 + n;
        }
        Arc::new(path)
    }

    pub fn change(&self, change: impl FnOnce(&mut Net)) {
        change(&mut self.net.lock().expect("no panic holds it"));
    }

    fn address(at: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, if at == 0 { 1 } else { 2 }], 1000))
    }

    /// A host and a relay, connected, without channels.
    pub async fn connect(self: &Arc<Self>) -> (Driver, Driver, [quinn::Endpoint; 2]) {
        let (server, client) = configs();
        let endpoint = |at, server| {
            let socket = Arc::new(Socket { at, path: Arc::clone(self) });
            let (config, runtime) = (EndpointConfig::default(), Arc::new(QuicRuntime));
            quinn::Endpoint::new_with_abstract_socket(config, server, socket, runtime)
                .expect("plain")
        };
        let endpoints = [endpoint(0, None), endpoint(1, Some(server))];
        let connecting = endpoints[0].connect_with(client, Self::address(1), NAME).expect("valid");
        let accepting = async { endpoints[1].accept().await.expect("open").await };
        let (host, relay) = tokio::join!(connecting, accepting);
        let now = Instant::now().into_std();
        let patient = |seed, patience| Endpoint::new(seed, now).with_patience(patience);
        let host =
            Driver::new(patient(1, Patience::Eager), QuicLink::new(host.expect("connected")));
        let relay =
            Driver::new(patient(2, Patience::Sparing), QuicLink::new(relay.expect("connected")));
        (host, relay, endpoints)
    }

    /// When a packet of `size` bytes towards `to` arrives, `None` if it doesn't.
    fn arrival(&self, to: usize, size: usize) -> Option<Instant> {
        let net = *self.net.lock().expect("no panic holds it");
        let mut inbox = self.inboxes[to].lock().expect("no panic holds it");
        let now = Instant::now();
        let free_at = inbox.free_at.map_or(now, |at| at.max(now));
        let waiting = (free_at - now).as_secs_f64() * net.rate;
        if net.is_down || waiting + size as f64 > net.queue {
            return None;
        }
        let free_at = free_at + Duration::from_secs_f64(size as f64 / net.rate);
        inbox.free_at = Some(free_at);
        inbox.random = inbox.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let draw = (inbox.random >> 33) as f64 / f64::from(1u32 << 31);
        (draw >= net.loss).then_some(free_at + net.delay)
    }
}

#[derive(Debug)]
struct Socket {
    at: usize,
    path: Arc<Path>,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysReady)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.path.sent_count.fetch_add(1, Ordering::Relaxed);
        let to = 1 - self.at;
        let Some(at) = self.path.arrival(to, transmit.contents.len() + 28) else {
            return Ok(());
        };
        let (path, packet) = (Arc::clone(&self.path), transmit.contents.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            let mut inbox = path.inboxes[to].lock().expect("no panic holds it");
            inbox.packets.push_back(packet);
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        });
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbox = self.path.inboxes[self.at].lock().expect("no panic holds it");
        let Some(packet) = inbox.packets.pop_front() else {
            inbox.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        bufs[0][..packet.len()].copy_from_slice(&packet);
        meta[0] = RecvMeta {
            addr: Path::address(1 - self.at),
            len: packet.len(),
            stride: packet.len(),
            ecn: None,
            dst_ip: None,
        };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(Path::address(self.at))
    }
}

#[derive(Debug)]
struct AlwaysReady;

impl UdpPoller for AlwaysReady {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
