//! What goes wrong says so: what happened, what to do, and a code that isn't zero.

use rustix::process::Signal;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Stdio;
use tern_tests::process::text;
use tern_tests::proxy::Proxy;
use tern_tests::relay::find_fingerprint;
use tern_tests::shared::wait_until_shows;
use tern_tests::viewer::{run_ssh, ssh_options};
use tern_tests::{
    Host, HostOptions, JoinLine, Relay, Shared, Terminal, Viewer, ViewerOptions, World,
};

/// Waits until `tern` says these words in its start view, goes on without a viewer, and checks that
/// the user's shell works, and that the end tells once more, with a code that isn't zero.
#[track_caller]
fn assert_fails_with(world: &World, terminal: &Terminal, words: &[&str]) {
    assert_says(world, terminal, words);
    assert_says(world, terminal, &["Not shared", "goes on here", "tries again"]);
    terminal.press(&["q"]);
    world.wait_until("the shell is there", || terminal.text().contains('$'));
    terminal.enter_line("echo not lo''st");
    wait_until_shows(world, terminal, "not lost");
    terminal.enter_line("exit");
    let code = world.wait_for("tern ends", || terminal.exit_code());
    assert_says(world, terminal, words);
    assert_ne!(code, 0, "{}", world.report());
}

/// Waits until these words are in the terminal, wherever its lines wrap.
#[track_caller]
fn assert_says(world: &World, terminal: &Terminal, words: &[&str]) {
    world.wait_until(&format!("tern says {words:?}"), || {
        let said = without_blanks(&terminal.text());
        words.iter().all(|word| said.contains(&without_blanks(word)))
    });
}

/// A line that wraps at a blank loses it.
fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

fn options(args: &[&str]) -> HostOptions {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    HostOptions { args, size: (120, 24), ..HostOptions::default() }
}

#[test]
fn wrong_token_gets_a_clear_line_that_tells_nothing() {
    let shared = Shared::start();
    let mut wrong = shared.host.read_write.clone();
    let flipped = if wrong.token.ends_with('a') { "b" } else { "a" };
    wrong.token.replace_range(25.., flipped);
    let unknown = JoinLine { token: "abcdefghijkmnpqrstuvwxyz23".into(), ..wrong.clone() };
    let malformed = JoinLine { token: "root".into(), ..wrong.clone() };
    let mut answers = Vec::new();
    for line in [&wrong, &unknown, &malformed] {
        let viewer = Viewer::open(&shared.world, line, ViewerOptions::default());
        assert_ne!(viewer.wait_until_left(), 0, "{}", shared.world.report());
        assert!(
            viewer.terminal.shows("Invalid or expired session token"),
            "{}",
            shared.world.report()
        );
        answers.push(viewer.terminal.text().replace(&line.token, "TOKEN"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    shared.viewer_runs("echo unharmed", "\nunharmed");
}

#[test]
fn guessing_tokens_is_rate_limited() {
    let world = World::new();
    let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &["--tries-per-minute", "3"]);
    let host = Host::share(&world, &relay);
    let wrong = JoinLine { token: "abcdefghijkmnpqrstuvwxyz23".into(), ..host.read_write.clone() };
    world.wait_until("the relay has enough", || {
        let said = text(&run_ssh(&world, &wrong, &["-tt"], &[]));
        assert!(said.contains("Invalid or expired") || said.contains("Too many"), "{said}");
        said.contains("Too many")
    });
}

#[test]
fn pinned_fingerprint_that_does_not_match_stops_tern() {
    let world = World::new();
    let relay = Relay::start(&world);
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let args = ["--relay", &relay.name(), "--relay-fingerprint", other];
    let terminal = Host::try_share(&world, None, options(&args));
    assert_fails_with(&world, &terminal, &["host key", &relay.fingerprint, "not the pinned one"]);
}

#[test]
fn failed_sharing_is_tried_again_with_what_was_wrong_put_right() {
    let world = World::new();
    let relay = Relay::start(&world);
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let args = ["--relay", &relay.name(), "--relay-fingerprint", wrong];
    let tern = tern_tests::process::binary("tern").display().to_string();

    let terminal = Host::try_share(&world, None, options(&args));
    assert_says(&world, &terminal, &["Not shared"]);
    terminal.press(&["q"]);
    world.wait_until("the shell is there", || terminal.text().contains('$'));
    terminal.enter_line(&format!("{tern} --relay-fingerprint {}", relay.fingerprint));
    let line = world.wait_for("tern shows the join lines", || {
        JoinLine::find_all(&terminal.text()).into_iter().next()
    });
    assert_eq!(line.port, relay.port);

    // A plain terminal is shared by the process that runs it, or not at all.
    let args = [["--no-tmux"].as_slice(), &args].concat();
    let terminal = Host::try_share(&world, None, options(&args));
    assert_says(&world, &terminal, &["Not shared"]);
    terminal.press(&["q"]);
    world.wait_until("the shell is there", || terminal.text().contains('$'));
    terminal.enter_line(&tern);
    assert_says(&world, &terminal, &["has failed", "leave the shell", "start `tern` anew"]);
}

#[test]
fn unknown_key_is_learnt_with_a_notice_and_a_changed_one_stops_tern() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::start(&world, None, options(&["--relay", &relay.name()]));
    wait_until_shows(&world, &host.terminal, &relay.fingerprint);
    host.close_start_view();
    host.terminal.enter_line("exit");
    world.wait_until("tern ends", || host.terminal.exit_code().is_some());

    // Another relay at the same place.
    let (address, port) = (relay.address, relay.port);
    drop(relay);
    let other = Relay::start_in(&world, world.home("impostor"), address, port, &[]);
    let terminal = host.again(&["--relay", &other.name()]);
    assert_fails_with(&world, &terminal, &["CHANGED", &other.fingerprint]);
}

#[test]
fn impostor_at_the_quic_port_is_not_trusted() {
    let world = World::new();
    let port = tern_tests::ports::free(Ipv4Addr::LOCALHOST);
    let (true_address, false_address) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let home = |name: &str| world.home(name);
    let relay = Relay::start_in(&world, home("relay"), true_address, port, &[]);
    let _impostor = Relay::start_in(&world, home("impostor"), false_address, port, &[]);
    let proxy = Proxy::start(
        port,
        SocketAddrV4::new(true_address, port),
        SocketAddrV4::new(false_address, port),
    )
    .expect("the port is free on 127.0.0.1, too");
    let name = format!("127.0.0.1:{}", proxy.port);
    let args = ["--relay", &name, "--relay-fingerprint", &relay.fingerprint];
    let terminal = Host::try_share(&world, None, options(&args));
    assert_says(&world, &terminal, &["another certificate"]);
    assert!(JoinLine::find_all(&terminal.text()).is_empty(), "{}", world.report());
}

#[test]
fn relay_refuses_an_old_protocol_version_in_words() {
    let world = World::new();
    let relay = Relay::start(&world);
    let home = world.home("old");
    let mut args = ssh_options(&world.folder().join("known_hosts"), "accept-new");
    let port = relay.port.to_string();
    args.extend(["-s", "-p", &port, "tern@127.0.0.1", "tern"].map(str::to_owned));
    let question = home.join("question");
    // "TERN", version 0, an empty body.
    fs::write(&question, b"TERN\x00\x00\x00\x00\x00\x00").expect("our own home");
    let mut ssh = world.command("timeout", &home);
    ssh.arg("60").args(args).stdin(Stdio::from(fs::File::open(question).expect("just written")));
    let said = text(&tern_tests::process::run(&mut ssh));
    assert!(said.contains("your tern is older than this relay: update it"), "{said:?}");
}

#[test]
fn full_relay_says_so_to_hosts_and_viewers() {
    let world = World::new();
    let flags = ["--sessions", "1", "--viewers-per-session", "1"];
    let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &flags);
    let host = Host::share(&world, &relay);
    let terminal = Host::try_share(&world, Some(&relay), options(&[]));
    assert_says(&world, &terminal, &["full"]);
    let _first = Viewer::join(&world, &host, &host.read_write);
    let second = Viewer::open(&world, &host.read_write, ViewerOptions::default());
    assert_ne!(second.wait_until_left(), 0);
    assert!(second.terminal.shows("no room for another viewer"), "{}", world.report());
}

#[test]
fn relay_that_is_not_there_or_none_at_all_is_named() {
    let world = World::new();
    let port = tern_tests::ports::free(Ipv4Addr::LOCALHOST);
    let name = format!("127.0.0.1:{port}");
    let terminal = Host::try_share(&world, None, options(&["--relay", &name]));
    assert_says(&world, &terminal, &["cannot reach the relay", &name]);
    let terminal = Host::try_share(&world, None, options(&["--relay", "no-such-name.invalid"]));
    assert_says(&world, &terminal, &["cannot find the relay"]);
}

#[test]
fn relay_names_its_key_and_the_line_for_clients_and_keeps_them() {
    let world = World::new();
    let relay = Relay::start(&world);
    let line = format!("tern --relay {} --relay-fingerprint {}", relay.name(), relay.fingerprint);
    assert!(relay.output().contains(&line), "{}", relay.output());
    let (folder, address, port) = (relay.folder(), relay.address, relay.port);
    let fingerprint = relay.fingerprint.clone();
    drop(relay);
    let again = Relay::start_in(&world, folder.clone(), address, port, &[]);
    assert_eq!(again.fingerprint, fingerprint);
    assert_eq!(find_fingerprint(&again.output()), Some(fingerprint));
    for entry in fs::read_dir(folder.join("data")).expect("the data folder").flatten() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = entry.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn every_command_has_help() {
    let world = World::new();
    let home = world.home("reader");
    let cases: [(&str, &[&str]); 6] = [
        ("tern", &["--help"]),
        ("tern", &["stop", "--help"]),
        ("tern", &["status", "--help"]),
        ("tern", &["show-messages", "--help"]),
        ("tern", &["--version"]),
        ("tern-relay", &["--help"]),
    ];
    for (program, args) in cases {
        let mut command = world.command(tern_tests::process::binary(program), &home);
        let output = tern_tests::process::run(command.args(args));
        assert!(output.status.success() && !output.stdout.is_empty(), "{program} {args:?}");
        assert!(output.stderr.is_empty(), "{program} {args:?}: {}", text(&output));
    }
}

#[test]
fn relay_for_some_lets_only_their_keys_host() {
    let world = World::new();
    let home = world.home("owner");
    let key = home.join("key");
    let mut keygen = world.command("ssh-keygen", &home);
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    assert!(tern_tests::process::run(&mut keygen).status.success());
    let authorized = key.with_extension("pub").display().to_string();
    let flags = ["--authorized-hosts", &authorized];
    let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &flags);
    let stranger = Host::try_share(&world, Some(&relay), options(&[]));
    assert_fails_with(&world, &stranger, &["accepts none of your SSH keys", "-i"]);
    let host = Host::share_with(&world, Some(&relay), options(&["-i", &key.display().to_string()]));
    let line = ViewerOptions { size: (120, 24), ..ViewerOptions::default() };
    let viewer = Viewer::open(&world, &host.read_write, line);
    viewer.wait_until_same(&host);
}

#[test]
fn agent_that_does_not_answer_is_named_and_what_to_do() {
    let shared = Shared::start();
    let agent = shared.host.agent();
    agent.signal(Signal::STOP);
    // Its threads stop one after another, and the last may still answer.
    shared.world.wait_until("all of it has stopped", || agent.has_stopped());
    for command in ["status", "stop"] {
        let output = shared.host.tern(&[command]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let advice = format!("kill -CONT {}", agent.pid);
        assert!(said.contains("does not answer") && said.contains(&advice), "{said}");
    }
    agent.signal(Signal::CONT);
    let output = shared.host.tern(&["status"]);
    assert!(output.status.success(), "{}", text(&output));
}
