//! Who may join: keys shown by the stock `ssh` (file, agent, certificate) and by `tern join`.

use std::fs;
use std::path::Path;
use std::process::Command;
use tern_tests::keys::{Keys, by_ssh, by_tern, refused};
use tern_tests::process::{binary, run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Relay, Terminal, Viewer, ViewerOptions, World};

fn with_keys(world: &World, relay: &Relay, list: &Path, more: &[&str]) -> Host {
    let mut args = vec!["-a".to_owned(), list.display().to_string()];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    Host::share_with(world, Some(relay), HostOptions { args, ..HostOptions::default() })
}

#[test]
fn people_with_listed_keys_get_in_with_their_rights_and_others_do_not() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let kinds: [(&str, &[&str]); 3] = [
        ("ed25519", &["ed25519"]),
        ("ecdsa", &["ecdsa", "-b", "384"]),
        ("rsa", &["rsa", "-b", "2048"]),
    ];
    let paths = kinds.map(|(name, kind)| keys.make(name, kind));
    let [wrong, expired, looker] =
        ["wrong", "expired", "looker"].map(|name| keys.make(name, &["ed25519"]));
    let mut list = String::from("# my team\n\n");
    for (name, _) in kinds {
        list += &keys.line(name);
    }
    list += &format!("expiry-time=\"20200101\" {}", keys.line("expired"));
    list += &format!("restrict,read-only {}", keys.line("looker"));
    list += "no-such-option ssh-ed25519 AAAA\n";
    let file = keys.folder.join("list");
    fs::write(&file, list).expect("our own folder");
    let host = with_keys(&world, &relay, &file, &[]);
    let log = text(&host.tern(&["show-messages"]));
    assert!(log.contains(&format!("Using {} for access control", file.display())), "{log}");
    assert!(log.contains("line 8"), "{log}");
    for (path, (name, _)) in paths.iter().zip(kinds) {
        let viewer = by_ssh(&world, &host.read_write, path);
        viewer.wait_until_same(&host);
        let log = text(&host.tern(&["show-messages"]));
        assert!(log.contains(&format!("A mate has joined (127.0.0.1, {name})")), "{log}");
        viewer.terminal.enter_line("echo from $((40 + 2))");
        viewer.wait_until_shows("\nfrom 42");
        viewer.terminal.press(&["Enter", "~", "."]);
        viewer.wait_until_left();
        host.terminal.enter_line("clear");
        host.tmux(&["clear-history"]);
        wait_until_shows(&world, &host.terminal, "$");
    }
    for key in [&wrong, &expired] {
        let said = refused(&world, &host.read_write, key);
        assert!(said.contains("Permission denied (publickey)"), "{said}");
        let viewer = by_tern(&world, &host.read_write, key);
        viewer.wait_until_shows("only people whose SSH keys its host has listed");
        assert_eq!(viewer.wait_until_left(), 6);
    }
    let viewer = by_tern(&world, &host.read_write, &paths[0]);
    viewer.wait_until_same(&host);
    // Two who come with the line for typing, and may only look.
    let lookers =
        [by_ssh(&world, &host.read_write, &looker), by_tern(&world, &host.read_write, &looker)];
    for looker in &lookers {
        looker.wait_until_same(&host);
        looker.terminal.enter_line("echo never");
    }
    viewer.terminal.enter_line("echo typed");
    viewer.wait_until_shows("\ntyped");
    assert!(!host.terminal.shows("never"), "{}", world.report());
}

#[test]
fn change_of_the_file_counts_for_who_comes_next_and_a_spoilt_one_lets_nobody_in() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let [first, second] = ["first", "second"].map(|name| keys.make(name, &["ed25519"]));
    let file = keys.folder.join("list");
    fs::write(&file, keys.line("first")).expect("our own folder");
    let host = with_keys(&world, &relay, &file, &[]);
    let viewer = by_ssh(&world, &host.read_write, &first);
    viewer.wait_until_same(&host);
    refused(&world, &host.read_write, &second);
    fs::write(&file, keys.line("first") + &keys.line("second")).expect("our own folder");
    host.wait_until_log("has changed: it lets in 2 keys");
    by_tern(&world, &host.read_write, &second).wait_until_same(&host);
    fs::write(&file, "ssh-ed25519 nonsense\n").expect("our own folder");
    wait_until_shows(&world, &host.terminal, "Nobody new is let in until it is mended");
    for key in [&first, &second] {
        let said = refused(&world, &host.read_write, key);
        assert!(said.contains("Permission denied (publickey)"), "{said}");
    }
    let late = by_tern(&world, &host.read_write, &first);
    late.wait_until_shows("only people whose SSH keys its host has listed");
    viewer.terminal.enter_line("echo still $((6 * 7))");
    viewer.wait_until_shows("\nstill 42");
    fs::write(&file, keys.line("second")).expect("our own folder");
    host.wait_until_log("has changed: it lets in 1 key");
    by_ssh(&world, &host.read_write, &second).wait_until_same(&host);
    refused(&world, &host.read_write, &first);
    fs::remove_file(&file).expect("it was there");
    host.wait_until_log("Nobody new is let in until it is mended: cannot read");
    refused(&world, &host.read_write, &second);
}

#[test]
fn list_can_be_named_and_taken_back_while_the_session_is_shared() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let [right, wrong] = ["right", "wrong"].map(|name| keys.make(name, &["ed25519"]));
    let host = Host::share(&world, &relay);
    let socket = host.home.join("tmux").display().to_string();
    by_ssh(&world, &host.read_write, &wrong).wait_until_same(&host);
    let file = keys.folder.join("list");
    // By tmux itself; the file comes later.
    let path = file.display().to_string();
    host.tmux(&["set-option", "-g", "@tmate-authorized-keys", &path]);
    host.wait_until_log("Nobody new is let in until it is mended: cannot read");
    refused(&world, &host.read_write, &right);
    fs::write(&file, keys.line("right")).expect("our own folder");
    host.wait_until_log("has changed: it lets in 1 key");
    by_ssh(&world, &host.read_write, &right).wait_until_same(&host);
    refused(&world, &host.read_write, &wrong);
    // Another option changes nothing about it.
    let set = |option: &str, value: &str| {
        let output = host.tern(&["-S", &socket, "set", "-g", option, value]);
        assert!(output.status.success(), "{}", text(&output));
    };
    set("tmate-server-host", "elsewhere.example");
    host.wait_until_log("The option server-host counts when the sharing begins anew");
    wait_until_shows(&world, &host.terminal, "The option server-host counts when");
    refused(&world, &host.read_write, &wrong);
    host.tmux(&["set-option", "-gu", "@tmate-authorized-keys"]);
    host.wait_until_log("SSH keys are not asked for any more");
    by_tern(&world, &host.read_write, &wrong).wait_until_same(&host);
}

#[test]
fn keys_in_an_agent_and_certificates_get_in() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let [_, agents, certified, late] =
        ["ca", "agents", "certified", "late"].map(|name| keys.make(name, &["ed25519"]));
    keys.certify("ca", "certified", "team", "-1m:+1h");
    keys.certify("ca", "late", "team", "-1h:-1m");
    let file = keys.folder.join("list");
    let list =
        format!("cert-authority,principals=\"team\" {}{}", keys.line("ca"), keys.line("agents"));
    fs::write(&file, list).expect("our own folder");
    let host = with_keys(&world, &relay, &file, &[]);
    by_ssh(&world, &host.read_write, &certified).wait_until_same(&host);
    by_tern(&world, &host.read_write, &certified).wait_until_same(&host);
    host.wait_until_log("A mate has joined (127.0.0.1, the certified)");
    let said = refused(&world, &host.read_write, &late);
    assert!(said.contains("Permission denied"), "{said}");

    let socket = keys.folder.join("agent");
    let mut agent = world.command("ssh-agent", &keys.folder);
    // It leaves for the background; the world ends it.
    assert!(run(agent.arg("-a").arg(&socket)).status.success(), "ssh-agent starts");
    world.wait_until("the agent listens", || socket.exists());
    let mut add = Command::new("ssh-add");
    add.arg("-q").arg(&agents).env("SSH_AUTH_SOCK", &socket);
    assert!(run(&mut add).status.success());
    fs::remove_file(&agents).expect("the agent has it");
    let ssh_args = vec!["-o".into(), format!("IdentityAgent={}", socket.display())];
    let viewer = Viewer::open(
        &world,
        &host.read_write,
        ViewerOptions { ssh_args, ..ViewerOptions::default() },
    );
    viewer.wait_until_same(&host);
    host.wait_until_log("A mate has joined (127.0.0.1, agents)");
}

#[test]
fn relay_that_was_restarted_lets_nobody_slip_in() {
    let world = World::new();
    let folder = world.home("relay-again");
    let address = std::net::Ipv4Addr::LOCALHOST;
    let port = tern_tests::ports::free(address);
    let relay = Relay::start_in(&world, folder.clone(), address, port, &[]);
    let keys = Keys::new(&world);
    let [right, wrong] = ["right", "wrong"].map(|name| keys.make(name, &["ed25519"]));
    let file = keys.folder.join("list");
    fs::write(&file, keys.line("right")).expect("our own folder");
    let host = with_keys(&world, &relay, &file, &[]);
    let roaming = by_tern(&world, &host.read_write, &right);
    roaming.wait_until_same(&host);
    relay.signal(rustix::process::Signal::KILL);
    world.wait_until("the relay is gone", || !relay.is_running());
    let relay = Relay::start_in(&world, folder, address, port, &[]);
    let said = refused(&world, &host.read_write, &wrong);
    let is_kept_out = said.contains("Permission denied") || said.is_empty();
    assert!(is_kept_out, "{said}");
    world.wait_until("the roaming viewer is back", || relay.output().contains("viewer joined"));
    roaming.terminal.enter_line("echo back $((6 * 7))");
    roaming.wait_until_shows("\nback 42");
    by_ssh(&world, &host.read_write, &right).wait_until_same(&host);
}

/// What a terminal shows, without any space: lines may end anywhere.
fn unwrapped(terminal: &Terminal) -> String {
    terminal.text().split_whitespace().collect()
}

/// Types `tern ARGS` into a session that can't be shared so; gives what is shown then, [`unwrapped`].
fn not_shared(world: &World, host: &Host, args: &str, words: &str) -> String {
    host.terminal.enter_line("clear");
    world.wait_until("nothing is told any more", || !host.terminal.shows(words));
    host.terminal
        .enter_line(&format!("{} {args}; echo ended $((40 + 2))", binary("tern").display()));
    wait_until_shows(world, &host.terminal, "\nended 42");
    assert!(host.terminal.shows(words), "{}", world.report());
    assert_eq!(host.tern(&["status"]).status.code(), Some(1), "{}", world.report());
    unwrapped(&host.terminal)
}

#[test]
fn who_may_join_outlives_the_sharing_and_its_agent() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let [right, wrong] = ["right", "wrong"].map(|name| keys.make(name, &["ed25519"]));
    let (file, moved) = (keys.folder.join("list"), keys.folder.join("moved"));
    fs::write(&file, keys.line("right")).expect("our own folder");
    let mut host = with_keys(&world, &relay, &file, &[]);
    for is_killed in [false, true, false] {
        host.end_sharing(is_killed);
        host.share_again("");
        let told = "As before, SSH keys are asked for";
        wait_until_shows(&world, &host.terminal, told);
        refused(&world, &host.read_write, &wrong);
        by_ssh(&world, &host.read_write, &right).wait_until_same(&host);
    }
    // A list that is gone lets in nobody: neither now nor later.
    fs::rename(&file, &moved).expect("it is there");
    host.end_sharing(true);
    for _ in 0..2 {
        let said = not_shared(&world, &host, "", "cannot read");
        assert!(said.contains("tern--forget-access)"), "{said}");
    }
    // Another one counts in its place, from now on.
    let other = keys.folder.join("other");
    fs::write(&other, keys.line("wrong")).expect("our own folder");
    host.share_again(&format!("-a {}", other.display()));
    host.end_sharing(false);
    fs::rename(&moved, &file).expect("it is there");
    host.share_again("");
    refused(&world, &host.read_write, &right);
    by_ssh(&world, &host.read_write, &wrong).wait_until_same(&host);
    // Nobody knows any more who might join.
    host.end_sharing(false);
    host.tmux(&["set-option", "@tern-access", "{}"]);
    for args in ["", &format!("-a {}", file.display())] {
        not_shared(&world, &host, args, "nobody may join before you say anew who may");
    }
    host.share_again(&format!("--forget-access -a {}", file.display()));
    refused(&world, &host.read_write, &wrong);
    host.end_sharing(false);
    host.share_again("--forget-access");
    by_ssh(&world, &host.read_write, &wrong).wait_until_same(&host);
}

#[test]
fn list_that_cannot_be_used_shares_nothing_and_the_shell_starts() {
    let world = World::new();
    let relay = Relay::start(&world);
    let keys = Keys::new(&world);
    let empty = keys.folder.join("empty");
    fs::write(&empty, "# nobody\nnonsense\n").expect("our own folder");
    let missing = keys.folder.join("missing");
    for (file, reason) in [(&missing, "cannot read"), (&empty, "no usable key")] {
        let args = vec!["-a".into(), file.display().to_string()];
        let options = HostOptions { args, size: (120, 24), ..HostOptions::default() };
        let terminal = Host::try_share(&world, Some(&relay), options);
        wait_until_shows(&world, &terminal, reason);
        assert!(terminal.shows("Not shared"), "{}", world.report());
        terminal.press(&["q"]);
        wait_until_shows(&world, &terminal, "$");
        terminal.enter_line("echo shell $((40 + 2))");
        wait_until_shows(&world, &terminal, "shell 42");
        // Nor is it shared without the list.
        terminal.enter_line(&format!("clear; {}", binary("tern").display()));
        wait_until_shows(&world, &terminal, reason);
        world.wait_until("it says why", || unwrapped(&terminal).contains("(Asbefore,SSHkeys"));
    }
}
