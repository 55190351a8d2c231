use super::*;
use crate::{Screen, Size};
use std::time::Instant;

const SIZE: Size = Size { cols: 80, rows: 24 };

/// Bytes for each picture after these pieces of output, readable.
fn rendered(capabilities: Capabilities, pieces: &[&str]) -> Vec<String> {
    let mut renderer = Renderer::new(capabilities);
    renderer.enter();
    let mut screen = Screen::new(SIZE);
    let mut all = Vec::new();
    for piece in pieces {
        screen.handle_output(piece.as_bytes(), Instant::now());
        all.push(readable(renderer.render(&screen.frame())));
    }
    all
}

/// Bytes for the last of them.
fn last(capabilities: Capabilities, pieces: &[&str]) -> String {
    rendered(capabilities, pieces).pop().expect("there is one")
}

fn readable(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("we write UTF-8").replace('\x1b', "ESC")
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("line {n} of a file\r\n")).collect()
}

#[test]
fn typed_key_is_itself() {
    let all = rendered(Capabilities::full(), &["$ ", "l", "s", " ", "日", "\r\n", "\x08"]);
    assert_eq!(all[1..6], ["l", "s", " ", "日", "\r\n"]);
    assert_eq!(all[6], "");
}

#[test]
fn same_picture_is_nothing() {
    assert_eq!(last(Capabilities::full(), &["hello", "\rhello"]), "");
}

#[test]
fn line_at_the_bottom_scrolls() {
    let screen = lines(23);
    let out = last(Capabilities::full(), &[&screen, "last\r\n"]);
    assert_eq!(out, "ESC[SESC[Alast\r\n");
}

#[test]
fn region_scrolls_between_fixed_rows() {
    let before = format!("{}\x1b[1;1Htop\x1b[24;1Hstatus", lines(23));
    let out = last(Capabilities::full(), &[&before, "\x1b[2;23r\x1b[23;1H\nnew"]);
    assert!(out.starts_with("ESC[2;23rESC[SESC[r"), "{out}");
    assert!(out.ends_with("new"), "{out}");
    assert!(out.len() < 40, "{out}");
}

#[test]
fn old_terminals_scroll_by_line_feeds() {
    let vt100 = Capabilities::from_env("vt100", None);
    let out = last(vt100, &[&lines(23), "last\r\n"]);
    assert_eq!(out, "\nESC[Alast\r\n");
}

#[test]
fn rest_of_a_row_is_erased() {
    let out = last(Capabilities::full(), &["a long line of text\r", "b\x1b[K"]);
    assert_eq!(out, "bESC[K");
}

#[test]
fn coloured_rest_is_erased_only_where_erasing_colours() {
    let pieces = ["", "\x1b[44m\x1b[K"];
    assert_eq!(last(Capabilities::full(), &pieces), "ESC[44mESC[K");
    let screen = Capabilities::from_env("screen-256color", None);
    let out = last(screen, &pieces);
    assert!(out.contains(&" ".repeat(80)), "{out}");
}

#[test]
fn colours_are_those_that_the_terminal_has() {
    let out = |term| last(Capabilities::from_env(term, None), &["", "\x1b[38;2;255;0;0mx"]);
    assert!(out("xterm-kitty").contains("ESC[38;2;255;0;0mx"));
    assert!(out("xterm-256color").contains("ESC[38;5;196mx"));
    assert!(out("xterm").contains("ESC[91mx"));
    assert!(out("linux").contains("ESC[31mx"));
    assert_eq!(out("vt100"), "x");
}

#[test]
fn cursor_is_placed_anew_after_an_emoji() {
    let out = last(Capabilities::full(), &["", "🙂x"]);
    assert_eq!(out, "🙂ESC[3Gx");
}

#[test]
fn corner_is_drawn_with_autowrap_off() {
    let mut renderer = Renderer::new(Capabilities::full());
    assert!(readable(renderer.enter()).contains("ESC[?7l"));
    assert!(readable(renderer.leave()).contains("ESC[?7h"));
}

#[test]
fn mark_in_the_last_column_is_drawn_with_autowrap_on_if_it_can_not_wrap() {
    let out = |text: &str| last(Capabilities::full(), &["", &format!("\x1b[5;80H{text}")]);
    assert!(out("e\u{301}").contains("ESC[?7he\u{301}ESC[?7l"), "{}", out("e\u{301}"));
    assert!(out("\x1b[D日\u{301}").contains("ESC[?7h日\u{301}ESC[?7l"));
    for text in ["e", "\x1b[De\u{301}", "❤\u{200d}", "\x1b[D👩\u{200d}💻"] {
        assert!(!out(text).contains("[?7"), "{text}");
    }
}

#[test]
fn modes_follow_and_are_left() {
    let mut screen = Screen::new(SIZE);
    screen.handle_output(b"\x1b[?1002;1006;2004h\x1b=\x1b[6 q\x1b[?25l", Instant::now());
    let mut renderer = Renderer::new(Capabilities::full());
    renderer.enter();
    let out = readable(renderer.render(&screen.frame()));
    for part in ["ESC[?1002;1006;2004h", "ESC=", "ESC[6 q", "ESC[?25l"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let out = readable(renderer.leave());
    for part in ["ESC[?1002;1006;2004l", "ESC>", "ESC[0 q", "ESC[?25h", "ESC[?1049l"] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[test]
fn who_only_watches_keeps_mouse_and_keys() {
    let out = last(Capabilities::full().watch_only(), &["", "\x1b[?1002;1006;2004h\x1b="]);
    assert_eq!(out, "");
}

#[test]
fn wheel_moves_nothing_where_the_program_is_on_the_main_screen() {
    let all = rendered(Capabilities::full(), &["", "\x1b[?1049h", "\x1b[?1049l"]);
    assert!(all[0].contains("ESC[?1007l"));
    assert_eq!(all[1..], ["ESC[?1007h", "ESC[?1007l"]);
}

#[test]
fn bell_and_clipboard_happen_once_and_only_to_who_is_there() {
    let event = "\x07\x07\x1b]52;c;aGk=\x07";
    let all = rendered(Capabilities::full(), &[event, event, "x"]);
    assert!(!all[0].contains('\x07') || !all[0].contains("]52"), "{}", all[0]);
    assert_eq!(all[1], "\x07ESC]52;c;aGk=\x07");
    assert_eq!(all[2], "x");
    let out = last(Capabilities::full().watch_only(), &["", event]);
    assert_eq!(out, "\x07");
}

#[test]
fn title_and_links_go_where_they_are_understood() {
    let event = "\x1b]2;title\x07\x1b]8;id=1;https://example.org/\x07x\x1b]8;;\x07y";
    let out = last(Capabilities::full(), &["", event]);
    assert_eq!(out, "ESC]8;id=1;https://example.org/\x07xESC]8;;\x07yESC]2;title\x07");
    assert_eq!(last(Capabilities::from_env("linux", None), &["", event]), "xy");
}

#[test]
fn large_updates_are_drawn_as_one() {
    let out = last(Capabilities::full(), &["", &lines(23)]);
    assert!(out.starts_with("ESC[?2026h") && out.ends_with("ESC[?2026l"), "{out}");
    let out = last(Capabilities::from_env("linux", None), &["", &lines(23)]);
    assert!(out.starts_with("ESC[?25l") && out.ends_with("ESC[?25h"), "{out}");
}

#[test]
fn forgotten_screen_is_drawn_anew() {
    let mut renderer = Renderer::new(Capabilities::full());
    renderer.enter();
    let frame = Frame::from_lines(SIZE, ["hello"]);
    let first = renderer.render(&frame);
    assert!(renderer.render(&frame).is_empty());
    renderer.forget();
    let again = readable(renderer.render(&frame));
    assert!(again.contains("ESC[2J") && again.contains("hello"));
    assert!(!first.is_empty());
}
