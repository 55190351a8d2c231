//! The loop that carries packets: TUN devices and the clock on one side, the machine on the other.
//!
//! One thread, at real-time priority where that is allowed, asleep in `ppoll` until a device is
//! readable, an order comes, or the machine's next deadline. Each turn: let happen what is due, hand
//! out what has arrived, read at most [`READS_PER_TURN`] packets of each device, take orders.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd;

use crate::description::{Action, DescriptionError};
use crate::network::{InterfaceId, Network, Output};
use crate::real::log::Writer;
use crate::real::tun::Tun;
use crate::real::{Happening, LabStats, headers};
use crate::stats::Histogram;

/// Packets read from one device before others have their turn.
const READS_PER_TURN: usize = 64;
/// No IP packet is larger.
const PACKET_MAX: usize = 65_536;
/// Orders that wait; whoever has one more waits too.
const ORDERS_MAX: usize = 64;
/// The longest sleep while logs are kept, so that they are written and don't pile up.
const LOG_PERIOD: Duration = Duration::from_millis(200);
/// Real-time priority: over all ordinary programs, under whatever else is real-time.
const PRIORITY: i32 = 10;
/// The kernel may delay a wake-up by so much to save power; the default is 50 us.
const TIMER_SLACK_NS: u64 = 1;

/// A processor that slept takes 50 to 200 us to wake up (in a virtual machine more than on bare metal).
/// So the loop wakes up early by so much, and spends the rest looking at its devices.
const WAKE_EARLY: Duration = Duration::from_micros(250);
/// It does so for at most a fourth of the time: programs under test want processors too. (Under load
/// processors don't sleep, and wake-ups are quick without it.)
const SPIN_SHARE: u32 = 4;
/// Time for it that may be saved up while nothing happens.
const SPIN_SAVED_MAX: Duration = Duration::from_millis(10);

/// What the loop is told.
pub(crate) enum Order {
    Start,
    Event(Action, SyncSender<Result<(), DescriptionError>>),
    Stats(SyncSender<LabStats>),
    Stop,
}

/// The way to tell it.
#[derive(Clone)]
pub(crate) struct Remote {
    orders: SyncSender<Order>,
    wake: Arc<EventFd>,
}

impl Remote {
    /// Sends an order; lost where the loop has ended, as the missing answer then tells.
    pub(crate) fn send(&self, order: Order) {
        drop(self.orders.send(order));
        let _ = self.wake.write(1);
    }
}

pub(crate) fn start(
    mut network: Network,
    tuns: Vec<(InterfaceId, Tun)>,
    happenings: SyncSender<Happening>,
    writer: Option<Writer>,
) -> io::Result<(Remote, JoinHandle<()>)> {
    if writer.is_some() {
        network.start_logs();
    }
    let (orders, received) = mpsc::sync_channel(ORDERS_MAX);
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
    let mut forwarder = Forwarder {
        network,
        tuns,
        happenings,
        writer,
        orders: received,
        wake: Arc::clone(&wake),
        start: None,
        lateness: Histogram::default(),
        write_errors: 0,
        buffer: vec![0; PACKET_MAX],
        fragments: headers::Fragments::default(),
        logged: Duration::ZERO,
        spin: SpinBudget { saved: SPIN_SAVED_MAX, counted: Duration::ZERO, is_spinning: false },
    };
    let thread = std::thread::Builder::new()
        .name("netsim-forward".to_owned())
        .spawn(move || forwarder.run())?;
    Ok((Remote { orders, wake }, thread))
}

struct Forwarder {
    network: Network,
    tuns: Vec<(InterfaceId, Tun)>,
    happenings: SyncSender<Happening>,
    writer: Option<Writer>,
    orders: Receiver<Order>,
    wake: Arc<EventFd>,
    /// Time zero of the network; `None` while it stands still.
    start: Option<Instant>,
    lateness: Histogram,
    write_errors: u64,
    buffer: Vec<u8>,
    fragments: headers::Fragments,
    /// When logs were last written.
    logged: Duration,
    spin: SpinBudget,
}

/// How long the loop may still look at its devices instead of sleeping.
struct SpinBudget {
    saved: Duration,
    /// Until when it is counted.
    counted: Duration,
    /// Whether the time since then was spent on it.
    is_spinning: bool,
}

impl SpinBudget {
    fn count(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.counted);
        self.counted = now;
        self.saved = (self.saved + passed / SPIN_SHARE).min(SPIN_SAVED_MAX);
        if self.is_spinning {
            self.saved = self.saved.saturating_sub(passed);
        }
    }

    /// How long to sleep where `left` is left until the deadline.
    fn sleep_time(&mut self, left: Duration, now: Duration) -> Duration {
        self.count(now);
        self.is_spinning = left <= WAKE_EARLY && self.saved >= WAKE_EARLY;
        if self.saved >= WAKE_EARLY { left.saturating_sub(WAKE_EARLY) } else { left }
    }
}

impl Forwarder {
    fn run(&mut self) {
        become_punctual();
        let mut is_readable = false;
        while self.take_orders() {
            if self.start.is_some() {
                self.network.handle_timeout(self.now());
                self.hand_out();
                if is_readable {
                    self.read_devices();
                }
                self.write_logs(false);
            }
            is_readable = self.sleep();
        }
        self.write_logs(true);
    }

    fn now(&self) -> Duration {
        self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }

    /// `false`: stop.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Start) => self.start = self.start.or_else(|| Some(Instant::now())),
                Ok(Order::Event(action, reply)) => {
                    // What was sent before the event isn't touched by it.
                    if self.start.is_some() {
                        self.read_devices();
                    }
                    let result = self.network.handle_event(action, self.now());
                    self.hand_out();
                    drop(reply.send(result));
                }
                Ok(Order::Stats(reply)) => {
                    self.network.handle_timeout(self.now());
                    self.hand_out();
                    drop(reply.send(self.stats()));
                }
                Ok(Order::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
                Err(mpsc::TryRecvError::Empty) => return true,
            }
        }
    }

    fn stats(&self) -> LabStats {
        LabStats {
            elapsed_ms: u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX),
            network: self.network.stats(),
            lateness: self.lateness.clone(),
            write_errors: self.write_errors,
        }
    }

    fn read_devices(&mut self) {
        for at in 0..self.tuns.len() {
            for _ in 0..READS_PER_TURN {
                let (interface, tun) = &mut self.tuns[at];
                // A device that is down gives an error; that is nothing to read too.
                let Ok(Some(bytes)) = tun.read(&mut self.buffer) else { break };
                let interface = *interface;
                if let Some(packet) = headers::read(&self.buffer[..bytes], &mut self.fragments) {
                    self.network.handle_packet(interface, packet, self.now());
                    self.hand_out();
                }
            }
        }
    }

    fn hand_out(&mut self) {
        while let Some(output) = self.network.poll_output() {
            match output {
                Output::Deliver { at, interface, packet } => {
                    let bytes = headers::write(packet);
                    let tun = self.tuns.iter_mut().find(|(id, _)| *id == interface);
                    let (_, tun) = tun.expect("every host's interface has a device");
                    if tun.write(&bytes).is_err() {
                        self.write_errors += 1;
                    }
                    self.lateness.record(self.now().saturating_sub(at));
                }
                Output::InterfaceChanged { interface, .. } => {
                    let interface = self.network.interface(interface);
                    drop(self.happenings.send(Happening::InterfaceChanged(interface)));
                }
                Output::Event { at, action } => {
                    drop(self.happenings.send(Happening::Event(at, action)));
                }
            }
        }
    }

    /// Until the deadline, an order, or a readable device; whether it is the last.
    fn sleep(&mut self) -> bool {
        let deadline = self.start.and(self.network.poll_timeout());
        let now = self.now();
        let left = deadline.map(|deadline| deadline.saturating_sub(now));
        let mut timeout = left.map(|left| self.spin.sleep_time(left, now));
        if self.writer.is_some() {
            timeout = Some(timeout.map_or(LOG_PERIOD, |timeout| timeout.min(LOG_PERIOD)));
        }
        // Before the start, what hosts send waits in their devices.
        let is_reading = self.start.is_some();
        let devices = self.tuns.iter().filter(|_| is_reading).map(|(_, tun)| tun.as_fd());
        let mut fds: Vec<_> = std::iter::once(self.wake.as_fd())
            .chain(devices)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // An interrupted or failed sleep is a short one.
        let _ = ppoll(&mut fds, timeout.map(TimeSpec::from_duration), None);
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        if is_ready(&fds[0]) {
            let _ = self.wake.read();
        }
        fds[1..].iter().any(is_ready)
    }

    fn write_logs(&mut self, is_last: bool) {
        let now = self.now();
        let Some(writer) = &mut self.writer else { return };
        if !is_last && now < self.logged + LOG_PERIOD {
            return;
        }
        self.logged = now;
        for (link, direction, lines) in self.network.poll_logs() {
            if let Err(error) = writer.write(&link, direction, &lines) {
                eprintln!("netsim: logs end here: {error}");
                self.writer = None;
                return;
            }
        }
    }
}

/// Makes the calling thread wake up on time: real-time priority, and no slack in its timers. Where it
/// isn't allowed, the thread is as good as the kernel's defaults. (What it starts is ordinary.)
pub fn become_punctual() {
    let _ = nix::sys::prctl::set_timerslack(TIMER_SLACK_NS);
    let parameter = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the pointer is to a live local; 0 is the calling thread.
    #[allow(unsafe_code)]
    unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        );
    }
}
