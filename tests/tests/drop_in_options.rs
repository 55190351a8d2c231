//! A drop-in for tmate: our options in configurations, at a prompt and in scripts, and what is wrong
//! with them. Which tests have what of tmate's: the table in `drop_in.rs`.

use tern_tests::drop_in::{NOWHERE, Scripter};
use tern_tests::{Relay, World};

#[test]
fn configuration_is_tmuxs_with_our_options_wherever_they_stand() {
    configuration_with_our_options(World::new());
}

fn configuration_with_our_options(world: World) {
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    script.write("relay.conf", &format!("set-option -g tmate-server-port \\\n  {}\n", relay.port));
    script.write(".tmux.conf", USERS_CONFIG);
    let config = format!(
        "source-file ~/.tmux.conf\nsource-file -q ~/relay.conf ; set -g tern-server-host {}\n\
         %if \"#{{==:a,a}}\"\nset -g tmate-server-ed25519-fingerprint '{}'\n%else\n\
         set -g tmate-server-host wrong.invalid\n%endif\n\
         if-shell true \"set -g tmate-webhook-userdata 'a b'\"\n\
         bind-key R source-file ~/.tmate.conf \\; display \"again\"\n",
        relay.address, relay.fingerprint
    );
    script.write(".tmate.conf", &config);
    let ran = script.run(&["new-session", "-d"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(script.run(&["wait", "tmate-ready"]).code, Some(0));
    assert_eq!(script.run(&["show", "-gv", "tmate-webhook-userdata"]).out, "a b\n");
    assert_eq!(script.run(&["show", "-gv", "prefix"]).out, "C-a\n");
    // A binding that reads it again reads the file as it is by then.
    script.write(".tmate.conf", &format!("{config}set -g tmate-webhook-userdata new\n"));
    let keys = script.run(&["list-keys", "-T", "prefix", "R"]).out;
    let again = keys.split("run-shell ").nth(1).and_then(|rest| rest.split(' ').next());
    let again = again.expect("it is bound");
    script.run(&["run-shell", again]);
    assert_eq!(script.run(&["show", "-gv", "tmate-webhook-userdata"]).out, "new\n");
}

#[test]
fn configuration_that_tmux_does_not_carry_out_opens_no_door() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_link(&world);
    let reach = format!(
        "set -g tmate-server-host {}\nset -g tmate-server-port {}\n\
         set -g tmate-server-ed25519-fingerprint {}\n",
        relay.address, relay.port, relay.fingerprint
    );
    // tmux carries out nothing of the first two, and nothing behind the quote of the third.
    for (number, broken) in [
        format!("{reach}set -g tern-approve on\nbind-kee x kill-pane\n"),
        format!("{reach}set -g tern-approve on\n%if 1\n"),
        format!("{reach}set -g status-left \"abc\nset -g tern-approve on\n"),
    ]
    .iter()
    .enumerate()
    {
        let file = script.write(".tmate.conf", broken).display().to_string();
        let ran = script.run(&["new-session", "-d", "-s", "work"]);
        assert!(ran.err.contains(&format!("{file}:")), "{number}: {}", ran.err);
        assert!(ran.err.contains("tmux has not carried out this line"), "{number}: {}", ran.err);
        let ready = script.run(&["wait", "--timeout", "1", "tmate-ready"]);
        assert_ne!(ready.code, Some(0), "{number}: {ready:?}");
        assert_eq!(script.run(&["display", "-p", "#{tmate_ssh}"]).out, "\n", "{number}");
        assert_eq!(script.run(&["list-sessions", "-F", "#{session_name}"]).out, "work\n");
        script.run(&["kill-server"]);
    }
}

#[test]
fn mistakes_in_the_configuration_name_file_and_line_and_cost_that_line_only() {
    let world = World::new();
    let script = Scripter::with_link(&world);
    script.write(
        ".tmate.conf",
        "set -g tmate-display-time 1234\nset -g tmate-bogus 1\nset -g nosuch 1\n\
         set -g tmate-foreground-restart maybe\n",
    );
    let words = [&NOWHERE[..], &["new-session", "-d"]].concat();
    let ran = script.run(&words);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = script.home.join(".tmate.conf").display().to_string();
    for said in [
        format!("{file}:2: invalid option: tmate-bogus. Allowed are tmate-api-key"),
        format!("{file}:3: invalid option: nosuch"),
        format!("{file}:4: tmate-foreground-restart: 'maybe' is neither 0 (off) nor 1 (on)"),
    ] {
        assert!(ran.err.contains(&said), "{}", ran.err);
        let log = script.run(&["show-messages"]).out;
        assert!(log.contains(&said), "{log}");
    }
    assert_eq!(script.run(&["show", "-gv", "tmate-display-time"]).out, "1234\n");
    // Nobody reads it in the foreground, so it is fatal there, as it is in tmate.
    let ran = Scripter::with_link(&world);
    let file = ran.write("bad.conf", "set -g tmate-bogus 1\n").display().to_string();
    let ran = ran.run(&["-F", "-f", &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("bad.conf:1: "), "{ran:?}");
}

#[test]
fn option_is_set_at_the_prompt_of_a_running_session() {
    option_at_the_prompt(World::new());
}

fn option_at_the_prompt(world: World) {
    let script = Scripter::with_tern(&world);
    let words = [&NOWHERE[..], &["new-session", "-d", "-x", "80", "-y", "24"]].concat();
    assert_eq!(script.run(&words).code, Some(0));
    let environment = world.environment(&script.home);
    let attach = ["tmux", "-S", &script.socket.display().to_string(), "attach"].map(String::from);
    let terminal = tern_tests::Terminal::open(&world, "attached", (80, 24), &environment, &attach);
    world.wait_until("it is attached", || terminal.text().contains("0:"));
    for (line, name, value) in [
        ("set -g tmate-display-time 4321", "tmate-display-time", "4321\n"),
        ("set -g status-right 'x #{session_name}'", "status-right", "x #{session_name}\n"),
    ] {
        terminal.press(&["C-b", ":"]);
        world.wait_until("there is a prompt", || terminal.text().trim_end().ends_with("\n:"));
        terminal.type_text(line);
        terminal.press(&["Enter"]);
        world.wait_until("it is set", || script.run(&["show", "-gv", name]).out == value);
    }
}

#[test]
fn missing_configuration_is_an_error() {
    let world = World::new();
    let ran = Scripter::with_tern(&world).run(&["-f", "/nonexistent", "new-session", "-d"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("cannot read the configuration /nonexistent"), "{}", ran.err);
}

/// What is wrong with what a script asks for costs the sharing or the name, and never the session.
#[test]
fn bad_input_is_told_to_scripts_and_never_costs_the_session() {
    let world = World::new();
    let relay = Relay::start(&world);
    let operator = tern_tests::accounts::Operator::of(&world, &relay);
    let key = operator.add("alice");
    let closed = world.home("closed").join("nobody.keys");
    std::fs::write(&closed, "# nobody\n").expect("our own home");
    let closed = closed.display().to_string();
    let refusing =
        Relay::start_with(&world, std::net::Ipv4Addr::LOCALHOST, &["--authorized-hosts", &closed]);
    let garbage = world.home("garbage").join("keys");
    std::fs::write(&garbage, "-----BEGIN NONSENSE-----\nno key\n").expect("our own home");
    let garbage = garbage.display().to_string();
    // Words, the relay, whether anybody can join, and what is said.
    let cases: [(&[&str], &Relay, bool, &str); 6] = [
        (&["-a", &garbage], &relay, false, "no usable key"),
        (&["-a", "/nonexistent"], &relay, false, "cannot read /nonexistent"),
        (&["-n", "web", "-k", "tmk-wrong"], &relay, true, "The provided api key is invalid"),
        (&["-n", "a;b", "-k", &key], &relay, true, "may only contain alphanumeric characters"),
        (&["-n", "web"], &relay, true, "specify your api key with -k"),
        (&[], &refusing, false, "accepts none of your SSH keys"),
    ];
    for (words, relay, is_shared, expected) in cases {
        let script = Scripter::with_tern(&world);
        let host = relay.name();
        let start = ["--relay", &host, "--relay-fingerprint", &relay.fingerprint];
        let start = [words, &start, &["new-session", "-d", "-x", "80", "-y", "24"]].concat();
        // A list that can't be used is told at once: nothing must be shared without it.
        let started = script.run(&start);
        assert_eq!(started.code, Some(i32::from(words.contains(&"-a"))), "{words:?} {started:?}");
        let waited = script.run(&["wait", "tmate-ready"]);
        assert_eq!(waited.code, Some(i32::from(!is_shared)), "{words:?} {waited:?}");
        let messages = script.run(&["show-messages"]).out;
        let said = [started.err, waited.err, messages].concat();
        assert!(said.contains(expected), "{words:?} {said}");
        assert!(!said.contains(&key), "no key is shown");
        assert_eq!(script.display("#{session_windows}"), "1");
        assert_eq!(script.run(&["kill-session"]).code, Some(0));
    }
    // A private key that is none is named, too.
    let script = Scripter::with_tern(&world);
    let host = refusing.name();
    let start = ["-i", &garbage, "--relay", &host, "new-session", "-d"];
    assert_eq!(script.run(&start).code, Some(0));
    let ran = script.run(&["wait", "tmate-ready"]);
    assert!(ran.code == Some(1) && ran.err.contains(&garbage), "{ran:?}");
    assert!(script.has_socket(), "the session goes on");
}

#[test]
fn names_keys_and_lists_are_set_by_options_too() {
    let world = World::new();
    let relay = Relay::start(&world);
    let key = tern_tests::accounts::Operator::of(&world, &relay).add("alice");
    let script = Scripter::with_link(&world);
    let config = format!(
        "set -g tmate-server-host {}\nset -g tmate-server-port {}\n\
         set -g tmate-server-dsa-fingerprint obsolete\n\
         set -g tmate-server-ecdsa-fingerprint {}\nset -g tmate-api-key {key}\n\
         set -g tmate-session-name web\nset -g tmate-session-name-ro look\n",
        relay.address, relay.port, relay.fingerprint
    );
    script.write(".tmate.conf", &config);
    // Called as tmate, nothing else is read.
    script.write(".tern.conf", "set -g tmate-session-name other\n");
    let ran = script.run(&["new-session", "-d"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(script.run(&["wait", "tmate-ready"]).code, Some(0));
    let line = |token: &str| format!("ssh -p{} {token}@{}", relay.port, relay.address);
    assert_eq!(script.display("#{tmate_ssh}"), line("alice/web"));
    assert_eq!(script.display("#{tmate_ssh_ro}"), line("alice/look"));
    assert_eq!(script.run(&["kill-session"]).code, Some(0));
    world.wait_until("it is over", || !script.has_socket());

    script.write(".tmate.conf", &format!("{config}set -g tmate-authorized-keys ~/no.keys\n"));
    let ran = script.run(&["new-session", "-d"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let expected = format!("cannot read {}", script.home.join("no.keys").display());
    assert!(ran.err.contains(&expected) && !ran.err.contains(&key), "{}", ran.err);
}

tern_tests::with_other_versions! {
    configuration_has_our_options_with_tmux_3_1: configuration_with_our_options("3.1c");
    configuration_has_our_options_with_tmux_3_6: configuration_with_our_options("3.6a");
    option_is_set_at_the_prompt_of_tmux_3_5: option_at_the_prompt("3.5a");
    option_is_set_at_the_prompt_of_tmux_3_6: option_at_the_prompt("3.6a");
}

/// In the style of those that people publish: plug-in manager lines, conditions, blocks,
/// continuation lines, colours, several commands a line.
const USERS_CONFIG: &str = r##"# -- general ---------------------------------------------------------------
set -g default-terminal "screen-256color"
setw -g xterm-keys on
set -s escape-time 10                     # faster command sequences
set -sg repeat-time 600
set -s focus-events on
set -g prefix2 C-b ; set -g prefix C-a    # GNU-Screen compatible prefix
bind C-a send-prefix -2
set -q -g status-utf8 on
set -g history-limit 5000
bind e new-window -n "~/.tmux.conf.local" 'sh -c "${EDITOR:-vim} ~/.tmux.conf.local"'
bind r source-file ~/.tmux.conf \; display '~/.tmux.conf sourced'
%if #{!=:#{version},2.6}
set -g base-index 1
setw -g pane-base-index 1
%endif
if-shell -F '#{&&:1,1}' {
    set -g status-interval 10
    bind -r C-h previous-window
}
if-shell 'test -f ~/.tmux.conf.local' 'source ~/.tmux.conf.local'
is_vim="ps -o state= -o comm= -t '#{pane_tty}' \
    | grep -iqE '^[^TXZ ]+ +(\\S+\\/)?g?(view|n?vim?x?)(diff)?$'"
bind-key -n 'C-M-h' if-shell "$is_vim" 'send-keys C-h'  'select-pane -L'
bind -T copy-mode-vi y send -X copy-pipe-and-cancel "xclip -i -f 2>/dev/null"
set -g status-left "#[fg=colour233,bg=colour245,bold] #S #{?tmate_ssh,#{tmate_num_clients},} "
set -g status-right '#[fg=colour245]%R %d %b#(true)'
set -g @plugin 'tmux-plugins/tpm'
set -g @plugin 'tmux-plugins/tmux-sensible'
set -g @continuum-restore 'on'
if "test ! -d ~/.tmux/plugins/tpm" \
   "run 'true'"
run -b 'test -x ~/.tmux/plugins/tpm/tpm && ~/.tmux/plugins/tpm/tpm || true'
"##;
