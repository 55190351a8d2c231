//! Keys that move the cursor to where the next text is typed: vi's, a form's, and margins.

use super::*;

/// A vi that has inserted once: its text in the first row, and `below` under it.
fn vi(text: &str, below: &str) -> Bench {
    let mut bench = Bench::new();
    bench.answer(&format!("{text}\r\n{below}\x1b[1;1H"));
    bench.typed("i", "\x1b[6;1H-- INSERT --\x1b[1;1H");
    bench.typed("\x1b", "\x1b[6;1H\x1b[K\x1b[1;1H");
    bench
}

#[test]
fn text_that_is_appended_is_shown_before_vi_says_that_it_inserts() {
    let mut bench = vi("some text", "~\r\n~");
    assert_eq!(bench.key("A"), "some text");
    assert_eq!(bench.cursor(), (0, 9));
    bench.keys(&[" ", "m", "o", "r"]);
    assert_eq!(bench.key("e"), "some text more");
    bench.answer("\x1b[6;1H-- INSERT --\x1b[1;10H more");
    assert_eq!(bench.picture().lines().next(), Some("some text more"));
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn line_that_was_broken_stays_above_the_new_one() {
    let mut bench = vi("one", "~\r\n~");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[1;4H");
    bench.keys(&["x", "\r", "t", "w", "o"]);
    assert!(bench.picture().starts_with("onex\ntwo\n~"), "{}", bench.picture());
    // The picture comes in parts.
    bench.mark -= 4;
    bench.answer("x");
    bench.mark += 4;
    assert!(bench.picture().starts_with("onex\ntwo\n~"), "{}", bench.picture());
    bench.answer("\r\n\x1b[Ktwo");
    assert!(bench.picture().starts_with("onex\ntwo\n~"), "{}", bench.picture());
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn new_line_at_the_bottom_moves_the_one_above_up() {
    let mut bench = Bench::new();
    bench.answer("a\r\nb\r\nc\r\nd\r\nlast\x1b[6;1H-- INSERT --\x1b[5;5H");
    bench.keys(&["!", "\r", "n", "e", "w"]);
    assert_eq!(bench.picture(), "a\nb\nc\nlast!\nnew\n-- INSERT --");
    bench.answer("\x1b[1;1Hb\r\nc\r\nd\r\nlast!\r\nnew\x1b[K");
    assert_eq!(bench.picture(), "b\nc\nd\nlast!\nnew\n-- INSERT --");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn editor_that_indents_is_not_foretold_twice() {
    let mut bench = vi("one", "~\r\n~");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[1;4H");
    bench.keys(&["\r", "x"]);
    assert_eq!(bench.cursor(), (1, 1));
    bench.answer("\x1b[2;1H    x");
    assert_eq!(bench.cursor(), (1, 5));
    bench.typed("\r", "\r\n    ");
    assert_eq!(bench.cursor(), (2, 4), "what was seen");
    bench.typed("y", "y");
    bench.keys(&["\r", "z"]);
    assert_eq!(bench.cursor(), (2, 5), "nobody knows where the next line begins");
}

#[test]
fn what_has_left_vi_moves_nothing() {
    let mut bench = vi("text", "~");
    bench.keys(&[":", "q", "\r"]);
    bench.answer("\x1b[2J\x1b[H$ ");
    assert_eq!(bench.key("A"), "$");
    assert_eq!(bench.cursor(), (0, 2));
}

/// A form with fields, in which Tab leads from the first to the second.
fn form(labels: [&str; 2]) -> Bench {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.answer(&format!("\x1b[2J\x1b[H{}\x1b[3;1H{}\x1b[1;6H", labels[0], labels[1]));
        bench.text("ann");
        bench.typed("\t", "\x1b[3;6H");
        if labels[1] == "Pass:" {
            bench.typed("x", "*");
            bench.typed("y", "*");
        } else {
            bench.text("xy");
        }
        bench.typed("\x18", "");
    }
    bench.answer(&format!("\x1b[2J\x1b[H{}\x1b[3;1H{}\x1b[1;6H", labels[0], labels[1]));
    bench.text("ann");
    bench
}

#[test]
fn field_that_tab_was_seen_to_lead_to_is_typed_in_at_once() {
    let mut bench = form(["Name:", "City:"]);
    bench.keys(&["\t", "r", "o"]);
    assert_eq!(bench.picture(), "Name:ann\n\nCity:ro");
    bench.answer("\x1b[3;6Hro");
    assert_eq!(bench.picture(), "Name:ann\n\nCity:ro");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn field_of_a_password_is_never_typed_in_before_the_program_did() {
    let mut bench = form(["Name:", "Pass:"]);
    bench.keys(&["\t", "s", "e", "c"]);
    assert_eq!(bench.picture(), "Name:ann\n\nPass:");
}

#[test]
fn pagers_search_is_known_after_two() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.answer("\x1b[2J\x1b[Htext\x1b[6;1H:");
        bench.typed("/", "\x1b[6;1H\x1b[K/");
        bench.text("ab");
        bench.typed("\r", "\x1b[6;1H\x1b[K:");
    }
    bench.keys(&["/", "c"]);
    assert_eq!(bench.picture(), "text\n\n\n\n\n/c");
    bench.answer("\x1b[6;1H\x1b[K/c");
    assert_eq!(bench.picture(), "text\n\n\n\n\n/c");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn completion_is_no_habit() {
    let mut bench = Bench::new();
    for row in 1..4 {
        bench.answer(&format!("\x1b[{row};1H$ "));
        bench.text("cat no");
        bench.typed("\t", "tes ");
        bench.text("x");
        bench.typed("\r", "");
    }
    bench.answer("\x1b[4;1H$ ");
    bench.text("cat ba");
    bench.keys(&["\t", "x"]);
    assert_eq!(bench.picture().lines().last(), Some("$ cat ba"));
}

#[test]
fn prompt_that_is_back_has_answered_enter() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text("ls");
    bench.key("\r");
    // The host hasn't said yet that it was answered.
    bench.mark -= 1;
    bench.answer("\r\nfile\r\n$$ ");
    bench.mark += 1;
    assert_eq!(bench.key("c"), "$$ c");
    bench.mark -= 1;
    bench.answer("");
    bench.mark += 1;
    bench.answer("c");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn other_prompt_proves_nothing_before_enter_was_answered() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text("su");
    bench.key("\r");
    bench.mark -= 1;
    bench.answer("\r\nPassword: ");
    bench.mark += 1;
    assert_eq!(bench.key("s"), "Password:");
}

#[test]
fn line_goes_on_behind_the_terminals_margin_once_it_was_seen_to() {
    let mut bench = Bench::new();
    bench.answer("> ");
    bench.text("0123456789");
    let rest = "x".repeat(67);
    bench.text(&rest);
    bench.typed("a", "a\r\n");
    bench.typed("b", "b\r\n\r\n> ");
    bench.text(&format!("0123456789{rest}"));
    bench.keys(&["a", "b", "c"]);
    let shown = bench.picture();
    assert!(shown.ends_with(&format!("> 0123456789{rest}a\nbc")), "{shown}");
}

#[test]
fn word_that_has_no_room_goes_to_the_next_row_once_others_did() {
    let mut bench = Bench::new();
    let line = format!("{}abcdefg", "word ".repeat(13));
    bench.answer("\x1b[2J\x1b[H");
    for row in 1..4 {
        bench.answer(&format!("\x1b[{row};1H\x1b[K"));
        bench.text(&line);
        if row == 3 {
            break;
        }
        bench.typed("h", "\x1b[7D\x1b[K\r\nabcdefgh");
    }
    bench.keys(&["h", "i"]);
    let shown = bench.picture();
    assert!(shown.ends_with(&format!("\n{}\nabcdefghi", line[..64].trim_end())), "{shown}");
    bench.answer("\x1b[7D\x1b[K\r\nabcdefghi");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn kernel_that_has_echoed_for_a_while_is_believed() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.target = KeyTarget::Echoed;
    bench.typed("\r", "\r\n");
    assert_eq!(bench.key("x"), "", "it may be about to ask for a password");
    bench.answer("x\r\n");
    bench.target = KeyTarget::Raw;
    bench.answer("");
    bench.target = KeyTarget::Echoed;
    bench.answer("");
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.key("y"), "y");
}

#[test]
fn cursor_at_the_very_edge_is_no_trouble() {
    let mut bench = Bench::new();
    bench.target = KeyTarget::Echoed;
    bench.answer("");
    let keys: Vec<String> = "x".repeat(79).chars().map(String::from).collect();
    keys.iter().for_each(|key| drop(bench.key(key)));
    for keys in [["\x1b[D", "b", "\x1b[C", "\x7f"], ["\x1b[C", "\x17", "\x15", "\x05"]] {
        bench.keys(&keys);
    }
    let mut vi = vi(&"x".repeat(80), "~");
    vi.answer("\x1b[1;80H");
    vi.keys(&["a", "b", "\x7f", "\x1b[C", "\x7f"]);
}

#[test]
fn password_is_not_shown_after_vi_in_a_shell_with_its_modes() {
    let mut bench = vi("text", "~");
    bench.keys(&[":", "w", "q", "\r"]);
    bench.answer("\x1b[2J\x1b[H$ ");
    bench.keys(&["\x1b", "k", "\r"]);
    bench.answer("sudo id\r\nPassword: ");
    bench.keys(&["a", "d", "m", "i", "n"]);
    assert_eq!(bench.picture(), "$ sudo id\nPassword:");
}

#[test]
fn labels_above_fields_are_no_names() {
    let mut bench = form(["> ", "> "]);
    bench.keys(&["\t", "s", "e", "c"]);
    assert!(!bench.picture().contains("sec"), "{}", bench.picture());
}

#[test]
fn many_lines_typed_into_an_outage_are_bounded() {
    let mut bench = vi("one", "");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[1;4H");
    for _ in 0..PENDING_MAX {
        bench.key("\r");
    }
    assert_eq!(bench.picture().lines().last(), Some("-- INSERT --"));
}

#[test]
fn field_without_a_name_is_known_behind_one_with_a_name() {
    let mut bench = Bench::new();
    for times in 0..2 {
        bench.answer("\x1b[2J\x1b[HSubject: \x1b[1;10H");
        bench.text("mail");
        let shown = bench.key("\t") + &bench.key("d");
        assert_eq!(shown.contains('d'), times == 1, "{times}");
        bench.answer("\x1b[3;1Hd");
        bench.text("ear");
        bench.typed("\x18", "");
    }
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn commands_of_a_pager_before_its_search_hide_nothing() {
    let mut bench = Bench::new();
    bench.answer("\x1b[2J\x1b[Htext\x1b[6;1H:");
    bench.typed("/", "\x1b[6;1H\x1b[K/");
    bench.text("ab");
    bench.typed("\r", "\x1b[6;1H\x1b[K:");
    bench.keys(&["n", "j", "/", "c"]);
    assert_eq!(bench.picture(), "text\n\n\n\n\n/c");
    bench.mark -= 3;
    bench.answer("\x1b[1;1Hmore\x1b[6;2H");
    bench.mark += 3;
    assert_eq!(bench.picture(), "more\n\n\n\n\n/c");
    bench.answer("\x1b[6;1H\x1b[K/c");
    assert_eq!(bench.picture(), "more\n\n\n\n\n/c");
    bench.typed("\r", "\x1b[6;1H\x1b[K:");
    bench.keys(&["q", "/", "c"]);
    assert_eq!(bench.picture(), "more\n\n\n\n\n:", "the pager is left");
}

#[test]
fn margin_of_a_prompts_lines_is_known_after_another_program_ran() {
    let mut bench = Bench::new();
    let line = format!("0123456789{}", "x".repeat(66));
    bench.answer("$$ ");
    bench.text("01");
    bench.keys(&["2"]);
    bench.answer(&line[2..]);
    bench.typed("a", "a\r\n");
    bench.typed("b", "b");
    bench.target = KeyTarget::Echoed;
    bench.typed("\r", "\r\n");
    bench.target = KeyTarget::Raw;
    bench.answer("$$ ");
    bench.text(&line);
    bench.keys(&["a", "b", "c"]);
    assert!(bench.picture().ends_with(&format!("$$ {line}a\nbc")), "{}", bench.picture());
}

#[test]
fn word_that_went_to_the_next_row_at_one_key_tells_the_column() {
    let mut bench = Bench::new();
    let line = format!("{}abcdefg", "word ".repeat(13));
    bench.answer("\x1b[2J\x1b[H");
    bench.answer("\x1b[1;1H");
    bench.text(&line);
    bench.typed("h", "\x1b[7D\x1b[K\r\nabcdefgh");
    bench.answer("\x1b[3;1H");
    bench.text(&line);
    // A blank stays, and the next word begins below.
    bench.keys(&[" ", "i"]);
    assert!(bench.picture().ends_with(&format!("\n{line}\ni")), "{}", bench.picture());
    bench.answer(" \r\ni");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn line_that_goes_on_over_the_margin_is_broken_as_its_first_row_says() {
    let full = format!("a{}c", " b".repeat(39));
    let mut bench = vi(&format!("{full} go"), "");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[2;4H");
    bench.keys(&["\r", "n", "e", "w"]);
    assert!(bench.picture().starts_with(&format!("{full}\n go\nnew")), "{}", bench.picture());
}

#[test]
fn text_at_the_begin_of_a_row_below_a_full_one_may_be_another_lines() {
    let mut bench = vi(&format!("{}next line", "x".repeat(80)), "~");
    bench.typed("i", "\x1b[6;1H-- INSERT --\x1b[2;1H");
    assert_eq!(bench.key("a"), "next line");
    bench.answer("\x1b[1;5r\x1b[2;1H\x1b[L\x1b[r\x1b[2;1Ha");
    assert_eq!(bench.key("b"), "ab");
}

#[test]
fn editor_is_known_while_letters_are_on_their_way() {
    let mut bench = Bench::new();
    bench.answer("one\r\n~\r\n~\x1b[1;1H");
    bench.keys(&["A", "x", "y"]);
    bench.mark -= 2;
    bench.answer("\x1b[6;1H-- INSERT --\x1b[1;4H");
    bench.mark += 2;
    bench.keys(&["\r", "z"]);
    assert!(bench.picture().starts_with("onexy\nz\n~"), "{}", bench.picture());
}

#[test]
fn password_with_a_slash_is_no_search() {
    for (key, stale) in [("q", true), ("Z", false), ("v", false)] {
        let mut bench = Bench::new();
        bench.answer("\x1b[2J\x1b[Htext\x1b[6;1H:");
        bench.typed("/", "\x1b[6;1H\x1b[K/");
        bench.text("ab");
        bench.typed("\r", "\x1b[6;1H\x1b[K:");
        bench.key(key);
        if stale {
            // It was read by then, and no picture shows that it has left the pager.
            bench.answer("");
        }
        bench.keys(&["n", "/", "c", "d"]);
        assert_eq!(bench.picture(), "text\n\n\n\n\n:", "{key}");
        bench.answer("\x1b[6;1H\x1b[KPassword: ");
        assert_eq!(bench.key("e"), "Password:");
    }
}

#[test]
fn echo_in_another_programs_field_proves_nothing_of_this_one() {
    let mut bench = Bench::new();
    let login = "\x1b[2J\x1b[HUser: \x1b[3;1HPassword: \x1b[1;7H";
    bench.answer(login);
    bench.text("ann");
    bench.typed("\t", "\x1b[3;11H");
    bench.typed("s", "");
    bench.typed("\x18", "\x1b[2J\x1b[3;1HPassword: ");
    bench.text("a text about passwords");
    bench.typed("\x18", login);
    bench.text("ann");
    bench.keys(&["\t", "s", "e", "c"]);
    assert!(!bench.picture().contains("sec"), "{}", bench.picture());
}

#[test]
fn field_that_echoes_no_more_is_no_habit_any_more() {
    let mut bench = form(["Name:", "Next:"]);
    bench.keys(&["\t", "s"]);
    bench.mark -= 1;
    bench.answer("\x1b[3;6H");
    bench.mark += 1;
    bench.answer("");
    bench.now += Duration::from_secs(1);
    bench.predictor.handle_timeout(bench.now);
    bench.typed("\x18", "");
    bench.answer("\x1b[2J\x1b[HName:\x1b[3;1HNext:\x1b[1;6H");
    bench.text("ann");
    bench.keys(&["\t", "s", "e", "c"]);
    assert!(!bench.picture().contains("sec"), "{}", bench.picture());
}

#[test]
fn usual_edits_are_foretold_at_a_shells_prompt_until_one_does_something_else() {
    let mut bench = Bench::new();
    bench.answer("$$ ");
    bench.text("ls");
    bench.typed("\r", "\r\nfile\r\n$$ ");
    bench.text("make tes");
    bench.typed("\x1b[D", "\x1b[D");
    bench.keys(&["\x05", "t"]);
    assert_eq!(bench.picture(), "$$ ls\nfile\n$$ make test");
    // Here it is a prefix, say.
    bench.answer("");
    bench.now += Duration::from_secs(1);
    bench.predictor.handle_timeout(bench.now);
    bench.typed("\r", "\r\n$$ ");
    bench.text("pw");
    bench.typed("\x1b[D", "\x1b[D");
    bench.keys(&["\x05", "d"]);
    assert_eq!(bench.picture(), "$$ ls\nfile\n$$ make tes\n$$ pw");
}

/// A mail's form: a field, a line, and the text below, typed in up to "dear".
fn mail(bench: &mut Bench) {
    bench.answer("\x1b[2J\x1b[HSubject: \r\n-----\x1b[1;10H");
    bench.text("hi");
    bench.typed("\t", "\x1b[3;1H");
    bench.text("dear");
}

/// The same, in which Enter was seen to begin a new line.
fn mail_of_lines() -> Bench {
    let mut bench = Bench::new();
    bench.prefixes = vec![b"\x02".to_vec()];
    mail(&mut bench);
    bench.typed("\r", "\x1b[4;1H");
    bench.text("ann");
    bench
}

#[track_caller]
fn assert_hidden(bench: &mut Bench, keys: &[&str]) {
    bench.keys(keys);
    bench.keys(&["s", "e", "c"]);
    assert!(!bench.picture().contains("sec"), "behind {keys:?}: {}", bench.picture());
}

#[test]
fn enter_breaks_the_text_of_a_form_once_it_was_seen_to() {
    let mut bench = Bench::new();
    mail(&mut bench);
    bench.keys(&["\r", "a"]);
    assert_eq!(bench.cursor(), (2, 4), "nobody has seen it");
    bench.answer("\x1b[4;1Ha");
    bench.text("nn");
    bench.keys(&["\r", "x"]);
    assert_eq!(bench.picture(), "Subject: hi\n-----\ndear\nann\nx");
    assert_eq!(bench.cursor(), (4, 1));
    bench.answer("\x1b[5;1Hx");
    assert_eq!(bench.predictor.statistics().wrong, 0);
}

#[test]
fn enters_of_which_a_picture_shows_some_are_not_counted_twice() {
    for rows in [&[5, 6][..], &[6], &[5]] {
        let mut bench = mail_of_lines();
        bench.keys(&["\r", "\r", "x"]);
        assert_eq!(bench.cursor(), (5, 1));
        bench.mark -= 3;
        for row in rows {
            bench.answer(&format!("\x1b[{row};1H"));
            assert_eq!(bench.cursor(), (5, 1), "with the cursor in row {row}");
        }
        bench.mark += 3;
        bench.answer("\x1b[6;1Hx");
        assert_eq!(bench.cursor(), (5, 1));
        assert_eq!(bench.predictor.statistics().wrong, 0);
    }
    // Also from a line in which nothing was typed.
    let mut bench = Bench::new();
    bench.answer("\x1b[2J\x1b[HTo: \x1b[1;5H");
    bench.text("ann");
    bench.typed("\t", "\x1b[3;1H");
    bench.text("a");
    bench.typed("\r", "\x1b[4;1H");
    bench.text("b");
    bench.typed("\x7f", "\x08 \x08");
    bench.keys(&["\r"]);
    assert_eq!(bench.cursor(), (4, 0));
    bench.mark -= 1;
    bench.answer("\x1b[5;1H");
    assert_eq!(bench.cursor(), (4, 0));
    bench.mark += 1;
    bench.answer("");
    assert_eq!((bench.cursor(), bench.predictor.statistics().wrong), ((4, 0), 0));
}

#[test]
fn enter_elsewhere_than_in_the_text_of_a_form_hides_what_follows() {
    for way in ["\x18", "\x1b", "\x1b[A", "\x01", "\t"] {
        let mut bench = mail_of_lines();
        bench.typed(way, "");
        assert_hidden(&mut bench, &["\r"]);
    }
    // The same key was read by another program.
    let mut bench = mail_of_lines();
    bench.typed("\r", "\x1b[5;1H");
    bench.typed("\x01", "");
    bench.text("su");
    assert_hidden(&mut bench, &["\r"]);
    // In a field with a name, which Tab has led to as well.
    let mut bench = mail_of_lines();
    bench.typed("\x18", "\x1b[2J\x1b[HTo: \r\nSubject: \r\n----\x1b[1;5H");
    bench.text("ann");
    bench.typed("\t", "\x1b[2;10H");
    bench.text("hi");
    assert_hidden(&mut bench, &["\r"]);
    // In a shell to which somebody has changed, or the multiplexer, or which was behind the form.
    for way in [&[][..], &["\x02", "n"], &["\x18"]] {
        for prompt in ["me@host:~$ ", "[me@host ~]$ ", ""] {
            let mut bench = mail_of_lines();
            bench.keys(way);
            bench.answer(&format!("\x1b[2J\x1b[HSubject:s\r\n\r\n\r\n{prompt}"));
            bench.text("su");
            assert_hidden(&mut bench, &["\r"]);
            // The host counts what a slow ssh has still to read.
            bench.answer("");
            assert_hidden(&mut bench, &[]);
        }
    }
    // Where the form's picture goes on to stand above a shell's prompt.
    let mut bench = mail_of_lines();
    bench.answer("\x1b[5;1Hme@host:~$ ");
    bench.text("su");
    assert_hidden(&mut bench, &["\r"]);
}

#[test]
fn completion_that_goes_on_over_the_margin_is_no_form() {
    let mut bench = Bench::new();
    let name = "x".repeat(67);
    bench.answer("\x1b[2J\x1b[Hme@host:~$ ");
    bench.text("c");
    // The blank behind the completed name is in the last column.
    bench.typed("\t", &format!("{name} \x1b[2;1H"));
    bench.text("x");
    bench.typed("\r", "\r\nme@host:~$ ");
    bench.text("make");
    bench.typed("\r", "\x1b[4;1H");
    bench.text("y");
    bench.typed("\r", "\r\nme@host:~$ ");
    bench.text("sudo");
    assert_hidden(&mut bench, &["\r"]);
    bench.answer("\r\n");
    assert_hidden(&mut bench, &[]);
}

#[test]
fn enter_that_led_elsewhere_in_a_form_is_not_foretold_again() {
    let mut bench = mail_of_lines();
    bench.keys(&["\r", "s"]);
    bench.answer("\x1b[6;1HSend it? ");
    assert_eq!(bench.predictor.statistics().wrong, 2);
    bench.answer("\x1b[6;1H\x1b[K\x1b[4;4H");
    bench.text("d");
    assert_hidden(&mut bench, &["\r"]);
}

#[test]
fn word_is_deleted_at_once_at_a_prompt_if_it_is_one_for_every_shell() {
    for (word, is_deleted) in [("one", true), ("a/one", false), ("--one", false)] {
        let mut bench = Bench::new();
        bench.answer("host$ ");
        bench.text("ls");
        bench.typed("\r", "\r\nhost$ ");
        bench.text("ls ");
        bench.text(word);
        bench.keys(&["\x17", "x"]);
        let shown = if is_deleted { "host$ ls x".into() } else { format!("host$ ls {word}") };
        assert_eq!(bench.picture().lines().nth(1), Some(shown.as_str()));
    }
}

#[test]
fn wrap_is_learned_though_a_slip_is_taken_back_behind_it() {
    let text = "a text that goes on and on until it is too long for the row here at last no";
    let mut bench = Bench::new();
    bench.answer("\x1b[1;1H");
    bench.text(text);
    bench.key("w");
    bench.now += 60 * MS;
    bench.keys(&["x", "\x7f"]);
    bench.mark -= 2;
    bench.now -= 60 * MS;
    bench.answer("\x1b[1;74H\x1b[K\x1b[2;1Hnow");
    assert!(matches!(bench.predictor.margin, Margin::At { .. }), "{:?}", bench.predictor.margin);
}

#[test]
fn text_goes_on_below_the_margin_in_an_editor_with_more_text_below() {
    let mut bench = vi(&"x".repeat(78), "below\r\nit");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[1;79H");
    bench.text("ab");
    bench.typed("c", "\x1b[2;1Hc\x1b[K\r\nbelow\r\nit\x1b[2;2H");
    bench.typed("\r", "\x1b[3;1H\x1b[K\r\nbelow\x1b[K\x1b[3;1H");
    bench.text(&"y".repeat(79));
    bench.keys(&["y", "z", "z"]);
    assert_eq!(bench.cursor(), (3, 2));
    assert_eq!(bench.picture().lines().nth(3), Some("zz"));
}

#[test]
fn editors_status_line_is_not_written_over() {
    let mut bench = Bench::new();
    let status = "\x1b[5;1H\x1b[7mfile [+]\x1b[K\x1b[m\x1b[6;1H-- INSERT --";
    bench.answer(&format!("{status}\x1b[3;1H"));
    bench.text(&"x".repeat(79));
    bench.typed("x", "x");
    bench.typed("y", "\r\ny");
    bench.text(&"y".repeat(78));
    bench.keys(&["y", "z", "z"]);
    assert!(!bench.picture().contains('z'), "{}", bench.picture());
    assert!(bench.picture().contains("file [+]"), "{}", bench.picture());
}

#[test]
fn text_right_of_the_cursor_keeps_what_is_typed_from_the_row_below() {
    let mut bench = vi(&"x".repeat(79), "");
    bench.typed("A", "\x1b[6;1H-- INSERT --\x1b[1;80H");
    bench.typed("a", "a");
    bench.typed("b", "\x1b[2;1Hb");
    bench.typed("\x1b[A", "\x1b[1;79H");
    bench.keys(&["c", "d"]);
    assert_eq!(bench.picture().lines().nth(1), Some("b"));
}

#[test]
fn wide_character_that_stands_half_in_a_prompt_is_no_trouble() {
    for key in ["\x17", "\x15", "\x7f", "x"] {
        let mut bench = Bench::new();
        bench.answer("\x1b[2J\x1b[H>>> ");
        bench.text("ab");
        bench.answer("\x1b[2J\x1b[H>>>漢");
        bench.keys(&["\x1b[D", key]);
        bench.answer("\x1b[2J\x1b[H>>> ");
        assert_eq!(bench.picture(), ">>>");
    }
}

#[test]
fn line_that_came_and_was_run_at_once_is_not_shown_again_behind_the_next_prompt() {
    let line = "echo aaaaaaaaaaaaaaaaaaaaaaaaa";
    for rows in [2, 6] {
        let mut bench = Bench::new();
        bench.answer(&format!("\x1b[{rows};1Hhost$ "));
        bench.text("ls");
        bench.typed("\r", "\r\nhost$ ");
        bench.mark += 1;
        bench.predictor.handle_keys(format!("{line}\r").as_bytes(), bench.mark, bench.now);
        assert_eq!(bench.picture().matches(line).count(), 1);
        // The host hasn't counted them so far.
        bench.mark -= 1;
        bench.answer(&format!("{line}\r\naaaaa\r\nhost$ "));
        assert_eq!(bench.picture().matches(line).count(), 1, "{}", bench.picture());
        bench.mark += 1;
        bench.answer("");
        bench.keys(&["l", "s"]);
        assert!(bench.picture().ends_with("host$ ls"), "{}", bench.picture());
    }
}

#[test]
fn what_a_relay_forgot_is_not_shown_any_more() {
    let mut bench = Bench::new();
    bench.answer("host$ ");
    bench.text("l");
    bench.keys(&["s"]);
    assert_eq!(bench.picture(), "host$ ls");
    bench.predictor.handle_forgotten();
    assert_eq!(bench.picture(), "host$ l");
}

#[test]
fn prompt_behind_a_line_that_was_given_up_is_believed() {
    let mut bench = Bench::new();
    bench.answer("host$ ");
    bench.text("ls");
    bench.typed("\r", "\r\nhost$ ");
    bench.text("abc");
    bench.typed("\x03", "^C\r\nhost$ ");
    bench.keys(&["e", "c"]);
    assert!(bench.picture().ends_with("host$ ec"), "{}", bench.picture());
}
