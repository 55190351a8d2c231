//! Real `quinn` endpoints over a described network in tokio's paused time.
//!
//! In a runtime of one thread with paused time (`#[tokio::test(start_paused = true)]`), tokio's clock
//! jumps to the next timer whenever all tasks wait: an hour passes in an instant. [`QuinnNetwork`]
//! gives each endpoint a socket on a host and moves packets by that clock.
//!
//! tokio's timers tick by the millisecond: a datagram is taken from its socket at the first tick
//! after it has arrived. Inside the network, times are exact.
//!
//! A run replays to the byte if nothing else draws chances: see [`crate::replay`].

use std::future::pending;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::description::{Action, Description, DescriptionError};
use crate::virtual_time::{BindError, SocketId, World};

/// A network for quinn endpoints. A handle: clones are the same network.
#[derive(Clone, Debug)]
pub struct QuinnNetwork {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A lock, for endpoints are tasks of their own; held only for a call that doesn't wait.
    state: Mutex<State>,
    start: Instant,
    /// The driver's deadline may have changed, or nobody is left.
    changed: Arc<Notify>,
    event: Notify,
}

#[derive(Debug)]
struct State {
    world: World,
    wakers: Vec<(SocketId, Waker)>,
}

impl QuinnNetwork {
    /// A network whose time zero is now. Needs a tokio runtime, in which a task moves the packets
    /// for as long as a handle or a socket is left.
    ///
    /// # Errors
    /// Where the description doesn't fit together.
    pub fn new(description: &Description, seed: u64) -> Result<Self, DescriptionError> {
        let state = State { world: World::new(description, seed)?, wakers: Vec::new() };
        let (changed, event) = (Arc::new(Notify::new()), Notify::new());
        let start = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            start,
            changed: Arc::clone(&changed),
            event,
        });
        tokio::spawn(drive(Arc::downgrade(&shared), changed));
        Ok(Self { shared })
    }

    /// A socket on a host, for [`quinn::Endpoint::new_with_abstract_socket`] and
    /// [`quinn::Endpoint::rebind_abstract`]. An unspecified IPv6 address takes both families.
    ///
    /// # Errors
    /// Where there is no such host, or the port is taken.
    pub fn socket(&self, host: &str, local: SocketAddr) -> Result<Arc<QuinnSocket>, BindError> {
        let id = self.lock().world.bind(host, local)?;
        Ok(Arc::new(QuinnSocket { shared: Arc::clone(&self.shared), id }))
    }

    /// Makes an event happen now.
    ///
    /// # Errors
    /// Where it names what the network hasn't.
    pub fn handle_event(&self, action: Action) -> Result<(), DescriptionError> {
        self.shared.with_world(|world| world.handle_event(action))
    }

    /// Waits for the next event: of the timetable, or by [`Self::handle_event`].
    pub async fn next_event(&self) -> (Duration, Action) {
        loop {
            let told = self.shared.event.notified();
            if let Some(event) = self.lock().world.poll_event() {
                return event;
            }
            told.await;
        }
    }

    /// The network's time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// Looks at the network, or does with it what has no method here.
    pub fn with_world<T>(&self, run: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with_world(run)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the network to this moment, lets `run` do something, and wakes who has got something.
    fn with_world<T>(&self, run: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        state.world.handle_timeout(self.start.elapsed());
        let before = state.world.poll_timeout();
        let result = run(&mut state.world);
        if state.world.poll_timeout() != before {
            self.changed.notify_one();
        }
        while let Some(readable) = state.world.poll_readable() {
            if let Some(at) = state.wakers.iter().position(|(id, _)| *id == readable) {
                state.wakers.remove(at).1.wake();
            }
        }
        // A permit is kept where nobody waits yet; it costs one look.
        self.event.notify_one();
        result
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Moves packets at their times, until the network is gone.
async fn drive(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let deadline = {
            let Some(shared) = shared.upgrade() else { return };
            shared.with_world(|world| world.poll_timeout()).map(|at| shared.start + at)
        };
        let until_deadline = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = until_deadline => {}
        }
    }
}

/// A socket of a quinn endpoint; closed when dropped.
#[derive(Debug)]
pub struct QuinnSocket {
    shared: Arc<Shared>,
    id: SocketId,
}

impl QuinnSocket {
    /// From now on nothing goes out or comes in, not even QUIC's last words: as when its process is
    /// killed.
    pub fn kill(&self) {
        self.shared.lock().world.close(self.id);
    }

    fn send(&self, world: &mut World, transmit: &Transmit<'_>) {
        let ecn = transmit.ecn.map_or(0, |ecn| ecn as u8);
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for datagram in transmit.contents.chunks(size) {
            let (source, to) = (transmit.src_ip, transmit.destination);
            // quinn's own sockets swallow the kernel's errors too: to QUIC they are losses.
            let _ = world.send_from(self.id, source, to, ecn, datagram.to_vec());
        }
    }
}

impl AsyncUdpSocket for QuinnSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.shared.with_world(|world| self.send(world, transmit));
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        let is_v6 = state.world.local_address(self.id).is_some_and(|local| local.is_ipv6());
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some(received) = state.world.receive(self.id) else { break };
            let len = received.payload.len().min(buffer.len());
            buffer[..len].copy_from_slice(&received.payload[..len]);
            *meta = RecvMeta {
                addr: as_socket_sees(received.from, is_v6),
                len,
                stride: len.max(1),
                ecn: EcnCodepoint::from_bits(received.ecn),
                dst_ip: Some(as_socket_sees(received.to, is_v6).ip()),
            };
            count += 1;
        }
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        state.wakers.retain(|(id, _)| *id != self.id);
        state.wakers.push((self.id, context.waker().clone()));
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let unspecified = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
        Ok(self.shared.lock().world.local_address(self.id).unwrap_or(unspecified))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for QuinnSocket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.world.close(self.id);
        state.wakers.retain(|(id, _)| *id != self.id);
    }
}

/// A socket of both families shows IPv4 addresses as IPv6 ones.
fn as_socket_sees(address: SocketAddr, is_v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if is_v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

/// Sending never waits: a full queue drops, as networks do.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
