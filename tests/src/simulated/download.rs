//! A TCP transfer beside the session, over the same bottleneck, as far as congestion control goes
//! (Reno, RFC 5681, with an acknowledgement for each packet): slow start, a packet more per round
//! trip, half the window after a loss. Its data never end, so nothing is sent again.

use super::{HOST, RELAY, Shared};
use netsim::quinn_socket::QuinnSocket;
use quinn::AsyncUdpSocket as _;
use quinn::udp::{RecvMeta, Transmit};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// UDP payload of a packet of 1500 bytes.
const PACKET_SIZE: usize = 1472;
/// The same with its headers.
const PACKET_SIZE_WHOLE: u64 = 1500;
/// UDP payload of an acknowledgement of 52 bytes.
const ACK_SIZE: usize = 24;
const PORT: u16 = 5001;
/// A packet is lost when so many later ones were acknowledged.
const REORDERING: u64 = 3;
/// First window, in packets.
const WINDOW_INITIAL: f64 = 10.0;
/// Nothing acknowledged for so long: the window begins anew.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The sender's side.
struct Reno {
    window: f64,
    threshold: f64,
    next: u64,
    in_flight: BTreeSet<u64>,
    /// Losses of what was sent before this one belong to a loss that was answered.
    recovery: u64,
}

impl Reno {
    fn new() -> Self {
        let (in_flight, threshold) = (BTreeSet::new(), f64::INFINITY);
        Self { window: WINDOW_INITIAL, threshold, next: 0, in_flight, recovery: 0 }
    }

    fn has_room(&self) -> bool {
        (self.in_flight.len() as f64) < self.window
    }

    fn send(&mut self) -> u64 {
        self.next += 1;
        self.in_flight.insert(self.next);
        self.next
    }

    fn on_ack(&mut self, number: u64) {
        if !self.in_flight.remove(&number) {
            return;
        }
        self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        let lost: Vec<u64> =
            self.in_flight.range(..number.saturating_sub(REORDERING)).copied().collect();
        for lost in lost {
            self.in_flight.remove(&lost);
            if lost > self.recovery {
                self.threshold = (self.window / 2.0).max(2.0);
                (self.window, self.recovery) = (self.threshold, self.next);
            }
        }
    }

    fn on_timeout(&mut self) {
        self.threshold = (self.window / 2.0).max(2.0);
        self.window = 1.0;
        self.in_flight.clear();
        self.recovery = self.next;
    }
}

/// From the host to the relay's machine within `time`; counts what arrives, headers and all.
pub(super) async fn run(shared: Shared, relay: SocketAddr, time: Range<Duration>) {
    let target = SocketAddr::new(relay.ip(), PORT);
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let socket = |host, local| shared.network.socket(host, local).expect("a free port");
    let (sender, receiver) = (socket(HOST, any), socket(RELAY, SocketAddr::new(any.ip(), PORT)));
    let (start, end) = (shared.at(time.start), shared.at(time.end));
    tokio::join!(biased; send(&sender, target, start.into()..end.into()), answer(&shared, &receiver));
}

async fn send(socket: &Arc<QuinnSocket>, target: SocketAddr, time: Range<Instant>) {
    tokio::time::sleep_until(time.start).await;
    let mut reno = Reno::new();
    while Instant::now() < time.end {
        while reno.has_room() {
            let mut packet = [0; PACKET_SIZE];
            packet[..8].copy_from_slice(&reno.send().to_be_bytes());
            transmit(socket, target, &packet);
        }
        match timeout_at(Instant::now() + TIMEOUT, receive(socket)).await {
            Ok((number, _)) => reno.on_ack(number),
            Err(_) => reno.on_timeout(),
        }
    }
}

async fn answer(shared: &Shared, socket: &Arc<QuinnSocket>) {
    loop {
        let (number, from) = receive(socket).await;
        shared.journal().downloaded += PACKET_SIZE_WHOLE;
        let mut ack = [0; ACK_SIZE];
        ack[..8].copy_from_slice(&number.to_be_bytes());
        transmit(socket, from, &ack);
    }
}

fn transmit(socket: &QuinnSocket, destination: SocketAddr, contents: &[u8]) {
    let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None };
    socket.try_send(&transmit).expect("a simulated socket always takes a packet");
}

/// The next packet's number, and where it comes from.
async fn receive(socket: &QuinnSocket) -> (u64, SocketAddr) {
    poll_fn(|context| {
        let mut buffer = [0; PACKET_SIZE];
        let mut meta = [RecvMeta::default()];
        socket.poll_recv(context, &mut [IoSliceMut::new(&mut buffer)], &mut meta).map(|received| {
            received.expect("a simulated socket never fails");
            let number = buffer[..8].try_into().expect("eight bytes");
            (u64::from_be_bytes(number), meta[0].addr)
        })
    })
    .await
}
