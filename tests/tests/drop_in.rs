//! A drop-in for tmate: what people type and script does what it did. Where the real tmate runs
//! here, its own answers are what ours are compared with.
//!
//! What tmate has, and which tests have it:
//!
//! | tmate has | tests |
//! | --- | --- |
//! | `-S`: a socket as long as the session | `github_actions_script...`, `socket_goes_when...`, `session_at_a_named_socket...` |
//! | `new-session -d -s -c -x -y CMD` | `flags_and_verbs...`, `commands_answer_as_tmates_do` |
//! | `wait tmate-ready`, with a time | `github_actions_script...`, `socket_goes_when...`, `wrong_pin_is_told...` |
//! | `display -p '#{tmate_...}'` | `github_actions_script...`, `commands_answer_as_tmates_do` |
//! | `set-option ... \\; new-session` | `start`, by which most tests begin |
//! | `-a`, `tmate-authorized-keys` | `drop_in_options.rs`, `access.rs` |
//! | `-F`, its lines, signals, restarts | `foreground.rs` |
//! | `~/.tmate.conf`, `-f` | `drop_in_options.rs`, `configurations.rs` |
//! | `-n -r -k` and their options | `drop_in_options.rs`, `names.rs` |
//! | `-V -h -v -L -2 -u -q -l` | `what_needs_no_server...`, `flags_and_verbs...` |
//! | `tmate-server-...`, several hosts | `start`, `drop_in_options.rs`, `drop_in_relays.rs`, `networks.rs` |
//! | `attach`, `capture-pane`, `send-keys`, `kill-...`, `show-messages` | `flags_and_verbs...`, `commands_answer_as_tmates_do` |
//! | `$TMUX` with `tmate` in it | `flags_and_verbs...` |
//! | joins, leaves, "Connecting to" | `foreground.rs`, `github_actions_script...` |
//! | plain ssh, `ro-`, bad tokens, sizes | `viewers.rs`, `read_only.rs`, `errors.rs`, `leaving.rs`, `sizes.rs` |
//! | the same line after a reconnect | `restored.rs`, `names.rs`, `networks.rs` |
//! | webhooks | `webhooks.rs` |

use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use tern_tests::drop_in::{NOWHERE, Ran, Scripter};
use tern_tests::{JoinLine, Relay, Viewer, ViewerOptions, World};

/// `set-option ... \; new-session -d`, as scripts begin.
fn start(scripter: &Scripter, relay: &Relay) -> Ran {
    let port = relay.port.to_string();
    let host = relay.address.to_string();
    scripter.run(&[
        "set-option",
        "-g",
        "default-command",
        "bash --norc",
        ";",
        "set-option",
        "-g",
        "tmate-server-host",
        &host,
        ";",
        "set-option",
        "-g",
        "tmate-server-port",
        &port,
        ";",
        "set-option",
        "-g",
        "tmate-server-ed25519-fingerprint",
        &relay.fingerprint,
        ";",
        "new-session",
        "-d",
    ])
}

/// Both programs with a session that nobody can join.
fn both() -> Option<(World, Scripter, Scripter)> {
    let world = World::new();
    let Some(real) = Scripter::with_tmate(&world) else {
        eprintln!("skipped: tmate is not installed");
        return None;
    };
    let ours = Scripter::with_link(&world);
    for scripter in [&real, &ours] {
        let words = [&NOWHERE[..], &["new-session", "-d", "-s", "work"]].concat();
        let ran = scripter.run(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(scripter.has_socket());
    }
    Some((world, ours, real))
}

#[test]
fn commands_answer_as_tmates_do() {
    let Some((_world, ours, real)) = both() else { return };
    for words in [
        &["has-session"][..],
        &["has-session", "-t", "work"],
        &["has"],
        &["new-session", "-d"],
        &["display", "-p", "#{tmate_ssh}"],
        &["display", "-p", "#{tmate_ssh_ro}#{tmate_web}#{tmate_web_ro}"],
        &["display-message", "-p", "a #{session_name} b"],
        &["display-mes", "-p", "x"],
        &["list-sessions", "-F", "#{session_name}"],
        &["show", "-gv", "tmate-display-time"],
        &["set", "-g", "tmate-display-time", "5000"],
        &["show-options", "-gv", "tmate-display-time"],
        &["set-option", "-g", "tmate-server-port", "2222"],
        &["show", "-sv", "tmate-server-port"],
        &["set", "tmate-webhook-userdata", "a b"],
        &["show", "-sv", "tmate-webhook-userdata"],
        &["set", "-g", "status-left", "x", ";", "show", "-gv", "status-left"],
        &["wait-for", "-S", "mine", ";", "wait-for", "mine"],
        &["send-keys", "true", "Enter"],
        &["setenv", "-g", "MINE", "1", ";", "showenv", "-g", "MINE"],
        &["kill-session", "-t", "work"],
    ] {
        let (ours, real) = (ours.run(words), real.run(words));
        // An option that was never set has no value, where tmate has a default.
        if words[0] == "show" && ours.out.is_empty() {
            assert_eq!(ours.code, real.code, "{words:?}");
            continue;
        }
        assert_eq!(ours, real, "{words:?}");
    }
}

#[test]
fn mistakes_are_told_with_the_same_exit_code() {
    let Some((_world, ours, real)) = both() else { return };
    for words in [
        &["nonsense"][..],
        &["s"],
        &["set", "-g", "tmate-nonsense", "1"],
        &["set", "-g", "tmate-server-port", "abc"],
        &["has-session", "-t", "other"],
        &["display", "-x"],
    ] {
        let (ours, real) = (ours.run(words), real.run(words));
        assert_eq!(ours.code, real.code, "{words:?} {ours:?} {real:?}");
        assert!(!ours.err.is_empty() && !real.err.is_empty(), "{words:?} {ours:?} {real:?}");
    }
}

#[test]
fn what_needs_no_server_is_the_same() {
    let world = World::new();
    let Some(real) = Scripter::with_tmate(&world) else { return };
    let ours = Scripter::with_link(&world);
    for words in [&["display", "-p", "x"][..], &["attach"], &["wait", "tmate-ready"], &["ls"]] {
        assert_eq!(ours.run_bare(words), real.run_bare(words), "{words:?}");
    }
    let (ours_help, real_help) = (ours.run_bare(&["-h"]), real.run_bare(&["-h"]));
    assert_eq!((ours_help.code, ours_help.out), (real_help.code, real_help.out));
    for line in real_help.err.lines() {
        let flag = line.split("  ").next().unwrap_or_default();
        assert!(ours_help.err.contains(flag), "{line}");
    }
    let version = real.run_bare(&["-V"]).out;
    assert!(ours.run_bare(&["-V"]).out.starts_with(version.trim()));
    assert_eq!(ours.run_bare(&["-Z"]).code, real.run_bare(&["-Z"]).code);
}

#[test]
fn github_actions_script_works_word_by_word() {
    github_actions_script(World::new());
}

fn github_actions_script(world: World) {
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    let ran = start(&script, &relay);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    for _ in 0..3 {
        assert_eq!(script.run(&["wait", "tmate-ready"]).code, Some(0));
    }
    let line = script.display("#{tmate_ssh}");
    assert!(line.starts_with(&format!("ssh -p{} ", relay.port)), "{line}");
    assert!(script.display("#{tmate_ssh_ro}").contains(" ro-"));
    assert_eq!(script.display("#{tmate_web}#{tmate_web_ro}#{tmate_reconnection_data}"), "");
    assert!(line.contains(&script.display("#{tmate_sid}")));
    assert_eq!(script.display("Connect: #{tern_ssh}"), format!("Connect: {line}"));
    assert_eq!(script.display("#{tmate_num_clients}"), "0");

    let lines = JoinLine::find_all(&line);
    let viewer = Viewer::open(&world, &lines[0], ViewerOptions::default());
    world.wait_until("the viewer counts", || script.display("#{tmate_num_clients}") == "1");
    viewer.terminal.enter_line("echo sh''ared");
    world.wait_until("the viewer types", || viewer.terminal.shows("\nshared"));

    let messages = script.run(&["show-messages"]).out;
    assert!(messages.contains(&format!("ssh session: {line}")), "{messages}");
    assert!(messages.contains(&format!("Connecting to {}...", relay.address)), "{messages}");
    assert!(messages.contains("A mate has joined (127.0.0.1) -- 1 client currently connected"));

    assert_eq!(script.run(&["kill-session"]).code, Some(0));
    world.wait_until("the socket goes with the session", || !script.has_socket());
    assert_eq!(script.run(&["display", "-p", "x"]).code, Some(1));
}

/// As the GitHub action does it, but in the words of a shell, with `tmate` on the path.
const ACTION: &str = r#"set -eu
echo 'set +e' >"$HOME/tmate.bashrc"
tmate -S "$HOME/tmate.sock" set-option -g default-command "bash --rcfile $HOME/tmate.bashrc" \; \
    set-option -g tmate-server-host "$RELAY_HOST" \; set-option -g tmate-server-port "$RELAY_PORT" \; \
    set-option -g tmate-server-ed25519-fingerprint "$RELAY_KEY" \; new-session -d
tmate -S "$HOME/tmate.sock" wait tmate-ready
ssh=$(tmate -S "$HOME/tmate.sock" display -p '#{tmate_ssh}')
web=$(tmate -S "$HOME/tmate.sock" display -p '#{tmate_web}')
[ -z "$web" ] || echo "Web shell: $web"
echo "SSH: $ssh" >"$HOME/printed"
until [ "$(tmate -S "$HOME/tmate.sock" display -p '#{tmate_num_clients}')" != 0 ]; do sleep 0.1; done
echo connected >>"$HOME/printed"
while [ -S "$HOME/tmate.sock" ]; do
    if [ -e "$HOME/continue" ]; then echo continued; exit 0; fi
    sleep 0.1
done
echo gone
"#;

#[test]
fn shell_script_in_the_actions_way_ends_by_a_file_or_with_the_session() {
    let world = World::new();
    let relay = Relay::start(&world);
    for by_file in [true, false] {
        let home = world.home(&world.unique("runner"));
        let bin = home.join("bin");
        std::fs::create_dir(&bin).expect("our own home");
        let tern = tern_tests::process::binary("tern");
        std::os::unix::fs::symlink(tern, bin.join("tmate")).expect("our own home");
        let mut script = world.command("bash", &home);
        script.args(["-c", ACTION]).env("PATH", format!("{}:{}", bin.display(), world.path()));
        script.env("RELAY_HOST", relay.address.to_string()).env("RELAY_KEY", &relay.fingerprint);
        script.env("RELAY_PORT", relay.port.to_string());
        let child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let child = child.expect("there is a bash");
        let printed = || std::fs::read_to_string(home.join("printed")).unwrap_or_default();
        let line = world.wait_for("the line is printed", || {
            let printed = printed();
            printed.ends_with('\n').then(|| JoinLine::find_all(&printed).into_iter().next())?
        });
        let viewer = Viewer::open(&world, &line, ViewerOptions::default());
        world.wait_until("somebody is there", || printed().contains("connected"));
        let end = if by_file { "touch ~/continue" } else { "exit" };
        viewer.terminal.enter_line(end);
        let output = child.wait_with_output().expect("our own child");
        let expected = if by_file { "continued\n" } else { "gone\n" };
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", world.report());
        assert!(output.status.success());
    }
}

#[test]
fn socket_goes_when_the_shell_exits_though_no_relay_answers() {
    let world = World::new();
    let script = Scripter::with_tern(&world);
    let words = [&NOWHERE[..], &["new", "-d"]].concat();
    assert_eq!(script.run(&words).code, Some(0));
    let ran = script.run(&["wait", "--timeout", "1", "tern-ready"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("nobody can join yet after 1 s: cannot reach"), "{}", ran.err);
    assert_eq!(script.display("[#{tmate_ssh}] #{tmate_num_clients}"), "[] 0");
    script.run(&["send-keys", "exit", "Enter"]);
    world.wait_until("the socket is gone", || !script.has_socket());
}

#[test]
fn session_at_a_named_socket_is_shared_again_from_within_and_leaves_nothing() {
    shared_again_from_within(World::new());
}

fn shared_again_from_within(world: World) {
    let relay = Relay::start(&world);
    let script = Scripter::with_tern(&world);
    assert_eq!(start(&script, &relay).code, Some(0));
    let key = script.home.join("key");
    let mut keygen = world.command("ssh-keygen", &script.home);
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    assert!(tern_tests::process::run(&mut keygen).status.success());
    let list = key.with_extension("pub").display().to_string();
    script.run(&["set", "-g", "tmate-authorized-keys", &list]);
    assert_eq!(script.run(&["wait", "tmate-ready"]).code, Some(0));
    let before = script.display("#{tmate_ssh}");
    let agents = || world.processes().into_iter().filter(|process| process.is_agent());
    agents().for_each(|agent| agent.signal(Signal::KILL));
    world.wait_until("the agent is gone", || agents().next().is_none());
    let tern = tern_tests::process::binary("tern").display().to_string();
    script.run(&["send-keys", &tern, "Enter"]);
    world.wait_until("it is shared again", || {
        script.run(&["wait", "tmate-ready"]).code == Some(0)
            && ![before.as_str(), ""].contains(&script.display("#{tmate_ssh}").as_str())
    });
    // What was set in the session still holds.
    let line = JoinLine::find_all(&script.display("#{tmate_ssh}")).remove(0);
    let stranger = Viewer::open(&world, &line, ViewerOptions::default());
    assert_ne!(stranger.wait_until_left(), 0, "{}", world.report());
    let ssh_args = ["-i", &key.display().to_string()].map(str::to_owned).to_vec();
    let friend = Viewer::open(&world, &line, ViewerOptions { ssh_args, ..Default::default() });
    friend.terminal.enter_line("exit");
    world.wait_until("the socket is gone", || !script.has_socket());
}

#[test]
fn wrong_pin_is_told_to_who_waits() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_tern(&world);
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let host = relay.name();
    let ran = script.run(&[
        "set",
        "-g",
        "tmate-server-host",
        &host,
        ";",
        "set",
        "-g",
        "tmate-server-rsa-fingerprint",
        wrong,
        ";",
        "new-session",
        "-d",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = script.run(&["wait", "tmate-ready"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("not the pinned one"), "{}", ran.err);
    assert!(script.has_socket(), "the session goes on");
}

tern_tests::with_other_versions! {
    github_actions_script_works_with_tmux_3_1: github_actions_script("3.1c");
    github_actions_script_works_with_tmux_3_5: github_actions_script("3.5a");
    github_actions_script_works_with_tmux_3_6: github_actions_script("3.6a");
    session_is_shared_again_from_within_tmux_3_1: shared_again_from_within("3.1c");
    session_is_shared_again_from_within_tmux_3_6: shared_again_from_within("3.6a");
    flags_and_verbs_are_tmates_with_tmux_3_1: flags_and_verbs("3.1c");
    flags_and_verbs_are_tmates_with_tmux_3_6: flags_and_verbs("3.6a");
}

#[test]
fn flags_and_verbs_are_tmates() {
    flags_and_verbs(World::new());
}

fn flags_and_verbs(world: World) {
    let script = Scripter::with_link(&world);
    let folder = script.home.join("work").display().to_string();
    let label = |words: &[&str]| script.run_bare(&[&["-2uql", "-v", "-L", "mine"], words].concat());
    let new = ["new-session", "-d", "-s", "work", "-c", &folder, "-x", "100", "-y", "30", "cat"];
    let ran = label(&[&NOWHERE[..], &new].concat());
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let format = "#{session_name} #{window_width} #{pane_current_path} #{pane_current_command}";
    world.wait_until("the program runs where it was told to", || {
        label(&["display", "-p", format]).out == format!("work 100 {folder} cat\n")
    });
    // Scripts know by this in what they run.
    let socket = label(&["display", "-p", "#{socket_path}"]).out.trim_end().to_owned();
    assert!(socket.contains("tmate") && socket.ends_with("/mine"), "{socket}");
    assert_eq!(label(&["ls", "-F", "#{session_name}"]).out, "work\n");
    label(&["send-keys", "typed", "Enter"]);
    world.wait_until("it is seen", || {
        label(&["capture-pane", "-p"]).out.starts_with("typed\ntyped")
    });
    assert!(label(&["show-messages"]).out.contains("Connecting to localhost"));

    let tern = tern_tests::process::binary("tern").display().to_string();
    let environment = world.environment(&script.home);
    let attach = [tern.as_str(), "-S", &socket, "attach", "-t", "work"].map(String::from);
    let terminal = tern_tests::Terminal::open(&world, "attached", (80, 24), &environment, &attach);
    world.wait_until("it is attached", || terminal.shows("typed\ntyped"));
    terminal.press(&["C-b", "d"]);
    assert_eq!(world.wait_for("it is detached", || terminal.exit_code()), 0);
    assert_eq!(label(&["kill-server"]).code, Some(0));
    world.wait_until("the socket goes with it", || !Path::new(&socket).exists());
}
