//! How sessions and viewers end: what each sees, what goes on, and with which exit code.

use rustix::process::Signal;
use std::process::Command;
use tern_tests::process::{run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Relay, Shared, Viewer, ViewerOptions, World};

#[test]
fn prefix_d_of_a_viewer_detaches_that_viewer_alone() {
    let shared = Shared::start();
    let other = Viewer::join(&shared.world, &shared.host, &shared.host.read_write);
    other.terminal.press(&["C-b", "d"]);
    assert_eq!(other.wait_until_left(), 0, "{}", shared.world.report());
    other.wait_until_shows("[detached (from session");
    shared.viewer_runs("echo still $((40 + 2))", "\nstill 42");
    assert!(shared.host.terminal.exit_code().is_none(), "the host is still attached");
    let again = Viewer::join(&shared.world, &shared.host, &shared.host.read_write);
    again.terminal.enter_line("echo again");
    again.wait_until_shows("\nagain");
}

#[test]
fn prefix_d_of_the_host_detaches_the_host_and_the_session_goes_on() {
    let shared = Shared::start();
    shared.host.terminal.press(&["C-b", "d"]);
    shared.world.wait_until("tern ends", || shared.host.terminal.exit_code() == Some(0));
    shared.viewer.terminal.enter_line("echo alone $((40 + 2))");
    shared.viewer.wait_until_shows("\nalone 42");
    // The person is told how to come back.
    assert!(shared.host.terminal.shows("detached"), "{}", shared.world.report());
}

#[test]
fn copies_of_the_configuration_go_with_the_session() {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions {
        tmux_config: "set -g tmate-webhook-userdata secret\n".into(),
        ..HostOptions::default()
    };
    let host = Host::share_with(&world, Some(&relay), options);
    let copies = || {
        let mut find = Command::new("find");
        text(&run(find.arg(world.folder()).args(["-name", "*.conf", "-path", "*.config-*"])))
    };
    assert!(copies().contains("0.conf"), "tmux reads a copy: {}", copies());
    host.terminal.enter_line("exit");
    world.wait_until("tern ends", || host.terminal.exit_code() == Some(0));
    assert_eq!(copies(), "");
}

#[test]
fn exit_of_the_shell_ends_the_session_for_everybody_with_a_line() {
    let shared = Shared::start();
    let reader = Viewer::join(&shared.world, &shared.host, &shared.host.read_only);
    shared.viewer.terminal.enter_line("exit");
    for viewer in [&shared.viewer, &reader] {
        assert_eq!(viewer.wait_until_left(), 0, "{}", shared.world.report());
        viewer.wait_until_shows("[");
        let text = viewer.terminal.text();
        assert!(text.contains("ended") || text.contains("exited"), "{text}");
        let state = viewer.terminal.tmux(&["display-message", "-p", "#{alternate_on}"]);
        assert_eq!(state.trim(), "0", "the viewer's main screen is back");
    }
    shared.world.wait_until("tern ends", || shared.host.terminal.exit_code() == Some(0));
    shared.world.wait_until("no agent is left", || {
        !shared.world.processes().iter().any(|p| p.name() == "tern" && p.is_running())
    });
    // The tokens are dead.
    let late = Viewer::open(&shared.world, &shared.host.read_write, ViewerOptions::default());
    assert_ne!(late.wait_until_left(), 0);
    assert!(late.terminal.shows("Invalid or expired session token"), "{}", shared.world.report());
}

#[test]
fn hang_up_of_the_hosts_terminal_leaves_the_session_shared() {
    let shared = Shared::start();
    shared.host.terminal.kill();
    shared.world.wait_until("the local client is gone", || {
        let format = "#{client_tty}";
        shared.host.tmux(&["list-clients", "-F", format]).lines().count() <= 2
    });
    shared.viewer.terminal.enter_line("echo alone $((40 + 2))");
    shared.viewer.wait_until_shows("\nalone 42");
    let late = Viewer::open(&shared.world, &shared.host.read_write, ViewerOptions::default());
    late.wait_until_shows("alone 42");
}

#[test]
fn death_of_the_agent_leaves_the_work_alone() {
    let shared = Shared::start();
    shared.host.agent().signal(Signal::KILL);
    wait_until_shows(&shared.world, &shared.host.terminal, "Not shared any more");
    shared.host.terminal.enter_line("echo local $((40 + 2))");
    wait_until_shows(&shared.world, &shared.host.terminal, "\nlocal 42");
    assert!(shared.host.has_session());
    shared.viewer.wait_until_shows("host last heard");
    assert_eq!(shared.host.terminal.exit_code(), None);
    // The only client that is left is the host's own: nothing hinders the server's end.
    shared.world.wait_until("the agent's clients are gone", || {
        let clients = shared.host.tmux(&["list-clients", "-F", "#{client_tty}"]);
        clients.lines().count() == 1 && agents_clients(&shared.world) == 0
    });
    shared.host.tmux(&["kill-server"]);
    shared.world.wait_until("tern ends", || shared.host.terminal.exit_code().is_some());
}

#[test]
fn session_whose_agent_died_is_shared_again_over_the_relay_of_before() {
    let mut shared = Shared::start();
    let before = shared.host.read_write.clone();
    shared.host.agent().signal(Signal::KILL);
    wait_until_shows(&shared.world, &shared.host.terminal, "Not shared any more");
    shared.host.share_again("");
    let line = &shared.host.read_write;
    assert_eq!(line.port, shared.relay.port);
    assert_ne!(line.token, before.token);
    let viewer = Viewer::join(&shared.world, &shared.host, line);
    viewer.terminal.enter_line("echo again $((40 + 2))");
    wait_until_shows(&shared.world, &shared.host.terminal, "\nagain 42");
}

/// Clients that only an agent starts.
fn agents_clients(world: &World) -> usize {
    let is_agents = |args: &[String]| args.iter().any(|arg| arg == "-C" || arg.contains("extkeys"));
    world.processes().iter().filter(|process| is_agents(&process.args)).count()
}

#[test]
fn viewers_stay_while_the_host_is_away_and_see_a_line_that_says_so() {
    let shared = Shared::start();
    let agent = shared.host.agent();
    agent.signal(Signal::STOP);
    shared.viewer.wait_until_shows("host last heard");
    shared.host.terminal.enter_line("echo while away");
    wait_until_shows(&shared.world, &shared.host.terminal, "\nwhile away");
    let late = Viewer::open(&shared.world, &shared.host.read_only, ViewerOptions::default());
    late.wait_until_shows("host last heard");
    agent.signal(Signal::CONT);
    shared.wait_until_both_show("while away");
    late.wait_until_same(&shared.host);
    shared.viewer_runs("echo back", "\nback");
}

#[test]
fn sigterm_of_the_relay_is_told_to_everybody() {
    let shared = Shared::start();
    shared.relay.signal(Signal::TERM);
    shared.viewer.wait_until_shows("the same line works again");
    shared.relay.wait();
    let code = shared.viewer.wait_until_left();
    assert!(
        shared.viewer.terminal.shows("restarting or stopping"),
        "exit {code}\n{}",
        shared.world.report()
    );
    shared.host.terminal.enter_line("echo local $((40 + 2))");
    wait_until_shows(&shared.world, &shared.host.terminal, "\nlocal 42");
}

#[test]
fn relay_that_was_killed_comes_back_with_the_same_lines() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let (folder, address, port) = (relay.folder(), relay.address, relay.port);
    relay.signal(Signal::KILL);
    relay.wait();
    let _relay = Relay::start_in(&world, folder, address, port, &[]);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    viewer.terminal.enter_line("echo anew $((40 + 2))");
    viewer.wait_until_shows("\nanew 42");
}

#[test]
fn viewer_leaves_by_sshs_own_escape() {
    let shared = Shared::start();
    shared.viewer.terminal.press(&["Enter", "~", "."]);
    shared.viewer.wait_until_left();
    wait_until_shows(&shared.world, &shared.host.terminal, "$");
    shared.world.wait_until("the host knows that nobody watches", || {
        let messages = shared.host.tern(&["show-messages"]);
        String::from_utf8_lossy(&messages.stdout).contains("has left")
    });
}

#[test]
fn session_of_a_command_ends_with_it() {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions {
        args: ["--", "sh", "-c", "echo started; read line; echo got $line; read line"]
            .map(str::to_owned)
            .into(),
        ..HostOptions::default()
    };
    let host = Host::share_with(&world, Some(&relay), options);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    viewer.wait_until_shows("started");
    viewer.terminal.enter_line("hello");
    wait_until_shows(&world, &host.terminal, "got hello");
    viewer.terminal.press(&["Enter"]);
    assert_eq!(viewer.wait_until_left(), 0);
    world.wait_until("tern ends", || host.terminal.exit_code().is_some());
}

#[test]
fn killed_viewer_is_gone_and_another_goes_on() {
    let shared = Shared::start();
    let other = Viewer::join(&shared.world, &shared.host, &shared.host.read_write);
    shared.viewer.signal(Signal::KILL);
    other.terminal.enter_line("echo other $((40 + 2))");
    other.wait_until_shows("\nother 42");
    other.wait_until_same(&shared.host);
}
