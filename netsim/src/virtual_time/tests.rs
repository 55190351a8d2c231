//! Sockets over a described network.

use super::*;
use crate::description::{Link, Nat};
use crate::units::Probability;

const MS: Duration = Duration::from_millis(1);

#[test]
fn datagrams_arrive_at_the_socket_that_is_bound_to_them() {
    let mut world = world(&home());
    let relay = world.bind("relay", address("[::]:7")).expect("a socket");
    let laptop = world.bind("laptop", address("[::]:0")).expect("a socket");
    for to in ["10.0.3.1:7", "[2001:db8:3::1]:7", "[::ffff:10.0.3.1]:7"] {
        assert_eq!(world.send(laptop, address(to), b"hello".to_vec()), Ok(()));
        run(&mut world);
        let received = world.receive(relay).expect("it arrives");
        assert_eq!(world.poll_readable(), Some(relay));
        assert_eq!(received.to.port(), 7);
        assert_eq!(world.send(relay, received.from, b"back".to_vec()), Ok(()));
        run(&mut world);
        assert_eq!(world.receive(laptop).map(|back| back.payload), Some(b"back".to_vec()));
    }
    assert_eq!(world.now(), 6 * 17 * MS);
}

#[test]
fn sending_fails_at_once_where_a_kernel_would_say_so() {
    let mut world = world(&home());
    let v4 = world.bind("laptop", address("0.0.0.0:5000")).expect("a socket");
    assert_eq!(world.bind("laptop", address("[::]:5000")), Err(BindError::PortTaken(5000)));
    assert_eq!(world.bind("nobody", address("[::]:0")), Err(BindError::NoHost("nobody".into())));
    let to = address("10.0.3.1:7");
    assert_eq!(world.send(v4, address("[2001:db8:3::1]:7"), vec![]), Err(SendError::Unreachable));
    let foreign = Some(address("10.9.9.9:0").ip());
    assert_eq!(world.send_from(v4, foreign, to, 0, vec![]), Err(SendError::WrongSource));
    assert_eq!(world.send(v4, to, vec![0; PAYLOAD_MAX + 1]), Err(SendError::TooLong));
    let told = Action::Down { link: "wifi".to_owned(), is_told: true };
    world.handle_event(told).expect("an event");
    assert_eq!(world.send(v4, to, vec![]), Err(SendError::Unreachable));
    world.close(v4);
    assert_eq!(world.send(v4, to, vec![]), Err(SendError::Closed));
}

#[test]
fn a_host_with_two_links_uses_the_first_that_is_up() {
    let network = home().link(Link::new("lte", "laptop", "internet").delay(30 * MS));
    let mut world = world(&network);
    let relay = world.bind("relay", address("[::]:7")).expect("a socket");
    let laptop = world.bind("laptop", address("0.0.0.0:0")).expect("a socket");
    let seen = |world: &mut World| {
        assert_eq!(world.send(laptop, address("10.0.3.1:7"), vec![1]), Ok(()));
        run(world);
        world.receive(relay).expect("it arrives").from.ip()
    };
    assert_eq!(seen(&mut world), address("10.0.2.1:0").ip());
    let told = Action::Down { link: "wifi".to_owned(), is_told: true };
    world.handle_event(told).expect("an event");
    assert_eq!(seen(&mut world), address("10.0.4.1:0").ip());
    world.handle_event(Action::up("wifi")).expect("an event");
    assert_eq!(seen(&mut world), address("10.0.2.1:0").ip());
}

#[test]
fn a_host_reaches_itself_without_a_link() {
    let mut world = world(&home());
    let server = world.bind("relay", address("[::]:7")).expect("a socket");
    let client = world.bind("relay", address("[::]:0")).expect("a socket");
    for to in ["127.0.0.1:7", "[::1]:7", "10.0.3.1:7"] {
        assert_eq!(world.send(client, address(to), vec![1]), Ok(()));
        let received = world.receive(server).expect("it is there at once");
        assert_eq!(received.from.ip(), address(to).ip());
    }
}

#[test]
fn events_are_told_and_the_trace_replays() {
    let signal = Action::Signal("relay-restart".to_owned());
    let mut network = home().at(30 * MS, signal.clone());
    network.links[0] = network.links[0].clone().loss(Probability::percent(30.0)).jitter(9 * MS);
    let play = |seed| {
        let mut world = World::new(&network, seed).expect("a network");
        world.keep_trace_lines();
        let relay = world.bind("relay", address("[::]:7")).expect("a socket");
        let laptop = world.bind("laptop", address("[::]:0")).expect("a socket");
        for number in 0..100_u8 {
            assert_eq!(world.send(laptop, address("10.0.3.1:7"), vec![number]), Ok(()));
            world.handle_timeout(u32::from(number) * MS);
        }
        run(&mut world);
        assert_eq!(world.poll_event(), Some((30 * MS, signal.clone())));
        let count = std::iter::from_fn(|| world.receive(relay)).count();
        assert!((50..90).contains(&count), "{count}");
        (world.trace().digest(), world.trace().lines().to_vec())
    };
    assert_eq!(play(1), play(1));
    assert_ne!(play(1).0, play(2).0);
}

fn run(world: &mut World) {
    while let Some(at) = world.poll_timeout() {
        world.handle_timeout(at);
    }
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

fn world(description: &Description) -> World {
    World::new(description, 1).expect("the network fits together")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
