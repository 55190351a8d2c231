//! What a read-write viewer types, clicks and pastes does what it does in tmux.

use std::fs;
use tern_tests::{Shared, Viewer};

fn pane(shared: &Shared, format: &str) -> String {
    shared.host.tmux(&["display-message", "-p", format])
}

#[test]
fn mouse_selects_panes_scrolls_and_drags_borders() {
    let shared = Shared::start();
    shared.host.tmux(&["set", "-g", "mouse", "on"]);
    shared.viewer_runs("cat lines.txt", "0400 alder");
    shared.host.tmux(&["split-window", "-h"]);
    shared.wait_until_same();
    let is_left_active = || pane(&shared, "#{pane_at_left}") == "1";
    assert!(!is_left_active());
    // Pressed and let go in the left pane.
    shared.viewer.terminal.send_bytes(b"\x1b[<0;5;5M");
    shared.viewer.terminal.send_bytes(b"\x1b[<0;5;5m");
    shared.world.wait_until("a click selects the left pane", is_left_active);
    shared.wait_until_same();
    // The wheel's first notch enters copy mode, the second scrolls.
    shared.viewer.terminal.send_bytes(b"\x1b[<64;5;5M");
    shared.wait_until_both_show("[0/");
    shared.viewer.terminal.send_bytes(b"\x1b[<64;5;5M");
    shared.wait_until_both_show("[5/");
    shared.viewer_presses(&["q"]);
    // The border is in column 41.
    shared.viewer.terminal.send_bytes(b"\x1b[<0;41;9M");
    shared.viewer.terminal.send_bytes(b"\x1b[<32;31;9M");
    shared.viewer.terminal.send_bytes(b"\x1b[<0;31;9m");
    shared.world.wait_until("a drag moves the border", || pane(&shared, "#{pane_width}") == "30");
    shared.wait_until_same();
    // A click on the status line chooses a window; so soon after click and drag, tmux may take it
    // for the second or third of several.
    for click in ["SecondClick1Status", "TripleClick1Status"] {
        shared.host.tmux(&["bind-key", "-n", click, "select-window", "-t", "="]);
    }
    shared.host.tmux(&["new-window", "-d", "-n", "other"]);
    shared.wait_until_both_show("1:other");
    let column = shared.viewer.screen().row_text(23).find("1:other").expect("it shows") + 2;
    shared.viewer.terminal.send_bytes(format!("\x1b[<0;{column};24M").as_bytes());
    shared.viewer.terminal.send_bytes(format!("\x1b[<0;{column};24m").as_bytes());
    shared.wait_until_both_show("1:other*");
}

#[test]
fn programs_get_the_mouse_that_they_ask_for() {
    let shared = Shared::start();
    shared.host.tmux(&["set", "-g", "mouse", "on"]);
    shared.viewer_runs("vim --clean -c 'set mouse=a ttymouse=sgr nu' lines.txt", "400L");
    shared.viewer.terminal.send_bytes(b"\x1b[<0;10;7M");
    shared.viewer.terminal.send_bytes(b"\x1b[<0;10;7m");
    shared.wait_until_both_show("7,6");
    shared.viewer.terminal.send_bytes(b"\x1b[<65;10;7M");
    shared.wait_until_both_show("\n  4 0004");
}

#[test]
fn paste_arrives_whole_and_as_a_paste() {
    let shared = Shared::start();
    shared.viewer_runs("vim --clean -c 'set autoindent' pasted.txt", "[New]");
    shared.viewer_presses(&["i"]);
    shared.wait_until_both_show("-- INSERT --");
    // As a paste no line is indented by the one before.
    let lines = ["    deep", "flat", "\tafter a tab", "日本 🙂"].join("\r");
    shared.viewer.terminal.send_bytes(format!("\x1b[200~{lines}\x1b[201~").as_bytes());
    shared.wait_until_both_show("日本 🙂");
    shared.viewer_presses(&["Escape", ":", "w", "q", "Enter"]);
    let file = shared.host.home.join("work/pasted.txt");
    let expected = lines.replace('\r', "\n") + "\n";
    shared.world.wait_until_ok("the file is what was pasted", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text == expected { Ok(()) } else { Err(text) }
    });
}

#[test]
fn large_paste_arrives_in_order_and_once() {
    let shared = Shared::start();
    shared.viewer.terminal.enter_line("stty -echo; clear; cat >large.txt; echo done");
    let command = || pane(&shared, "#{pane_current_command}");
    shared.world.wait_until("cat runs", || command() == "cat");
    let text: String = (0..6000).map(|number| format!("line {number:05}\n")).collect();
    for part in text.as_bytes().chunks(1000) {
        shared.viewer.terminal.send_bytes(
            &part
                .iter()
                .map(|byte| match byte {
                    b'\n' => b'\r',
                    byte => *byte,
                })
                .collect::<Vec<u8>>(),
        );
    }
    shared.viewer_presses(&["C-d"]);
    shared.viewer.wait_until_shows("\ndone");
    let file = shared.host.home.join("work/large.txt");
    let arrived = fs::read_to_string(file).expect("cat wrote it");
    let wrong = arrived.lines().zip(text.lines()).find(|(left, right)| left != right);
    assert_eq!(wrong, None);
    assert_eq!(arrived.len(), text.len());
}

#[test]
fn prompts_and_messages_are_the_viewers_own() {
    let shared = Shared::start();
    shared.viewer_presses(&["C-b", ":"]);
    shared.viewer.wait_until_shows("\n:");
    shared.viewer.terminal.type_text("new-window -n from-the-prompt");
    shared.viewer.wait_until_shows("\n:new-window -n from-the-prompt");
    assert!(!shared.host.terminal.shows("new-window"), "the host doesn't see the prompt");
    shared.viewer_presses(&["Enter"]);
    shared.wait_until_both_show("1:from-the-prompt*");
    shared.viewer_presses(&["C-b", "&"]);
    shared.viewer.wait_until_shows("kill-window from-the-prompt? (y/n)");
    shared.viewer_presses(&["y"]);
    shared.wait_until_both_show("0:bash*");
}

#[test]
fn two_viewers_and_the_host_type_in_one_line() {
    let shared = Shared::start();
    let other = Viewer::join(&shared.world, &shared.host, &shared.host.read_write);
    for (terminal, word) in [
        (&shared.viewer.terminal, "echo one "),
        (&other.terminal, "two "),
        (&shared.host.terminal, "three"),
    ] {
        terminal.type_text(word);
        shared.wait_until_both_show(word.trim_end());
    }
    other.terminal.press(&["Enter"]);
    shared.wait_until_both_show("\none two three");
    other.wait_until_same(&shared.host);
}
