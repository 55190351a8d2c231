//! What mosh's own tests check of emulation and prediction, checked of `tern join`: each compares
//! what the host's own terminal shows with what a viewer's does, as a real tmux reads both.
//!
//! | mosh (`src/tests`) | here |
//! | --- | --- |
//! | e2e-success, e2e-failure | `harness.rs`: equal screens are equal, others are not |
//! | local | `shared_program_on_a_plain_terminal_is_joined_too` in `join.rs` |
//! | emulation-ascii-iso-8859 | `bytes_of_ascii_and_latin_1_show_the_same` |
//! | emulation-80th-column | `last_column_is_filled_and_wraps_with_the_next_character` |
//! | emulation-attributes-vt100, -16color | `attributes_and_sixteen_colours_show_the_same` |
//! | -256color8, -256color248 | `each_of_256_colours_shows_the_same` |
//! | -truecolor | `colours_of_24_bits_show_the_same` |
//! | -bce | `what_is_erased_has_the_background` |
//! | -osc8 | `hyperlinks_reach_the_viewer` |
//! | emulation-back-tab | `tabs_go_forward_and_back` |
//! | emulation-cursor-motion | `cursor_stays_within_all_margins` |
//! | emulation-multiline-scroll, -scroll | `regions_scroll_up_and_down_by_many_lines` |
//! | emulation-wrap-across-frames | `line_that_comes_in_two_frames_wraps_the_same` |
//! | network-no-diff | `output_that_changes_nothing_costs_the_viewer_nothing` |
//! | prediction-unicode | `characters_of_many_bytes_are_foretold_whole` |
//! | pty-deadlock | `stopped_output_goes_on` |
//! | repeat, repeat-with-input | `sessions_come_and_go_many_times` |
//! | window-resize | `pager_survives_forty_resizes` |
//! | unicode-combine-fallback-assert, -later-combining | `lone_combining_characters_show_the_same` |
//! | server-network-timeout, -signal-timeout | `relay/src/core/replica/tests`, `join.rs` |
//! | (none) | `tiny_windows_show_what_fits` |
//! | ocb-aes, encrypt-decrypt, base64, nonce-incr | none: QUIC and SSH are libraries' here |
//!
//! Two things are otherwise than in mosh. A combining character with nothing to combine with goes to
//! the cell before, or nowhere, as in tmux; mosh draws it on a blank. And the viewer's terminal isn't
//! told that a line is wrapped (it is drawn with autowrap off), so that what is selected there has a
//! line break where the window ends.
//!
//! `TERN_REPEATS=100` repeats as often as mosh does what comes and goes.

use std::fs;
use std::time::Duration;
use tern_tests::screen::Color;
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, Relay, Shared, Viewer, ViewerOptions, World};

/// Short sessions in a row, unless the environment says otherwise; mosh: 100.
const REPEATS_DEFAULT: u32 = 6;
/// What a viewer may use of a processor while nothing changes for some seconds (mosh: a second).
const IDLE_CPU_MAX: Duration = Duration::from_millis(500);

/// A program writes these bytes on a clear screen; waits until both show the same, the pane exactly.
#[track_caller]
fn write(shared: &Shared, bytes: &[u8]) {
    let path = shared.host.home.join("work/bytes");
    let end = b"\x1b[m\x1b[r\x1b[22;1Hall written".as_slice();
    fs::write(path, [bytes, end].concat()).expect("our own home");
    shared.viewer_runs("clear; cat bytes", "all written");
    shared.wait_until_pane_is_exact();
}

#[test]
fn bytes_of_ascii_and_latin_1_show_the_same() {
    let shared = Shared::by_tern(&[]);
    let mut ascii = Vec::new();
    let mut latin = String::new();
    let mut raw = Vec::new();
    for (count, code) in (0x20..=0xff_u8).filter(|code| *code != 0x7f).enumerate() {
        let is_last = count % 32 == 31;
        if code < 0x7f {
            ascii.push(code);
            ascii.extend(is_last.then_some(b"\r\n").into_iter().flatten());
        } else {
            // The C1 controls as characters, and all as single bytes, which are no UTF-8.
            latin.push(char::from(code));
            latin += if is_last { "\r\n" } else { "" };
            raw.push(code);
        }
    }
    let all = [ascii, b"\r\n".into(), latin.into_bytes(), b"\r\n".into(), raw].concat();
    write(&shared, &all);
    assert!(shared.viewer.terminal.shows("PQRSTUVWXYZ"), "{}", shared.world.report());
    assert!(shared.viewer.terminal.shows("áâãäåæçèéêëìíîïðñò"), "{}", shared.world.report());
}

#[test]
fn last_column_is_filled_and_wraps_with_the_next_character() {
    let shared = Shared::by_tern(&[]);
    let mut bytes = Vec::new();
    // To the last column, a line break, one beyond; by wrapping, by motion, at both ends.
    bytes.extend(format!("{}\r\nE\r\n", "E".repeat(80)).bytes());
    bytes.extend(format!("{}\r\n", "F".repeat(81)).bytes());
    bytes.extend(b"\x1b[80GG\x08h\r\n\x1b[80GIJ\r\n\x1b[79GK\x1b[CL\r\n");
    bytes.extend(format!("{}日\r\n", "M".repeat(79)).bytes());
    bytes.extend(b"\x1b[?7l\x1b[78Gno wrap\x1b[?7h\r\n\x1b[80GN\x1b[KO");
    write(&shared, &bytes);
    let screen = shared.viewer.screen();
    assert_eq!(screen.row_text(0), "E".repeat(80));
    assert_eq!((&*screen.row_text(1), &*screen.row_text(3)), ("E", "F"));
    assert_eq!(screen.row_text(9), "日", "{}", shared.world.report());
}

#[test]
fn attributes_and_sixteen_colours_show_the_same() {
    let shared = Shared::by_tern(&[]);
    let mut text = String::new();
    for first in [0, 1, 2, 3, 4, 5, 7, 8, 9, 53] {
        for second in [0, 1, 3, 4, 7] {
            text += &format!("\x1b[0;{first};{second}m{first}+{second}\x1b[m ");
        }
        text += "\r\n";
    }
    for base in [30, 90] {
        for color in 0..8 {
            text += &format!("\x1b[{}mfg\x1b[m\x1b[{}mbg\x1b[m ", base + color, base + 10 + color);
        }
        text += "\r\n";
    }
    text += "\x1b[1;4;31mall\x1b[22mno bold\x1b[24mno line\x1b[39mno colour\x1b[m plain\r\n";
    write(&shared, text.as_bytes());
    let screen = shared.viewer.screen();
    let is_on = |code| screen.rows.iter().flatten().any(|cell| cell.style.flags.contains(&code));
    assert!([1, 2, 3, 5, 7, 9].into_iter().all(is_on), "{}", shared.world.report());
}

#[test]
fn each_of_256_colours_shows_the_same() {
    let shared = Shared::by_tern(&[]);
    write(&shared, tern_tests::fixtures::indexed_colors().replace('\n', "\r\n").as_bytes());
    let screen = shared.viewer.screen();
    for index in 0..=255 {
        let (wanted, cells) = (Color::Indexed(index), || screen.rows.iter().flatten());
        assert!(cells().any(|cell| cell.style.foreground == wanted), "{index} in front");
        assert!(cells().any(|cell| cell.style.background == wanted), "{index} behind");
    }
}

#[test]
fn colours_of_24_bits_show_the_same() {
    let shared = Shared::by_tern(&[]);
    write(&shared, tern_tests::fixtures::rich_text().replace('\n', "\r\n").as_bytes());
    let screen = shared.viewer.screen();
    let is_rgb = |color| matches!(color, Color::Rgb(..));
    let count = screen.rows.iter().flatten().filter(|cell| is_rgb(cell.style.background)).count();
    assert_eq!(count, 76, "{}", shared.world.report());
}

#[test]
fn what_is_erased_has_the_background() {
    let shared = Shared::by_tern(&[]);
    let text = "\x1b[44m\x1b[2J\x1b[H\x1b[41mline\x1b[K\r\n\x1b[42mline\x1b[1K\r\n\x1b[45m12345678\
                \x1b[4D\x1b[2P\x1b[2@\x1b[2X\r\n\x1b[46m\x1b[L\x1b[5;10r\x1b[10;1H\x1b[43m\n\n\
                \x1b[5;1H\x1bM\x1b[r\x1b[12;40H\x1b[47m\x1b[J";
    write(&shared, text.as_bytes());
    let screen = shared.viewer.screen();
    let last = screen.rows[0].last().expect("the row isn't empty");
    assert_eq!(last.style.background, Color::Indexed(1), "{}", shared.world.report());
    assert_eq!(screen.rows[0].len(), 80);
}

/// The viewer's tmux doesn't know links, so what is looked at is what the viewer wrote down.
#[test]
fn hyperlinks_reach_the_viewer() {
    let world = World::new();
    let relay = Relay::start(&world);
    let text = "printf '\\033]8;id=a;https://example.org/x\\033\\\\link\\033]8;;\\033\\\\\\n'; cat";
    let args = ["--no-tmux", "--", "sh", "-c", text].map(str::to_owned).to_vec();
    let options = HostOptions { args, ..HostOptions::default() };
    let host = Host::share_with(&world, Some(&relay), options);
    let file = world.folder().join("links.cast").display().to_string();
    let tern = Some(vec!["--record".to_owned(), file.clone()]);
    let viewer =
        Viewer::open(&world, &host.read_write, ViewerOptions { tern, ..ViewerOptions::default() });
    viewer.wait_until_shows("link");
    world.wait_until("the link was drawn", || {
        let drawn = fs::read_to_string(&file).unwrap_or_default();
        drawn.contains("]8;id=a;https://example.org/x") && drawn.contains("]8;;")
    });
}

#[test]
fn tabs_go_forward_and_back() {
    let shared = Shared::by_tern(&[]);
    // Among text, over text, beyond the margins, with stops of one's own.
    let text = "a\tb\tc\x1b[Zd\x1b[2Ze\r\n\x1b[79Gx\ty\x1b[9Zz\r\n1234567890123456789012345\x1b[2Z*\r\n\
                \x1b[3g\x1b[5G\x1bH\x1b[20G\x1bH\x1b[1G|\t|\t|\x1b[Z!\r\n\x1b[2I>\x1b[3I<";
    write(&shared, text.as_bytes());
    assert_eq!(shared.viewer.screen().row_text(2), "1234567890123456*89012345");
}

#[test]
fn cursor_stays_within_all_margins() {
    let shared = Shared::by_tern(&[]);
    let mut text = String::new();
    for (row, column) in [(1, 1), (1, 80), (23, 1), (23, 80), (99, 99), (0, 0), (12, 40)] {
        text += &format!("\x1b[{row};{column}H+\x1b[99A-\x1b[99B_\x1b[99C>\x1b[99D<");
    }
    // Within a region, with the origin there and without, and what goes beyond it.
    text +=
        "\x1b[5;9r\x1b[?6h\x1b[1;5Htop\x1b[99;9Hbottom\x1b[99Aup\x1b[?6l\x1b[7;20Hin\x1b[99Bout";
    text +=
        "\x1b[r\x1b[15;10H\x1b7saved\x1b[H\x1b8restored\x1b[3Eline\x1b[2Fback\x1b[18dat\x1b[30Gcol";
    write(&shared, text.as_bytes());
    for (row, column) in [(1, 1), (1, 79), (22, 1), (22, 79), (11, 39)] {
        let cursor = format!("\x1b[m\x1b[r\x1b[22;1Hall written\x1b[{};{}H", row + 1, column + 1);
        fs::write(shared.host.home.join("work/motion"), cursor).expect("our own home");
        shared.viewer.terminal.enter_line("clear; cat motion; read -r line");
        shared.wait_until_both_show("all written");
        let place = (column, row.min(22), true);
        shared.world.wait_until(&format!("the cursor rests at {place:?}"), || {
            shared.viewer.screen().cursor == place
        });
        shared.viewer_presses(&["Enter"]);
        shared.viewer_runs("clear; echo next", "\nnext");
    }
}

#[test]
fn regions_scroll_up_and_down_by_many_lines() {
    let shared = Shared::by_tern(&[]);
    let lines: String = (1..=22).map(|n| format!("\x1b[{n};1Htext {n}")).collect();
    write(&shared, format!("{lines}\x1b[10;10H\x1b[4S\x1b[2T*").as_bytes());
    let text = shared.viewer.terminal.text();
    assert!(!text.contains("text 4\n") && text.contains("text 5\n"), "{text}");
    assert!(shared.viewer.screen().row_text(9).contains('*'), "scrolling moves the cursor: {text}");
    for scroll in [
        "\x1b[3;12r\x1b[99S",
        "\x1b[3;12r\x1b[5T",
        "\x1b[3;12r\x1b[12;1H\n\n\n\n\n",
        "\x1b[3;12r\x1b[3;1H\x1bM\x1bM\x1bM",
        "\x1b[3;12r\x1b[5;1H\x1b[4L",
        "\x1b[3;12r\x1b[5;1H\x1b[40M",
        "\x1b[22;23r\x1b[23;1H\n\n",
        "\x1b[1;2r\x1b[2;1H\n\x1b[r\x1b[23;80H\n",
        "\x1b[5;4r\x1b[2S",
    ] {
        write(&shared, format!("{lines}{scroll}").as_bytes());
    }
}

#[test]
fn line_that_comes_in_two_frames_wraps_the_same() {
    let shared = Shared::by_tern(&[]);
    let line = "clear; printf %070d 1; read -r line; printf %030d 2; read -r line";
    shared.viewer.terminal.enter_line(line);
    shared.wait_until_both_show(&format!("\n{}1\n", "0".repeat(69)));
    shared.viewer_presses(&["Enter"]);
    shared.wait_until_both_show("0000002");
    shared.wait_until_pane_is_exact();
}

#[test]
fn output_that_changes_nothing_costs_the_viewer_nothing() {
    let shared = Shared::by_tern(&[]);
    shared.viewer_runs("clear; echo before", "before");
    let viewer = shared.viewer.process();
    let before = viewer.cpu_time().expect("it runs");
    shared.viewer.terminal.enter_line(
        "clear; end=$((SECONDS + 4)); while [ $SECONDS -lt $end ]; do printf 'x\\b'; done; echo done",
    );
    wait_until_shows(&shared.world, &shared.viewer.terminal, "done\n$");
    let used = viewer.cpu_time().expect("it runs") - before;
    assert!(used < IDLE_CPU_MAX, "{used:?} of a processor for nothing");
}

#[test]
fn characters_of_many_bytes_are_foretold_whole() {
    let shared = Shared::by_tern(&["--predict=always"]);
    // Typed in pieces of a byte, as a slow terminal sends them.
    let text = "glück 日本 привет 🙂 é";
    shared.viewer.terminal.type_text("echo ");
    for (count, character) in text.chars().enumerate() {
        for byte in character.to_string().bytes() {
            shared.viewer.terminal.send_bytes(&[byte]);
        }
        let typed: String = text.chars().take(count + 1).collect();
        let wanted = format!("$ echo {}", typed.trim_end());
        shared.world.wait_until(&format!("{wanted:?} shows"), || {
            let shown = shared.viewer.terminal.text();
            assert!(!shown.contains(['\u{fffd}', 'Ã', 'Ð']), "garbage is shown: {shown}");
            shown.contains(&wanted)
        });
    }
    shared.wait_until_both_show(&format!("$ echo {text}"));
    shared.viewer_presses(&["Enter"]);
    shared.wait_until_both_show(&format!("\n{text}"));
}

#[test]
fn stopped_output_goes_on() {
    let shared = Shared::by_tern(&[]);
    shared.viewer_runs("stty ixon; clear; echo before", "\nbefore");
    for round in 0..3 {
        shared.viewer.terminal.enter_line("seq 2000");
        shared.viewer_presses(&["C-s"]);
        shared.viewer.terminal.type_text(&format!("echo after {round}"));
        shared.viewer_presses(&["C-q", "Enter"]);
        shared.wait_until_both_show(&format!("\nafter {round}"));
    }
}

#[test]
fn sessions_come_and_go_many_times() {
    let repeats = std::env::var("TERN_REPEATS").ok().and_then(|text| text.parse().ok());
    let world = World::new();
    let relay = Relay::start(&world);
    for round in 0..repeats.unwrap_or(REPEATS_DEFAULT) {
        let script = format!("echo round {round}; read -r line; echo got $line");
        let args = ["--", "sh", "-c", &script].map(str::to_owned).to_vec();
        let options = HostOptions { args, ..HostOptions::default() };
        let host = Host::share_with(&world, Some(&relay), options);
        let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
        viewer.wait_until_shows(&format!("round {round}"));
        match round % 3 {
            0 => viewer.terminal.enter_line("input"),
            1 => host.terminal.enter_line("input"),
            _ => {
                viewer.terminal.press(&["Enter", "~", "."]);
                host.terminal.press(&["Enter"]);
            }
        }
        assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
        let code = world.wait_for("the host ends", || host.terminal.exit_code());
        assert_eq!(code, 0, "{}", world.report());
        for terminal in [&viewer.terminal, &host.terminal] {
            terminal.kill();
        }
    }
}

#[test]
fn pager_survives_forty_resizes() {
    let shared = Shared::by_tern(&[]);
    shared.viewer.terminal.enter_line("clear; less lines.txt");
    shared.wait_until_both_show("lines.txt");
    for step in 0..40_u16 {
        shared.viewer.terminal.resize(40 + step * 17 % 41, 8 + step * 7 % 17);
        if step % 8 == 7 {
            shared.viewer_presses(&["Space"]);
            shared.viewer.wait_until_shows(":");
        }
    }
    shared.viewer.terminal.resize(80, 24);
    shared.wait_until_same();
    shared.viewer_presses(&["q"]);
    shared.viewer_runs("clear; echo left $?", "\nleft 0");
}

#[test]
fn lone_combining_characters_show_the_same() {
    let shared = Shared::by_tern(&[]);
    let text = [
        "\u{301}at the start",
        "e\u{301}a\u{308}o\u{302}\u{323} in cells",
        &format!("{}e\u{301}x", "m".repeat(79)),
        &format!("{}日\u{301}\u{308}y", "w".repeat(78)),
        "a\r\n\u{301}b after a line break",
        "\x1b[10;1H\u{308}\x1b[10;80H\u{308}\x1b[12;40Hz\x1b[12;40H\u{327}",
        &format!("\x1b[14;1Hx{}", "\u{301}".repeat(60)),
        "\x1b[16;1H\u{200d}\u{fe0f}\u{20e3}|",
    ];
    write(&shared, text.join("\r\n").as_bytes());
    assert!(shared.viewer.terminal.shows("e\u{301}a\u{308}"), "{}", shared.world.report());
}

#[test]
fn tiny_windows_show_what_fits() {
    let shared = Shared::by_tern(&[]);
    shared.viewer_runs("clear; seq 30; echo '日本'", "日本");
    for (cols, rows) in [(1, 1), (2, 1), (1, 2), (3, 2), (10, 1), (1, 10), (5, 4), (2, 2)] {
        shared.viewer.terminal.resize(cols, rows);
        let format = "#{window_width}x#{window_height}";
        shared.world.wait_until("the shared window has heard of it", || {
            let size = shared.host.tmux(&["display-message", "-p", format]);
            size != "80x23" || (cols, rows) == (80, 24)
        });
        assert!(shared.viewer.process().is_running(), "{cols}x{rows}\n{}", shared.world.report());
    }
    shared.viewer.terminal.resize(80, 24);
    shared.wait_until_same();
    shared.viewer_runs("clear; echo large again", "\nlarge again");
}
