//! `tern -F`: nobody sits there; it prints the lines, and its service manager decides.

use rustix::process::Signal;
use std::path::Path;
use tern_tests::drop_in::Scripter;
use tern_tests::foreground::Foreground;
use tern_tests::{JoinLine, Relay, Viewer, ViewerOptions, World};

#[test]
fn foreground_prints_the_lines_restarts_the_program_and_ends_by_a_signal() {
    foreground_that_restarts(World::new());
}

fn foreground_that_restarts(world: World) {
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    let mut foreground = Foreground::start(&script, &relay, "new-session 'seq 3; exit 3'");
    foreground.expect(&world, "To connect to the session locally, run: tmate -S ");
    foreground.expect(&world, "Connecting to 127.0.0.1...");
    foreground.expect(&world, "ssh session read only: ssh -p");
    let line = foreground.expect(&world, "ssh session: ssh -p");
    foreground.expect(&world, "Session shell restarted");
    let lines = JoinLine::find_all(&line);
    let viewer = Viewer::open(&world, &lines[0], ViewerOptions::default());
    foreground.expect(&world, "A mate has joined (127.0.0.1) -- 1 client currently connected");
    // The first line may have scrolled away for tmux's own words.
    world.wait_until("the program is seen", || viewer.terminal.shows("\n2\n3\n"));
    assert_eq!(foreground.end(Signal::TERM), Some(0));
    assert_eq!(foreground.last, "Session closed");
    assert!(!script.has_socket());
}

#[test]
fn foreground_without_restart_ends_with_its_program() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    let command = "set -g tmate-foreground-restart 0 ';' new-session 'sleep 1'";
    let mut foreground = Foreground::start(&script, &relay, command);
    foreground.expect(&world, "Session closed");
    assert_eq!(foreground.child.wait().expect("our own child").code(), Some(0));
    world.wait_until("the socket is gone", || !script.has_socket());
}

#[test]
fn foreground_that_can_have_no_session_fails() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_tern(&world);
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let ran = script.run(&[
        "-F",
        "--log-format",
        "json",
        "--relay",
        &relay.name(),
        "--relay-fingerprint",
        wrong,
        "new-session",
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("\"message\":\"Not shared"), "{ran:?}");
    assert!(!script.has_socket());
}

#[test]
fn foreground_ends_by_an_interrupt_as_well() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    let mut foreground = Foreground::start(&script, &relay, "new-session cat");
    let line = foreground.expect(&world, "ssh session: ssh -p");
    let viewer = Viewer::open(&world, &JoinLine::find_all(&line)[0], ViewerOptions::default());
    foreground.expect(&world, "A mate has joined (127.0.0.1) -- 1 client currently connected");
    viewer.terminal.kill();
    foreground.expect(&world, "A mate has left (127.0.0.1) -- 0 client currently connected");
    assert_eq!(foreground.end(Signal::INT), Some(0));
    assert!(!script.has_socket());
}

#[test]
fn unit_for_systemd_is_one() {
    let world = World::new();
    let Some(verify) = tern_tests::process::is_installed("systemd-analyze").then(|| {
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tern.service");
        let text = std::fs::read_to_string(unit).expect("it is part of the source");
        let tern = tern_tests::process::binary("tern").display().to_string();
        let unit = world.folder().join("tern.service");
        std::fs::write(&unit, text.replace("/usr/bin/tern", &tern)).expect("our own folder");
        let mut command = std::process::Command::new("systemd-analyze");
        command.args(["--user", "--man=no", "verify"]).arg(unit);
        command.env("XDG_RUNTIME_DIR", world.home("systemd").join("run"));
        tern_tests::process::run(&mut command)
    }) else {
        return eprintln!("skipped: systemd-analyze is not installed");
    };
    let said = tern_tests::process::text(&verify);
    assert!(verify.status.success() && !said.contains("tern.service"), "{said}");
}

tern_tests::with_other_versions! {
    foreground_restarts_with_tmux_3_1: foreground_that_restarts("3.1c");
    foreground_restarts_with_tmux_3_6: foreground_that_restarts("3.6a");
}
