use super::*;
use crate::{Clipboard, Frame, Modes, Screen, Size};
use std::sync::Arc;
use std::time::Instant;

const SIZE: Size = Size { cols: 80, rows: 24 };

/// What a screen shows before and after.
fn frames(before: &str, after: &str) -> (Frame, Frame) {
    let mut screen = Screen::new(SIZE);
    screen.handle_output(before.as_bytes(), Instant::now());
    let old = screen.frame();
    screen.handle_output(after.as_bytes(), Instant::now());
    (old, screen.frame())
}

/// Bytes of the diff, which is right.
fn cost(before: &str, after: &str) -> usize {
    let (old, new) = frames(before, after);
    let diff = encode(&old, &new);
    assert_eq!(decode(&old, &diff), Ok(new));
    diff.len()
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("line {n} of some file with words in it\r\n")).collect()
}

#[test]
fn nothing_changed_is_nothing() {
    assert_eq!(cost("hello", ""), 0);
    assert_eq!(cost("hello", "\rhello"), 0);
}

#[test]
fn typed_key_is_a_few_bytes() {
    assert!(cost("$ ls", " ") <= 4);
    assert!(cost("$ ls", "x") <= 8);
    assert!(cost("\x1b[24;70H\x1b[31m$ ls", "x") <= 10);
    assert!(cost("\x1b[24;70H\x1b[31m$ ls", "日") <= 13);
    // Colour of its own, and the cursor goes elsewhere.
    assert!(cost("\x1b[5;5H", "\x1b[38;2;1;2;3;48;5;4mx\x1b[20;60H") <= 20);
}

#[test]
fn scrolling_costs_what_is_new() {
    let screen = lines(0..23);
    assert!(cost(&screen, &lines(23..24)) <= 60);
    let in_region = format!("{screen}\x1b[5;15r\x1b[15;1H");
    assert!(cost(&in_region, "\n") <= 12);
    assert!(cost(&in_region, "\x1b[5;1H\x1bM") <= 12);
    assert!(cost(&in_region, "\x1b[5;1H\x1b[3L") <= 14);
}

#[test]
fn scrolling_with_a_change_in_each_row_costs_the_changes() {
    // Relative line numbers of an editor.
    let numbered = |first: usize| {
        let row =
            |y: usize| format!("\x1b[{};1H{:3} text of line {:03}, long", y + 1, y, first + y);
        (0..20).map(row).collect::<String>()
    };
    assert!(cost(&numbered(0), &numbered(100)) < 250);
    assert!(cost(&numbered(0), &numbered(1)) < 250);
}

#[test]
fn erasing_costs_little() {
    let screen = lines(0..23);
    assert!(cost(&screen, "\x1b[H\x1b[2J") <= 80);
    assert!(cost(&screen, "\x1b[2;5H\x1b[K") <= 10);
    assert!(cost(&screen, "\x1b[44m\x1b[2;5H\x1b[K") <= 14);
    assert!(cost("", "\x1b[5;1H──────────────────────────────────────────────") <= 12);
}

#[test]
fn full_coloured_screen_is_compressed() {
    let mut text = String::new();
    for row in 0..24 {
        text += &format!("\x1b[{};1H", row + 1);
        for col in 0..10 {
            text += &format!("\x1b[3{}m word{} \x1b[m", (row + col) % 8, col % 4);
        }
    }
    assert!(cost("", &text) < 1200);
}

#[test]
fn resize_keeps_what_it_can() {
    let (old, _) = frames(&lines(0..20), "");
    let mut screen = Screen::new(Size { cols: 100, rows: 30 });
    screen.handle_output(lines(0..20).as_bytes(), Instant::now());
    let diff = encode(&old, &screen.frame());
    assert!(diff.len() <= 10, "{}", diff.len());
    assert_eq!(decode(&old, &diff), Ok(screen.frame()));
}

#[test]
fn everything_beside_the_cells_is_carried() {
    let (old, mut new) = frames("x", "\x1b]2;title\x07\x07\x1b[6 q\x1b[?25l\x1b[?1003;1006h");
    new.clipboard = Some(Arc::new(Clipboard { seq: 7, selection: b'c', base64: "aGk=".into() }));
    let diff = encode(&old, &new);
    assert_eq!(decode(&old, &diff), Ok(new.clone()));
    assert!(new.modes.contains(Modes::MOUSE_SGR));
    assert_eq!(decode(&new, &encode(&new, &old)), Ok(old));
}

#[test]
fn hostile_diffs_are_refused() {
    let base = Frame::from_lines(Size { cols: 10, rows: 3 }, ["日本", "abc", "d"]);
    let refused = |bytes: &[u8]| decode(&base, bytes).is_err();
    let skip = |count: u8| count << 3 | Op::Skip as u8;
    assert!(refused(&[0x80]), "unknown field");
    assert!(refused(&[head::EDITS]), "no row");
    assert!(refused(&[head::EDITS, 3, skip(1)]), "row out of the screen");
    assert!(refused(&[head::EDITS, 0, skip(11)]), "row too long");
    assert!(refused(&[head::EDITS, 0, skip(1)]), "half of a wide character");
    assert!(refused(&[head::EDITS, 0, Op::Down as u8]), "the same row twice");
    assert!(refused(&[head::EDITS, 0, 1 << 3 | Op::Narrow as u8, 0x1b]), "control character");
    assert!(refused(&[head::EDITS, 0, 9 << 3 | Op::Style as u8]), "unknown style");
    assert!(refused(&[head::CURSOR, 20, 0]), "cursor out of the screen");
    assert!(refused(&[head::CURSOR, 1, 0]), "cursor out of the screen");
    assert!(refused(&[head::COPIES, 1, 0, 6, 1]), "copy from out of the screen");
    assert!(refused(&[head::COPIES, 4]), "more copies than rows");
    assert!(refused(&[head::RARE, rare::SIZE, 0, 1]), "no columns");
    assert!(refused(&[head::RARE, rare::SIZE, 0xff, 0x7f, 1]), "too many columns");
    assert!(refused(&[head::RARE, rare::TITLE, 1, 0x07]), "control character");
    assert!(refused(&[head::RARE, rare::CLIPBOARD, b'c', 1, 1, 0x1b]), "not base64");
    assert!(refused(&[head::RARE, 0x20]), "unknown field");
    assert!(refused(&[0]) || decode(&base, &[0]) == Ok(base.clone()), "nothing to do");
}

#[test]
fn compressed_diff_cannot_claim_more_than_it_can_hold() {
    let base = Frame::default();
    let mut bomb = vec![head::COMPRESSED];
    crate::wire::put_number(&mut bomb, BODY_BYTES_MAX as u32);
    bomb.extend([0; 64]);
    assert!(decode(&base, &bomb).is_err());
    let mut bomb = vec![head::COMPRESSED];
    crate::wire::put_number(&mut bomb, u32::MAX);
    assert!(decode(&base, &bomb).is_err());
}

#[test]
fn cursor_left_out_of_a_smaller_screen_is_refused() {
    let (base, _) = frames("\x1b[24;80H", "");
    assert!(decode(&base, &[head::RARE, rare::SIZE, 10, 10]).is_err());
}
