//! Viewers by `tern join` look at what scrolled off, each by themselves.

use netsim::Action;
use rustix::process::Signal;
use std::net::IpAddr;
use tern_tests::lab;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Labbed, Relay, Viewer, ViewerOptions, World};

const PAGE_UP: &[u8] = b"\x1b[5;2~";
const PAGE_DOWN: &[u8] = b"\x1b[6;2~";
const OLDEST: &[u8] = b"\x1b[1;2H";
const LIVE: &[u8] = b"\x1b[1;2F";
const WHEEL_UP: &[u8] = b"\x1b[<64;10;5M";

/// Presses a key on the live screen, and returns there, until the view shows the text: lines come
/// behind the screen, and a view of old ones stays.
#[track_caller]
fn look_back_until_shows(world: &World, viewer: &Viewer, key: &[u8], text: &str) {
    world.wait_until(&format!("a look back shows {text:?}"), || {
        let shown = viewer.terminal.text();
        let is_there = viewer.terminal.shows(text);
        if !is_there {
            // The mark, at the end of the pane's first row: of the line, or before a border.
            let is_marked = |line: &str| line.ends_with(']') || line.contains("]│");
            let is_scrolled = shown.lines().any(is_marked);
            viewer.terminal.send_bytes(if is_scrolled { LIVE } else { key });
        }
        is_there
    });
}

/// Presses a key, again and again, until the viewer's terminal shows the text.
#[track_caller]
fn scroll_until_shows(world: &World, viewer: &Viewer, key: &[u8], text: &str) {
    world.wait_until(&format!("the view shows {text:?}"), || {
        let is_there = viewer.terminal.shows(text);
        if !is_there {
            viewer.terminal.send_bytes(key);
        }
        is_there
    });
}

/// The host prints numbers up to `last`, a line each.
#[track_caller]
fn count_to(world: &World, host: &Host, last: u32) {
    host.terminal.enter_line(&format!("seq {last}; echo counted to $(({last} + 0))"));
    wait_until_shows(world, &host.terminal, &format!("counted to {last}"));
}

#[test]
fn viewer_scrolls_alone_and_any_key_returns() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    let other = Viewer::join_by_tern(&world, &host, &host.read_write);
    host.terminal.enter_line("printf '\\033[1;32mgreen\\033[m \\303\\244 \\346\\274\\242\\n'");
    count_to(&world, &host, 300);
    viewer.wait_until_same(&host);
    scroll_until_shows(&world, &viewer, OLDEST, "\ngreen ä 漢");
    let screen = viewer.screen();
    let green =
        screen.rows.iter().flatten().find(|cell| cell.text == "g" && cell.style.flags.contains(&1));
    assert!(green.is_some(), "{}", screen.text());
    viewer.terminal.send_bytes(PAGE_DOWN);
    world.wait_until("it goes down", || !viewer.terminal.shows("green"));
    // Nobody else has noticed.
    other.wait_until_same(&host);
    assert_eq!(host.tmux(&["display-message", "-p", "#{pane_in_mode}"]), "0");
    viewer.terminal.send_bytes(LIVE);
    viewer.wait_until_same(&host);
    scroll_until_shows(&world, &viewer, WHEEL_UP, "\n270\n");
    // What comes meanwhile leaves the view where it is.
    let before = viewer.terminal.text();
    let body = |text: &str| text.lines().skip(1).take(18).map(str::to_owned).collect::<Vec<_>>();
    host.terminal.enter_line("seq 1000 1040");
    wait_until_shows(&world, &host.terminal, "\n1040\n");
    viewer.wait_until_shows("/3");
    assert_eq!(body(&viewer.terminal.text()), body(&before));
    viewer.terminal.enter_line("echo back $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\nback 42");
    viewer.wait_until_same(&host);
}

#[test]
fn reader_scrolls_too_and_only_the_active_pane() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let reader = Viewer::join_by_tern(&world, &host, &host.read_only);
    host.terminal.enter_line("echo left of it");
    wait_until_shows(&world, &host.terminal, "\nleft of it\n$");
    host.terminal.press(&["C-b", "%"]);
    wait_until_shows(&world, &host.terminal, "│$");
    count_to(&world, &host, 100);
    reader.wait_until_same(&host);
    scroll_until_shows(&world, &reader, PAGE_UP, "│60");
    assert!(reader.terminal.shows("\nleft of it"), "{}", reader.terminal.text());
    assert!(reader.terminal.shows("]\n"), "it says where: {}", reader.terminal.text());
    reader.terminal.press(&["q"]);
    reader.wait_until_same(&host);
    // Another pane has other lines.
    host.terminal.press(&["C-b", "Left"]);
    host.terminal.enter_line("seq 500 600");
    wait_until_shows(&world, &host.terminal, "\n600");
    reader.wait_until_same(&host);
    look_back_until_shows(&world, &reader, OLDEST, "\nleft of it");
    reader.terminal.press(&["x"]);
    reader.wait_until_same(&host);
    reader.terminal.press(&["q"]);
    assert_eq!(reader.wait_until_left(), 0, "{}", world.report());
}

#[test]
fn after_a_flood_the_newest_lines_are_there() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    host.terminal.enter_line("seq 300000; echo flood over");
    wait_until_shows(&world, &host.terminal, "\nflood over");
    viewer.wait_until_same(&host);
    look_back_until_shows(&world, &viewer, PAGE_UP, "\n299970\n");
    viewer.terminal.send_bytes(LIVE);
    host.terminal.enter_line("clear");
    count_to(&world, &host, 60);
    viewer.wait_until_same(&host);
    look_back_until_shows(&world, &viewer, OLDEST, "\n1\n2\n3\n");
    assert!(!viewer.terminal.shows("29999"), "{}", viewer.terminal.text());
}

#[test]
fn full_screen_program_and_its_keys_are_left_alone() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    count_to(&world, &host, 100);
    scroll_until_shows(&world, &viewer, PAGE_UP, "\n70\n");
    viewer.terminal.send_bytes(LIVE);
    host.terminal.enter_line("printf '\\033[?1049h\\033[Hfull screen'; cat -v");
    wait_until_shows(&world, &host.terminal, "full screen");
    viewer.wait_until_same(&host);
    // It is told apart a moment after it shows.
    world.wait_until("Shift-PageUp comes to it", || {
        viewer.terminal.send_bytes(LIVE);
        viewer.terminal.send_bytes(PAGE_UP);
        host.terminal.shows("[5;2~")
    });
}

#[test]
fn lines_are_there_without_the_network_and_after_a_restart_of_the_relay() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    count_to(&world, &host, 200);
    scroll_until_shows(&world, &viewer, OLDEST, "\n1\n2\n3\n");
    viewer.terminal.send_bytes(LIVE);
    viewer.wait_until_same(&host);
    let (folder, address, port) = (relay.folder(), relay.address, relay.port);
    relay.signal(Signal::KILL);
    relay.wait();
    scroll_until_shows(&world, &viewer, OLDEST, "\n1\n2\n3\n");
    let _relay = Relay::start_in(&world, folder, address, port, &[]);
    count_to(&world, &host, 50);
    viewer.terminal.send_bytes(LIVE);
    viewer.wait_until_same(&host);
    scroll_until_shows(&world, &viewer, OLDEST, "\n1\n2\n3\n");
    viewer.terminal.enter_line("echo anew $((40 + 3))");
    wait_until_shows(&world, &host.terminal, "\nanew 43");
    viewer.wait_until_same(&host);
}

#[test]
fn guest_that_roams_keeps_its_lines_and_gets_more() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join_by_tern(&host);
    count_to(&labbed.world, &host, 100);
    scroll_until_shows(&labbed.world, &viewer, OLDEST, "\n1\n2\n3\n");
    labbed.happens(Action::down(lab::HOTSPOT));
    viewer.terminal.send_bytes(PAGE_DOWN);
    viewer.wait_until_shows("\n30\n");
    labbed.happens(Action::up(lab::HOTSPOT));
    labbed.happens(Action::address(lab::GUEST, &[IpAddr::from([10, 0, 4, 3])]));
    viewer.terminal.send_bytes(LIVE);
    count_to(&labbed.world, &host, 1020);
    viewer.wait_until_same(&host);
    look_back_until_shows(&labbed.world, &viewer, PAGE_UP, "\n990\n");
}

#[test]
fn shell_on_a_plain_terminal_has_lines_too() {
    let world = World::new();
    let relay = Relay::start(&world);
    let args = ["--no-tmux", "--", "sh"].map(str::to_owned).to_vec();
    let options = HostOptions { args, ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    host.terminal.enter_line("seq 500 520");
    let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
    count_to(&world, &host, 100);
    scroll_until_shows(&world, &viewer, OLDEST, "\n500\n501\n");
    viewer.terminal.send_bytes(LIVE);
    viewer.wait_until_same(&host);
}
