//! Many viewers, what the host is told about them, and what each of them is told.

use std::fs;
use std::net::Ipv4Addr;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Relay, Shared, Viewer, ViewerOptions, World};

#[test]
fn ten_viewers_see_the_same_and_type_in_turn() {
    let shared = Shared::start();
    let viewers: Vec<Viewer> = (0..9)
        .map(|number| {
            let line =
                if number % 3 == 0 { &shared.host.read_only } else { &shared.host.read_write };
            Viewer::open(&shared.world, line, ViewerOptions::default())
        })
        .collect();
    for viewer in &viewers {
        viewer.wait_until_same(&shared.host);
    }
    for (number, viewer) in viewers.iter().enumerate().filter(|(number, _)| number % 3 != 0) {
        viewer.terminal.enter_line(&format!("echo viewer $(({number} * 1000))"));
        let answer = format!("\nviewer {}", number * 1000);
        wait_until_shows(&shared.world, &shared.host.terminal, &answer);
    }
    shared.viewer_runs("cat colors.txt wide.txt rich.txt", "all at once");
    for viewer in &viewers {
        viewer.wait_until_same(&shared.host);
    }
}

#[test]
fn start_view_shows_the_lines_to_the_host_alone_and_delays_nobody() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::start(&world, Some(&relay), HostOptions::default());
    // The view is still open at the host.
    let viewers = [&host.read_only, &host.read_write]
        .map(|line| Viewer::open(&world, line, ViewerOptions::default()));
    for viewer in &viewers {
        viewer.wait_until_shows("[0] 0:bash*");
    }
    viewers[1].terminal.enter_line("echo typed $((40 + 2))");
    for viewer in &viewers {
        viewer.wait_until_shows("\ntyped 42");
        assert!(!viewer.terminal.shows(&host.read_write.token), "{}", world.report());
        assert!(!viewer.terminal.shows(&host.read_only.token), "{}", world.report());
    }
    assert!(host.terminal.shows(&host.read_write.token), "the start view is still open");
    host.close_start_view();
    viewers[1].wait_until_same(&host);
}

#[test]
fn tokens_are_long_random_and_in_no_log_nor_process_list() {
    let shared = Shared::start();
    let (line, read_only) = (&shared.host.read_write, &shared.host.read_only);
    assert_eq!(read_only.token.len(), line.token.len() + "ro-".len());
    assert_ne!(read_only.token["ro-".len()..], line.token);
    let output = shared.relay.output();
    for token in [&line.token, &read_only.token["ro-".len()..].to_owned()] {
        assert!(!output.contains(token), "the relay prints a token:\n{output}");
        for process in shared.world.processes() {
            let is_ours = process.name().starts_with("tern");
            assert!(!is_ours || !process.args.iter().any(|arg| arg.contains(token)), "{process:?}");
        }
        for file in logs_in(&shared.host.home) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            assert!(!text.contains(token), "{} has a token", file.display());
        }
    }
}

#[test]
fn coming_and_going_shows_on_the_host() {
    let shared = Shared::start();
    // A message goes after a moment unless it is told to stay.
    shared.host.tmux(&["set", "-g", "display-time", "0"]);
    let second = Viewer::open(&shared.world, &shared.host.read_only, ViewerOptions::default());
    wait_until_shows(
        &shared.world,
        &shared.host.terminal,
        "A mate has joined (127.0.0.1) -- 2 clients",
    );
    shared.host.terminal.press(&["C-l"]);
    second.wait_until_same(&shared.host);
    let status = String::from_utf8_lossy(&shared.host.tern(&["status"]).stdout).into_owned();
    assert!(status.contains("viewers: 2") && status.contains("read-only"), "{status}");
    second.signal(rustix::process::Signal::TERM);
    wait_until_shows(
        &shared.world,
        &shared.host.terminal,
        "A mate has left (127.0.0.1) -- 1 client",
    );
    let messages = shared.host.tern(&["show-messages"]);
    let messages = String::from_utf8_lossy(&messages.stdout).into_owned();
    assert!(messages.contains("has joined") && messages.contains("has left"), "{messages}");
}

#[test]
fn ctrl_c_answers_at_once_in_a_flood() {
    let shared = Shared::start();
    shared.viewer.terminal.enter_line("yes 0123456789012345678901234567890123456789");
    shared.viewer.wait_until_shows("0123456789012345678901234567890123456789");
    let start = std::time::Instant::now();
    shared.viewer_presses(&["C-c"]);
    shared.wait_until_prompt();
    shared.viewer_runs("clear; echo calm", "\ncalm");
    // Not a measurement: only that no backlog of many seconds is played first.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn viewer_that_does_not_read_holds_nobody_up() {
    let shared = Shared::start();
    let slow = Viewer::open(&shared.world, &shared.host.read_only, ViewerOptions::default());
    slow.wait_until_same(&shared.host);
    slow.signal(rustix::process::Signal::STOP);
    shared.viewer_runs("for i in $(seq 300); do cat colors.txt; done; echo through", "\nthrough");
    shared.viewer_runs("clear; echo after", "\nafter");
}

fn logs_in(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(logs_in(&path));
        } else if path.extension().is_some_and(|ending| ending == "log") {
            found.push(path);
        }
    }
    found
}

#[test]
fn viewer_is_told_at_first_how_to_leave() {
    let world = World::new();
    let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &["--hint-time", "1h"]);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::default());
    viewer.wait_until_shows("to leave: Enter ~ .");
    let reader = Viewer::open(&world, &host.read_only, ViewerOptions::default());
    reader.wait_until_shows("press q to leave");
    // The first key takes it away for good.
    viewer.terminal.enter_line("echo typed $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\ntyped 42");
    viewer.wait_until_same(&host);
    assert!(reader.terminal.shows("press q to leave"), "{}", world.report());
}

#[test]
fn viewer_whose_ssh_sends_many_variables_joins() {
    let shared = Shared::start();
    let variables: Vec<_> = (0..20).map(|number| format!("LC_TERN{number}=x")).collect();
    let ssh_args = vec!["-o".into(), format!("SetEnv={}", variables.join(" "))];
    let options = ViewerOptions { ssh_args, ..ViewerOptions::default() };
    let viewer = Viewer::open(&shared.world, &shared.host.read_write, options);
    viewer.wait_until_same(&shared.host);
}
