//! Programs that take longer than the host allows for, and pictures that are ahead of its report.

use super::super::lag::LAG_TIME_MAX;
use super::*;

/// A line behind a prompt, in which something was echoed.
fn line(text: &str) -> Bench {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text(text);
    bench
}

/// A prompt that Enter has led back to.
fn after_a_command() -> Bench {
    let mut bench = line("ls");
    bench.typed("\r", "\r\nfile\r\n$$ ");
    bench
}

#[test]
fn slow_program_is_waited_for() {
    let mut bench = line("ls");
    bench.keys(&[" ", "s", "r", "c"]);
    // All four are counted as answered, and the program, or a machine beyond it, has read one.
    for output in ["", " ", "", "sr", "c"] {
        bench.answer(output);
        assert_eq!(bench.picture(), "$$ ls src");
    }
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn program_that_has_stopped_echoing_is_not_waited_for_long() {
    let mut bench = line("ls");
    bench.keys(&["x", "y"]);
    bench.answer("");
    assert_eq!(bench.picture(), "$$ lsxy");
    bench.now = bench.predictor.poll_timeout().expect("it waits").max(bench.now + LAG_TIME_MAX);
    bench.predictor.handle_timeout(bench.now);
    assert_eq!(bench.picture(), "$$ ls");
    assert_eq!(bench.key("z"), "$$ ls", "it has to be seen again");
}

#[test]
fn what_follows_an_enter_that_shows_no_effect_yet_is_typed_in_no_old_line() {
    let mut bench = line("su");
    bench.keys(&["\r", "s", "e", "c"]);
    bench.answer("");
    assert_eq!(bench.picture(), "$$ su");
    bench.now += LAG_TIME_MAX;
    bench.predictor.handle_timeout(bench.now);
    assert_eq!(bench.picture(), "$$ su");
    assert_eq!(bench.key("r"), "$$ su");
    bench.answer("\r\nPassword: ");
    assert_eq!(bench.picture(), "$$ su\nPassword:");
}

#[test]
fn picture_ahead_of_the_report_is_not_typed_into_twice() {
    let mut bench = Bench::new();
    bench.answer("one\r\n~\x1b[1;1H");
    bench.typed("i", "\x1b[6;1H-- INSERT --\x1b[1;1H");
    bench.text("a");
    bench.typed("\x1b", "\x1b[6;1H\x1b[K\x1b[1;1H");
    // Its effect isn't known, and answers took longer before.
    bench.predictor.echo_time = 800 * MS;
    bench.predictor.handle_rtt(100 * MS);
    bench.keys(&["O", "W", "e"]);
    bench.mark -= 2;
    bench.answer("\x1b[6;1H-- INSERT --\x1b[1;1H\x1b[2K\r\naone\x1b[1;1HW");
    bench.mark += 2;
    assert_eq!(bench.picture().lines().next(), Some("We"));
}

#[test]
fn editor_that_is_slow_to_insert_loses_no_letter() {
    let mut bench = Bench::new();
    bench.answer("one\x1b[6;1H-- INSERT --\x1b[1;4H");
    bench.text("x");
    bench.keys(&["\x0b", "C", "o", "u"]);
    // Two letters are counted as answered that don't show yet.
    bench.mark -= 1;
    bench.answer("\r\n");
    bench.mark += 1;
    assert_eq!(bench.picture().lines().nth(1), Some("Cou"));
    bench.answer("C");
    assert_eq!(bench.picture().lines().nth(1), Some("Cou"));
    bench.answer("ou");
    assert_eq!(bench.picture().lines().nth(1), Some("Cou"));
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn letter_that_went_over_the_margin_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.answer(&format!("{}\x1b[6;1H-- INSERT --\x1b[1;80H", "x".repeat(79)));
    bench.keys(&["\x0b", "o"]);
    bench.answer("o\r\n");
    assert_eq!(bench.key("n"), "n");
    bench.answer("n");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn proof_that_comes_with_the_end_of_patience_shows_nothing_behind_enter() {
    let mut bench = line("s");
    bench.keys(&["u", "\r", "s", "e", "c"]);
    bench.answer("");
    bench.now += LAG_TIME_MAX;
    bench.answer("u");
    assert_eq!(bench.key("r"), "$$ su");
}

#[test]
fn password_behind_a_command_of_the_history_is_not_typed_at_the_old_prompt() {
    for stale in ["", "sudo id"] {
        let mut bench = after_a_command();
        bench.keys(&["\x1b[A", "\r", "s", "e", "c"]);
        bench.mark -= 3;
        bench.answer(stale);
        bench.mark += 3;
        assert_eq!(bench.key("r"), format!("$$ {stale}").trim_end());
        bench.answer("");
        assert_eq!(bench.key("e"), format!("$$ {stale}").trim_end());
    }
}

#[test]
fn password_behind_a_command_that_was_counted_whole_is_not_typed_at_the_old_prompt() {
    let mut bench = after_a_command();
    bench.keys(&["s", "u", "\r", "s", "e", "c"]);
    bench.mark -= 3;
    bench.answer("");
    bench.mark += 3;
    assert!(!bench.picture().contains("sec"), "{}", bench.picture());
    assert!(!bench.key("r").contains('r'));
}

#[test]
fn empty_line_before_a_password_is_asked_for_is_no_text() {
    let mut bench = after_a_command();
    bench.text("sudo id");
    bench.keys(&["\r", "s", "e", "c"]);
    bench.mark -= 3;
    bench.answer("\r\n");
    bench.mark += 3;
    assert_eq!(bench.key("r"), "");
    bench.answer("[sudo] password for me: ");
    assert_eq!(bench.key("e"), "[sudo] password for me:");
}

#[test]
fn two_enters_are_two() {
    let mut bench = line("ls");
    bench.keys(&["\r", "s", "u", "\r", "s", "e", "c"]);
    bench.mark -= 3;
    // Only the first was read.
    bench.answer("\r\nfile\r\n$$ ");
    bench.mark += 3;
    assert_eq!(bench.key("r"), "$$");
}

#[test]
fn prompt_that_enter_has_led_back_to_is_believed() {
    let mut bench = after_a_command();
    assert_eq!(bench.key("p"), "$$ p");
    bench.answer("p");
    bench.typed("\r", "\r\n$$ ");
    bench.typed("\r", "\r\n$$ ");
    assert_eq!(bench.key("p"), "$$ p");
}

#[test]
fn editor_whose_text_is_never_shown_is_not_waited_for_forever() {
    let mut bench = Bench::new();
    bench.answer("one\x1b[6;1H-- INSERT --\x1b[1;4H");
    bench.text("x");
    bench.keys(&["\x0b", "a", "b"]);
    bench.answer("\r\n");
    while let Some(due) = bench.predictor.poll_timeout() {
        bench.now = bench.now.max(due);
        bench.predictor.handle_timeout(bench.now);
        assert!(bench.predictor.poll_timeout().is_none_or(|next| next > due), "no progress");
    }
    assert_eq!(bench.picture().lines().nth(1), Some(""));
    bench.answer("z");
    assert_eq!(bench.key("c"), "zc");
}

#[test]
fn line_that_a_picture_shows_already_is_not_opened_twice() {
    for is_in_parts in [false, true] {
        let mut bench = Bench::new();
        bench.answer("one\r\ntwo\r\n~\x1b[1;1H");
        bench.typed("i", "\x1b[6;1H-- INSERT --\x1b[1;1H");
        bench.typed("\x1b", "\x1b[6;1H\x1b[K\x1b[1;1H");
        bench.keys(&["G", "o", "T"]);
        bench.mark -= 2;
        if is_in_parts {
            bench.answer("\x1b[3;1H\x1b[K");
        }
        bench.answer("\x1b[6;1H-- INSERT --\x1b[3;1H\x1b[K");
        bench.mark += 2;
        assert_eq!(bench.picture(), "one\ntwo\nT\n\n\n-- INSERT --", "{is_in_parts}");
    }
}

#[test]
fn letters_before_two_enters_prove_nothing_of_what_is_behind_them() {
    let mut bench = line("l");
    bench.keys(&["s", "\r", "s", "u", "\r", "s", "e", "c"]);
    bench.mark -= 7;
    bench.answer("s");
    bench.mark += 4;
    bench.answer("\r\nfile\r\n$$ ");
    bench.mark += 3;
    assert_eq!(bench.picture(), "$$ ls\nfile\n$$");
}

#[test]
fn effect_of_another_key_is_not_enters() {
    for (key, output) in [("\x03", "^C\r\n$$ "), ("\x04", "\r\n$$ "), ("\x15", "\r$$ \x1b[K")] {
        let mut bench = after_a_command();
        bench.text("foo");
        // It is counted before it is read, or with what follows it.
        for is_early in [false, true] {
            bench.key(key);
            if is_early {
                bench.answer("");
            }
            bench.keys(&["s", "u", "\r", "s", "e", "c"]);
            bench.mark -= 3;
            bench.answer(output);
            bench.mark += 3;
            assert!(!bench.picture().contains("sec"), "{key:?} {}", bench.picture());
            bench.answer("su\r\nPassword: ");
            bench.typed("\r", "\r\n$$ ");
            bench.text("foo");
        }
    }
}

#[test]
fn password_that_begins_as_the_command_does_is_not_shown() {
    for answers in [&["s"][..], &["", "s"]] {
        let mut bench = after_a_command();
        bench.keys(&["s", "u", "\r", "s", "e", "c"]);
        bench.mark -= 3;
        answers.iter().for_each(|output| bench.answer(output));
        bench.mark += 3;
        assert!(!bench.picture().contains("se"), "{answers:?} {}", bench.picture());
    }
}

#[test]
fn empty_row_behind_a_command_that_wraps_is_no_text() {
    let mut bench = after_a_command();
    bench.text(&"x".repeat(76));
    bench.typed("x", "x\r\n");
    bench.text("yes");
    bench.keys(&["\r", "s", "e", "c"]);
    bench.mark -= 3;
    bench.answer("\r\n");
    bench.mark += 3;
    assert!(!bench.picture().contains("sec"), "{}", bench.picture());
}

#[test]
fn size_that_changes_behind_enter_is_no_effect() {
    let mut bench = Bench::new();
    bench.answer("one        │$$ \x1b[1;15H\r\n           │$$ ");
    bench.text("ls");
    bench.keys(&["\r", "s"]);
    bench.screen.resize(Size { cols: 200, rows: 6 });
    bench.answer(&format!("\x1b[2J\x1b[2;1H{}│$$ ", " ".repeat(100)));
    assert!(bench.key("e").ends_with("$$"));
}
