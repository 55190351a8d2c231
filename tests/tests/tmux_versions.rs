//! Sharing with other versions of tmux than the machine's: the oldest and the newest that
//! `tests/tmux-versions` can build, and one between. What each test does is what changed between
//! versions: client flags, features, popups, sizes, control mode, widths.

use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, JoinLine, Relay, Shared, Viewer, ViewerOptions, World};
use tern_tests::{process, viewer};

/// Runs a test with each version.
macro_rules! with_each_version {
    ($($name:ident: $scenario:ident($version:literal);)*) => {
        $(
            #[test]
            fn $name() {
                match process::tmux_folder($version) {
                    Some(folder) => $scenario(World::with_tmux(Some(&folder)), $version),
                    None => eprintln!("skipped: tmux {} is not built (./test does)", $version),
                }
            }
        )*
    };
}

with_each_version! {
    session_is_shared_with_tmux_3_1: session_is_shared("3.1c");
    session_is_shared_with_tmux_3_5: session_is_shared("3.5a");
    session_is_shared_with_tmux_3_6: session_is_shared("3.6a");
    sharing_from_inside_works_with_tmux_3_1: sharing_from_inside_works("3.1c");
    sharing_from_inside_works_with_tmux_3_5: sharing_from_inside_works("3.5a");
    sharing_from_inside_works_with_tmux_3_6: sharing_from_inside_works("3.6a");
    sizes_and_leaving_work_with_tmux_3_1: sizes_and_leaving_work("3.1c");
    sizes_and_leaving_work_with_tmux_3_5: sizes_and_leaving_work("3.5a");
    sizes_and_leaving_work_with_tmux_3_6: sizes_and_leaving_work("3.6a");
    menu_asks_and_goes_with_tmux_3_1: menu_asks_and_goes("3.1c");
    menu_asks_and_goes_with_tmux_3_5: menu_asks_and_goes("3.5a");
    menu_asks_and_goes_with_tmux_3_6: menu_asks_and_goes("3.6a");
}

fn session_is_shared(world: World, version: &str) {
    let shared = Shared::start_in(world, HostOptions::default());
    // Some archives' letter is not in what is built.
    let said = shared.host.tmux(&["display-message", "-p", "#{version}"]);
    assert_eq!(said.get(..3), version.get(..3), "{said}");
    shared.viewer_runs("cat colors.txt rich.txt", "all at once");
    shared.viewer_presses(&["C-b", "%"]);
    shared.wait_until_both_show("│");
    shared.viewer_presses(&["C-b", "c"]);
    shared.wait_until_both_show("1:bash*");
    shared.viewer_presses(&["C-b", ","]);
    shared.viewer.wait_until_shows("(rename-window)");
    shared.viewer_presses(&["C-u"]);
    shared.viewer.terminal.type_text("名前");
    shared.viewer_presses(&["Enter"]);
    shared.wait_until_both_show("1:名前*");
    shared.viewer_presses(&["C-b", "w"]);
    shared.wait_until_both_show("(0)");
    shared.viewer_presses(&["q"]);
    shared.viewer_runs("vim --clean -c 'set nu' lines.txt", "400L");
    shared.wait_until_pane_is_exact();
    let looking = Viewer::open(&shared.world, &shared.host.read_only, ViewerOptions::default());
    looking.wait_until_shows("0001 birch");
    let status = text_of(&shared.host, &["status", "--reveal"]);
    assert!(status.contains(&shared.host.read_write.token), "{status}");
}

fn sharing_from_inside_works(world: World, _version: &str) {
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    host.tern(&["stop"]);
    wait_until_shows(&world, &host.terminal, "\n$");
    let tern = process::binary("tern");
    host.terminal.enter_line(&format!("clear; {}", tern.display()));
    let line = world.wait_for("the join lines come on a popup or the status line", || {
        let lines = JoinLine::find_all(&host.terminal.text());
        lines.into_iter().find(|line| !line.is_read_only())
    });
    assert_ne!(line.token, host.read_write.token);
    // A popup takes the key; on the status line it goes to the shell.
    host.terminal.press(&["q"]);
    world.wait_until("the join lines go", || JoinLine::find_all(&host.terminal.text()).is_empty());
    host.terminal.press(&["C-u"]);
    let viewer = Viewer::join(&world, &host, &line);
    viewer.terminal.enter_line("echo inside $((40 + 2))");
    viewer.wait_until_shows("inside 42");
    viewer::wait_until_same(&world, &host.terminal, &viewer.terminal);
}

fn sizes_and_leaving_work(world: World, _version: &str) {
    let shared = Shared::start_in(world, HostOptions::default());
    let size = || shared.host.tmux(&["display-message", "-p", "#{window_width}x#{window_height}"]);
    let options = ViewerOptions { size: (60, 20), ..ViewerOptions::default() };
    let small = Viewer::open(&shared.world, &shared.host.read_write, options.clone());
    shared.world.wait_until("the window is as small as its smallest viewer", || size() == "60x19");
    small.terminal.press(&["C-b", "d"]);
    shared.world.wait_until("the viewer is detached", || small.terminal.exit_code().is_some());
    assert!(small.terminal.shows("detached"), "{}", shared.world.report());
    shared.world.wait_until("the window grows back", || size() == "80x23");
    let looking = Viewer::open(&shared.world, &shared.host.read_only, options);
    looking.wait_until_shows("$");
    assert_eq!(size(), "80x23", "a read-only viewer never counts");
    shared.viewer.terminal.enter_line("exit");
    shared.viewer.wait_until_shows("session ended");
    shared.world.wait_until("tern ends", || shared.host.terminal.exit_code().is_some());
}

fn text_of(host: &Host, args: &[&str]) -> String {
    String::from_utf8_lossy(&host.tern(args).stdout).into_owned()
}

fn menu_asks_and_goes(world: World, _: &str) {
    let relay = Relay::start(&world);
    let args = vec!["--approve".to_owned()];
    let host =
        Host::share_with(&world, Some(&relay), HostOptions { args, ..HostOptions::default() });
    let viewer = Viewer::open(&world, &host.read_only, ViewerOptions::default());
    wait_until_shows(&world, &host.terminal, "A mate wants to look on?");
    assert!(host.terminal.shows("Not now"), "{}", world.report());
    viewer.signal(rustix::process::Signal::TERM);
    world.wait_until("the menu is gone", || !host.terminal.shows("Not now"));
    let viewer = Viewer::open(&world, &host.read_only, ViewerOptions::default());
    wait_until_shows(&world, &host.terminal, "A mate wants to look on?");
    text_of(&host, &["approve", "2"]);
    viewer.wait_until_same(&host);
}
