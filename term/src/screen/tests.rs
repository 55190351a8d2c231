use super::*;
use crate::{Attrs, Color, Content, CursorShape, Modes, Style, Underline};
use std::sync::Arc;

const SIZE: Size = Size { cols: 20, rows: 5 };

fn screen_with(output: &str) -> Screen {
    let mut screen = Screen::new(SIZE);
    screen.handle_output(output.as_bytes(), Instant::now());
    screen
}

fn frame_of(output: &str) -> Frame {
    screen_with(output).frame()
}

fn reply_to(output: &str) -> String {
    let reply = screen_with(output).poll_reply().unwrap_or_default();
    String::from_utf8(reply).expect("replies are ASCII").replace('\x1b', "ESC")
}

#[test]
fn every_attribute_reaches_the_cell() {
    let attrs = |sgr: &str| frame_of(&format!("\x1b[{sgr}mx")).cell(0, 0).style.attrs;
    let all = [
        ("1", Attrs::BOLD),
        ("2", Attrs::DIM),
        ("3", Attrs::ITALIC),
        ("5", Attrs::BLINK),
        ("6", Attrs::BLINK),
        ("7", Attrs::INVERSE),
        ("8", Attrs::HIDDEN),
        ("9", Attrs::STRIKE),
        ("53", Attrs::OVERLINE),
    ];
    for (code, attr) in all {
        assert_eq!(attrs(code), attr, "{code}");
    }
    for (number, underline) in Underline::ALL.into_iter().enumerate() {
        let both = attrs(&format!("53;4:{number}"));
        assert_eq!(both.underline(), underline);
        assert!(both.contains(Attrs::OVERLINE));
    }
    assert_eq!(attrs("1;2;3;4:3;5;7;8;9;53;22;23;24;25;27;28;29;55"), Attrs::default());
}

#[test]
fn every_form_of_colour_is_understood() {
    let style = |sgr: &str| frame_of(&format!("\x1b[{sgr}mx")).cell(0, 0).style.clone();
    assert_eq!(style("31").fg, Color::Ansi(1));
    assert_eq!(style("102").bg, Color::Ansi(10));
    assert_eq!(style("38;5;1").fg, Color::Indexed(1));
    assert_eq!(style("48;2;1;2;3").bg, Color::Rgb(1, 2, 3));
    assert_eq!(style("38:2::1:2:3").fg, Color::Rgb(1, 2, 3));
    assert_eq!(style("38:2:1:2:3").fg, Color::Rgb(1, 2, 3));
    assert_eq!(style("58:5:9").underline_color, Color::Indexed(9));
    assert_eq!(style("58;2;1;2;3;59"), Style::PLAIN);
    assert_eq!(style("38;2;1;2;300"), Style::PLAIN);
}

#[test]
fn synchronized_update_shows_as_a_whole() {
    let now = Instant::now();
    let mut screen = screen_with("old");
    screen.handle_output(b"\x1b[?2026h\rnew", now);
    assert_eq!(screen.frame().to_text(), "old\n\n\n\n\n");
    assert_eq!(screen.poll_timeout(), Some(now + SYNC_TIME_MAX));
    screen.handle_output(b"est\x1b[?2026l", now);
    assert_eq!(screen.frame().to_text(), "newest\n\n\n\n\n");
    assert_eq!(screen.poll_timeout(), None);
}

#[test]
fn synchronized_update_without_end_shows_at_its_deadline() {
    let now = Instant::now();
    let mut screen = screen_with("old");
    screen.handle_output(b"\x1b[?2026h\rnew", now);
    screen.handle_output(b"\x1b[?2026h", now + SYNC_TIME_MAX / 2);
    screen.handle_timeout(now + SYNC_TIME_MAX / 2);
    assert_eq!(screen.frame().to_text(), "old\n\n\n\n\n");
    screen.handle_timeout(now + SYNC_TIME_MAX);
    assert_eq!(screen.frame().to_text(), "new\n\n\n\n\n");
}

#[test]
fn rows_that_did_not_change_are_shared() {
    let mut screen = screen_with("one\r\ntwo\r\nthree\r\nfour\r\nfive");
    let before = screen.frame();
    screen.handle_output(b"!", Instant::now());
    let after = screen.frame();
    assert!((0..4).all(|y| Arc::ptr_eq(&before.rows()[y], &after.rows()[y])));
    assert!(!Arc::ptr_eq(&before.rows()[4], &after.rows()[4]));
    let same = screen.frame();
    assert!(same.rows().iter().zip(after.rows()).all(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn rows_that_scrolled_are_shared() {
    let mut screen = screen_with("one\r\ntwo\r\nthree\r\nfour\r\nfive");
    let before = screen.frame();
    screen.handle_output(b"\r\nsix", Instant::now());
    let after = screen.frame();
    assert!((0..4).all(|y| Arc::ptr_eq(&before.rows()[y + 1], &after.rows()[y])));
}

#[test]
fn program_gets_its_answers() {
    assert_eq!(reply_to("\x1b[c"), "ESC[?62;22c");
    assert_eq!(reply_to("\x1b[>c"), "ESC[>0;10;0c");
    assert_eq!(reply_to("\x1b[5n"), "ESC[0n");
    assert_eq!(reply_to("\x1b[3;4H\x1b[6n"), "ESC[3;4R");
    assert_eq!(reply_to("\x1b[?2026$p\x1b[?9999$p"), "ESC[?2026;2$yESC[?9999;0$y");
    assert_eq!(reply_to("\x1b[?2004h\x1b[?2004$p"), "ESC[?2004;1$y");
    assert_eq!(reply_to("\x1b[18t"), "ESC[8;5;20t");
    assert!(reply_to("\x1b[>q").starts_with("ESCP>|tern "));
}

#[test]
fn program_learns_neither_clipboard_nor_colours() {
    assert_eq!(reply_to("\x1b]52;c;?\x07\x1b]11;?\x07\x1b]4;1;?\x07"), "");
}

#[test]
fn answers_that_nobody_takes_do_not_pile_up() {
    let mut screen = screen_with(&"\x1b[6n".repeat(10_000));
    assert!(screen.poll_reply().is_some_and(|reply| reply.len() <= REPLY_BYTES_MAX));
    assert_eq!(screen.poll_reply(), None);
}

#[test]
fn title_is_cleaned_cut_and_kept_on_a_stack() {
    assert_eq!(frame_of("\x1b]0;a;b\x07").title(), "a;b");
    assert_eq!(frame_of("\x1b]2;one\x07\x1b[22;0t\x1b]2;two\x07\x1b[23;0t").title(), "one");
    assert_eq!(frame_of("\x1b]2;a\u{9b}2Jb\x07").title(), "a2Jb");
    let long = frame_of(&format!("\x1b]2;{}\x07", "é".repeat(5000)));
    assert_eq!(long.title().chars().count(), TITLE_CHARS_MAX);
}

#[test]
fn clipboard_counts_up_and_is_bounded() {
    let mut screen = screen_with("\x1b]52;c;aGk=\x07\x1b]52;p;aGk=\x07");
    let frame = screen.frame();
    let clipboard = frame.clipboard().expect("it was set");
    assert_eq!((clipboard.seq, clipboard.selection, &*clipboard.base64), (2, b'p', "aGk="));
    let long = format!("\x1b]52;c;{}\x07", "A".repeat(CLIPBOARD_BYTES_MAX + 1));
    screen.handle_output(long.as_bytes(), Instant::now());
    screen.handle_output(b"\x1b]52;c;not base64!\x07", Instant::now());
    assert_eq!(screen.frame().clipboard(), Some(clipboard));
}

#[test]
fn control_string_without_end_is_forgotten() {
    let now = Instant::now();
    let mut screen = screen_with("a\x1b]2;");
    for _ in 0..100 {
        screen.handle_output(&[b'x'; 65536], now);
    }
    screen.handle_output(b"x\x07b\x1b]2;title\x07c", now);
    assert_eq!(screen.frame().to_text(), "abc\n\n\n\n\n");
    assert_eq!(screen.frame().title(), "title");
}

#[test]
fn modes_concern_the_viewer() {
    let modes = frame_of("\x1b[?1;1002;1006;1004;2004h\x1b=").modes();
    let all = [
        Modes::APP_CURSOR,
        Modes::APP_KEYPAD,
        Modes::MOUSE_DRAG,
        Modes::MOUSE_SGR,
        Modes::FOCUS,
        Modes::BRACKETED_PASTE,
    ];
    assert!(all.into_iter().all(|mode| modes.contains(mode)));
    let modes = frame_of("\x1b[?1000;1003h").modes();
    assert!(modes.contains(Modes::MOUSE_MOTION) && !modes.contains(Modes::MOUSE_CLICK));
    assert!(frame_of("\x1b[?1049h").modes().contains(Modes::ALT_SCREEN));
}

#[test]
fn cursor_has_a_place_and_a_look() {
    let cursor = frame_of("\x1b[5 q\x1b[2;3H").cursor();
    assert_eq!((cursor.col, cursor.row), (2, 1));
    assert_eq!((cursor.shape, cursor.is_blinking), (CursorShape::Beam, true));
    // As tmux sends it with every change of the cursor.
    let cursor = frame_of("\x1b[?12l\x1b[?25h\x1b[?25l").cursor();
    assert_eq!((cursor.shape, cursor.is_visible), (CursorShape::Default, false));
}

#[test]
fn alternate_screen_leaves_the_main_one() {
    let mut screen = screen_with("main\x1b[?1049h\x1b[Hother");
    assert_eq!(screen.frame().to_text(), "other\n\n\n\n\n");
    screen.handle_output(b"\x1b[?1049l!", Instant::now());
    assert_eq!(screen.frame().to_text(), "main!\n\n\n\n\n");
}

#[test]
fn erasing_upwards_includes_the_first_row() {
    assert_eq!(frame_of("one\r\ntwo\x1b[1J").to_text(), "\n\n\n\n\n");
}

#[test]
fn halves_of_overwritten_wide_characters_are_blank() {
    let frame = frame_of("日本\x1b[1;2H\x1b[X\x1b[1;3Hx");
    assert_eq!(frame.to_text(), "  x\n\n\n\n\n");
    assert_eq!(frame.cell(0, 0).content, Content::Narrow(' '));
}

#[test]
fn one_column_is_enough() {
    let mut screen = Screen::new(Size { cols: 1, rows: 1 });
    screen.handle_output("a日b\x1b[2C\t\r\n".as_bytes(), Instant::now());
    assert_eq!(screen.frame().size(), Size { cols: 1, rows: 1 });
    assert_eq!(screen.frame().cursor().col, 0);
}

#[test]
fn links_have_an_id_and_an_address() {
    let link = |output: &str| frame_of(output).cell(0, 0).style.link.clone();
    let with_id = link("\x1b]8;a=b:id=7;https://example.org/;x\x1b\\text").expect("a link");
    assert_eq!((with_id.id(), with_id.uri()), ("7", "https://example.org/;x"));
    let without = link("\x1b]8;;https://example.org/\x07text").expect("a link");
    assert!(!without.id().is_empty());
    assert_eq!(link("\x1b]8;;u\x07\x1b]8;;\x07text"), None);
    assert_eq!(link(&format!("\x1b]8;;{}\x07text", "u".repeat(5000))), None);
}

#[test]
fn bells_are_counted() {
    assert_eq!(frame_of("\x07a\x07").bell_count(), 2);
}

#[test]
fn repeating_a_character_is_bounded_by_the_screen() {
    let mut screen = screen_with("x\x1b[65535b");
    assert_eq!(screen.frame().cell(0, 0).content, Content::Narrow('x'));
}

#[test]
fn screens_and_frames_may_go_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<Screen>();
    is_send::<crate::Renderer>();
    is_send::<Frame>();
}
