//! `tern join --record` and `tern play`: what was shown is shown again.

use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tern_tests::process::{binary, run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, Relay, Screen, Terminal, Viewer, ViewerOptions, World};

/// A relay, a host, and where recordings go.
struct Studio {
    world: World,
    _relay: Relay,
    host: Host,
    home: PathBuf,
}

impl Studio {
    fn start() -> Self {
        let world = World::new();
        let relay = Relay::start(&world);
        let host = Host::share(&world, &relay);
        let home = world.home("critic");
        Self { world, _relay: relay, host, home }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn record(&self, file: &Path, more: &[&str]) -> Viewer {
        let mut args = vec!["--record".to_owned(), file.display().to_string()];
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let options = ViewerOptions { tern: Some(args), ..ViewerOptions::default() };
        Viewer::open(&self.world, &self.host.read_write, options)
    }

    fn open(&self, program: &Path, args: &[&str]) -> Terminal {
        // Under a shell, so that the last picture can be looked at after the end.
        let script = "\"$@\"; s=$?; echo; echo ended with $s; read -r _";
        let program = program.display().to_string();
        let mut words: Vec<String> = ["sh", "-c", script, "sh", &program].map(Into::into).into();
        words.extend(args.iter().map(|arg| (*arg).to_owned()));
        let environment = self.world.environment(&self.home);
        let mut words_with_term = vec!["env".to_owned(), "TERM=tmux-256color".to_owned()];
        words_with_term.append(&mut words);
        Terminal::open(&self.world, "player", (80, 30), &environment, &words_with_term)
    }

    fn play(&self, args: &[&str]) -> Terminal {
        self.open(&binary("tern"), &[&["play"], args].concat())
    }
}

fn leave(viewer: &Viewer) {
    viewer.terminal.press(&["Enter", "~", "."]);
    viewer.wait_until_left();
}

#[test]
fn recording_is_played_to_the_pictures_that_were_seen() {
    let studio = Studio::start();
    let (world, host) = (&studio.world, &studio.host);
    let file = studio.file("a.cast");
    let name = file.display().to_string();
    let viewer = studio.record(&file, &[]);
    viewer.wait_until_same(host);
    let mode = fs::metadata(&file).expect("it is written as it happens").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    viewer.terminal.enter_line(
        "clear; seq 15; printf '\\033[1;38;2;1;200;3mtrue\\033[m \\346\\274\\242 end\\n'",
    );
    viewer.wait_until_shows("\ntrue 漢 end");
    viewer.wait_until_same(host);
    let shown = host.terminal.screen();
    // What is recorded is there without an end of the session, too.
    world.wait_until("the picture is in the file", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("漢"))
    });
    viewer.signal(Signal::KILL);
    viewer.wait_until_left();
    let recorded = fs::read_to_string(&file).expect("our own");
    assert!(!recorded.contains(&host.read_write.token), "a token is in the recording");
    assert!(
        recorded.starts_with("{\"version\":3,\"term\":{\"cols\":80,\"rows\":24,"),
        "{recorded}"
    );

    let player = studio.play(&["--speed", "50", "--idle-time-limit", "0.1", &name]);
    wait_until_shows(world, &player, "ended with 0");
    wait_until_played(world, &player, &shown);

    // The same by the program that the format is of.
    match asciinema() {
        None => eprintln!("asciinema 3 is not installed: not tested with it"),
        Some(asciinema) => {
            let player = studio.open(&asciinema, &["play", "-s", "50", "-i", "0.1", &name]);
            wait_until_shows(world, &player, "ended with 0");
            wait_until_played(world, &player, &shown);
        }
    }
}

/// A player's terminal, which is higher, shows what was shown above the cursor. (asciinema writes
/// there that a recording which was cut off has ended.)
#[track_caller]
fn wait_until_played(world: &World, player: &Terminal, shown: &Screen) {
    let (cols, rows) = (usize::from(shown.size.0), usize::from(shown.cursor.1));
    assert_eq!(rows, 16, "{}", world.report());
    let wanted = shown.region(0, 0, cols, rows);
    world.wait_until_ok("the player shows what was seen", || {
        let played = player.screen().region(0, 0, cols, rows);
        let different = (0..rows).find(|row| played[*row] != wanted[*row]);
        different.map_or(Ok(()), |row| Err(format!("{:?}\n{:?}", played[row], wanted[row])))
    });
}

/// The real one, of a version that reads asciicast 3.
fn asciinema() -> Option<PathBuf> {
    let named = std::env::var_os("TERN_TEST_ASCIINEMA").map(PathBuf::from);
    let program = named.unwrap_or_else(|| "asciinema".into());
    let version = std::process::Command::new(&program).arg("--version").output().ok()?;
    text(&version).contains("asciinema 3.").then_some(program)
}

/// Fails unless it is an asciicast of version 3 (<https://docs.asciinema.org/manual/asciicast/v3/>):
/// a header, then events, each with the time since the one before, a kind and its text.
#[track_caller]
fn assert_asciicast(recorded: &str) {
    let lines: Vec<Value> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let (header, events) = lines.split_first().expect("it has a header");
    assert_eq!(header["version"], 3);
    for side in ["cols", "rows"] {
        assert!(header["term"][side].as_u64().is_some_and(|cells| cells > 0), "{header}");
    }
    assert!(header["timestamp"].is_u64() && header["title"].is_string(), "{header}");
    for event in events {
        let (since, kind, text) = (event[0].as_f64(), event[1].as_str(), event[2].as_str());
        assert!(event.as_array().is_some_and(|parts| parts.len() == 3), "{event}");
        assert!(since.is_some_and(|since| since >= 0.0), "{event}");
        let text = text.unwrap_or_else(|| panic!("it has no text: {event}"));
        let is_right = match kind {
            Some("o" | "m") => true,
            Some("r") => text.split_once('x').is_some_and(|(cols, rows)| {
                [cols, rows].iter().all(|side| side.parse::<u16>().is_ok_and(|cells| cells > 0))
            }),
            Some("x") => text.parse::<u8>().is_ok(),
            Some(_) | None => false,
        };
        assert!(is_right, "{event}");
    }
}

#[test]
fn resized_session_is_played_in_each_of_its_sizes() {
    let studio = Studio::start();
    let (world, host) = (&studio.world, &studio.host);
    let file = studio.file("a.cast");
    let name = file.display().to_string();
    let viewer = studio.record(&file, &[]);
    viewer.wait_until_same(host);
    let sizes = [(60, 15), (40, 10), (80, 24), (50, 12)];
    for (number, (cols, rows)) in sizes.into_iter().enumerate() {
        viewer.terminal.resize(cols, rows);
        world.wait_until("the window has that size", || {
            let size = host.tmux(&["display-message", "-p", "#{window_width}x#{window_height}"]);
            size == format!("{cols}x{}", rows - 1)
        });
        viewer.terminal.enter_line(&format!("clear; seq 6; echo s''ize {number}"));
        viewer.wait_until_shows(&format!("\nsize {number}\n$"));
    }
    let shown = host.terminal.screen();
    leave(&viewer);
    let recorded = fs::read_to_string(&file).expect("our own");
    assert_asciicast(&recorded);
    for (cols, rows) in sizes {
        assert!(recorded.contains(&format!("\"r\", \"{cols}x{rows}\"")), "{recorded}");
    }
    let fast = ["-s", "50", "-i", "0.1", &name];
    let mut players = vec![studio.play(&fast)];
    if let Some(asciinema) = asciinema() {
        players.push(studio.open(&asciinema, &[["play"].as_slice(), &fast].concat()));
    }
    for player in players {
        wait_until_shows(world, &player, "ended with 0");
        let (cols, rows) = (50, usize::from(shown.cursor.1));
        let wanted = shown.region(0, 0, cols, rows);
        world.wait_until_ok("the player shows the last picture", || {
            let played = player.screen().region(0, 0, cols, rows);
            if played == wanted { Ok(()) } else { Err(format!("{played:?}\n{wanted:?}")) }
        });
    }
}

#[test]
fn recording_goes_on_with_the_window_and_over_the_next_session() {
    let studio = Studio::start();
    let file = studio.file("a.cast");
    let viewer = studio.record(&file, &[]);
    viewer.wait_until_same(&studio.host);
    viewer.terminal.resize(60, 15);
    studio.world.wait_until("the size is in the file", || {
        fs::read_to_string(&file).is_ok_and(|text| {
            text.contains("\"r\", \"80x24\"") || text.contains("\"r\", \"60x15\"")
        })
    });
    leave(&viewer);
    let first = fs::read_to_string(&file).expect("our own");
    assert!(first.trim_end().ends_with("\"x\", \"0\"]"), "{first}");

    let again = studio.record(&file, &[]);
    assert_ne!(again.wait_until_left(), 0);
    assert!(again.terminal.text().contains("--append"), "{}", studio.world.report());
    assert_eq!(fs::read_to_string(&file).expect("our own"), first);

    let appended = studio.record(&file, &["--append"]);
    appended.wait_until_same(&studio.host);
    appended.terminal.enter_line("echo sec''ond");
    appended.wait_until_shows("\nsecond");
    leave(&appended);
    let both = fs::read_to_string(&file).expect("our own");
    assert!(both.starts_with(&first) && both.contains("second"), "{both}");
    assert_eq!(both.matches("version").count(), 1);
    assert_asciicast(&both);

    let anew = studio.record(&file, &["--overwrite"]);
    anew.wait_until_same(&studio.host);
    leave(&anew);
    assert!(!fs::read_to_string(&file).expect("our own").starts_with(&first));
}

#[test]
fn player_pauses_steps_and_leaves_and_the_terminal_is_as_it_was() {
    let studio = Studio::start();
    let (world, file) = (&studio.world, studio.file("old.cast"));
    let text = "{\"version\": 2, \"width\": 20, \"height\": 3}\n\
                [0.1, \"o\", \"\\u001b[?1003h\\u001b]52;c;c3RvbGVu\\u0007first\"]\n\
                [3600, \"o\", \" second\"]\n[3600.5, \"m\", \"\"]\n[7200, \"o\", \" third\"]\n";
    fs::write(&file, text).expect("our own");
    let player = studio.play(&[&file.display().to_string()]);
    wait_until_shows(world, &player, "\nfirst");
    let of_player =
        |format: &str| player.tmux(&["display-message", "-p", format]).trim().to_owned();
    assert_eq!(of_player("#{alternate_on}"), "1");
    assert_eq!(of_player("#{mouse_any_flag}"), "0", "a recording asks for the mouse");
    player.press(&["Space"]);
    wait_until_shows(world, &player, "paused");
    player.press(&["."]);
    wait_until_shows(world, &player, "\nfirst second");
    player.press(&["]", "."]);
    wait_until_shows(world, &player, "first second third");
    player.press(&["q"]);
    wait_until_shows(world, &player, "ended with 0");
    assert_eq!(of_player("#{alternate_on}"), "0");
    assert_eq!(player.tmux(&["list-buffers"]), "", "a recording wrote to the clipboard");
}

#[test]
fn what_is_no_recording_is_told_by_line_and_reason() {
    let studio = Studio::start();
    let file = studio.file("bad.cast");
    let name = file.display().to_string();
    let header = "{\"version\": 3, \"term\": {\"cols\": 80, \"rows\": 24}}\n";
    for (text, words) in [
        ("a letter\n".to_owned(), &["no asciicast"][..]),
        (String::new(), &["is empty"]),
        ("{\"version\": 1, \"width\": 80}\n".to_owned(), &["version 1", "2 and 3"]),
        (
            format!("{header}[0, \"o\", \"x\"]\n\n[oh]\n[0, \"o\", \"y\"]\n"),
            &["line 4", "column 2"],
        ),
        (format!("{header}[-5, \"o\", \"x\"]\n"), &["line 2", "-5 s is no time"]),
        (format!("{header}[0, \"r\", \"wide\"]\n"), &["line 2", "80x24"]),
    ] {
        fs::write(&file, &text).expect("our own");
        let player = studio.play(&[&name]);
        wait_until_shows(&studio.world, &player, "ended with 1");
        // Lines wrap anywhere.
        let said = player.text().replace('\n', "");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}:\n{}", player.text());
    }
    // Cut by a crash: what there is is played, and the rest told.
    fs::write(&file, format!("{header}[0, \"o\", \"whole\"]\n[0, \"o\", \"cu")).expect("our own");
    let player = studio.play(&[&name]);
    wait_until_shows(&studio.world, &player, "ended with 0");
    assert!(player.shows("\nwhole") && player.shows("middle of line 3"), "{}", player.text());

    let mut tern = studio.world.command(binary("tern"), &studio.home);
    let output = run(tern.args(["play", &name]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("a terminal is needed"), "{}", text(&output));
    let mut tern = studio.world.command(binary("tern"), &studio.home);
    let output = run(tern.args(["play", "no-such-file"]));
    assert!(text(&output).contains("cannot open no-such-file"), "{}", text(&output));
}
