//! Real QUIC over a path that dies and comes back, in virtual time.

mod quic;

use quic::Driver;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, EndpointConfig, TokioRuntime, UdpPoller};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tern_sync::link::QuicLink;
use tern_sync::log::Log;
use tern_sync::session::{VIEWER_EVENTS, ViewerEvent, ViewerId};
use tern_sync::{Channel, Endpoint, Patience};
use tokio::time::Instant;

const BACK: Channel<Log<ViewerEvent>> = Channel::new(17);
const DELAY: Duration = Duration::from_millis(25);

#[tokio::test(start_paused = true)]
async fn path_that_returns_after_a_minute_carries_what_waits_within_a_probe() {
    outage(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn path_that_returns_after_ten_minutes_carries_what_waits_within_a_probe() {
    outage(Duration::from_secs(600)).await;
}

/// Both sides type through a hole of `length`; then all arrives within a probe's interval of 25 ms and
/// two round trips.
async fn outage(length: Duration) {
    let path = Arc::new(Path::default());
    let (mut host, mut relay, _keep) = connect(&path).await;
    run(&mut host, &mut relay, Duration::from_secs(20)).await;
    path.is_down.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let before = path.sent_count.load(Ordering::Relaxed);
    let mut key = 0;
    while start.elapsed() < length {
        // Few enough for a probe to hold them all; the probes themselves fill QUIC's window.
        type_key(&mut host.endpoint, BACK, key);
        type_key(&mut relay.endpoint, VIEWER_EVENTS, key);
        key = key.wrapping_add(1);
        run(&mut host, &mut relay, length / 45).await;
    }
    let count = path.sent_count.load(Ordering::Relaxed) - before;
    let seconds = usize::try_from(length.as_secs()).expect("short");
    // The host probes every 25 ms, the relay for a minute; QUIC's own probes are few.
    assert!(count < 400 + 42 * (seconds + 60) + 2 * seconds, "{count} packets into the hole");
    path.is_down.store(false, Ordering::Relaxed);
    let back_at = Instant::now();
    while !(host.endpoint.is_acknowledged(BACK) && relay.endpoint.is_acknowledged(VIEWER_EVENTS)) {
        run(&mut host, &mut relay, Duration::from_millis(5)).await;
        let limit = Duration::from_millis(25) + 4 * DELAY + Duration::from_millis(30);
        assert!(back_at.elapsed() <= limit, "{:?} {:?}", host.endpoint, relay.endpoint);
    }
}

fn type_key(endpoint: &mut Endpoint, channel: Channel<Log<ViewerEvent>>, key: u8) {
    let event = ViewerEvent::Input { viewer: ViewerId(1), bytes: vec![key; 8] };
    endpoint.update(channel, Instant::now().into_std(), |log| {
        log.push(event);
    });
}

async fn run(host: &mut Driver, relay: &mut Driver, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        tokio::select! {
            () = host.turn(Some(end)) => {}
            () = relay.turn(Some(end)) => {}
        }
    }
}

async fn connect(path: &Arc<Path>) -> (Driver, Driver, [quinn::Endpoint; 2]) {
    let (server, client) = quic::configs();
    let endpoint = |at, server| {
        let socket = Arc::new(Socket { at, path: Arc::clone(path) });
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        quinn::Endpoint::new_with_abstract_socket(config, server, socket, runtime).expect("plain")
    };
    let endpoints = [endpoint(0, None), endpoint(1, Some(server))];
    let connecting =
        endpoints[0].connect_with(client, Path::address(1), quic::NAME).expect("valid");
    let accepting = async { endpoints[1].accept().await.expect("open").await };
    let (host, relay) = tokio::join!(connecting, accepting);
    let now = Instant::now().into_std();
    let patient = |seed, patience| Endpoint::new(seed, now).with_patience(patience);
    let mut host = Driver {
        endpoint: patient(1, Patience::Eager),
        link: QuicLink::new(host.expect("connected")).into(),
    };
    let mut relay = Driver {
        endpoint: patient(2, Patience::Sparing),
        link: QuicLink::new(relay.expect("connected")).into(),
    };
    host.endpoint.open_sender(BACK, Log::new());
    host.endpoint.open_receiver(VIEWER_EVENTS, Log::new());
    relay.endpoint.open_receiver(BACK, Log::new());
    relay.endpoint.open_sender(VIEWER_EVENTS, Log::new());
    (host, relay, endpoints)
}

/// Two ends in memory, 25 ms apart.
#[derive(Debug, Default)]
struct Path {
    is_down: AtomicBool,
    sent_count: AtomicUsize,
    inboxes: [Mutex<Inbox>; 2],
}

#[derive(Debug, Default)]
struct Inbox {
    packets: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
}

impl Path {
    fn address(at: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, if at == 0 { 1 } else { 2 }], 1000))
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
        if self.path.is_down.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (path, to, packet) = (Arc::clone(&self.path), 1 - self.at, transmit.contents.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
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
