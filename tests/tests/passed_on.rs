//! What isn't in a cell reaches the terminal of who joined by `tern`: bells, focus, the cursor's
//! shape, the title, pastes. Each once, to who is there, and nothing of it stays behind.

use netsim::link::loss::Loss;
use netsim::link::settings::Change;
use netsim::{Action, Probability};
use rustix::process::Signal;
use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use tern_tests::lab;
use tern_tests::process::cpu_time;
use tern_tests::shared::wait_until_shows;
use tern_tests::{
    Host, HostOptions, Labbed, Relay, Shared, Terminal, Viewer, ViewerOptions, World,
};

/// A paste as long as anybody's, and far longer than what is on its way at a time.
const PASTE_SIZE: usize = 1_000_000;
/// Packets that are lost, each way.
const LOST_PERCENT: f64 = 10.0;
/// Looks in a row at somebody who does nothing, after which they won't: half a second.
const LOOKS_AT_REST: u32 = 20;

/// Shares a shell in a tmux that is configured so.
fn share(tmux_config: &str) -> (World, Relay, Host) {
    let world = World::new();
    let relay = Relay::start(&world);
    let options = HostOptions { tmux_config: tmux_config.into(), ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    (world, relay, host)
}

/// Counts what a terminal is told to ring.
#[derive(Default)]
struct Bells(usize);

impl vt100::Callbacks for Bells {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0 += 1;
    }
}

fn bell_count(terminal: &Terminal) -> usize {
    let size = |cells| NonZeroU16::new(cells).expect("not 0");
    let mut parser = vt100::Parser::new_with_callbacks(size(24), size(80), 0, Bells::default());
    parser.process(&terminal.written());
    parser.callbacks().0
}

/// How often the program wrote this.
fn count_written(terminal: &Terminal, sequence: &[u8]) -> usize {
    terminal.written().windows(sequence.len()).filter(|bytes| *bytes == sequence).count()
}

/// Waits until the program has written it.
#[track_caller]
fn wait_until_written(world: &World, terminal: &Terminal, sequence: &[u8]) {
    let what = format!("{} is told {:?}", terminal.name(), String::from_utf8_lossy(sequence));
    world.wait_until(&what, || count_written(terminal, sequence) > 0);
}

#[test]
fn bell_rings_once_for_who_is_there_and_never_again() {
    let mut shared = Shared::by_tern(&[]);
    let terminal = shared.viewer.terminal.clone();
    terminal.keep_written();
    shared.viewer_runs("printf '\\a'; echo ru''ng", "\nrung");
    shared.world.wait_until("the bell rings", || bell_count(&terminal) > 0);

    // All is drawn anew.
    terminal.resize(70, 20);
    wait_until_shows(&shared.world, &shared.host.terminal, "·");
    terminal.resize(80, 24);
    shared.wait_until_same();
    let process = shared.viewer.process();
    terminal.press(&["Enter", "~", "C-z"]);
    shared.world.wait_until("it is stopped", || process.has_stopped());
    process.signal(Signal::CONT);
    shared.viewer_runs("echo ba''ck", "\nback");

    // The relay begins anew, and so does the host's hidden client.
    let (folder, address, port) = (shared.relay.folder(), shared.relay.address, shared.relay.port);
    shared.relay.signal(Signal::KILL);
    shared.relay.wait();
    shared.host.terminal.enter_line("echo mean''while");
    shared.relay = Relay::start_in(&shared.world, folder, address, port, &[]);
    shared.viewer.wait_until_shows("\nmeanwhile");
    let late = Viewer::join_by_tern(&shared.world, &shared.host, &shared.host.read_only);
    late.terminal.keep_written();
    shared.viewer_runs("echo be''fore", "\nbefore");
    assert_eq!(bell_count(&terminal), 1, "{}", shared.world.report());

    shared.viewer_runs("printf '\\a'; echo se''cond", "\nsecond");
    shared.world.wait_until("it rings again", || bell_count(&terminal) > 1);
    shared.world.wait_until("it rings at the other's, too", || bell_count(&late.terminal) > 0);
    shared.viewer_runs("echo aft''er", "\nafter");
    late.wait_until_shows("\nafter");
    assert_eq!((bell_count(&terminal), bell_count(&late.terminal)), (2, 1));
}

#[test]
fn cursors_shape_and_the_title_are_the_programs_until_the_viewer_leaves() {
    let titles = "set -g set-titles on\nset -g set-titles-string 'title is #W'\n";
    let (world, _relay, host) = share(titles);
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    viewer.terminal.keep_written();
    let title = || viewer.terminal.tmux(&["display-message", "-p", "#{pane_title}"]);
    host.tmux(&["rename-window", "kiosk"]);
    world.wait_until("the title arrives", || title().trim() == "title is kiosk");
    for shape in [5, 3, 2, 6] {
        viewer.terminal.enter_line(&format!("printf '\\033[{shape} q'"));
        let sequence = format!("\x1b[{shape} q");
        wait_until_written(&world, &viewer.terminal, sequence.as_bytes());
    }
    viewer.terminal.press(&["Enter", "~", "."]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    let of_terminal = viewer.terminal.tmux(&["display-message", "-p", "#{host}"]);
    world.wait_until("the title is the terminal's own again", || title() == of_terminal);
    world.wait_until("so is the cursor", || {
        let written = String::from_utf8_lossy(&viewer.terminal.written()).into_owned();
        let last = written.rsplit_once(" q").map(|(before, _)| before.ends_with("\x1b[0"));
        last == Some(true)
    });
}

/// A program that shows what it gets, its focus too.
const WATCH_FOCUS: &str = "stty -icanon -echo; printf '\\033[?1004h'; echo ready; exec cat -v";

#[test]
fn program_is_told_of_the_focus_of_all_who_type() {
    let world = World::new();
    let relay = Relay::start(&world);
    let args = ["--no-tmux", "--", "sh", "-c", WATCH_FOCUS].map(str::to_owned).to_vec();
    let host =
        Host::share_with(&world, Some(&relay), HostOptions { args, ..HostOptions::default() });
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    let other = Viewer::join(&world, &host, &host.read_write);
    let reader = Viewer::join_by_tern(&world, &host, &host.read_only);
    let reports = |viewer: &Viewer, report: &[u8]| viewer.terminal.send_bytes(report);
    // What a digit is shown behind has had its effect. (The host's own terminal may have reported
    // something before the first.)
    let told = |viewer: &Viewer, digit: &str, expected: &str| {
        viewer.terminal.type_text(digit);
        wait_until_shows(&world, &host.terminal, &format!("{expected}{digit}"));
    };
    told(&viewer, "0", "");
    reports(&viewer, b"\x1b[O");
    told(&viewer, "1", "0");
    reports(&other, b"\x1b[O");
    told(&other, "2", "01^[[O");
    // Who only looks has no say.
    reports(&reader, b"\x1b[I");
    told(&viewer, "3", "01^[[O2");
    reports(&viewer, b"\x1b[I");
    told(&viewer, "4", "01^[[O23^[[I");
    // Nothing has changed for all together.
    reports(&viewer, b"\x1b[I");
    reports(&other, b"\x1b[I");
    told(&viewer, "5", "01^[[O23^[[I4");
}

/// A client of tmux's is told of it as a whole. (What a program gets of it is tmux's: to that, our
/// client in control mode always has the focus.)
#[test]
fn tmux_is_told_of_the_focus_of_all_who_type() {
    let (world, _relay, host) = share("set -g focus-events on\n");
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    let other = Viewer::join(&world, &host, &host.read_write);
    let focused = || {
        let flags = host.tmux(&["list-clients", "-F", "#{client_flags}"]);
        flags.lines().filter(|line| line.contains("focused")).count()
    };
    // The host's own, the one in control mode, the viewers'.
    assert_eq!(focused(), 3, "{}", world.report());
    viewer.terminal.send_bytes(b"\x1b[O");
    viewer.terminal.enter_line("echo o''ne");
    wait_until_shows(&world, &host.terminal, "\none");
    assert_eq!(focused(), 3, "{}", world.report());
    other.terminal.send_bytes(b"\x1b[O");
    world.wait_until("the viewers' client is in the background", || focused() == 2);
    viewer.terminal.send_bytes(b"\x1b[I");
    world.wait_until("it is in front", || focused() == 3);
    viewer.signal(Signal::TERM);
    world.wait_until("the one who stays is in the background", || focused() == 2);
    let _newcomer = Viewer::join(&world, &host, &host.read_write);
    world.wait_until("a newcomer has the focus", || focused() == 3);
}

#[test]
fn terminal_is_asked_for_its_focus_while_it_is_wanted() {
    let (world, _relay, host) = share("set -g focus-events on\n");
    let viewer = Viewer::join_by_tern(&world, &host, &host.read_write);
    let reader = Viewer::join_by_tern(&world, &host, &host.read_only);
    // Stopped and continued, they tell their terminals all anew.
    for viewer in [&viewer, &reader] {
        viewer.terminal.keep_written();
        let process = viewer.process();
        process.signal(Signal::TSTP);
        world.wait_until("it is stopped", || process.has_stopped());
        process.signal(Signal::CONT);
        viewer.wait_until_same(&host);
    }
    let asked = |viewer: &Viewer| {
        let written = String::from_utf8_lossy(&viewer.terminal.written()).into_owned();
        let wanted = written.split("\x1b[?").filter_map(|rest| {
            let end = rest.find(['h', 'l'])?;
            let numbers = rest[..end].split(';').any(|number| number == "1004");
            numbers.then(|| rest[end..].starts_with('h'))
        });
        (wanted.clone().any(|is_on| is_on), wanted.last())
    };
    world.wait_until("it is asked for", || asked(&viewer) == (true, Some(true)));
    viewer.terminal.press(&["Enter", "~", "."]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
    world.wait_until("and not any more", || asked(&viewer) == (true, Some(false)));
    assert!(!asked(&reader).0, "who only looks is asked");
}

/// A text to paste, and what a program that asked for brackets gets of it.
fn long_text(size: usize) -> (String, String) {
    let text: String = (0..size / 13).map(|number| format!("line {number:07}\n")).collect();
    let expected = format!("\x1b[200~{}\x1b[201~", text.replace('\n', "\r"));
    (text, expected)
}

/// Waits until the file has all that was expected, and nothing else.
#[track_caller]
fn wait_until_pasted(world: &World, file: &Path, expected: &str) {
    world.wait_until_ok("all of it arrives", || {
        let size = fs::metadata(file).map_or(0, |file| file.len());
        if size >= expected.len() as u64 { Ok(()) } else { Err(format!("{size} bytes")) }
    });
    let pasted = fs::read_to_string(file).expect("it is text");
    let wrong = pasted.split('\r').zip(expected.split('\r')).find(|(is, wanted)| is != wanted);
    assert_eq!(wrong, None);
    assert_eq!(pasted.len(), expected.len());
}

#[test]
fn large_paste_is_one_paste_and_whole_where_a_tenth_of_all_packets_is_lost() {
    let Some(labbed) = Labbed::start() else { return };
    let host = labbed.share();
    let viewer = labbed.join_by_tern(&host);
    let lost = Probability::percent(LOST_PERCENT);
    labbed.happens(Action::set(lab::HOTSPOT, Change::Loss(Loss::Independent(lost))));
    let (text, expected) = long_text(PASTE_SIZE);
    let take = format!(
        "stty raw -echo; printf '\\033[?2004h'; clear; echo rea''dy; head -c {} >pasted; stty sane; \
         clear; echo ta''ken",
        expected.len()
    );
    viewer.terminal.enter_line(&take);
    viewer.wait_until_shows("ready");
    viewer.terminal.paste(&text);
    wait_until_pasted(&labbed.world, &host.home.join("work/pasted"), &expected);
    viewer.wait_until_shows("taken");
    // Nothing came behind it.
    viewer.terminal.enter_line("echo a''fter");
    viewer.wait_until_shows("taken\n$ echo a''fter\nafter");
    viewer.wait_until_same(&host);
}

#[test]
fn large_paste_is_whole_for_a_program_that_reads_none_of_it_for_a_while() {
    let world = World::new();
    let relay = Relay::start(&world);
    let (text, expected) = long_text(3 * PASTE_SIZE);
    let take = format!(
        "stty raw -echo; printf '\\033[?2004h'; echo ready; head -c 100 >begun; \
         until [ -e go ]; do sleep 0.1; done; (cat begun; head -c {}) >pasted; stty sane; cat",
        expected.len() - 100
    );
    let args = ["--no-tmux", "--", "sh", "-c", &take].map(str::to_owned).to_vec();
    let host =
        Host::share_with(&world, Some(&relay), HostOptions { args, ..HostOptions::default() });
    let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
    viewer.wait_until_shows("ready");
    viewer.terminal.paste(&text);
    let work = host.home.join("work");
    world.wait_until("it has begun", || {
        fs::metadata(work.join("begun")).is_ok_and(|it| it.len() == 100)
    });
    // What comes now waits for the program, until the viewer has no more.
    let (pid, mut before, mut still) = (viewer.process().pid, None, 0);
    world.wait_until("the viewer has passed all on", || {
        let used = cpu_time(pid);
        still = if used == before { still + 1 } else { 0 };
        before = used;
        still == LOOKS_AT_REST
    });
    fs::write(work.join("go"), "").expect("our own");
    wait_until_pasted(&world, &work.join("pasted"), &expected);
}
