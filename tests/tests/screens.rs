//! What a viewer's terminal shows is what the host's shows: cell by cell, with attributes and
//! cursor, for the programs that people share.

use tern_tests::shared::wait_until_shows;
use tern_tests::{HostOptions, Shared, Viewer, ViewerOptions, fixtures};

/// Waits until `text` shows at both ends after each step.
fn steps(shared: &Shared, steps: &[(&[&str], &str)]) {
    for (keys, text) in steps {
        shared.viewer_presses(keys);
        shared.wait_until_both_show(text);
    }
}

#[test]
fn shell_with_line_editing_shows_the_same() {
    let shared = Shared::start();
    shared.viewer.terminal.type_text("echo one two three");
    steps(
        &shared,
        &[
            (&["C-a"], "$ echo one two three"),
            (&["M-f", "M-f", "M-d"], "$ echo one three"),
            (&["C-y"], "$ echo one two three"),
            (&["C-e", "BSpace", "BSpace", "x"], "$ echo one two thrx"),
            (&["C-w"], "$ echo one two"),
            (&["Home", "#"], "$ #echo one two"),
            (&["Delete", "C-t"], "$"),
            (&["C-e", "C-u"], "$"),
        ],
    );
    shared.viewer_runs("echo first line; echo second", "second\n$");
    steps(&shared, &[(&["Up"], "$ echo first line; echo second"), (&["C-c"], "^C")]);
    steps(&shared, &[(&["C-r", "f", "i"], "reverse-i-search"), (&["Enter"], "second\n$")]);
    shared.viewer.terminal.type_text("cat li");
    steps(&shared, &[(&["Tab"], "cat lines.txt"), (&["C-l"], "$ cat lines.txt")]);
    // A line longer than the terminal, edited in its middle.
    steps(&shared, &[(&["C-u"], "$")]);
    shared.viewer.terminal.type_text(&format!("echo {}", "0123456789".repeat(12)));
    steps(&shared, &[(&["C-a", "M-f", "X"], "$ echoX 0123")]);
    shared.wait_until_pane_is_exact();
}

#[test]
fn vim_scrolls_and_splits_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("vim --clean -c 'set nu hls ruler laststatus=2' lines.txt", "400L");
    shared.wait_until_pane_is_exact();
    steps(
        &shared,
        &[
            (&["C-d", "C-d"], "0030 alder"),
            (&["C-e", "C-e", "C-e", "C-y"], "0025 alder"),
            (&["G"], "0400 alder"),
            (&["C-u", "C-b", "C-b"], "0351 birch"),
            (&["g", "g"], "0001 birch"),
            (&["/", "e", "l", "m", "Enter"], "/elm"),
            (&[":", "v", "s", "p", "l", "i", "t", "Enter"], "lines.txt"),
            (&["C-f", "z", "t"], "0023 dogwood"),
            (&[":", "s", "p", "l", "i", "t", "Enter", "G"], "0400 alder"),
            (&["C-w", "w", "2", "0", "G", "z", "t"], "0020 alder"),
            (&["O"], "-- INSERT --"),
        ],
    );
    shared.viewer.terminal.type_text("a line that was typed in a split");
    steps(&shared, &[(&["Escape"], "a line that was typed in a split")]);
    steps(&shared, &[(&["V", "j", "j"], "-- VISUAL LINE --"), (&["d"], "fewer lines")]);
    shared.wait_until_pane_is_exact();
    steps(&shared, &[(&[":", "q", "a", "!", "Enter"], "$ vim")]);
}

#[test]
fn less_pages_and_searches_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("less -N -S lines.txt", "lines.txt");
    steps(
        &shared,
        &[
            (&["Space"], "0040 alder"),
            (&["d", "d"], "0060 alder"),
            (&["b"], "0040 alder"),
            (&["G"], "(END)"),
            (&["g"], "0001 birch"),
            (&["/", "e", "l", "m", "Enter"], "0004 elm"),
            (&["n", "n"], "0014 elm"),
            (&["Right"], "   14"),
            (&["Left", "j", "j", "k"], "0015 alder"),
            (&["h"], "SUMMARY OF LESS COMMANDS"),
            (&["q"], "0015 alder"),
        ],
    );
    shared.wait_until_pane_is_exact();
    steps(&shared, &[(&["q"], "$ less")]);
}

#[test]
fn htop_and_top_show_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("htop -d 30", "F10");
    steps(&shared, &[(&["Down", "Down"], "Load average"), (&["F5"], "Load average")]);
    steps(&shared, &[(&["F2"], "Setup"), (&["Escape"], "F10"), (&["q"], "$ htop")]);
    shared.viewer_runs("clear; top -d 3", "load average");
    steps(&shared, &[(&["z"], "load average"), (&["1"], "%Cpu0"), (&["q"], "$")]);
}

#[test]
fn tmux_splits_and_zoom_show_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("cat rich.txt", "all at once");
    for keys in [
        &["C-b", "%"][..],
        &["C-b", "\""],
        &["C-b", "Up"],
        &["C-b", "C-Left"],
        &["C-b", "Space"],
        &["C-b", "z"],
        &["C-b", "z"],
        &["C-b", "{"],
        &["C-b", "C-o"],
        &["C-b", "M-5"],
        &["C-b", "!"],
    ] {
        let before = layout(&shared);
        shared.viewer_presses(keys);
        shared
            .world
            .wait_until(&format!("{keys:?} changes the layout"), || layout(&shared) != before);
        shared.wait_until_same();
        shared.wait_until_pane_is_exact();
    }
}

fn layout(shared: &Shared) -> String {
    let format = "#{window_id} #{window_visible_layout} #{window_flags} #{pane_id}";
    shared.host.tmux(&["display-message", "-p", format])
}

#[test]
fn copy_mode_shows_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("cat lines.txt", "0400 alder");
    steps(
        &shared,
        &[
            (&["C-b", "["], "[0/"),
            (&["PPage"], "0377"),
            (&["PPage", "Up", "Up"], "0350"),
            (&["C-Space", "Down", "Down", "C-e"], "0350"),
            (&["M-w"], "0400 alder"),
        ],
    );
    let copied = shared.host.tmux(&["show-buffer"]);
    let is_copied = copied.lines().count() >= 2;
    assert!(is_copied, "two lines and more are copied: {copied:?}\n{}", shared.world.report());
    shared.viewer_presses(&["C-b", "["]);
    shared.wait_until_both_show("[0/");
    steps(&shared, &[(&["q"], "0400 alder")]);
    shared.viewer.terminal.type_text("cat >pasted.txt");
    shared.viewer_presses(&["Enter"]);
    // What comes while the shell still reads its line would be another kind of paste.
    let format = "#{pane_current_command}";
    let command = || shared.host.tmux(&["display-message", "-p", format]);
    shared.world.wait_until("cat runs", || command() == "cat");
    steps(&shared, &[(&["C-b", "]"], "03"), (&["Enter", "C-d"], "pasted.txt")]);
    let pasted = shared.host.home.join("work/pasted.txt");
    shared.world.wait_until("the buffer is pasted", || {
        std::fs::read_to_string(&pasted).is_ok_and(|text| text.trim_end() == copied.trim_end())
    });
}

#[test]
fn choose_tree_and_clock_show_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("cat colors.txt rich.txt", "all at once");
    steps(
        &shared,
        &[
            (&["C-b", "c"], "1:bash*"),
            (&["C-b", "w"], "(0)"),
            (&["Up"], "all at once"),
            (&["v"], "(1)"),
            (&["v", "O"], "sort: "),
            (&["q"], "[0]"),
            (&["C-b", "s"], "(0)"),
            (&["q"], "[0]"),
        ],
    );
    shared.viewer_presses(&["C-b", "t"]);
    shared.world.wait_until("the clock shows", || {
        shared.host.tmux(&["display-message", "-p", "#{pane_mode}"]) == "clock-mode"
    });
    shared.wait_until_same();
}

#[test]
fn status_line_shows_the_same() {
    let shared = Shared::start();
    steps(&shared, &[(&["C-b", "c"], "1:bash*"), (&["C-b", "p"], "0:bash*")]);
    // The prompt is the viewer's own; its outcome is everybody's.
    shared.viewer_presses(&["C-b", ","]);
    shared.viewer.wait_until_shows("(rename-window)");
    shared.viewer_presses(&["C-u"]);
    shared.viewer.terminal.type_text("名前 editor");
    shared.viewer_presses(&["Enter"]);
    shared.wait_until_both_show("0:名前 editor*");
    let styles: &[(&[&str], &str)] = &[
        (&["set", "-g", "status-style", "bg=#203040,fg=colour214"], "editor*"),
        (&["set", "-g", "status-left", "#[bg=red,bold,underscore]LEFT#[default] "], "LEFT"),
        (&["set", "-g", "window-status-current-style", "reverse,italics"], "editor*"),
        (&["set", "-g", "status", "3"], "LEFT"),
        (&["set", "-g", "status-position", "top"], "LEFT"),
        (&["set", "-g", "status-right", "#[fg=#ff8800,bg=#000040]RIGHT 日本"], "RIGHT 日本"),
        (&["set", "-g", "pane-border-status", "top"], "editor*"),
        (&["set", "-g", "status", "off"], "$"),
    ];
    for (command, text) in styles {
        shared.host.tmux(command);
        shared.wait_until_both_show(text);
    }
}

#[test]
fn colours_and_attributes_show_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("clear; cat colors.txt rich.txt", "all at once");
    shared.wait_until_pane_is_exact();
    let screen = shared.viewer.screen();
    let rgb = screen
        .rows
        .iter()
        .flatten()
        .filter(|cell| matches!(cell.style.background, tern_tests::screen::Color::Rgb(..)));
    assert_eq!(rgb.count(), 76, "24-bit colours arrive as such\n{}", shared.world.report());
    assert!(screen.rows.iter().flatten().any(|cell| cell.style.underline == 3), "curly underline");
}

#[test]
fn wide_and_combining_characters_show_the_same() {
    let shared = Shared::start();
    shared.viewer_runs("clear; cat wide.txt", "░▒▓|");
    shared.wait_until_pane_is_exact();
    // Edited: a wide character deleted, one inserted before others, one that wraps.
    shared.viewer.terminal.type_text("echo 日本語🙂テキスト");
    steps(
        &shared,
        &[
            (&["BSpace", "BSpace"], "echo 日本語🙂テキ"),
            (&["C-a", "M-f", "Right", "C-d"], "echo 本語🙂テキ"),
            (&["C-u"], "$"),
        ],
    );
    shared.viewer.terminal.type_text(&format!("echo {}", "漢".repeat(60)));
    shared.wait_until_both_show("漢漢漢");
    steps(&shared, &[(&["C-a", "M-f", "x"], "echox 漢"), (&["C-u"], "$")]);
    shared.viewer_runs("vim --clean -c 'set nowrap' wide.txt", "6L");
    for keys in [&["x"][..], &["$", "x"], &["j", "r", "語"], &["j", "0", "i", "🎉"], &["Escape"]]
    {
        shared.viewer_presses(keys);
        shared.wait_until_same();
    }
    shared.wait_until_pane_is_exact();
}

#[test]
fn emoji_of_many_parts_show_the_same() {
    let shared = Shared::start();
    let text = "👩\u{200d}💻| 🇫🇷| 👍🏽| ❤\u{fe0f}| 1\u{fe0f}\u{20e3}| 👨\u{200d}👩\u{200d}👧|\nend\n";
    std::fs::write(shared.host.home.join("work/emoji.txt"), text).expect("our own home");
    shared.viewer_runs("clear; cat emoji.txt", "\nend");
    shared.viewer_runs("echo after", "\nafter");
}

#[test]
fn resize_storm_ends_with_the_same_picture() {
    let shared = Shared::start();
    shared.viewer.terminal.enter_line("vim --clean -c 'set nu' lines.txt");
    shared.wait_until_both_show("400L");
    shared.viewer_presses(&["C-b", "%"]);
    shared.viewer.terminal.enter_line("while :; do cat colors.txt wide.txt lines.txt; done");
    for step in 0..40_u16 {
        let (cols, rows) = (30 + step * 37 % 90, 8 + step * 17 % 30);
        if step % 3 == 0 {
            shared.host.terminal.resize(cols, rows);
        } else {
            shared.viewer.terminal.resize(cols, rows);
        }
    }
    for terminal in [&shared.viewer.terminal, &shared.host.terminal] {
        terminal.resize(90, 27);
    }
    // A shell's loop goes on if the signal meets the moment between two programs: once more, then.
    let mut looks = 0;
    shared.world.wait_until("the shell prompts", || {
        if looks % 80 == 0 {
            shared.viewer_presses(&["C-c"]);
        }
        looks += 1;
        shared.host.active_pane().2.text().trim_end().ends_with("\n$")
    });
    shared.viewer_runs("clear; echo it is quiet", "│it is quiet");
    shared.wait_until_pane_is_exact();
    shared.viewer_presses(&["C-b", "Left"]);
    shared.wait_until_same();
    shared.wait_until_pane_is_exact();
}

#[test]
fn raw_escape_sequences_show_the_same() {
    let shared = Shared::start();
    let parts = [
        "\x1b#8",                                                // a screen full of E
        "\x1b[5;10r\x1b[10;1H\n\n\x1b[5;1H\x1bM\x1b[r", // scroll inside a region, both ways
        "\x1b[3;5H\x1b[4@\x1b[6;5H\x1b[4P\x1b[8;5H\x1b[6X", // insert, delete, erase characters
        "\x1b[12;1H\x1b[2L\x1b[15;1H\x1b[3M",           // insert, delete lines
        "\x1b[18;1H\x1b[45m\x1b[K\x1b[19;40H\x1b[1K\x1b[0m", // erase in colour, both ways
        "\x1b[20;1H\x1b(0lqqwqqk\x1b(B\ttab\t\x1b[1mtab\x1b[0m", // line drawing, tabs
        "\x1b[2;70Hwraps around the end of the line",   // automatic margin
        "\x1b[22;1H\x1b[Jend",
    ];
    std::fs::write(shared.host.home.join("work/raw.txt"), parts.concat()).expect("our own home");
    shared.viewer_runs("clear; cat raw.txt", "end$");
    shared.wait_until_pane_is_exact();
}

#[test]
fn flood_of_output_ends_with_the_same_picture() {
    let shared = Shared::start();
    shared.viewer_runs("seq 1 200000", "\n200000\n$");
    shared.wait_until_pane_is_exact();
}

#[test]
fn every_kind_of_terminal_shows_the_same() {
    let shared = Shared::start();
    let others: Vec<Viewer> = ["xterm-256color", "screen-256color", "xterm"]
        .map(|term| {
            let options = ViewerOptions { term: term.into(), ..ViewerOptions::default() };
            Viewer::open(&shared.world, &shared.host.read_only, options)
        })
        .into();
    shared.viewer_runs("clear; cat wide.txt colors.txt; echo end", "\nend");
    for viewer in &others {
        viewer.wait_until_same(&shared.host);
    }
    shared.viewer_runs("vim --clean -c 'set cursorline nu' lines.txt", "400L");
    shared.viewer_presses(&["C-d", "C-e", "C-e"]);
    for viewer in &others {
        viewer.wait_until_same(&shared.host);
    }
}

#[test]
fn title_clipboard_and_modes_reach_the_viewers_terminal() {
    let shared = Shared::start_with(HostOptions {
        tmux_config: "set -g set-titles on\nset -g set-titles-string 'title is #W'\n".into(),
        ..HostOptions::default()
    });
    let of_viewer = |format: &str| shared.viewer.terminal.tmux(&["display-message", "-p", format]);
    shared.host.tmux(&["rename-window", "kiosk"]);
    shared
        .world
        .wait_until("the title arrives", || of_viewer("#{pane_title}").trim() == "title is kiosk");
    shared.host.tmux(&["set", "-g", "mouse", "on"]);
    shared.world.wait_until("mouse reports are on", || {
        of_viewer("#{mouse_any_flag}#{mouse_button_flag} #{mouse_sgr_flag}").contains("1 1")
    });
    shared.host.tmux(&["set", "-g", "mouse", "off"]);
    shared.world.wait_until("mouse reports are off", || {
        of_viewer("#{mouse_any_flag}#{mouse_button_flag}").trim() == "00"
    });
    // "copied" in base64.
    shared.viewer.terminal.enter_line(r"printf '\033]52;c;Y29waWVk\007'");
    shared.host.tmux(&["set", "-g", "set-clipboard", "on"]);
    shared.viewer.terminal.enter_line(r"printf '\033]52;c;Y29waWVk\007'");
    shared.world.wait_until("the clipboard arrives", || {
        shared.viewer.terminal.tmux(&["show-buffer"]).trim() == "copied"
    });
    // The bell of a window nobody looks at marks the viewer's own terminal, too.
    shared.viewer.terminal.enter_line(r"printf '\007'");
    wait_until_shows(&shared.world, &shared.viewer.terminal, "$");
    shared.viewer.terminal.enter_line("tput civis");
    shared.world.wait_until("the cursor is hidden", || of_viewer("#{cursor_flag}").trim() == "0");
    shared.viewer.terminal.enter_line("tput cnorm");
    shared.world.wait_until("the cursor is back", || of_viewer("#{cursor_flag}").trim() == "1");
}

#[test]
fn fixtures_are_what_the_tests_expect() {
    assert_eq!(fixtures::numbered_lines(400).lines().count(), 400);
    assert!(fixtures::numbered_lines(400).contains("\n0400 alder"));
    assert!(fixtures::numbered_lines(4).contains("\n0004 elm"));
}
