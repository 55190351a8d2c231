//! Packets through whole networks.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::description::{Link, Nat};
use crate::link::loss::Loss;
use crate::link::settings::Change;
use crate::packet::{Content, Protocol};
use crate::units::{Probability, Rate};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_packet_crosses_a_nat_and_its_answer_comes_back() {
    let mut lab = Lab::new(&home());
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 100, Duration::ZERO);
    let (at, to, packet) = lab.next_delivery().expect("the packet arrives");
    assert_eq!((at, to.as_str()), (17 * MS, "relay"));
    // The relay sees the NAT's outside.
    assert_eq!(packet.flow.source.ip(), address("10.0.2.1:0").ip());
    lab.send("relay", "10.0.3.1:7", &packet.flow.source.to_string(), 100, at);
    let (at, to, packet) = lab.next_delivery().expect("the answer arrives");
    assert_eq!((at, to.as_str()), (34 * MS, "laptop"));
    assert_eq!(packet.flow.destination, address("10.0.1.1:5000"));
}

#[test]
fn nobody_outside_reaches_the_inside_unasked() {
    let mut lab = Lab::new(&home());
    lab.send("relay", "10.0.3.1:7", "10.0.1.1:5000", 100, Duration::ZERO);
    lab.send("relay", "10.0.3.1:7", "10.0.2.1:5000", 100, Duration::ZERO);
    assert_eq!(lab.next_delivery(), None);
    let NodeDrops { no_route, nat, .. } = lab.network.stats().node_drops;
    assert_eq!((no_route, nat), (1, 1));
}

#[test]
fn rebinding_makes_the_peer_see_another_port_and_maybe_address() {
    let mut lab = Lab::new(&home());
    let seen = |lab: &mut Lab, ms: u32| {
        lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 100, ms * MS);
        lab.next_delivery().expect("the packet arrives").2.flow.source
    };
    let first = seen(&mut lab, 0);
    assert_eq!(seen(&mut lab, 100), first);
    lab.event(Action::rebind("home"), 200 * MS);
    let second = seen(&mut lab, 300);
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
    let addresses = vec![address("203.0.113.9:0").ip()];
    lab.event(Action::Rebind { nat: "home".to_owned(), addresses }, 400 * MS);
    assert_eq!(seen(&mut lab, 500).ip(), address("203.0.113.9:0").ip());
}

#[test]
fn an_untold_address_is_translated_and_a_told_one_is_the_hosts() {
    let mut lab = Lab::new(&home());
    let new = [address("198.51.100.5:0").ip()];
    let untold = Action::Address {
        host: "relay".to_owned(),
        link: None,
        addresses: new.to_vec(),
        is_told: false,
    };
    lab.event(untold, MS);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 100, 2 * MS);
    assert_eq!(lab.next_delivery(), None);
    lab.send("laptop", "10.0.1.1:5000", "198.51.100.5:7", 100, 100 * MS);
    let (_, _, packet) = lab.next_delivery().expect("the new address is known outside");
    assert_eq!(packet.flow.destination, address("10.0.3.1:7"));
    assert!(!lab.events().iter().any(|output| matches!(output, Output::InterfaceChanged { .. })));
    lab.event(Action::address("relay", &new), 200 * MS);
    assert!(lab.events().iter().any(|output| matches!(output, Output::InterfaceChanged { .. })));
    lab.send("laptop", "10.0.1.1:5000", "198.51.100.5:7", 100, 300 * MS);
    let (_, _, packet) = lab.next_delivery().expect("the new address is the host's");
    assert_eq!(packet.flow.destination, address("198.51.100.5:7"));
    lab.send("relay", "10.0.3.1:7", "10.0.2.1:1", 100, 400 * MS);
    assert_eq!(lab.network.stats().node_drops.wrong_source, 1);
}

#[test]
fn too_big_is_answered_through_the_nat_to_who_sent_it() {
    let mut lab = Lab::new(&home());
    lab.event(Action::mtu("data", 1200, false), Duration::ZERO);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 1300, MS);
    let (at, to, error) = lab.next_delivery().expect("the error arrives");
    assert_eq!((at, to.as_str()), (25 * MS, "laptop"));
    assert_eq!(error.flow.protocol, Protocol::IcmpError);
    assert_eq!(error.flow.destination.ip(), address("10.0.1.1:0").ip());
    assert_eq!(error.quoted.map(|quoted| quoted.source), Some(address("10.0.1.1:5000")));
    assert!(matches!(error.content, Content::TooBig { mtu: 1200, .. }));
    lab.event(Action::mtu("wifi", 1100, false), 30 * MS);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 1150, 30 * MS);
    let (at, to, _) = lab.next_delivery().expect("the own link's error comes at once");
    assert_eq!((at, to.as_str()), (30 * MS, "laptop"));
    lab.event(Action::mtu("data", 1000, true), 31 * MS);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 1050, 31 * MS);
    assert_eq!(lab.next_delivery(), None);
}

#[test]
fn the_timetable_plays_at_its_own_times_however_late_the_caller_is() {
    let description = home().at(5 * MS, Action::down("dsl")).at(20 * MS, Action::up("dsl"));
    let mut lab = Lab::new(&description);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:7", 100, Duration::ZERO);
    lab.send("laptop", "10.0.1.1:5000", "10.0.3.1:8", 100, 19 * MS);
    lab.network.handle_timeout(Duration::from_secs(3600));
    let (at, _, packet) = lab.next_delivery().expect("the second arrives");
    assert_eq!((at, packet.flow.destination.port()), (36 * MS, 8));
    assert_eq!(lab.next_delivery(), None);
    assert_eq!(lab.events().len(), 2);
}

#[test]
fn inside_a_nat_hosts_meet_directly_and_by_the_outside_address() {
    let description = home().host("printer").link(Link::new("lan", "printer", "home"));
    let mut lab = Lab::new(&description);
    lab.send("laptop", "10.0.1.1:5000", "10.0.4.1:7", 100, Duration::ZERO);
    let (_, to, packet) = lab.next_delivery().expect("it arrives");
    assert_eq!((to.as_str(), packet.flow.source), ("printer", address("10.0.1.1:5000")));
    lab.send("printer", "10.0.4.1:7", "10.0.3.1:9", 100, 10 * MS);
    let outside = lab.next_delivery().expect("it arrives").2.flow.source;
    let mut nat = home().nats.remove(0);
    nat.filter = crate::description::NatFilter::Open;
    let mut open = description;
    open.nats = vec![nat];
    let mut lab = Lab::new(&open);
    lab.send("printer", "10.0.4.1:7", "10.0.3.1:9", 100, 10 * MS);
    assert_eq!(lab.next_delivery().map(|(_, _, packet)| packet.flow.source), Some(outside));
    lab.send("laptop", "10.0.1.1:5000", &outside.to_string(), 100, 100 * MS);
    let (_, to, packet) = lab.next_delivery().expect("the hairpin works");
    assert_eq!((to.as_str(), packet.flow.source.ip()), ("printer", outside.ip()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn packets_are_conserved_and_a_seed_replays_to_the_byte(
        seed: u64,
        sends in proptest::collection::vec((0_u64..30, 0_u8..3, 0_u8..3, 1_usize..1400), 1..150),
        events in proptest::collection::vec((0_u64..3000, 0_u8..8), 0..12),
    ) {
        let mut description = home();
        description.links[0] = description.links[0].clone()
            .both(Change::Loss(Loss::bursts(Probability::percent(20.0), 3.0)))
            .both(Change::Duplicate(Probability::percent(5.0)))
            .jitter(5 * MS).rate(Rate::kbit(800)).queue(6000);
        for (at, kind) in events {
            description = description.at(Duration::from_millis(at), random_action(kind));
        }
        let run = || {
            let mut lab = Lab::new_seeded(&description, seed);
            let mut now = Duration::ZERO;
            for (gap, from, to, size) in &sends {
                now += Duration::from_millis(*gap);
                let hosts = [("laptop", "10.0.1.1:5000"), ("relay", "10.0.3.1:7"), ("relay", "10.0.3.1:8")];
                let targets = ["10.0.3.1:7", "10.0.2.1:2000", "10.0.1.1:5000"];
                let (host, source) = hosts[usize::from(*from)];
                lab.send(host, source, targets[usize::from(*to)], *size, now);
            }
            lab.network.handle_timeout(now + Duration::from_secs(60));
            assert_eq!(lab.network.packets_held(), 0);
            for link in lab.network.stats().links {
                assert!(link.up.is_conserved() && link.down.is_conserved());
            }
            std::iter::from_fn(|| lab.network.poll_output()).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}

fn random_action(kind: u8) -> Action {
    match kind {
        0 => Action::down("wifi"),
        1 => Action::up("wifi"),
        2 => Action::rebind("home"),
        3 => Action::mtu("dsl", 600, false),
        4 => Action::mtu("dsl", 1500, false),
        5 => Action::block_udp("data"),
        6 => Action::address("laptop", &[address("10.0.1.9:0").ip()]),
        _ => Action::Down { link: "dsl".to_owned(), is_told: true },
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

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

struct Lab {
    network: Network,
    events: Vec<Output>,
}

impl Lab {
    fn new(description: &Description) -> Self {
        Self::new_seeded(description, 1)
    }

    fn new_seeded(description: &Description, seed: u64) -> Self {
        let network = Network::new(description, seed).expect("the network fits together");
        Self { network, events: Vec::new() }
    }

    fn send(&mut self, host: &str, from: &str, to: &str, size: usize, now: Duration) {
        let interfaces = self.network.interfaces();
        let interface = interfaces.iter().find(|each| each.host == host).expect("a host").id;
        let packet = Packet::datagram(address(from), address(to), vec![0; size - size.min(28)]);
        self.network.handle_packet(interface, packet, now);
    }

    fn event(&mut self, action: Action, now: Duration) {
        self.network.handle_event(action, now).expect("a known action");
    }

    fn next_delivery(&mut self) -> Option<(Duration, String, Packet)> {
        loop {
            while let Some(output) = self.network.poll_output() {
                if let Output::Deliver { at, interface, packet } = output {
                    return Some((at, self.network.interface(interface).host, packet));
                }
                self.events.push(output);
            }
            let next = self.network.poll_timeout()?;
            self.network.handle_timeout(next);
        }
    }

    fn events(&mut self) -> Vec<Output> {
        while let Some(output) = self.network.poll_output() {
            self.events.push(output);
        }
        std::mem::take(&mut self.events)
    }
}
