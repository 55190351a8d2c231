//! Whoever joined by `tern` can leave, ask for help and suspend at any moment, whatever state the link
//! is in; and has their terminal back as it was.

use netsim::Action;
use rustix::process::Signal;
use std::net::{Ipv4Addr, TcpListener};
use tern_tests::answering::Answering;
use tern_tests::shared::wait_until_shows;
use tern_tests::shell::Shell;
use tern_tests::{Host, JoinLine, Labbed, Relay, Viewer, World, lab};

/// Suspends, looks at the terminal, goes on, and waits for the words again.
#[track_caller]
fn suspend_and_return(world: &World, shell: &Shell, words: &str) {
    shell.terminal.press(&["Enter", "~", "C-z"]);
    wait_until_shows(world, &shell.terminal, "Stopped");
    shell.assert_usual("a suspension");
    shell.terminal.enter_line("fg");
    wait_until_shows(world, &shell.terminal, words);
    assert_eq!(shell.flag("#{alternate_on}"), "1");
}

#[test]
fn before_the_first_picture_came() {
    let world = World::new();
    let relay = Answering::without_link();
    let shell = Shell::open(&world);
    shell.start_joining(&relay.line());
    wait_until_shows(&world, &shell.terminal, "connecting for");
    suspend_and_return(&world, &shell, "connecting for");
    shell.terminal.press(&["Enter", "~", "?"]);
    wait_until_shows(&world, &shell.terminal, "Enter ~ . leaves");
    shell.terminal.press(&["~", "."]);
    shell.assert_ended(0, "[left the session]");

    // Relay and all are gone meanwhile.
    shell.start_joining(&relay.line());
    wait_until_shows(&world, &shell.terminal, "connecting for");
    relay.stop();
    shell.terminal.press(&["Enter", "~", "."]);
    shell.assert_ended(0, "[left the session]");
}

#[test]
fn before_the_relay_has_answered_at_all() {
    let world = World::new();
    let shell = Shell::open(&world);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = silent.local_addr().expect("it is bound").port();
    let token = "abcdefghjkmnpqrstuvwxyz234".to_owned();
    let host = Ipv4Addr::LOCALHOST.to_string();
    let line = JoinLine { port, token, is_shown_as_read_only: false, host };
    shell.start_joining(&line);
    let _connection = silent.accept().expect("tern connects");
    // As with ssh, the terminal is still the shell's: it stops and ends what runs there.
    shell.terminal.press(&["C-z"]);
    wait_until_shows(&world, &shell.terminal, "Stopped");
    shell.assert_usual("a stop");
    shell.terminal.enter_line("fg");
    shell.wait_until_runs("tern");
    shell.terminal.press(&["C-c"]);
    shell.assert_ended(130, "");

    // What is typed ahead counts when there is a place.
    let relay = Answering::without_link();
    shell.start_joining(&relay.line());
    shell.terminal.press(&["Enter", "~", "."]);
    shell.assert_ended(0, "[left the session]");
}

#[test]
fn while_the_host_is_silent() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let shell = Shell::open(&world);
    shell.join(&host);
    let agent = host.agent();
    agent.signal(Signal::STOP);
    wait_until_shows(&world, &shell.terminal, "host last heard");
    suspend_and_return(&world, &shell, "host last heard");
    shell.terminal.press(&["Enter", "~", "?"]);
    wait_until_shows(&world, &shell.terminal, "Enter ~ . leaves");
    shell.terminal.press(&["~", "."]);
    shell.assert_ended(0, "[left the session]");
    // Whoever left has left, though the host hears of it later.
    agent.signal(Signal::CONT);
    host.wait_until_log("has left");
}

#[test]
fn while_the_relay_is_gone_and_when_it_is_there_again() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let shell = Shell::open(&world);
    shell.join(&host);
    let (folder, address, port) = (relay.folder(), relay.address, relay.port);
    drop(relay);
    wait_until_shows(&world, &shell.terminal, "relay last heard");
    suspend_and_return(&world, &shell, "relay last heard");
    shell.terminal.press(&["Enter", "~", "."]);
    shell.assert_ended(0, "[left the session]");

    let relay = Relay::start_in(&world, folder, address, port, &[]);
    shell.join(&host);
    // Continued on a link that was lost meanwhile, it finds the next.
    shell.terminal.press(&["Enter", "~", "C-z"]);
    wait_until_shows(&world, &shell.terminal, "Stopped");
    let folder = relay.folder();
    drop(relay);
    let _relay = Relay::start_in(&world, folder, address, port, &[]);
    host.terminal.enter_line("clear; echo mean''while");
    shell.terminal.enter_line("fg");
    wait_until_shows(&world, &shell.terminal, "\nmeanwhile");
    shell.terminal.press(&["Enter", "~", "."]);
    shell.assert_ended(0, "[left the session]");
}

#[test]
fn while_the_network_is_gone_and_when_it_has_just_come_back() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let leave = |viewer: &Viewer| {
        viewer.terminal.press(&["Enter", "~", "."]);
        assert_eq!(viewer.wait_until_left(), 0, "{}", labbed.world.report());
        viewer.wait_until_shows("[left the session]");
        assert_eq!(viewer.terminal.tmux(&["display-message", "-p", "#{alternate_on}"]), "0\n");
    };
    let [offline, back] = [labbed.join_by_tern(&host), labbed.join_by_tern(&host)];
    labbed.happens(Action::down(lab::HOTSPOT));
    for viewer in [&offline, &back] {
        viewer.wait_until_shows("relay last heard");
    }
    leave(&offline);
    labbed.happens(Action::up(lab::HOTSPOT));
    leave(&back);
    host.wait_until_log("has left");
}
