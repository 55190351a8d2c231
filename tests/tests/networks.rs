//! The network between host and relay: it goes away and comes back, changes, and lets only some
//! packets pass.

use netsim::Action;
use std::net::{IpAddr, Ipv6Addr};
use tern_tests::lab;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Labbed, Namespace, Relay, Viewer, ViewerOptions, World};

#[test]
fn host_whose_network_vanishes_for_a_while_goes_on_where_it_was() {
    let Some(namespace) = Namespace::make() else { return };
    let world = World::new();
    let relay = Relay::start_with(&world, namespace.host_address(), &[]);
    let options = HostOptions { namespace: Some(namespace.clone()), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    namespace.cut();
    // The local terminal knows nothing of it.
    host.terminal.enter_line("echo in the tunnel");
    wait_until_shows(&world, &host.terminal, "\nin the tunnel");
    viewer.wait_until_shows("host last heard");
    // What is typed meanwhile is not lost.
    viewer.terminal.enter_line("echo typed blindly $((40 + 2))");
    namespace.mend();
    wait_until_shows(&world, &host.terminal, "\ntyped blindly 42");
    viewer.wait_until_same(&host);
    viewer.terminal.enter_line("echo and on");
    viewer.wait_until_shows("\nand on");
    viewer.wait_until_same(&host);
}

#[test]
fn host_whose_address_changes_goes_on_unnoticed() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join(&host);
    for number in 3..6 {
        // The old one is gone, and behind the NAT the host is another, too.
        let address = IpAddr::from([10, 0, 1, number]);
        labbed.happens(Action::address(lab::HOST, &[address]));
        viewer.terminal.enter_line(&format!("echo at $(({number} + 70))"));
        viewer.wait_until_shows(&format!("\nat {}", number + 70));
    }
    viewer.wait_until_same(&host);
    assert!(!labbed.messages(&host).contains("econnect"), "{}", labbed.messages(&host));
    labbed.wait_for_status(&host, "over QUIC");
}

#[test]
fn host_whose_nat_forgets_it_goes_on_unnoticed() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join(&host);
    for number in 3..6 {
        labbed.happens(Action::rebind(lab::HOME));
        viewer.terminal.enter_line(&format!("echo behind $(({number} + 70))"));
        viewer.wait_until_shows(&format!("\nbehind {}", number + 70));
    }
    viewer.wait_until_same(&host);
    assert!(!labbed.messages(&host).contains("econnect"), "{}", labbed.messages(&host));
}

#[test]
fn killed_relay_is_found_again_by_its_host_and_by_who_came_before_it() {
    let Some(mut labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let before = labbed.join(&host);
    // The host can't be back before the viewer is there.
    labbed.happens(Action::down(lab::WIFI));
    labbed.kill_relay();
    assert_ne!(before.wait_until_left(), 0, "{}", labbed.world.report());
    labbed.start_relay();
    let early = labbed.open(&host);
    early.wait_until_shows("waiting for the host of this session");
    labbed.happens(Action::up(lab::WIFI));
    early.wait_until_same(&host);
    early.terminal.enter_line("echo anew $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "\nanew 42");
    let late = labbed.join(&host);
    late.terminal.enter_line("echo and again $((40 + 3))");
    early.wait_until_shows("\nand again 43");
    early.wait_until_same(&host);
}

#[test]
fn where_udp_is_blocked_sharing_works_over_ssh_until_quic_does() {
    let Some(labbed) = Labbed::start() else { return };
    labbed.block_udp();
    let host = labbed.share();
    labbed.wait_for_status(&host, "over SSH");
    let messages = labbed.messages(&host);
    assert!(messages.contains("over SSH, since nothing answers at its UDP port"), "{messages}");
    let viewer = labbed.join(&host);
    viewer.terminal.enter_line("echo inside $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "\ninside 42");
    viewer.wait_until_same(&host);
    labbed.unblock_udp();
    labbed.wait_for_status(&host, "over QUIC");
    viewer.terminal.enter_line("echo beside $((40 + 3))");
    wait_until_shows(&labbed.world, &host.terminal, "\nbeside 43");
    viewer.wait_until_same(&host);
    assert!(viewer.terminal.exit_code().is_none());
}

#[test]
fn session_goes_on_over_ssh_when_udp_becomes_blocked() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join(&host);
    labbed.wait_for_status(&host, "over QUIC");
    labbed.block_udp();
    viewer.terminal.enter_line("echo blocked $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "\nblocked 42");
    labbed.wait_for_status(&host, "over SSH");
    viewer.wait_until_same(&host);
    viewer.terminal.enter_line("echo and on $((40 + 3))");
    viewer.wait_until_shows("\nand on 43");
    assert!(viewer.terminal.exit_code().is_none());
}

#[test]
fn screens_arrive_over_a_path_that_passes_only_small_packets() {
    let Some(mut labbed) = Labbed::start() else { return };
    labbed.size = (200, 50);
    let host = labbed.share();
    let viewer = labbed.join(&host);
    // What IPv6 guarantees; then too little for QUIC, so that all must go inside SSH.
    for (number, (size, is_silent)) in [(1280, true), (900, false)].into_iter().enumerate() {
        labbed.happens(Action::mtu(lab::WIFI, size, is_silent));
        // A screen that can't be made smaller.
        let noise = "head -c 6000 /dev/urandom | base64 -w 190";
        viewer.terminal.enter_line(&format!("clear; {noise}; echo noise $(({number} + 40))"));
        wait_until_shows(&labbed.world, &host.terminal, &format!("\nnoise {}", number + 40));
        viewer.wait_until_same(&host);
    }
    assert!(labbed.too_big() > 0, "nothing large was sent: this tests nothing");
}

#[test]
fn host_goes_on_when_only_the_other_family_of_addresses_is_left() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join(&host);
    let six = "2001:db8:1::7".parse().expect("an address");
    let families = [("six", six), ("four", IpAddr::from([10, 0, 1, 7])), ("six again", six)];
    for (name, address) in families {
        labbed.happens(Action::address(lab::HOST, &[address]));
        viewer.terminal.enter_line(&format!("clear; echo over $((40 + 2)) {name}"));
        viewer.wait_until_shows(&format!("\nover 42 {name}"));
        viewer.wait_until_same(&host);
    }
    labbed.wait_for_status(&host, "over QUIC");
}

#[test]
fn keys_typed_in_an_outage_arrive_once_and_in_order() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join(&host);
    viewer.terminal.enter_line("cat > typed");
    wait_until_shows(&labbed.world, &host.terminal, "cat > typed");
    labbed.happens(Action::down(lab::WIFI));
    let lines: Vec<_> = (0..20).map(|number| format!("line {number}")).collect();
    for (number, line) in lines.iter().enumerate() {
        viewer.terminal.enter_line(line);
        if number == 10 {
            viewer.wait_until_shows("host last heard");
        }
    }
    labbed.happens(Action::up(lab::WIFI));
    wait_until_shows(&labbed.world, &host.terminal, "\nline 19");
    viewer.terminal.press(&["C-d"]);
    viewer.wait_until_same(&host);
    assert!(!viewer.terminal.shows("host last heard"));
    let path = host.home.join("work/typed");
    let path = if path.exists() { path } else { host.home.join("typed") };
    let typed = std::fs::read_to_string(path).expect("cat has written it");
    assert_eq!(typed.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn relay_that_is_gone_for_good_is_told_once_and_hinders_nothing() {
    let Some(mut labbed) = Labbed::start() else { return };
    let host = labbed.share();
    labbed.kill_relay();
    labbed.wait_for_status(&host, "reconnecting since");
    labbed
        .world
        .wait_until("the person is told", || labbed.messages(&host).contains("Reconnecting"));
    // Long after, there is no more to say.
    labbed.world.wait_until("it has been away for long", || {
        let status = tern_tests::process::text(&host.tern(&["status"]));
        let (_, since) = status.split_once("reconnecting since ").unwrap_or_default();
        since.split(' ').next().and_then(|s| s.parse().ok()).is_some_and(|s: u64| s >= 12)
    });
    let messages = labbed.messages(&host);
    assert_eq!(messages.matches("Reconnecting").count(), 1, "{messages}");
    host.terminal.enter_line("echo on $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "\non 42");
    let stopped = host.tern(&["stop"]);
    assert!(stopped.status.success(), "{}", tern_tests::process::text(&stopped));
    labbed.world.wait_until("the agent ends", || {
        !labbed.world.processes().iter().any(|p| p.args.iter().any(|a| a == "agent"))
    });
    host.terminal.enter_line("echo and on $((40 + 3))");
    wait_until_shows(&labbed.world, &host.terminal, "\nand on 43");
}

#[test]
fn relay_is_reached_by_its_ipv6_address() {
    let world = World::new();
    let relay = Relay::start_with(&world, Ipv6Addr::LOCALHOST, &[]);
    let host = Host::share(&world, &relay);
    assert_eq!((host.read_write.host.as_str(), host.read_write.port), ("::1", relay.port));
    let viewer = Viewer::join(&world, &host, &host.read_write);
    viewer.terminal.enter_line("echo six $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\nsix 42");
    let status = tern_tests::process::text(&host.tern(&["status"]));
    assert!(status.contains("over QUIC"), "{status}");
}

/// `tern --relay NAMES`, each of the relays pinned, in this network.
fn share_over(world: &World, network: &Namespace, names: &str, relays: &[&Relay]) -> Host {
    let mut args = vec!["--relay".to_owned(), names.to_owned()];
    for relay in relays {
        args.extend(["--relay-fingerprint".to_owned(), relay.fingerprint.clone()]);
    }
    let namespace = Some(network.clone());
    Host::share_with(world, None, HostOptions { namespace, args, ..HostOptions::default() })
}

#[test]
fn relays_are_found_by_names_with_several_addresses_and_at_the_port_of_ssh() {
    let Some(namespace) = Namespace::make() else { return };
    let world = World::new();
    let hosts = world.folder().join("hosts");
    let names = "127.0.0.1 localhost old.example\n127.0.0.2 new.example\n\
                 127.0.0.9 many.example\n127.0.0.2 many.example\n127.0.0.9 gone.example\n";
    std::fs::write(&hosts, names).expect("our own folder");
    let network = namespace.with_hosts(&hosts);
    let start = |folder: &str, at: &str, name: &str| {
        let at = at.parse().expect("an address");
        Relay::start_at(&world, world.home(folder), at, name, Some(&network), &[])
    };
    let old = start("old", "127.0.0.1:22", "old.example");
    let new = start("new", "127.0.0.2:2200", "new.example");

    // Where tmate's servers are, as nobody is at our own port there.
    let host = share_over(&world, &network, "old.example", &[&old]);
    assert_eq!((host.read_write.host.as_str(), host.read_write.port), ("old.example", 22));
    // Whatever SSH server it is would be shown our keys, if none were pinned.
    let mut tern = world.command(&network.exec_args()[0], &host.home);
    tern.args(&network.exec_args()[1..]).arg(tern_tests::process::binary("tern"));
    let said = tern_tests::process::run(tern.args(["doctor", "--relay", "old.example"]));
    let said = tern_tests::process::text(&said);
    assert!(said.contains("no  relay") && said.contains("old.example:2200"), "{said}");

    // Of several addresses the one at which a relay is.
    let host = share_over(&world, &network, "many.example", &[&new]);
    assert_eq!((host.read_write.host.as_str(), host.read_write.port), ("new.example", 2200));
    // Of several names, too; one of them is nobody's.
    let names = "gone.example,nowhere.invalid,new.example";
    let host = share_over(&world, &network, names, &[&old, &new]);
    assert_eq!(host.read_write.host, "new.example");
    let viewer = ViewerOptions { namespace: Some(network), ..ViewerOptions::default() };
    let viewer = Viewer::open(&world, &host.read_write, viewer);
    viewer.wait_until_same(&host);
}
