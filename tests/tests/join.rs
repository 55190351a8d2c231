//! `tern join`: a viewer that keeps a replica, draws it, and roams.

use netsim::Action;
use netsim::link::settings::{Blockable, Change};
use rustix::process::Signal;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tern_tests::lab;
use tern_tests::process::wake_count;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, JoinLine, Labbed, Relay, Viewer, ViewerOptions, World};

/// Two heartbeats of an idle session, and what they may wake: for each a packet in, an answer, and
/// timers of both. A timer of 50 ms, as mosh's is while it predicts, would be 240.
const HEARTBEATS_TIME: Duration = Duration::from_secs(12);
const HEARTBEAT_WAKES_MAX: u64 = 24;

/// A shared shell and somebody who joined it by `tern`.
struct Joined {
    world: World,
    relay: Relay,
    host: Host,
    viewer: Viewer,
}

impl Joined {
    fn start() -> Self {
        let world = World::new();
        let relay = Relay::start(&world);
        let host = Host::share(&world, &relay);
        let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
        Self { world, relay, host, viewer }
    }
}

/// Whether the viewer's terminal shows its alternate screen.
fn is_alternate(viewer: &Viewer) -> bool {
    viewer.terminal.tmux(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
}

#[test]
fn viewer_sees_and_types_in_the_same_terminal_and_leaves_as_with_ssh() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    viewer.terminal.enter_line("echo joined $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\njoined 42");
    viewer.wait_until_same(&host);
    viewer.terminal.press(&["C-b", "%"]);
    viewer
        .terminal
        .enter_line("printf '\\033[1;38;2;1;200;3mtrue\\033[m \\303\\244 \\346\\274\\242'");
    wait_until_shows(&world, &host.terminal, "true ä 漢");
    viewer.wait_until_same(&host);
    let by_ssh = Viewer::join(&world, &host, &host.read_write);
    by_ssh.terminal.enter_line("echo by ssh $((40 + 4))");
    viewer.wait_until_shows("by ssh 44");
    viewer.terminal.press(&["Enter", "~", "?"]);
    viewer.wait_until_shows("leave");
    viewer.terminal.press(&["~", "."]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    viewer.wait_until_shows("[left the session]");
    world.wait_until("the host knows that one is left", || {
        let messages = host.tern(&["show-messages"]);
        String::from_utf8_lossy(&messages.stdout).contains("1 client currently connected")
    });
    by_ssh.wait_until_same(&host);
}

#[test]
fn window_follows_the_viewers_size_and_a_larger_screen_is_cropped() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    viewer.terminal.resize(60, 15);
    wait_until_shows(&world, &host.terminal, "·");
    let small = host.tmux(&["display-message", "-p", "#{window_width}x#{window_height}"]);
    assert_eq!(small, "60x14");
    viewer.terminal.resize(80, 24);
    viewer.wait_until_same(&host);
    let options = ViewerOptions { size: (40, 10), ..ViewerOptions::tern() };
    let reader = Viewer::open(&world, &host.read_only, options);
    host.terminal.enter_line("clear; echo begin; seq 5");
    reader.wait_until_shows("begin");
    let same = host.tmux(&["display-message", "-p", "#{window_width}x#{window_height}"]);
    assert_eq!(same, "80x23");
}

#[test]
fn reader_changes_nothing_and_leaves_by_q() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    let reader = Viewer::join_by_tern(&world, &host, &host.read_only);
    reader.terminal.enter_line("touch by-reader");
    reader.terminal.press(&["C-b", "c"]);
    reader.terminal.send_bytes(b"\x1b[200~touch by-paste\r\x1b[201~\x1b[<64;10;5M");
    viewer.terminal.enter_line("echo on $((40 + 2))");
    reader.wait_until_shows("\non 42");
    reader.wait_until_same(&host);
    for name in ["by-reader", "by-paste"] {
        assert!(!host.home.join("work").join(name).exists(), "{name} was run");
    }
    reader.terminal.press(&["q"]);
    assert_eq!(reader.wait_until_left(), 0, "{}", world.report());
}

#[test]
fn end_of_the_session_is_told_with_its_exit_code() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    host.terminal.enter_line("exit");
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    viewer.wait_until_shows("ended");
}

#[test]
fn program_that_fails_ends_its_session_and_is_no_failure_of_the_viewers() {
    let world = World::new();
    let relay = Relay::start(&world);
    for plain in [[].as_slice(), &["--no-tmux"]] {
        let program = "echo rea''dy; read -r line; exit 3";
        let args = [plain, &["--", "sh", "-c", program]].concat();
        let args = args.into_iter().map(str::to_owned).collect();
        let options = HostOptions { args, ..HostOptions::default() };
        let host = Host::share_with(&world, Some(&relay), options);
        let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
        viewer.wait_until_shows("ready");
        viewer.terminal.press(&["Enter"]);
        assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
        viewer.wait_until_shows("[session ended]");
        let status = world.wait_for("tern ends", || host.terminal.exit_code());
        assert_eq!(status, 3, "{}", world.report());
    }
}

#[test]
fn detach_key_lets_the_viewer_go() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    viewer.terminal.press(&["C-b", "d"]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    viewer.wait_until_shows("[detached");
    host.terminal.enter_line("echo on $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\non 42");
}

#[test]
fn what_can_not_be_joined_is_told_in_words() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let wrong = JoinLine { token: "abcdefghjkmnpqrstuvwxyz234".into(), ..host.read_write.clone() };
    let pinned = ["--relay-fingerprint", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];
    let pinned = pinned.map(str::to_owned).to_vec();
    let nowhere = JoinLine { port: 1, ..host.read_write.clone() };
    for (line, args, said, exit_code) in [
        (&wrong, Vec::new(), "Invalid or expired session token", 6),
        (&host.read_write, pinned, "SHA256:", 5),
        (&nowhere, Vec::new(), "cannot reach the relay", 4),
    ] {
        let options = ViewerOptions { tern: Some(args), ..ViewerOptions::default() };
        let viewer = Viewer::open(&world, line, options);
        assert_eq!(viewer.wait_until_left(), exit_code, "{}", world.report());
        viewer.wait_until_shows(said);
    }
    let home = world.home("blind");
    let mut tern = world.command(tern_tests::process::binary("tern"), &home);
    let line = format!("{}@{}", host.read_write.token, host.read_write.host);
    let output = tern_tests::process::run(tern.args(["join", &line]));
    assert_eq!(output.status.code(), Some(3));
    let said = tern_tests::process::text(&output);
    assert!(said.contains("a terminal is needed to join"), "{said}");
}

#[test]
fn terminal_is_as_it_was_after_a_suspension_and_after_a_signal() {
    let Joined { world, host, viewer, relay: _relay } = Joined::start();
    let process = viewer.process();
    viewer.terminal.press(&["Enter", "~", "C-z"]);
    world.wait_until("it is stopped", || process.has_stopped());
    assert!(!is_alternate(&viewer));
    host.terminal.enter_line("echo meanwhile $((40 + 2))");
    process.signal(Signal::CONT);
    viewer.wait_until_shows("\nmeanwhile 42");
    viewer.wait_until_same(&host);
    viewer.terminal.enter_line("echo and on $((40 + 3))");
    wait_until_shows(&world, &host.terminal, "\nand on 43");
    process.signal(Signal::TERM);
    viewer.wait_until_left();
    viewer.wait_until_shows("[left the session]");
    assert!(!is_alternate(&viewer));
}

#[test]
fn relay_that_was_killed_has_its_viewers_back_by_themselves() {
    let Joined { world, host, viewer, relay } = Joined::start();
    let (folder, address, port) = (relay.folder(), relay.address, relay.port);
    relay.signal(Signal::KILL);
    relay.wait();
    host.terminal.enter_line("echo meanwhile $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\nmeanwhile 42");
    let _relay = Relay::start_in(&world, folder, address, port, &[]);
    viewer.wait_until_shows("\nmeanwhile 42");
    viewer.terminal.enter_line("echo anew $((40 + 3))");
    wait_until_shows(&world, &host.terminal, "\nanew 43");
    viewer.wait_until_same(&host);
}

#[test]
fn guest_whose_address_changes_goes_on_unnoticed() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join_by_tern(&host);
    for number in 3..6 {
        let address = IpAddr::from([10, 0, 4, number]);
        labbed.happens(Action::address(lab::GUEST, &[address]));
        viewer.terminal.enter_line(&format!("echo at $(({number} + 70))"));
        viewer.wait_until_shows(&format!("\nat {}", number + 70));
        labbed.happens(Action::rebind(lab::CAFE));
        viewer.terminal.enter_line(&format!("echo behind $(({number} + 80))"));
        viewer.wait_until_shows(&format!("\nbehind {}", number + 80));
    }
    viewer.wait_until_same(&host);
}

#[test]
fn both_ends_change_their_address_at_once() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join_by_tern(&host);
    for number in 3..6 {
        labbed.happens(Action::address(lab::GUEST, &[IpAddr::from([10, 0, 4, number])]));
        labbed.happens(Action::address(lab::HOST, &[IpAddr::from([10, 0, 1, number])]));
        viewer.terminal.enter_line(&format!("echo both $(({number} + 70))"));
        viewer.wait_until_shows(&format!("\nboth {}", number + 70));
    }
    viewer.wait_until_same(&host);
}

#[test]
fn keys_that_the_guest_types_in_an_outage_arrive_once_and_in_order() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join_by_tern(&host);
    viewer.terminal.enter_line("cat > typed");
    wait_until_shows(&labbed.world, &host.terminal, "cat > typed");
    labbed.happens(Action::down(lab::HOTSPOT));
    let lines: Vec<_> = (0..20).map(|number| format!("line {number}")).collect();
    for (number, line) in lines.iter().enumerate() {
        viewer.terminal.enter_line(line);
        if number == 10 {
            viewer.wait_until_shows("relay last heard");
        }
    }
    labbed.happens(Action::up(lab::HOTSPOT));
    wait_until_shows(&labbed.world, &host.terminal, "\nline 19");
    viewer.terminal.press(&["C-d"]);
    viewer.wait_until_same(&host);
    assert!(!viewer.terminal.shows("last heard"));
    let typed = std::fs::read_to_string(host.home.join("work/typed")).expect("cat has written it");
    assert_eq!(typed.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn typing_is_shown_in_an_outage_and_a_password_is_not() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let options = ViewerOptions {
        tern: Some(vec!["--predict=always".into()]),
        ..labbed.guest(ViewerOptions::tern())
    };
    let viewer = Viewer::open(&labbed.world, &host.read_write, options);
    viewer.wait_until_same(&host);
    // From here on the shell is known to echo at this prompt.
    viewer.terminal.type_text("echo known $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "$ echo known");
    viewer.wait_until_same(&host);
    viewer.terminal.press(&["Enter"]);
    viewer.wait_until_shows("\nknown 42");
    viewer.wait_until_same(&host);
    // With this echoed, Enter is answered, too.
    viewer.terminal.type_text("echo");
    wait_until_shows(&labbed.world, &host.terminal, "known 42\n$ echo");
    viewer.wait_until_same(&host);
    labbed.happens(Action::down(lab::HOTSPOT));
    viewer.terminal.type_text(" ahead of tihe");
    viewer.terminal.press(&["Left", "Left", "BSpace"]);
    viewer.wait_until_shows("echo ahead of the");
    assert!(!host.terminal.shows("ahead"), "the network is gone");
    labbed.happens(Action::up(lab::HOTSPOT));
    wait_until_shows(&labbed.world, &host.terminal, "echo ahead of the");
    viewer.wait_until_same(&host);
    viewer.terminal.press(&["C-c"]);
    viewer.terminal.enter_line("read -s secret; echo got $secret");
    wait_until_shows(&labbed.world, &host.terminal, "echo got $secret");
    viewer.wait_until_same(&host);
    labbed.happens(Action::down(lab::HOTSPOT));
    viewer.terminal.type_text("hunter2");
    viewer.wait_until_shows("relay last heard");
    assert!(!viewer.terminal.shows("hunter2"), "{}", labbed.world.report());
    labbed.happens(Action::up(lab::HOTSPOT));
    viewer.terminal.press(&["Enter"]);
    viewer.wait_until_shows("got hunter2");
    viewer.wait_until_same(&host);
}

#[test]
fn guest_without_udp_joins_over_ssh_until_quic_works() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    labbed.happens(Action::block_udp(lab::HOTSPOT));
    let viewer = labbed.join_by_tern(&host);
    viewer.terminal.enter_line("echo inside $((40 + 2))");
    wait_until_shows(&labbed.world, &host.terminal, "\ninside 42");
    viewer.wait_until_same(&host);
    labbed.happens(Action::set(lab::HOTSPOT, Change::Unblock(Blockable::Udp)));
    viewer.wait_until_shows("connected over QUIC");
    viewer.terminal.enter_line("echo beside $((40 + 3))");
    wait_until_shows(&labbed.world, &host.terminal, "\nbeside 43");
    viewer.wait_until_same(&host);
}

#[test]
fn shared_program_on_a_plain_terminal_is_joined_too() {
    let world = World::new();
    let relay = Relay::start(&world);
    let args = ["--no-tmux", "--", "cat"].map(str::to_owned).to_vec();
    let options = HostOptions { args, ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
    viewer.wait_until_shows("joined");
    viewer.terminal.enter_line("typed by the guest");
    wait_until_shows(&world, &host.terminal, "typed by the guest\ntyped by the guest");
    viewer.wait_until_same(&host);
}

#[test]
fn viewer_that_idles_wakes_for_heartbeats_only() {
    let joined = Joined::start();
    joined.viewer.wait_until_same(&joined.host);
    let pid = joined.viewer.process().pid;
    let count = || wake_count(pid).expect("the viewer runs");
    let (mut begin, mut before) = (Instant::now(), count());
    // After a while without work; what a busy machine adds to one stretch isn't in another.
    joined.world.wait_until("it hardly ever wakes", || {
        if begin.elapsed() < HEARTBEATS_TIME {
            return false;
        }
        let woken = count() - std::mem::replace(&mut before, count());
        begin = Instant::now();
        woken <= HEARTBEAT_WAKES_MAX
    });
}
