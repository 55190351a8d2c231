//! Other ways to share: a tmux that already runs, no tmux, one command, the embedded relay.

use std::fs;
use std::os::unix::fs::symlink;
use tern_tests::host::is_start_view_gone;
use tern_tests::shared::wait_until_shows;
use tern_tests::viewer::wait_until_same;
use tern_tests::{
    Host, HostOptions, JoinLine, Namespace, Relay, Terminal, Viewer, ViewerOptions, World,
};

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// A person in a tmux of their own, with a shell in it.
fn own_tmux(world: &World) -> (std::path::PathBuf, Terminal) {
    let home = world.home(&world.unique("host"));
    fs::write(home.join(".tmux.conf"), "set -g status-left '[mine] '\n").expect("our own home");
    let args = args(&["tmux", "-S", &home.join("own").display().to_string(), "new-session"]);
    let terminal = Terminal::open(world, "host", (80, 24), &world.environment(&home), &args);
    wait_until_shows(world, &terminal, "$");
    (home, terminal)
}

/// Runs `tern` in that tmux, takes the lines down, and closes the start view if there is one.
fn share_from_within(world: &World, terminal: &Terminal, relay: &Relay) -> JoinLine {
    share_from_within_with(world, terminal, &tern_tests::host::relay_args(Some(relay)).join(" "))
}

fn share_from_within_with(world: &World, terminal: &Terminal, args: &str) -> JoinLine {
    let tern = tern_tests::process::binary("tern");
    terminal.enter_line(&format!("{} {args}", tern.display()));
    let line = world.wait_for("tern shows the join lines", || {
        JoinLine::find_all(&terminal.text()).into_iter().find(|line| !line.is_read_only())
    });
    // In a popup, although that can't be as wide as it would like to be.
    assert!(terminal.shows("Press <q>"), "{}", world.report());
    terminal.press(&["q"]);
    world.wait_until("the popup closes", || is_start_view_gone(terminal));
    line
}

#[test]
fn session_that_already_runs_is_shared_where_it_is() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (home, terminal) = own_tmux(&world);
    terminal.enter_line("SECRET_OF_THIS_SHELL=kept");
    let line = share_from_within(&world, &terminal, &relay);
    let viewer = Viewer::open(&world, &line, ViewerOptions::default());
    viewer.wait_until_shows("[mine]");
    viewer.terminal.press(&["C-b", "c"]);
    viewer.wait_until_shows("1:bash*");
    viewer.terminal.press(&["C-b", "p"]);
    viewer.terminal.press(&["C-u"]);
    viewer.terminal.enter_line("clear; echo it is $SECRET_OF_THIS_SHELL");
    viewer.wait_until_shows("it is kept");
    wait_until_same(&world, &terminal, &viewer.terminal);

    let tern = tern_tests::process::binary("tern");
    terminal.enter_line(&format!("clear; {} stop", tern.display()));
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    terminal.enter_line("clear; echo on and on");
    wait_until_shows(&world, &terminal, "\non and on");
    assert_eq!(terminal.exit_code(), None);
    drop(home);
}

#[test]
fn who_may_join_can_be_said_again_where_a_session_is_shared_already() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (_home, terminal) = own_tmux(&world);
    let line = share_from_within(&world, &terminal, &relay);
    let viewer = Viewer::open(&world, &line, ViewerOptions::default());
    viewer.wait_until_shows("[mine]");
    let tern = tern_tests::process::binary("tern");
    terminal.enter_line(&format!("clear; {} --approve", tern.display()));
    wait_until_shows(&world, &terminal, "ssh session:");
    terminal.press(&["q"]);
    let other = Viewer::open(&world, &line, ViewerOptions::default());
    other.wait_until_shows("waiting for the host to let you in");
    wait_until_shows(&world, &terminal, "A mate wants to join?");
    assert!(!viewer.terminal.shows("A mate wants to join?"), "{}", world.report());
}

#[test]
fn who_may_join_in_a_tmux_that_already_runs_is_as_before_when_it_is_shared_again() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (_home, terminal) = own_tmux(&world);
    let tern = tern_tests::process::binary("tern").display().to_string();
    let run = |args: &str, answer: &str| {
        terminal.enter_line(&format!("clear; {tern} {args}"));
        wait_until_shows(&world, &terminal, answer);
    };
    let is_asked = |line: &JoinLine| {
        let viewer = Viewer::open(&world, line, ViewerOptions::default());
        viewer.wait_until_shows("waiting for the host to let you in");
        // The menu takes the keys as long as somebody waits.
        wait_until_shows(&world, &terminal, "A mate wants to join?");
        viewer.signal(rustix::process::Signal::TERM);
        world.wait_until("the menu is gone", || !terminal.shows("A mate wants to join?"));
    };
    let relay_args = tern_tests::host::relay_args(Some(&relay)).join(" ");
    share_from_within_with(&world, &terminal, &format!("{relay_args} --approve"));
    run("stop", "The sharing has ended");
    is_asked(&share_from_within_with(&world, &terminal, ""));
    run("stop", "The sharing has ended");
    let line = share_from_within_with(&world, &terminal, "--forget-access");
    Viewer::open(&world, &line, ViewerOptions::default()).wait_until_shows("[mine]");
    // Said while it is shared already.
    run("--approve", "ssh session:");
    terminal.press(&["q"]);
    world.wait_until("the popup closes", || is_start_view_gone(&terminal));
    is_asked(&line);
    run("stop", "The sharing has ended");
    is_asked(&share_from_within_with(&world, &terminal, ""));
}

#[test]
fn lines_that_scrolled_off_before_the_sharing_are_nobodys() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (_home, terminal) = own_tmux(&world);
    terminal.enter_line("seq 7000 7100; echo before");
    wait_until_shows(&world, &terminal, "\nbefore");
    let line = share_from_within(&world, &terminal, &relay);
    let viewer = Viewer::open(&world, &line, ViewerOptions::tern());
    viewer.wait_until_shows("\nbefore");
    terminal.enter_line("seq 60; echo after");
    viewer.wait_until_shows("\nafter");
    assert!(!viewer.terminal.shows("7100"));
    // Shift-Home; what stood on the screen when the sharing began has scrolled off since.
    world.wait_until("the oldest lines are shown", || {
        viewer.terminal.send_bytes(b"\x1b[1;2H");
        viewer.terminal.shows("\n7100\nbefore")
    });
    assert!(!viewer.terminal.shows("7060"), "{}", viewer.terminal.text());
}

#[test]
fn two_people_on_one_machine_share_beside_each_other() {
    let world = World::new();
    let relay = Relay::start(&world);
    let hosts = [Host::share(&world, &relay), Host::share(&world, &relay)];
    for (number, host) in hosts.iter().enumerate() {
        let viewer = Viewer::join(&world, host, &host.read_write);
        viewer.terminal.enter_line(&format!("echo session $(({number} + 70))"));
        wait_until_shows(&world, &host.terminal, &format!("\nsession {}", number + 70));
        assert!(!hosts[1 - number].terminal.shows(&format!("session {}", number + 70)));
    }
}

#[test]
fn no_tmux_shares_a_plain_shell() {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions { args: args(&["--no-tmux"]), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    plain_shell_is_shared(&world, &host);
}

#[test]
fn machine_without_tmux_shares_a_plain_shell() {
    let world = World::new();
    let relay = Relay::start(&world);
    // A path that has everything but tmux.
    let folder = world.folder().join("bin");
    fs::create_dir(&folder).expect("the sandbox can be written");
    for name in ["bash", "sh", "env", "stty", "clear", "cat", "vim", "seq", "ssh", "id", "tput"] {
        if let Some(program) = ["/usr/bin", "/bin"]
            .map(|place| std::path::Path::new(place).join(name))
            .into_iter()
            .find(|path| path.exists())
        {
            symlink(program, folder.join(name)).expect("the sandbox can be written");
        }
    }
    let path = folder.display().to_string();
    let options = HostOptions {
        environment: vec![("PATH".into(), path.clone()), ("TERN_TEST_PATH".into(), path)],
        ..HostOptions::default()
    };
    let host = Host::start(&world, Some(&relay), options);
    // The host alone is told why, before the shell is there.
    assert!(host.terminal.shows("tmux is not installed"), "{}", world.report());
    host.close_start_view();
    wait_until_shows(&world, &host.terminal, "$");
    plain_shell_is_shared(&world, &host);
}

fn plain_shell_is_shared(world: &World, host: &Host) {
    tern_tests::fixtures::write_into(&host.home.join("work"));
    let viewer = Viewer::join(world, host, &host.read_write);
    let reader = Viewer::join(world, host, &host.read_only);
    viewer.terminal.enter_line("clear; cat wide.txt rich.txt");
    wait_until_shows(world, &host.terminal, "all at once");
    reader.terminal.enter_line("touch by-reader");
    for one in [&viewer, &reader] {
        one.wait_until_same(host);
    }
    viewer.terminal.enter_line("clear; vim --clean lines.txt");
    wait_until_shows(world, &host.terminal, "400L");
    for key in ["C-d", "C-e", "x"] {
        host.terminal.press(&[key]);
        viewer.wait_until_same(host);
    }
    viewer.terminal.press(&[":", "q", "!", "Enter"]);
    wait_until_shows(world, &host.terminal, "\n$");
    viewer.terminal.enter_line("exit");
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    assert_eq!(reader.wait_until_left(), 0);
    world.wait_until("tern ends", || host.terminal.exit_code() == Some(0));
    assert!(!host.home.join("work/by-reader").exists());
}

#[test]
fn no_tmux_passes_on_the_exit_code_of_a_command() {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions {
        args: args(&["--no-tmux", "--", "sh", "-c", "echo ready; read line; exit 7"]),
        ..HostOptions::default()
    };
    let host = Host::share_with(&world, Some(&relay), options);
    wait_until_shows(&world, &host.terminal, "ready");
    let viewer = Viewer::join(&world, &host, &host.read_write);
    viewer.terminal.press(&["Enter"]);
    world.wait_until("tern ends", || host.terminal.exit_code() == Some(7));
    assert_eq!(viewer.wait_until_left(), 0);
}

#[test]
fn exit_code_of_a_command_in_tmux_is_terns() {
    let world = World::new();
    let relay = Relay::start(&world);
    let cases = [
        ("echo ready; read line; exit 7;", "Enter", 7),
        ("echo ready; read line; kill -TERM $$", "Enter", 143),
        ("trap 'exit 9' INT; echo ready; while :; do read line; done", "C-c", 9),
    ];
    for (script, key, code) in cases {
        let args = args(&["--", "sh", "-c", script]);
        let options = HostOptions { args, ..HostOptions::default() };
        let host = Host::share_with(&world, Some(&relay), options);
        wait_until_shows(&world, &host.terminal, "ready");
        // The window has the command's name, as it had without us.
        wait_until_shows(&world, &host.terminal, "0:sh*");
        host.terminal.press(&[key]);
        world.wait_until("tern ends", || host.terminal.exit_code().is_some());
        assert_eq!(host.terminal.exit_code(), Some(code), "{script}\n{}", world.report());
    }
}

#[test]
fn command_that_cannot_be_run_is_named_before_anything_is_shared() {
    let world = World::new();
    let home = world.home("host");
    let file = world.folder().join("no-program");
    fs::write(&file, "").expect("the sandbox can be written");
    for more in [&[] as &[&str], &["--no-tmux"]] {
        for (program, code) in [
            ("/no/such/program", 127),
            ("no-such-program", 127),
            (&file.display().to_string(), 126),
        ] {
            let mut tern = world.command(tern_tests::process::binary("tern"), &home);
            let output = tern_tests::process::run(tern.args(more).args(["--", program]));
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            let said = tern_tests::process::text(&output);
            assert!(said.starts_with(&format!("tern: cannot run '{program}': ")), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
    assert!(world.processes().is_empty(), "{}", world.report());
}

#[test]
fn embedded_relay_needs_nothing_set_up() {
    let world = World::new();
    let host = Host::share_with(&world, None, HostOptions::default());
    let shown = &host.read_write;
    assert!(shown.host.parse::<std::net::IpAddr>().is_ok(), "{shown:?}");
    // The address that is shown may be of a network of another test, which goes with it.
    let line = JoinLine { host: "127.0.0.1".into(), ..shown.clone() };
    let viewer = Viewer::join(&world, &host, &line);
    viewer.terminal.enter_line("echo embedded $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\nembedded 42");
    viewer.wait_until_same(&host);
    host.terminal.enter_line("exit");
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
}

#[test]
fn embedded_relay_lets_others_look_and_nobody_elses_session_in() {
    let Some(other_machine) = Namespace::make() else { return };
    let world = World::new();
    let host = Host::share_with(&world, None, HostOptions::default());
    let address = other_machine.host_address().to_string();
    let line = JoinLine { host: address.clone(), ..host.read_write.clone() };
    let namespace = Some(other_machine.clone());
    let options = ViewerOptions { namespace: namespace.clone(), ..ViewerOptions::default() };
    let viewer = Viewer::open(&world, &line, options);
    viewer.wait_until_same(&host);
    let relay = format!("{address}:{}", line.port);
    let args = args(&["--relay", &relay, "--", "sleep", "600"]);
    let options = HostOptions { args, namespace, size: (240, 24), ..HostOptions::default() };
    let stranger = Host::try_share(&world, None, options);
    world.wait_until("the stranger is told why", || {
        stranger.text().contains("serves only the machine that it runs on")
    });
    assert!(JoinLine::find_all(&stranger.text()).is_empty(), "{}", stranger.text());
}

#[test]
fn tern_stop_ends_the_sharing_and_not_the_session() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    let output = host.tern(&["stop"]);
    assert!(output.status.success(), "{}", tern_tests::process::text(&output));
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    host.terminal.enter_line("echo on $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\non 42");
    let output = host.tern(&["status"]);
    assert!(!output.status.success(), "nothing is shared any more");
}

#[test]
fn several_that_are_shared_are_listed_by_names_that_find_them() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let relay_args = tern_tests::host::relay_args(Some(&relay));
    let mut plain = vec!["--no-tmux"];
    plain.extend(relay_args.iter().map(String::as_str));
    let plain = host.again(&plain);
    world.wait_until("the plain one is shared", || !JoinLine::find_all(&plain.text()).is_empty());
    // One that could never be shared is none.
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let socket = host.home.join("unshared").display().to_string();
    let unshared =
        host.again(&["-S", &socket, "--relay", &relay.name(), "--relay-fingerprint", wrong]);
    wait_until_shows(&world, &unshared, "Not shared");

    let said = tern_tests::process::text(&host.tern(&["status"]));
    let names: Vec<_> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-S ")?.split_whitespace().next())
        .collect();
    assert_eq!(names.len(), 2, "{said}");
    for name in names {
        let said = tern_tests::process::text(&host.tern(&["status", "-S", name]));
        assert!(said.contains("ssh session: ssh"), "{name}: {said}");
    }
}
