//! What shells complete: words of the command line, and what only the program can know.

use std::path::Path;
use std::process::Command;
use tern_tests::accounts::Operator;
use tern_tests::process::{binary, is_installed, run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, Relay, Terminal, World};

/// Prints what bash completes for the words that it is given, the last of which is being typed.
const BASH: &str = r#"
source <(tern completions bash)
source <(tern-relay completions bash)
COMP_WORDS=("$@")
COMP_LINE="$*"
COMP_CWORD=$(($# - 1))
handler=$(complete -p "$1")
handler=${handler##*-F }
"${handler%% *}" "$1" "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\n' "${COMPREPLY[@]}"
"#;
/// The same for fish, which takes the line.
const FISH: &str = "tern completions fish | source; tern-relay completions fish | source; \
                    complete -C \"$argv\"";

/// The programs under test are on the path.
fn with_programs(mut command: Command, world: &World) -> Command {
    let folder = binary("tern").parent().map(Path::to_owned).expect("it is in a folder");
    command.env("PATH", format!("{}:{}", folder.display(), world.path()));
    command
}

/// What each of the shells that are installed offers for a line; a blank at its end begins a word.
fn offers(world: &World, home: &Path, line: &str) -> Vec<(&'static str, Vec<String>)> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.extend(line.ends_with(' ').then_some(""));
    let mut bash = with_programs(world.command("bash", home), world);
    bash.args(["--norc", "-c", BASH, "bash"]).args(&words);
    let mut asked = vec![("bash", bash)];
    if is_installed("fish") {
        let mut fish = with_programs(world.command("fish", home), world);
        fish.args(["--no-config", "-c", FISH, line]);
        asked.push(("fish", fish));
    } else {
        eprintln!("fish is not installed: only bash is asked");
    }
    let offered = asked.into_iter().map(|(shell, mut command)| {
        let output = run(&mut command);
        assert!(output.stderr.is_empty(), "{shell}: {}", text(&output));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        // Behind a tab fish shows what a word is for.
        let words = lines.lines().filter_map(|line| line.split('\t').next());
        (shell, words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
    });
    offered.collect()
}

#[track_caller]
fn assert_offered(world: &World, home: &Path, line: &str, expected: &[&str]) {
    for (shell, words) in offers(world, home, line) {
        assert_eq!(words, expected, "{shell}: {line:?}");
    }
}

#[test]
fn commands_values_and_programs_are_completed() {
    let world = World::new();
    let home = world.home("typist");
    for (line, expected) in [
        ("tern st", &["stop", "status"][..]),
        ("tern --rel", &["--relay", "--relay-fingerprint"]),
        ("tern join --predict a", &["adaptive", "always"]),
        ("tern completions z", &["zsh"]),
        ("tern -- mkfif", &["mkfifo"]),
        // What tern starts by itself is nobody's to type.
        ("tern p", &["play"]),
        // tmux's commands are called as ours are.
        ("tern wa", &["wait"]),
        ("tern wait t", &["tern-ready"]),
        ("tern set -g tern-app", &["tern-approve"]),
        ("tern -S /s show -gv tern-wai", &["tern-wait-timeout"]),
        ("tern-relay u", &["user"]),
        ("tern-relay key re", &["revoke"]),
        ("tern-relay --log-format j", &["json"]),
    ] {
        assert_offered(&world, &home, line, expected);
    }
}

#[test]
fn sessions_and_relays_are_completed() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share_with(
        &world,
        None,
        tern_tests::HostOptions {
            args: vec!["--relay".into(), relay.name()],
            ..Default::default()
        },
    );
    let socket = host.tmux(&["display-message", "-p", "#{socket_path}"]);
    for command in ["stop", "status", "show-messages"] {
        assert_offered(&world, &host.home, &format!("tern {command} -S "), &[&socket]);
    }
    assert_offered(&world, &host.home, "tern stop --socket=/none", &[]);
    // Its key was learnt.
    let name = relay.name();
    assert_offered(&world, &host.home, "tern --relay 127", &[&name]);
    assert_offered(&world, &host.home, "tern doctor --relay 127", &[&name]);
    let line = format!("TOKEN@{name}");
    assert_offered(&world, &host.home, "tern join TOKEN@1", &[&line]);
    assert_offered(&world, &host.home, "tern join TOKEN", &[]);
    // So are those that the configuration names, before them.
    std::fs::write(host.home.join(".tern.conf"), "set -g tmate-server-host 127.example\n")
        .expect("our own home");
    for (shell, words) in offers(&world, &host.home, "tern --relay 127") {
        assert!(words.contains(&"127.example".to_owned()), "{shell}: {words:?}");
    }
}

#[test]
fn users_and_keys_of_a_relay_are_completed() {
    let world = World::new();
    let home = world.home("operator");
    let data = home.join("data");
    let accounts = Operator::of_folder(&world, &home);
    accounts.add("alice");
    let key = accounts.add("alfred");
    accounts.add("bob");
    let data = data.display();
    for (line, expected) in [
        ("user remove", &["alfred", "alice"][..]),
        ("key new", &["alfred", "alice"]),
        ("key list", &["alfred", "alice"]),
    ] {
        let line = format!("tern-relay --data {data} {line} al");
        assert_offered(&world, &home, &line, expected);
    }
    let line = format!("tern-relay key revoke --data {data} tmk-");
    for (shell, keys) in offers(&world, &home, &line) {
        assert_eq!(keys.len(), 3, "{shell}: {keys:?}");
        assert!(keys.iter().any(|shown| key.starts_with(shown)), "{shell}: {keys:?}");
    }
    // Where there are none, none are made.
    assert_offered(&world, &home, "tern-relay user remove a", &[]);
    assert!(!home.join(".local/state/tern-relay/accounts.sqlite").exists());
}

#[test]
fn bash_completes_words_that_it_takes_apart() {
    let world = World::new();
    let home = world.home("typist");
    std::fs::write(home.join(".tern.conf"), "set -g tern-server-host 127.example:2201\n")
        .expect("our own home");
    let folder = binary("tern").parent().map(Path::to_owned).expect("it is in a folder");
    let mut environment = world.environment(&home);
    environment.push(("PATH".into(), format!("{}:{}", folder.display(), world.path())));
    let rc = home.join("rc").display().to_string();
    std::fs::write(&rc, "PS1='% '; source <(tern completions bash)\n").expect("our own home");
    let command = ["bash", "--rcfile", &rc, "-i"].map(String::from);
    let terminal = Terminal::open(&world, "bash", (120, 24), &environment, &command);
    wait_until_shows(&world, &terminal, "%");
    for (typed, completed) in [
        ("tern join --predict=al", "% tern join --predict=always"),
        ("tern --relay=12", "% tern --relay=127.example:2201"),
        ("tern --relay 127.example:2", "% tern --relay 127.example:2201"),
        ("tern join TOKEN@127.e", "% tern join TOKEN@127.example:2201"),
        ("tern sta", "% tern status"),
    ] {
        terminal.type_text(typed);
        terminal.press(&["Tab"]);
        wait_until_shows(&world, &terminal, completed);
        terminal.press(&["C-u"]);
    }
}

#[test]
fn zsh_completes_at_its_prompt() {
    if !is_installed("zsh") {
        return eprintln!("skipped: zsh is not installed");
    }
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let socket = host.tmux(&["display-message", "-p", "#{socket_path}"]);
    let folder = binary("tern").parent().map(Path::to_owned).expect("it is in a folder");
    let mut environment = world.environment(&host.home);
    environment.push(("PATH".into(), format!("{}:{}", folder.display(), world.path())));
    let rc = "autoload -U compinit; compinit -u; PS1='%% '; source <(tern completions zsh)\n";
    std::fs::write(host.home.join(".zshrc"), rc).expect("our own home");
    let command = ["zsh", "-o", "no_global_rcs", "-i"].map(String::from);
    let terminal = Terminal::open(&world, "zsh", (120, 24), &environment, &command);
    wait_until_shows(&world, &terminal, "%");
    terminal.type_text("tern stat");
    terminal.press(&["Tab"]);
    wait_until_shows(&world, &terminal, "% tern status");
    terminal.type_text("-S ");
    terminal.press(&["Tab"]);
    wait_until_shows(&world, &terminal, &socket);
    // What it offers says what it is.
    terminal.press(&["C-u"]);
    terminal.type_text("tern st");
    terminal.press(&["Tab"]);
    wait_until_shows(&world, &terminal, "End the sharing");
}

#[test]
fn manuals_are_pages_that_man_reads() {
    let world = World::new();
    let home = world.home("reader");
    for program in ["tern", "tern-relay"] {
        let mut man = world.command(binary(program), &home);
        let page = run(man.arg("man"));
        assert!(page.status.success() && page.stderr.is_empty(), "{}", text(&page));
        let file = home.join(format!("{program}.1"));
        std::fs::write(&file, &page.stdout).expect("our own home");
        if !is_installed("groff") {
            eprintln!("groff is not installed: {program}'s page is not formatted");
            continue;
        }
        let mut groff = world.command("groff", &home);
        let shown = run(groff.args(["-man", "-Tascii", "-P-cbou", "-ww"]).arg(&file));
        assert!(shown.stderr.is_empty(), "{program}: {}", text(&shown));
        for heading in ["SYNOPSIS", "COMMANDS", "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"] {
            assert!(text(&shown).contains(heading), "{program}: {heading}");
        }
    }
}
