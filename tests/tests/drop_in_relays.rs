//! A drop-in for tmate: a session that names several relays is shared over one that answers.

use rustix::process::Signal;
use tern_tests::drop_in::Scripter;
use tern_tests::{JoinLine, Relay, Viewer, ViewerOptions, World};

/// `set -g tmate-server-host LIST` with both keys, and a session.
fn start_over(script: &Scripter, hosts: &str, relays: &[&Relay]) {
    let fingerprints: Vec<_> = relays.iter().map(|relay| relay.fingerprint.clone()).collect();
    let ran = script.run(&[
        "set",
        "-g",
        "tmate-server-host",
        hosts,
        ";",
        "set",
        "-g",
        "tmate-server-ed25519-fingerprint",
        &fingerprints.join(","),
        ";",
        "new-session",
        "-d",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = script.run(&["wait", "tmate-ready"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn of_several_relays_one_that_answers_is_taken() {
    let world = World::new();
    let relay = Relay::start(&world);
    let stranger = Relay::start(&world);
    let script = Scripter::with_tern(&world);
    // Nobody, a relay whose key is not pinned, and the one.
    let hosts = format!("127.0.0.1:1, {} {}", stranger.name(), relay.name());
    start_over(&script, &hosts, &[&relay]);
    let line = script.display("#{tmate_ssh}");
    assert!(line.starts_with(&format!("ssh -p{} ", relay.port)), "{line}");
}

#[test]
fn relay_that_falls_silent_is_left_for_another() {
    let world = World::new();
    let relays = [[127, 0, 0, 1], [127, 0, 0, 2]]
        .map(|address| Relay::start_with(&world, std::net::Ipv4Addr::from(address), &[]));
    let script = Scripter::with_tern(&world);
    let hosts = format!("{},{}", relays[0].name(), relays[1].name());
    start_over(&script, &hosts, &[&relays[0], &relays[1]]);
    let before = JoinLine::find_all(&script.display("#{tmate_ssh}")).remove(0);
    let (first, other) = match before.port == relays[0].port {
        true => (&relays[0], &relays[1]),
        false => (&relays[1], &relays[0]),
    };
    first.signal(Signal::KILL);
    let after = world.wait_for("there is a line to the other", || {
        let line = JoinLine::find_all(&script.display("#{tmate_ssh}")).remove(0);
        (line.port == other.port).then_some(line)
    });
    let viewer = Viewer::open(&world, &after, ViewerOptions::default());
    viewer.terminal.enter_line("echo sti''ll");
    world.wait_until("the session goes on", || viewer.terminal.shows("\nstill"));
    let messages = script.run(&["show-messages"]).out;
    assert!(messages.contains("the session goes on over"), "{messages}");
}
