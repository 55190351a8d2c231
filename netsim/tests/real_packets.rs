//! Real packets through described networks: what programs measure is what was described. Needs root;
//! says so and passes where it isn't given.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::real::{Lab, LabOptions};
use netsim::stats::DropReason;
use netsim::{Action, Description, Link, Nat, Probability, Rate};

const MS: Duration = Duration::from_millis(1);
/// Far more than anything here takes; reached only where something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn round_trips_take_what_the_links_say() {
    let Some(lab) = lab(&home()) else { return };
    let relay = socket(&lab, "relay", "0.0.0.0:7");
    let laptop = socket(&lab, "laptop", "0.0.0.0:0");
    for number in 0..20_u8 {
        laptop.send_to(&[number], "10.0.3.1:7").expect("sent");
        let from = receive(&relay, &[number]);
        assert_eq!(from.ip(), ip("10.0.2.1"), "the relay sees the NAT");
        relay.send_to(&[number], from).expect("sent");
        receive(&laptop, &[number]);
    }
    // The simulator's own clock: what happens inside happens at its own time, to the nanosecond.
    let stats = lab.stats().expect("statistics");
    for (link, delay) in stats.network.links.iter().zip([2 * MS, 10 * MS, 5 * MS]) {
        assert_eq!((link.up.delivered, link.down.delivered), (20, 20), "{}", link.link);
        for path in [&link.up, &link.down] {
            assert_eq!((path.delay.min(), path.delay.max()), (delay, delay), "{}", link.link);
        }
    }
    assert_eq!(stats.lateness.count(), 40);
}

#[test]
fn ipv6_passes_as_ipv4_does() {
    let Some(lab) = lab(&home()) else { return };
    let relay = socket(&lab, "relay", "[::]:7");
    let laptop = socket(&lab, "laptop", "[::]:0");
    laptop.send_to(b"six", "[2001:db8:3::1]:7").expect("sent");
    let from = receive(&relay, b"six");
    assert_eq!(from.ip(), ip("2001:db8:2::1"));
    relay.send_to(b"back", from).expect("sent");
    receive(&laptop, b"back");
    // The same socket speaks IPv4: the relay is dual-stack.
    laptop.send_to(b"four", "[::ffff:10.0.3.1]:7").expect("sent");
    assert_eq!(receive(&relay, b"four").ip(), ip("::ffff:10.0.2.1"));
}

#[test]
fn losses_are_as_many_as_described() {
    let loss = Change::Loss(Loss::Independent(Probability::percent(29.0)));
    let network = direct(Link::new("line", "a", "b").up(loss));
    let Some(lab) = lab(&network) else { return };
    let (a, b) = (socket(&lab, "a", "0.0.0.0:0"), socket(&lab, "b", "0.0.0.0:7"));
    for _ in 0..2000 {
        a.send_to(&[0; 32], "10.0.1.2:7").expect("sent");
    }
    let entered = || lab.stats().expect("statistics").network.links[0].up.clone();
    wait_until("all packets have passed", || entered().entered == 2000 && entered().held == 0);
    let up = entered();
    // Five standard deviations: 5 * sqrt(2000 * 0.29 * 0.71) = 101.
    assert!(up.dropped(DropReason::Loss).abs_diff(580) < 101, "{up}");
    b.set_read_timeout(Some(200 * MS)).expect("a timeout");
    // As many of them as the receiver's buffer holds.
    let received = std::iter::from_fn(|| b.recv(&mut [0; 64]).ok()).count() as u64;
    assert!((1..=up.delivered).contains(&received), "{received} of {up}");
}

#[test]
fn a_rate_spaces_packets_and_a_full_queue_drops() {
    let network = direct(Link::new("line", "a", "b").rate(Rate::mbit(1)).queue(15_000));
    let Some(lab) = lab(&network) else { return };
    let a = socket(&lab, "a", "0.0.0.0:0");
    for _ in 0..30 {
        a.send_to(&[0; 1472], "10.0.1.2:7").expect("sent");
    }
    let up = || lab.stats().expect("statistics").network.links[0].up.clone();
    wait_until("the queue is empty", || up().entered == 30 && up().held == 0);
    let up = up();
    // A packet takes 12 ms. The burst is sent much faster: ten fit, and one or two more leave
    // meanwhile on a slow machine.
    assert!((10..=25).contains(&up.delivered), "{up}");
    assert!(up.delay.max() <= 120 * MS && up.delay.max() > 60 * MS, "{up}");
    assert_eq!(up.delivered + up.dropped(DropReason::Queue), 30, "{up}");
}

#[test]
fn a_program_that_nobody_has_waited_for_does_not_hold_up_the_end() {
    let Some(lab) = lab(&home()) else { return };
    let mut program = std::process::Command::new("sleep");
    program.arg("infinity");
    let mut child = lab.spawn("laptop", program).expect("started");
    // Dropping the lab kills the program, which is a zombie until it is waited for.
    drop(lab);
    assert!(!child.wait().expect("our own child").success());
}

#[test]
fn the_peer_sees_rebinding_and_changed_addresses() {
    let Some(lab) = lab(&home()) else { return };
    let relay = socket(&lab, "relay", "0.0.0.0:7");
    let laptop = socket(&lab, "laptop", "0.0.0.0:0");
    let seen = |text: &[u8]| {
        laptop.send_to(text, "10.0.3.1:7").expect("sent");
        receive(&relay, text)
    };
    let first = seen(b"first");
    lab.handle_event(Action::rebind("home")).expect("an event");
    let second = seen(b"second");
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
    // Told: the kernel's address is another; the wildcard socket goes on.
    let addresses = || lab.in_host("laptop", || output("ip", &["-br", "addr"])).expect("ip");
    assert!(addresses().contains("10.0.1.1/32"));
    lab.handle_event(Action::address("laptop", &[ip("10.0.1.99")])).expect("an event");
    assert!(addresses().contains("10.0.1.99/32") && !addresses().contains("10.0.1.1/32"));
    assert_ne!(seen(b"third").port(), second.port(), "another inside, another mapping");
    // Untold: the relay believes to be where it was.
    let untold = Action::Address {
        host: "relay".to_owned(),
        link: None,
        addresses: vec![ip("198.51.100.9")],
        is_told: false,
    };
    lab.handle_event(untold).expect("an event");
    laptop.send_to(b"moved", "198.51.100.9:7").expect("sent");
    let from = receive(&relay, b"moved");
    relay.send_to(b"from there", from).expect("sent");
    assert_eq!(receive(&laptop, b"from there"), address("198.51.100.9:7"));
}

#[test]
fn a_link_that_is_down_is_a_hole_or_a_missing_interface() {
    let Some(lab) = lab(&direct(Link::new("line", "a", "b"))) else { return };
    let (a, b) = (socket(&lab, "a", "0.0.0.0:0"), socket(&lab, "b", "0.0.0.0:7"));
    lab.handle_event(Action::down("line")).expect("an event");
    a.send_to(b"lost", "10.0.1.2:7").expect("the kernel knows nothing");
    lab.handle_event(Action::up("line")).expect("an event");
    a.send_to(b"first", "10.0.1.2:7").expect("sent");
    receive(&b, b"first");
    let told = Action::Down { link: "line".to_owned(), is_told: true };
    lab.handle_event(told).expect("an event");
    assert!(a.send_to(b"nowhere", "10.0.1.2:7").is_err(), "no route without an interface");
    lab.handle_event(Action::up("line")).expect("an event");
    a.send_to(b"second", "10.0.1.2:7").expect("sent");
    receive(&b, b"second");
}

#[test]
fn a_smaller_path_mtu_is_learned_unless_it_is_silent() {
    let Some(lab) = lab(&home()) else { return };
    for (relay, laptop, to) in
        [("0.0.0.0:7", "0.0.0.0:0", "10.0.3.1:7"), ("[::]:8", "[::]:0", "[2001:db8:3::1]:8")]
    {
        let relay = socket(&lab, "relay", relay);
        let laptop = socket(&lab, "laptop", laptop);
        let sends = |size: usize| {
            relay.set_read_timeout(Some(100 * MS)).expect("a timeout");
            // An error is the kernel's knowledge that the path is smaller.
            drop(laptop.send_to(&vec![7; size], to));
            std::iter::from_fn(|| relay.recv(&mut [0; 2048]).ok()).any(|bytes| bytes == size)
        };
        lab.handle_event(Action::mtu("data", 1300, true)).expect("an event");
        assert!(!sends(1400), "silently lost");
        assert!(sends(1200), "small ones pass");
        lab.handle_event(Action::mtu("data", 1300, false)).expect("an event");
        // Told by ICMP through the NAT, the laptop's kernel sends fragments that fit.
        wait_until("the laptop's kernel learns it", || sends(1400));
        lab.handle_event(Action::mtu("data", 1500, false)).expect("an event");
    }
    let stats = lab.stats().expect("statistics");
    assert!(stats.network.links[2].down.dropped(DropReason::TooBig) >= 4);
}

#[test]
fn tcp_passes_a_nat_and_blocked_udp_does_not() {
    let Some(lab) = lab(&home()) else { return };
    lab.handle_event(Action::block_udp("dsl")).expect("an event");
    let listener = lab.in_host("relay", || TcpListener::bind("0.0.0.0:22")).expect("a host");
    let listener = listener.expect("a listener");
    let server = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().expect("a connection");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        stream.write_all(&(all.len() as u64).to_be_bytes()).expect("written");
        from
    });
    let stream = lab.in_host("laptop", || TcpStream::connect("10.0.3.1:22")).expect("a host");
    let mut stream = stream.expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(&vec![1; 300_000]).expect("written");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut length = [0; 8];
    stream.read_exact(&mut length).expect("the answer");
    assert_eq!(u64::from_be_bytes(length), 300_000);
    assert_eq!(server.join().expect("the server").ip(), ip("10.0.2.1"));
    let laptop = socket(&lab, "laptop", "0.0.0.0:0");
    laptop.send_to(b"blocked", "10.0.3.1:7").expect("sent");
    let blocked =
        || lab.stats().expect("statistics").network.links[1].up.dropped(DropReason::Blocked);
    wait_until("it is dropped", || blocked() == 1);
}

/// `laptop ─wifi 2 ms─ home (NAT) ─dsl 10 ms─ internet ─data 5 ms─ relay`
fn home() -> Description {
    Description::new()
        .host("laptop")
        .host("relay")
        .nat(Nat::new("home"))
        .link(Link::new("wifi", "laptop", "home").delay(2 * MS))
        .link(Link::new("dsl", "home", "internet").delay(10 * MS))
        .link(Link::new("data", "relay", "internet").delay(5 * MS))
}

fn direct(link: Link) -> Description {
    Description::new().host("a").host("b").link(link)
}

fn lab(network: &Description) -> Option<Lab> {
    match Lab::new(network, &LabOptions { seed: 1, ..LabOptions::default() }) {
        Ok(lab) => {
            lab.start();
            Some(lab)
        }
        Err(error) if !is_root() => {
            println!("skipped: no rights for namespaces: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn socket(lab: &Lab, host: &str, address: &str) -> UdpSocket {
    let socket = lab.in_host(host, || UdpSocket::bind(address)).expect("a host").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Waits for a datagram; gives its sender.
fn receive(socket: &UdpSocket, expected: &[u8]) -> SocketAddr {
    let mut buffer = [0; 2048];
    let (bytes, from) = socket.recv_from(&mut buffer).expect("a datagram arrives");
    assert_eq!(&buffer[..bytes], expected);
    from
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
