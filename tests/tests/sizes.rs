//! Whose window counts: the smallest of those who may type, and only while they are there.

use rustix::process::Signal;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Namespace, Relay, Screen, Viewer, ViewerOptions, World};

struct Sizes {
    world: World,
    host: Host,
    _relay: Relay,
}

/// A host with a terminal of 100x30.
fn start() -> Sizes {
    start_at(std::net::Ipv4Addr::LOCALHOST)
}

fn start_at(address: std::net::Ipv4Addr) -> Sizes {
    let world = World::new();
    let relay = Relay::start_with(&world, address, &[]);
    let options = HostOptions { size: (100, 30), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    Sizes { world, host, _relay: relay }
}

impl Sizes {
    fn join(&self, size: (u16, u16), is_read_only: bool) -> Viewer {
        let line = if is_read_only { &self.host.read_only } else { &self.host.read_write };
        Viewer::open(&self.world, line, ViewerOptions { size, ..ViewerOptions::default() })
    }

    /// Waits until the window has this size (rows without the status line).
    #[track_caller]
    fn wait_until_window_is(&self, cols: u16, rows: u16) {
        let wanted = format!("{cols}x{rows}");
        self.world.wait_until_ok(&format!("the window is {wanted}"), || {
            let format = "#{window_width}x#{window_height}";
            let size = self.host.tmux(&["display-message", "-p", format]);
            if size == wanted { Ok(()) } else { Err(format!("it is {size}")) }
        });
    }
}

#[test]
fn window_shrinks_to_the_smallest_writer_and_grows_back() {
    let sizes = start();
    sizes.wait_until_window_is(100, 29);
    let first = sizes.join((80, 24), false);
    sizes.wait_until_window_is(80, 23);
    let second = sizes.join((90, 20), false);
    sizes.wait_until_window_is(80, 19);
    second.terminal.resize(70, 22);
    sizes.wait_until_window_is(70, 21);
    first.terminal.resize(120, 40);
    sizes.wait_until_window_is(70, 21);
    second.signal(Signal::TERM);
    sizes.wait_until_window_is(100, 29);
    first.terminal.resize(60, 20);
    sizes.wait_until_window_is(60, 19);
    first.signal(Signal::KILL);
    sizes.wait_until_window_is(100, 29);
    sizes.host.terminal.resize(90, 25);
    sizes.wait_until_window_is(90, 24);
}

#[test]
fn host_without_viewers_keeps_tmuxs_own_ways_with_sizes() {
    let sizes = start();
    let before = sizes.host.tmux(&["show-options", "-gv", "window-size"]);
    let viewer = sizes.join((80, 24), false);
    sizes.wait_until_window_is(80, 23);
    viewer.signal(Signal::TERM);
    sizes.wait_until_window_is(100, 29);
    assert_eq!(sizes.host.tmux(&["show-options", "-gv", "window-size"]), before);
    sizes.host.tern(&["stop"]);
    sizes.world.wait_until("no setting is left behind", || {
        sizes.host.tmux(&["show-options", "-wv", "window-size"]).is_empty()
    });
}

#[test]
fn larger_viewer_sees_the_window_within_a_border() {
    let sizes = start();
    let viewer = sizes.join((120, 40), true);
    viewer.wait_until_shows("[0] 0:bash*");
    sizes.host.terminal.enter_line("seq 1 50; echo done");
    wait_until_shows(&sizes.world, &sizes.host.terminal, "\ndone");
    sizes.world.wait_until_ok("the viewer shows the host's picture at its top left", || {
        let (host, viewer) = (sizes.host.terminal.screen(), viewer.screen());
        let is_same = viewer.region(0, 0, 100, 30) == host.region(0, 0, 100, 30);
        let is_marked = viewer.row_text(30).contains('─') && viewer.row_text(5).contains('│');
        if is_same && is_marked { Ok(()) } else { Err(host.differences(&viewer)) }
    });
    sizes.wait_until_window_is(100, 29);
}

#[test]
fn smaller_reader_sees_a_part_that_follows_the_cursor() {
    let sizes = start();
    let viewer = sizes.join((40, 10), true);
    viewer.wait_until_shows("$");
    let places = [(1, 1), (29, 100), (1, 95), (29, 3), (15, 50)];
    for (number, (row, column)) in places.into_iter().enumerate() {
        // Text everywhere, then the cursor at a place, without a newline.
        let draw =
            "for r in $(seq 29); do printf \"\\\\033[$r;1H%s\" $r-$(seq -s. 50 | cut -c1-90); done";
        let marked = format!("clear; {draw}; printf '\\033[{row};{column}H'; read -n1 # {number}");
        sizes.host.terminal.enter_line(&marked);
        sizes.world.wait_until_ok("the viewer shows the part around the cursor", || {
            let (whole, part) = (sizes.host.terminal.screen(), viewer.screen());
            if whole.cursor.0 + 1 != column || whole.cursor.1 + 1 != row {
                return Err(format!("the host's cursor is at {:?}", whole.cursor));
            }
            find_part(&whole, &part).map(|_| ()).ok_or(format!("{whole:?}\n{part:?}"))
        });
        sizes.host.terminal.press(&["x"]);
        sizes.host.terminal.press(&["Enter"]);
    }
    sizes.wait_until_window_is(100, 29);
}

/// Left and top of `part` within `whole`, with the cursors at the same place.
fn find_part(whole: &Screen, part: &Screen) -> Option<(usize, usize)> {
    let (cols, rows) = (usize::from(part.size.0), usize::from(part.size.1));
    let left = usize::from(whole.cursor.0).checked_sub(part.cursor.0.into())?;
    let top = usize::from(whole.cursor.1).checked_sub(part.cursor.1.into())?;
    let is_same = whole.region(left, top, cols, rows) == part.region(0, 0, cols, rows);
    is_same.then_some((left, top))
}

#[test]
fn viewer_that_is_frozen_stops_counting() {
    let sizes = start();
    let viewer = sizes.join((60, 20), false);
    sizes.wait_until_window_is(60, 19);
    viewer.signal(Signal::STOP);
    sizes.wait_until_window_is(100, 29);
    // Back again, it counts again (or was let go: then it must say so).
    viewer.signal(Signal::CONT);
    sizes.world.wait_until("the viewer counts again, or is gone", || {
        let size = sizes.host.tmux(&["display-message", "-p", "#{window_width}"]);
        size == "60" || viewer.terminal.exit_code().is_some()
    });
}

#[test]
fn viewer_whose_network_vanishes_stops_counting() {
    let Some(namespace) = Namespace::make() else { return };
    let sizes = start_at(namespace.host_address());
    let options = ViewerOptions {
        size: (60, 20),
        namespace: Some(namespace.clone()),
        ..ViewerOptions::default()
    };
    let viewer = Viewer::open(&sizes.world, &sizes.host.read_write, options);
    sizes.wait_until_window_is(60, 19);
    namespace.cut();
    let start = std::time::Instant::now();
    sizes.wait_until_window_is(100, 29);
    assert!(start.elapsed().as_secs() < 30, "within seconds, not {:?}", start.elapsed());
    drop(viewer);
}
