//! The viewer's terminal: whatever ends `tern join`, it is as it was; and it is asked for no more
//! than it can do.

use rustix::process::Signal;
use tern_client::shell::tty::{self, RawMode};
use tern_tests::process::{Process, send_signal};
use tern_tests::screen::Color;
use tern_tests::shared::wait_until_shows;
use tern_tests::shell::Shell;
use tern_tests::viewer::wait_until_same;
use tern_tests::{Host, Relay, Shared, Viewer, ViewerOptions, World};

/// A session, and a shell whose person has joined it.
struct Joined {
    world: World,
    _relay: Relay,
    host: Host,
    shell: Shell,
    viewer: Process,
}

impl Joined {
    fn start() -> Self {
        let world = World::new();
        let relay = Relay::start(&world);
        let host = Host::share(&world, &relay);
        let shell = Shell::open(&world);
        let viewer = shell.join(&host);
        Self { world, _relay: relay, host, shell, viewer }
    }
}

#[test]
fn terminal_is_as_it_was_after_every_signal_that_ends() {
    let Joined { world: _world, host, shell, mut viewer, _relay } = Joined::start();
    host.terminal.enter_line("printf '\\033[?1003h\\033[?2004h\\033[?1h\\033='; tput civis");
    let others = [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::ABORT];
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT].into_iter().chain(others) {
        viewer.signal(signal);
        shell.assert_ended(128 + signal.as_raw(), "[left the session]");
        viewer = shell.join(&host);
    }
}

#[test]
fn stopped_from_outside_the_viewer_gives_the_terminal_back_until_it_goes_on() {
    let Joined { world, host, shell, viewer, _relay } = Joined::start();
    viewer.signal(Signal::TSTP);
    wait_until_shows(&world, &shell.terminal, "Stopped");
    shell.assert_usual("a stop");
    host.terminal.enter_line("echo mean''while");
    shell.terminal.enter_line("fg");
    wait_until_shows(&world, &shell.terminal, "meanwhile");
    wait_until_same(&world, &host.terminal, &shell.terminal);
    assert_eq!(shell.flag("#{alternate_on}"), "1");
}

/// A terminal that takes nothing (its window hangs, its network is gone) holds nobody up, and is as
/// it was when it takes something again.
#[test]
fn terminal_that_hangs_is_given_back_too() {
    let Joined { world, host, shell, viewer, _relay } = Joined::start();
    let server = shell.flag("#{pid}").parse().expect("tmux knows its own pid");
    send_signal(server, Signal::STOP);
    // More than what a pty holds.
    host.terminal.enter_line(
        "for n in $(seq 20); do head -c 1500 /dev/urandom | base64; sleep 0.1; done; echo all''out",
    );
    wait_until_shows(&world, &host.terminal, "allout");
    viewer.signal(Signal::TERM);
    world.wait_until("the viewer ends", || !viewer.is_running());
    send_signal(server, Signal::CONT);
    shell.assert_ended(143, "");
}

/// Runs in a terminal of the test below.
#[test]
#[ignore = "it panics, for another test to see"]
fn panics_with_the_terminal_in_its_hands() {
    let _raw = RawMode::enter(b"\x1b[?1049l\x1b[?25h").expect("there is a terminal");
    tty::write(b"\x1b[?1049h\x1b[?25l").expect("there is a terminal");
    std::thread::spawn(|| panic!("a fault of ours")).join().expect("the thread is well");
}

#[test]
fn panic_in_any_thread_gives_the_terminal_back_first() {
    let world = World::new();
    let shell = Shell::open(&world);
    let this = std::env::current_exe().expect("a running program has a path");
    let test = "panics_with_the_terminal_in_its_hands";
    let command = format!("clear; {} --ignored --exact --nocapture {test}", this.display());
    shell.terminal.enter_line(&command);
    // On the main screen, where it can be read.
    wait_until_shows(&world, &shell.terminal, "a fault of ours");
    wait_until_shows(&world, &shell.terminal, "FAILED");
    shell.assert_usual("a panic");
}

#[test]
fn mouse_paste_and_title_pass_and_the_clipboard_only_where_it_may() {
    let shared = Shared::by_tern(&["--clipboard"]);
    let careful = Viewer::join_by_tern(&shared.world, &shared.host, &shared.host.read_write);
    for (name, value) in [
        ("set-titles", "on"),
        ("set-titles-string", "title is #W"),
        ("mouse", "on"),
        ("set-clipboard", "on"),
    ] {
        shared.host.tmux(&["set", "-g", name, value]);
    }
    shared.host.tmux(&["rename-window", "kiosk"]);
    for viewer in [&shared.viewer, &careful] {
        let of = |format| viewer.terminal.tmux(&["display-message", "-p", format]);
        shared.world.wait_until("title and mouse arrive", || {
            of("#{pane_title} #{mouse_any_flag} #{mouse_sgr_flag}").trim() == "title is kiosk 1 1"
        });
    }
    // A program that asks for them shows what it gets.
    let ask = "printf '\\033[?1002;1006;2004h'; stty -icanon -echo; clear; echo rea''dy; cat -v";
    shared.viewer.terminal.enter_line(ask);
    shared.wait_until_both_show("ready");
    for (bytes, shown) in [
        (b"\x1b[<0;7;5M".as_slice(), "^[[<0;7;5M"),
        (b"\x1b[<0;7;5m", "^[[<0;7;5m"),
        (b"\x1b[200~one\rtwo\x1b[201~", "two^[[201~"),
    ] {
        shared.viewer.terminal.send_bytes(bytes);
        shared.wait_until_both_show(shown);
    }
    shared.viewer_presses(&["C-c"]);
    shared.wait_until_prompt();
    // "copied" in base64.
    let copy = "stty sane; clear; printf '\\033]52;c;Y29waWVk\\007'; echo cop''ied";
    shared.viewer.terminal.enter_line(copy);
    shared.world.wait_until("the clipboard arrives", || {
        shared.viewer.terminal.tmux(&["show-buffer"]).trim() == "copied"
    });
    careful.wait_until_shows("\ncopied");
    assert_eq!(careful.terminal.tmux(&["list-buffers"]), "", "nobody allowed it");
}

/// Whether a terminal of its kind shows that colour for the host's.
type Wanted = fn(Color) -> bool;

#[test]
fn colours_are_those_that_the_viewers_terminal_names() {
    let shared = Shared::by_tern(&[]);
    shared.viewer_runs("clear; printf '\\033[38;2;250;0;0mred\\033[m end\\n'", "red end");
    let true_color: Wanted = |color| color == Color::Rgb(250, 0, 0);
    let indexed: Wanted = |color| matches!(color, Color::Indexed(16..));
    let ansi: Wanted = |color| matches!(color, Color::Indexed(..16));
    let none: Wanted = |color| color == Color::Default;
    let cases: [(&str, &str, &str, Wanted); 6] = [
        ("xterm-256color", "truecolor", "", true_color),
        ("xterm-256color", "", "", indexed),
        ("xterm", "", "", ansi),
        ("linux", "", "", ansi),
        ("vt100", "", "", none),
        ("xterm-256color", "truecolor", "1", none),
    ];
    for (term, color, no_color, wanted) in cases {
        let mut viewer = ViewerOptions::tern();
        viewer.term = term.to_owned();
        viewer.environment =
            vec![("COLORTERM".into(), color.into()), ("NO_COLOR".into(), no_color.into())];
        let viewer = Viewer::open(&shared.world, &shared.host.read_only, viewer);
        viewer.wait_until_shows("red end");
        let shown = |viewer: &Viewer| {
            let screen = viewer.screen();
            let row = (0..screen.rows.len()).find(|row| screen.row_text(*row).contains("red end"));
            row.map(|row| screen.rows[row][0].style.foreground)
        };
        let what = format!("{term} with {color:?} and {no_color:?} shows what it can");
        shared.world.wait_until(&what, || {
            let color = shown(&viewer);
            color.is_some_and(wanted)
        });
        viewer.terminal.press(&["q"]);
        viewer.wait_until_left();
    }
}
