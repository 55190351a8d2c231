//! `netsim selftest`: how precise the simulator is on this machine, and whether it is stable at
//! 100 Mbit/s.
//!
//! The measuring threads run at real-time priority, as the simulator's loop does: what other programs
//! on the machine do to each other is not the question.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use netsim::link::queue::Capacity;
use netsim::link::settings::Change;
use netsim::real::{Lab, LabOptions, become_punctual};
use netsim::stats::{DropReason, Histogram};
use netsim::{Description, Link, Rate};

use super::Failure;

/// One-way delay in the test of precision; the round trip is twice that.
const DELAY: Duration = Duration::from_millis(10);
/// Between probes.
const PROBE_PERIOD: Duration = Duration::from_millis(5);
/// Bytes of a UDP payload in the test of throughput: 1500 as an IP packet.
const PAYLOAD: usize = 1472;
/// An answer that takes longer is taken for lost.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(length: Duration) -> Result<ExitCode, Failure> {
    println!("precision: UDP echo between two hosts, {DELAY:?} each way, no load");
    precision(length, None)?;
    println!("precision beside 100 Mbit/s of other traffic");
    precision(length, Some(Rate::mbit(100)))?;
    println!("throughput: UDP at 120 Mbit/s into a link of 100 Mbit/s");
    throughput(length)?;
    Ok(ExitCode::SUCCESS)
}

/// Two pairs of hosts: one is measured, the other may be loaded.
fn precision(length: Duration, load: Option<Rate>) -> Result<(), Failure> {
    let network = Description::new()
        .host("a")
        .host("b")
        .host("c")
        .host("d")
        .link(Link::new("probe", "a", "b").delay(DELAY))
        .link(Link::new("load", "c", "d").delay(DELAY));
    let lab = lab(&network)?;
    let stop = AtomicBool::new(false);
    let echo = bind(&lab, "b", "10.0.1.2:7")?;
    let probe = bind(&lab, "a", "10.0.1.1:0")?;
    let sink = bind(&lab, "d", "10.0.2.2:9")?;
    let source = bind(&lab, "c", "10.0.2.1:0")?;
    let times = std::thread::scope(|scope| {
        scope.spawn(|| answer(&echo, &stop));
        scope.spawn(|| receive(&sink, &stop));
        if let Some(rate) = load {
            let (source, stop) = (&source, &stop);
            scope.spawn(move || send(source, ([10, 0, 2, 2], 9).into(), rate, stop));
        }
        // In a thread of its own: it becomes real-time, which the rest must not.
        let probe = scope.spawn(|| round_trips(&probe, ([10, 0, 1, 2], 7).into(), length));
        let times = probe.join();
        stop.store(true, Ordering::Relaxed);
        times.unwrap_or_else(|_| Err(io::Error::other("the probing thread panicked")))
    });
    let (times, lost) = times.map_err(|error| error.to_string())?;
    let stats = lab.stats().map_err(|error| error.to_string())?;
    println!("  over the described round trip: {times} ({lost} lost of {})", times.count() + lost);
    println!("  packets handed out later than described: {}", stats.lateness);
    Ok(())
}

/// How much longer than described each round trip took.
fn round_trips(
    socket: &UdpSocket,
    to: SocketAddr,
    length: Duration,
) -> io::Result<(Histogram, u64)> {
    become_punctual();
    let (mut times, mut lost) = (Histogram::default(), 0);
    let begin = Instant::now();
    let mut buffer = [0; 64];
    for number in 0_u32.. {
        if begin.elapsed() >= length {
            break;
        }
        let sent = Instant::now();
        socket.send_to(&number.to_be_bytes(), to)?;
        loop {
            match socket.recv(&mut buffer) {
                Ok(4) if buffer[..4] == number.to_be_bytes() => {
                    times.record(sent.elapsed().saturating_sub(2 * DELAY));
                    break;
                }
                Ok(_) => {}
                Err(_) => {
                    lost += 1;
                    break;
                }
            }
        }
        pace(PROBE_PERIOD);
    }
    Ok((times, lost))
}

fn throughput(length: Duration) -> Result<(), Failure> {
    let capacity = Change::Capacity(Capacity::Rate(Rate::mbit(100)));
    let link = Link::new("line", "a", "b").delay(DELAY).up(capacity).queue(256_000);
    let lab = lab(&Description::new().host("a").host("b").link(link))?;
    let stop = AtomicBool::new(false);
    let sink = bind(&lab, "b", "10.0.1.2:9")?;
    let source = bind(&lab, "a", "10.0.1.1:0")?;
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&sink, &stop));
        scope.spawn(|| send(&source, ([10, 0, 1, 2], 9).into(), Rate::mbit(120), &stop));
        pace(length);
        stop.store(true, Ordering::Relaxed);
        receiver.join().unwrap_or_default()
    });
    let stats = lab.stats().map_err(|error| error.to_string())?;
    let line = &stats.network.links[0].up;
    let elapsed = Duration::from_millis(stats.elapsed_ms).min(length).as_secs_f64();
    let mbit = |bytes: u64| bytes as f64 * 8.0 / 1e6 / elapsed;
    let (sent, passed) = (mbit(line.entered_bytes), mbit(line.delivered_bytes));
    println!("  {sent:.1} Mbit/s in, {passed:.1} Mbit/s through the link (as described: 100)");
    let (full, delivered) = (line.dropped(DropReason::Queue), line.delivered);
    println!(
        "  {delivered} packets through, {received} received, {full} dropped by the full queue"
    );
    println!("  delay (10 ms and a queue of up to 20.48 ms): {}", line.delay);
    println!("  packets handed out later than described: {}", stats.lateness);
    Ok(())
}

fn lab(network: &Description) -> Result<Lab, Failure> {
    let lab = Lab::new(network, &LabOptions::default()).map_err(|error| error.to_string())?;
    lab.start();
    Ok(lab)
}

fn bind(lab: &Lab, host: &str, address: &str) -> Result<UdpSocket, Failure> {
    let socket = lab
        .in_host(host, || UdpSocket::bind(address))
        .and_then(|socket| socket)
        .and_then(|socket| socket.set_read_timeout(Some(PATIENCE)).map(|()| socket));
    socket.map_err(|error| format!("a socket on {host}: {error}"))
}

fn answer(socket: &UdpSocket, stop: &AtomicBool) {
    become_punctual();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(&buffer[..bytes], from));
        }
    }
}

fn receive(socket: &UdpSocket, stop: &AtomicBool) -> u64 {
    become_punctual();
    let mut buffer = [0; 2048];
    let mut received = 0;
    while !stop.load(Ordering::Relaxed) {
        received += u64::from(socket.recv(&mut buffer).is_ok());
    }
    received
}

/// Sends at a steady rate, in bursts of a millisecond.
fn send(socket: &UdpSocket, to: SocketAddr, rate: Rate, stop: &AtomicBool) {
    let period = rate.time_of(PAYLOAD + 28);
    let begin = Instant::now();
    let mut sent = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        while begin.elapsed() >= period * sent {
            // A full socket loses a packet, as it would anywhere.
            drop(socket.send_to(&[0; PAYLOAD], to));
            sent += 1;
        }
        pace(Duration::from_millis(1));
    }
}

/// Lets real time pass: it is what is measured here.
#[allow(clippy::disallowed_methods)]
fn pace(time: Duration) {
    std::thread::sleep(time);
}
