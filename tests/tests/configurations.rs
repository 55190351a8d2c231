//! Configurations as people publish them: `tern` loads each as the plain tmux does, whether tmux
//! reads the user's own files or, where our options stand in them, copies.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use tern_tests::World;
use tern_tests::drop_in::Scripter;
use tern_tests::process::{run, text, tmux_folder};

/// What a configuration can change.
const FACTS: [&[&str]; 7] = [
    &["show-options", "-s"],
    &["show-options", "-g"],
    &["show-options", "-gw"],
    &["show-hooks", "-g"],
    &["list-keys"],
    &["list-keys", "-N"],
    &["show-environment", "-g"],
];
/// In their lines: what is ours. The prompt's key leads to us, since tmux doesn't know our options.
const OURS: [&str; 5] = ["@tmate-", "@tern-", "tmate_num_", "tern_num_", "bind-key -T prefix : "];
/// Variables that differ from server to server.
const OF_A_SERVER: [&str; 4] = ["TMUX=", "PWD=", "SHLVL=", "TERN_"];
/// A file that is sourced by a format.
const UNKNOWN: &str = "beside2.conf";
/// A line that makes tmux read a copy.
const OPTION: &str = "\nset -g tmate-display-time 4321\n";

/// Each with the machine's own tmux, and with the others that `tests/tmux-versions` builds.
macro_rules! configurations {
    ($($name:ident: $folder:literal;)*) => { $(
        mod $name {
            #[test]
            fn is_loaded_as_by_tmux() {
                super::is_loaded_as_by_tmux(&tern_tests::World::new(), $folder, true);
            }

            #[test]
            fn is_loaded_as_by_tmux_3_1() {
                super::with_version("3.1c", $folder);
            }

            #[test]
            fn is_loaded_as_by_tmux_3_6() {
                super::with_version("3.6a", $folder);
            }
        }
    )* };
}

configurations! {
    plug_in_managers_lines: "plugins";
    framework_that_reads_itself: "framework";
    powerline: "powerline";
    vi_keys_and_tables: "vi";
    files_in_pieces: "modular";
    oddities_of_the_syntax: "oddities";
}

fn with_version(version: &str, folder: &str) {
    match tmux_folder(version) {
        Some(tmux) => is_loaded_as_by_tmux(&World::with_tmux(Some(&tmux)), folder, false),
        None => eprintln!("skipped: tmux {version} is not built (./test does)"),
    }
}

/// What a version doesn't know yet is an error in both, so that no error is expected of one only.
fn is_loaded_as_by_tmux(world: &World, folder: &str, is_without_error: bool) {
    let user = Scripter::with_tern(world);
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations").join(folder);
    copy_all(&files, &user.home, "\n");
    let plain = user.home.join("plain").display().to_string();
    let mut tmux = world.command("tmux", &user.home);
    let config = user.home.join(".tmux.conf").display().to_string();
    tmux.args(["-S", &plain, "-f", &config, "new-session", "-d", "-x", "80", "-y", "24"]);
    let done = run(tmux.stdin(Stdio::null()));
    assert!(done.status.success(), "{}", text(&done));
    let expected = facts(world, &user.home, &plain);

    // Its own files.
    let ours = user.socket.display().to_string();
    let start = ["--relay", "127.0.0.1:1", "new-session", "-d", "-x", "80", "-y", "24"];
    let said = user.run(&start);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.is_empty() || !is_without_error, "{}", said.err);
    assert_same(world, user.home.as_path(), &ours, &expected, 0);
    assert_eq!(user.run(&["kill-server"]).code, Some(0));
    world.wait_until("the first is gone", || !user.has_socket());

    // Copies of all of them.
    copy_all(&files, &user.home, OPTION);
    let said = user.run(&start);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.is_empty() || !is_without_error, "{}", said.err);
    // What doesn't parse costs its whole file.
    let shown = user.run(&["show", "-gv", "tmate-display-time"]).out;
    assert!(shown == "4321\n" || !is_without_error, "{shown}");
    let keys_count = expected.iter().filter(|line| is_sourcing(line)).count();
    assert_same(world, user.home.as_path(), &ours, &expected, keys_count);
}

#[test]
fn option_in_a_file_that_only_tmux_can_find_says_so() {
    let world = World::new();
    let user = Scripter::with_tern(&world);
    let named = user.write("named.conf", "set -g status off\nset -g tmate-api-key x\n");
    let config = format!("set -g @file '{}'\nsource-file -F '#{{@file}}'\n", named.display());
    user.write(".tern.conf", &config);
    let said = user.run(&["--relay", "127.0.0.1:1", "new-session", "-d"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = format!("{}:2: invalid option: tmate-api-key. It can't be", named.display());
    assert!(said.err.contains(&expected) && said.err.contains("by its path"), "{}", said.err);
    assert_eq!(user.run(&["show", "-gv", "status"]).out, "off\n", "the rest of it counts");
}

#[test]
fn files_are_found_by_patterns_and_variables_and_mistakes_in_them_are_told_in_their_names() {
    let world = World::new();
    let user = Scripter::with_tern(&world);
    std::fs::create_dir(user.home.join("d")).expect("our own home");
    user.write("d/1.conf", "set -g tmate-display-time 1111\nset -g tmate-bogus 1\n");
    let second = user.write("d/2.conf", "set -g nosuch 1\nset -g tmate-display-time 2222\n");
    user.write(".tern.conf", "D=~/d\nsource-file \"$D/*.conf\"\nbind g source ~/d/*.conf\n");
    let said = user.run(&["--relay", "127.0.0.1:1", "new-session", "-d"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let first = user.home.join("d/1.conf");
    for place in [format!("{}:2: ", first.display()), format!("{}:1: ", second.display())] {
        assert!(said.err.contains(&place), "{place}: {}", said.err);
    }
    assert!(!said.err.contains("/run/"), "no copy is named: {}", said.err);
    let time = || user.run(&["show", "-gv", "tmate-display-time"]).out;
    assert_eq!(time(), "2222\n");
    // A key sources them as they are by then, with one more.
    user.write("d/3.conf", "set -g tmate-display-time 3333\n");
    let keys = user.run(&["list-keys", "-T", "prefix", "g"]).out;
    let program = keys.split("run-shell ").nth(1).map(str::trim).expect("it is bound");
    user.run(&["run-shell", program]);
    assert_eq!(time(), "3333\n");
    // So does a script.
    user.write("d/4.conf", "set -g tmate-display-time 4444\n");
    let said = user.run(&["source-file", &format!("{}/d/*.conf", user.home.display())]);
    // To whom sources a file tmux names no line.
    assert_eq!((said.code, said.err.contains("tmate-bogus")), (Some(1), true), "{said:?}");
    assert_eq!(time(), "4444\n");
}

/// Keys that source a file go to a program of ours that makes the copies anew.
fn is_sourcing(line: &str) -> bool {
    line.starts_with("list-keys: bind-key")
        && line.contains(" source-file ")
        && !line.contains("run-shell")
        && !line.contains("set-option")
}

#[track_caller]
fn assert_same(
    world: &World,
    home: &Path,
    socket: &str,
    expected: &BTreeSet<String>,
    again_count: usize,
) {
    let again = |line: &&String| line.contains(".config-") && line.contains(".again");
    let as_expected = |line: &&String| again_count == 0 || !is_sourcing(line);
    // What runs in the background comes later.
    world.wait_until_ok("it says what the plain one says", || {
        let found = facts(world, home, socket);
        let (sourcing, found): (Vec<_>, Vec<_>) = found.iter().partition(again);
        let expected: Vec<_> = expected.iter().filter(as_expected).collect();
        let missing =
            expected.iter().filter(|line| !found.contains(line)).map(|l| format!("- {l}"));
        let added = found.iter().filter(|line| !expected.contains(line)).map(|l| format!("+ {l}"));
        let differences: Vec<_> = missing.chain(added).collect();
        match differences.is_empty() && sourcing.len() == again_count {
            true => Ok(()),
            false => Err(format!("{} {sourcing:?}", differences.join("\n"))),
        }
    });
}

/// All that a server says of what it was told.
fn facts(world: &World, home: &Path, socket: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for words in FACTS {
        let mut tmux = world.command("tmux", home);
        tmux.args(["-S", socket]).args(words);
        let said = run(&mut tmux);
        assert!(said.status.success(), "{words:?}: {}", text(&said));
        for line in String::from_utf8_lossy(&said.stdout).lines() {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_environment = words[0] == "show-environment";
            let is_left_out = OURS.iter().any(|part| line.contains(part))
                || is_environment && OF_A_SERVER.iter().any(|name| line.starts_with(name));
            if !is_left_out {
                lines.insert(format!("{}: {line}", words[0]));
            }
        }
    }
    assert!(lines.len() > 100, "{lines:?}");
    lines
}

/// With `added` in each configuration file: behind a comment at its beginning, else at its end. (What
/// only tmux knows to be sourced can't have it.)
fn copy_all(from: &Path, to: &Path, added: &str) {
    for entry in std::fs::read_dir(from).expect("it is part of the source").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            std::fs::create_dir_all(&to).expect("our own home");
            copy_all(&from, &to, added);
            continue;
        }
        std::fs::copy(&from, &to).expect("our own home");
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.contains(".conf") && name != UNKNOWN) {
            let text = std::fs::read_to_string(&from).expect("UTF-8");
            let text = match text.split_once('\n').filter(|(first, _)| first.starts_with('#')) {
                Some((first, rest)) => format!("{first}{added}{rest}"),
                None => text + added,
            };
            std::fs::write(&to, text).expect("our own home");
        }
    }
}
