//! `tern doctor`: what it finds, what it says to do, and its exit status.

use std::process::Output;
use tern_tests::process::{binary, run, text};
use tern_tests::{Relay, World};

fn doctor(world: &World, args: &[&str]) -> (String, Option<i32>) {
    let home = world.home("patient");
    let mut command = world.command(binary("tern"), &home);
    let output: Output = run(command.arg("doctor").args(args));
    (text(&output), output.status.code())
}

fn ask(world: &World, relay: &Relay, fingerprint: &str) -> (String, Option<i32>) {
    let address = format!("{}:{}", relay.address, relay.port);
    doctor(world, &["--relay", &address, "--relay-fingerprint", fingerprint])
}

#[test]
fn healthy_machine_gets_no_for_nothing_and_leaves_no_session() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (said, code) = ask(&world, &relay, &relay.fingerprint);
    assert_eq!(code, Some(0), "{said}");
    for found in ["ok  tmux", "ok  locale", "ok  clock", "ok  relay", "ok  UDP"] {
        assert!(said.contains(found), "{found}: {said}");
    }
    assert!(!said.contains('\x1b'), "colours are for terminals: {said}");
    world.wait_until("the session that it asked for is over", || {
        relay.output().contains("session ended")
    });
}

#[test]
fn relay_that_is_not_there_is_bad_and_named() {
    let world = World::new();
    let (said, code) = doctor(&world, &["--relay", "127.0.0.1:9"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no  relay") && said.contains("127.0.0.1:9"), "{said}");
    assert!(said.contains("-> start tern-relay there"), "{said}");
}

#[test]
fn relay_with_another_key_is_bad() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (said, code) = ask(&world, &relay, &format!("SHA256:{}", "a".repeat(43)));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no  relay") && said.contains(&relay.fingerprint), "{said}");
}

#[test]
fn blocked_udp_is_a_warning() {
    let world = World::new();
    // At an address of its own, where nobody looks for it.
    let flags = ["--quic-listen", "127.0.0.2:0"];
    let relay = Relay::start_with(&world, std::net::Ipv4Addr::LOCALHOST, &flags);
    let (said, code) = ask(&world, &relay, &relay.fingerprint);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("!!  UDP") && said.contains("-> open UDP"), "{said}");
}

#[test]
fn relay_of_the_configuration_is_looked_at_as_sharing_would() {
    let world = World::new();
    let relay = Relay::start(&world);
    let home = world.home("patient");
    let config = format!(
        "# set -g tmate-nonsense 1\nset -g tmate-server-host {}\nset -g tmate-server-port {}\n\
         set -g tmate-server-ed25519-fingerprint {}\nset -g tern-bogus 1\n\
         set -g tmate-display-time soon\n",
        relay.address, relay.port, relay.fingerprint
    );
    let file = home.join(".tmate.conf");
    std::fs::write(&file, config).expect("our own home");
    let (said, code) = doctor(&world, &[]);
    assert_eq!(code, Some(0), "{said}");
    let name = relay.name();
    for found in [
        "ok  config".into(),
        format!("{} names {name}", file.display()),
        format!("{}:5: invalid option: tern-bogus. Allowed are", file.display()),
        format!("{}:6: tmate-display-time: 'soon' is no number", file.display()),
        "ok  relay".into(),
    ] {
        assert!(said.contains(&found), "{found}: {said}");
    }
    assert!(said.contains(&relay.port.to_string()) && !said.contains("nonsense"), "{said}");
    // ~/.tern.conf is read instead, if it is there, and what is said counts more.
    let other = home.join(".tern.conf");
    std::fs::write(&other, "set -g tern-server-host 127.0.0.1:9\n").expect("our own home");
    let (said, code) = doctor(&world, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("127.0.0.1:9"), "{said}");
    let (said, code) = doctor(&world, &["-f", &file.display().to_string()]);
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = ask(&world, &relay, &relay.fingerprint);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn configuration_that_tmux_can_not_read_is_bad() {
    let world = World::new();
    let relay = Relay::start(&world);
    let home = world.home("mistaken");
    let file = home.join("tern.conf");
    for (text, mistake) in [
        ("set -g tern-approve on\nfrobnicate x\n", ":2: unknown command: frobnicate"),
        ("%if 1\nset -g tern-approve on\n", "syntax error"),
    ] {
        std::fs::write(&file, text).expect("our own home");
        let path = file.display().to_string();
        let (address, fingerprint) = (relay.name(), &relay.fingerprint);
        let args = ["-f", &path, "--relay", &address, "--relay-fingerprint", fingerprint];
        let (said, code) = doctor(&world, &args);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(mistake) && said.contains(&path), "{said}");
    }
}
