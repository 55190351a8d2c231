//! The language: what is read, what is refused, and that what is written is read back.

use std::net::IpAddr;
use std::time::Duration;

use crate::description::{Action, Description, Link, Nat, Scheduled};
use crate::link::delay::Reorder;
use crate::link::loss::Loss;
use crate::link::queue::Capacity;
use crate::link::settings::{Blockable, Change, Mtu};
use crate::units::{Probability, Rate};

const HOME: &str = "\
# A home.
host laptop
host relay
nat home timeout 20s      # short
link wifi laptop home delay 2ms jitter 1ms loss 1% bursts 4
    up   rate 20Mbit/s queue 64kB
    down rate 50Mbit/s
    address laptop 192.168.1.20 2001:db8:7::2
link dsl home internet delay 10ms
link data relay internet

at 10s down wifi told
at 11s up wifi
every 1m from 30s until 1h rebind home 203.0.113.9
at 40s address laptop@wifi 192.168.1.21 untold
at 50s set dsl down rate 1Mbit/s delay 30ms
at 60s mtu dsl 1280 silent
at 70s block dsl udp
at 80s run relay echo 'a  b' # c
at 90s signal relay-restart
";

#[test]
fn the_text_is_what_the_builder_builds() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let s = Duration::from_secs;
    let addresses = [address("192.168.1.20"), address("2001:db8:7::2")];
    let wifi = Link::new("wifi", "laptop", "home")
        .delay(Duration::from_millis(2))
        .jitter(Duration::from_millis(1))
        .both(Change::Loss(Loss::bursts(Probability::percent(1.0), 4.0)))
        .up(Change::Capacity(Capacity::Rate(Rate::mbit(20))))
        .up(Change::Queue(64_000))
        .down(Change::Capacity(Capacity::Rate(Rate::mbit(50))))
        .addresses("laptop", &addresses);
    let told = Action::Down { link: "wifi".to_owned(), is_told: true };
    let rebind = Action::Rebind { nat: "home".to_owned(), addresses: vec![address("203.0.113.9")] };
    let untold = Action::Address {
        host: "laptop".to_owned(),
        link: Some("wifi".to_owned()),
        addresses: vec![address("192.168.1.21")],
        is_told: false,
    };
    let narrow = Action::Set {
        link: "dsl".to_owned(),
        direction: Some(crate::description::Direction::Down),
        changes: vec![
            Change::Capacity(Capacity::Rate(Rate::mbit(1))),
            Change::Delay(Duration::from_millis(30)),
        ],
    };
    let run = Action::Run { host: "relay".to_owned(), command: "echo 'a  b' # c".to_owned() };
    let mut expected = Description::new()
        .host("laptop")
        .host("relay")
        .nat(Nat::new("home").timeout(s(20)))
        .link(wifi)
        .link(Link::new("dsl", "home", "internet").delay(Duration::from_millis(10)))
        .link(Link::new("data", "relay", "internet"))
        .at(s(10), told)
        .at(s(11), Action::up("wifi"));
    let (every, until) = (Some(s(60)), Some(s(3600)));
    expected.timetable.push(Scheduled { at: s(30), every, until, action: rebind });
    let expected = expected
        .at(s(40), untold)
        .at(s(50), narrow)
        .at(s(60), Action::mtu("dsl", 1280, true))
        .at(s(70), Action::block_udp("dsl"))
        .at(s(80), run)
        .at(s(90), Action::Signal("relay-restart".to_owned()));
    assert_eq!(parse(HOME), Ok(expected));
}

#[test]
fn what_is_written_is_read_back() {
    let reorder = Reorder { chance: Probability::percent(3.0), by: Duration::from_millis(9) };
    let cellular = "link lte laptop internet cellular 8Mbit/s spread 0.7 memory 1s outage-every 30s outage 3s length 10s seed 7\n";
    let mut network = parse(&format!("{HOME}{cellular}")).expect("a network");
    network.links[1] = network.links[1]
        .clone()
        .both(Change::Reorder(reorder))
        .up(Change::Duplicate(Probability::percent(2.0)))
        .up(Change::Mtu(Mtu { size: 1400, is_silent: false }))
        .down(Change::Block(Blockable::Icmp));
    assert_eq!(parse(&network.to_string()), Ok(network));
}

#[test]
fn errors_name_file_line_and_what_is_allowed() {
    let cases = [
        ("host a\nhoost b\n", 2, "allowed: host, nat, router, link, at, every"),
        ("host a\nlink l a internet dealy 5ms\n", 2, "allowed: delay, jitter, rate"),
        ("host a\nlink l a internet\n    delay 5\n", 3, "write 250us, 20ms"),
        ("host a\nlink l a internet loss 120%\n", 2, "0% to 100%"),
        ("host a\nlink l a internet loss 50% bursts 0.5\n", 2, "long enough"),
        ("host a\nlink l a b\nhost c\n", 2, "there are: a, c, internet"),
        ("host a\nlink l a internet\nat 5s dwn l\n", 3, "down LINK"),
        ("host a\nlink l a internet\nat 5s down wifi\nhost b\n", 3, "there are: l"),
        ("host a b\n", 1, "more than is allowed"),
        ("  host a\n", 1, "there is none yet"),
        ("host\n", 1, "a host's name"),
        ("host a\nlink l a internet trace /nonexistent\n", 2, "trace /nonexistent"),
        ("host a\nlink l a internet reorder 5% 3ms\n", 2, "reorder 1% by 10ms"),
        ("host a\nlink l a internet mtu 20\n", 2, "68 to 65535"),
        ("nat n mapping cone\n", 1, "independent, symmetric"),
    ];
    for (text, line, message) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!((error.line, error.file.as_str()), (line, "test.net"), "{error}");
        assert!(error.message.contains(message), "{error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "([a-z@%./0-9 ]{0,12}[ \n]){0,20}", cut in 0_usize..HOME.len(), insert in "[a-z0-9 %\n]{0,6}") {
        drop(parse(&text));
        let mut home = HOME.to_owned();
        home.insert_str(cut, &insert);
        drop(parse(&home));
    }
}

fn parse(text: &str) -> Result<Description, crate::ParseError> {
    Description::parse(text, "test.net")
}
