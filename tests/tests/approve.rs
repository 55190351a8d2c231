//! The host decides who gets in: `--approve`, by menu and by command; who has to go: `tern kick`.

use rustix::process::Signal;
use std::process::Command;
use std::time::Instant;
use tern_client::core::menus::GUARD_TIME;
use tern_tests::drop_in::Scripter;
use tern_tests::host::relay_args;
use tern_tests::process::{binary, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, HostOptions, JoinLine, Relay, Viewer, ViewerOptions, World};

/// What somebody reads who waits.
const WAITING: &str = "waiting for the host to let you in";
/// How the menu begins.
const MENU: &str = "A mate wants to join?";
/// How the second one does.
const SURE_MENU: &str = "Let this mate in?";

fn asking(world: &World, relay: &Relay, more: &[&str]) -> Host {
    let args = ["--approve"].iter().chain(more).map(|arg| (*arg).to_owned()).collect();
    Host::share_with(world, Some(relay), HostOptions { args, ..HostOptions::default() })
}

fn ways() -> [ViewerOptions; 2] {
    [ViewerOptions::default(), ViewerOptions::tern()]
}

/// Somebody comes, and waits.
fn knock(world: &World, line: &JoinLine, options: ViewerOptions) -> Viewer {
    let viewer = Viewer::open(world, line, options);
    viewer.wait_until_shows(WAITING);
    viewer
}

/// The numbers of those of whom `tern viewers` says this.
fn numbers(host: &Host, state: &str) -> Vec<String> {
    let listed = text(&host.tern(&["viewers"]));
    let mut lines = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_state = |words: Vec<&str>| (words.get(1) == Some(&state)).then(|| words[0].to_owned());
    lines.by_ref().filter_map(of_state).collect()
}

#[track_caller]
fn wait_for_one(world: &World, host: &Host, state: &str) -> String {
    world.wait_for(&format!("one {state}"), || match numbers(host, state).as_slice() {
        [number] => Some(number.clone()),
        _ => None,
    })
}

/// Runs a command that has to succeed.
#[track_caller]
fn decide(host: &Host, words: &[&str]) -> String {
    let output = host.tern(words);
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

/// Presses a key in the menu, once that has stood there for longer than keys are passed over.
#[track_caller]
fn choose(world: &World, host: &Host, key: &str, what: &str, has_counted: impl Fn() -> bool) {
    choose_in(world, host, (MENU, key), what, has_counted);
}

#[track_caller]
fn choose_in(
    world: &World,
    host: &Host,
    (menu, key): (&str, &str),
    what: &str,
    has_counted: impl Fn() -> bool,
) {
    let mut seen = None;
    world.wait_until(what, || {
        if host.terminal.shows(menu) {
            let since = *seen.get_or_insert_with(Instant::now);
            if since.elapsed() > GUARD_TIME {
                host.terminal.press(&[key]);
                seen = None;
            }
        } else {
            seen = None;
        }
        has_counted()
    });
}

#[test]
fn nobody_gets_in_before_the_host_says_so_by_command() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = asking(&world, &relay, &[]);
    for options in ways() {
        host.terminal.enter_line("clear; echo a secret");
        wait_until_shows(&world, &host.terminal, "\na secret");
        let viewer = knock(&world, &host.read_write, options.clone());
        let number = wait_for_one(&world, &host, "waits");
        assert!(!viewer.terminal.shows("a secret"), "{}", world.report());
        viewer.terminal.type_text("touch typed-early");
        let log = text(&host.tern(&["show-messages"]));
        assert!(log.contains(&format!("tern approve {number}, or tern deny {number}")), "{log}");
        let said = decide(&host, &["approve", &number]);
        assert!(said.contains("Let in: 127.0.0.1"), "{said}");
        viewer.wait_until_same(&host);
        // What comes after it is there, and it isn't.
        viewer.terminal.enter_line("echo in $((40 + 2))");
        wait_until_shows(&world, &host.terminal, "\nin 42");
        assert!(!host.terminal.shows("typed-early"), "{}", world.report());
        assert_eq!(wait_for_one(&world, &host, "in"), number, "the number stays");
        let again = host.tern(&["approve", &number]);
        assert_eq!(again.status.code(), Some(1));
        assert!(text(&again).contains("nobody who waits has the number"), "{}", text(&again));
        // Denied ones read it, and may ask again.
        let denied = knock(&world, &host.read_only, options);
        let number = wait_for_one(&world, &host, "waits");
        decide(&host, &["deny", &number]);
        denied.wait_until_shows("[the host did not let you in]");
        assert_ne!(denied.wait_until_left(), 0);
        decide(&host, &["kick", "--all"]);
        viewer.wait_until_shows("[removed from the session by its host]");
        assert_ne!(viewer.wait_until_left(), 0);
        world.wait_until("nobody is there", || {
            text(&host.tern(&["viewers"])).contains("Nobody is here")
        });
    }
}

#[test]
fn host_decides_by_a_menu_that_takes_no_key_at_once() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = asking(&world, &relay, &[]);
    let viewer = knock(&world, &host.read_write, ViewerOptions::default());
    wait_until_shows(&world, &host.terminal, MENU);
    assert!(host.terminal.shows("from 127.0.0.1, by ssh"), "{}", world.report());
    assert!(host.terminal.shows("may type"), "{}", world.report());
    // What was typed for something else doesn't count, and the menu comes again.
    host.terminal.press(&["A"]);
    choose(&world, &host, "A", "the host is asked again", || host.terminal.shows(SURE_MENU));
    // Nor does what is typed on, in the second one.
    host.terminal.press(&["A", "A", "p", "Y"]);
    assert!(numbers(&host, "in").is_empty(), "{}", world.report());
    let is_in = || !numbers(&host, "in").is_empty();
    choose_in(&world, &host, (SURE_MENU, "Y"), "the viewer is let in", is_in);
    viewer.wait_until_same(&host);
    // Who is in sees no menu, and has no say in it.
    let other = knock(&world, &host.read_write, ViewerOptions::tern());
    wait_until_shows(&world, &host.terminal, MENU);
    viewer.terminal.press(&["A", "Enter"]);
    viewer.wait_until_shows("A");
    assert!(!viewer.terminal.shows(MENU), "{}", world.report());
    assert!(numbers(&host, "waits").len() == 1 && !other.terminal.shows("$"));
    choose(&world, &host, "D", "the other is turned away", || other.terminal.exit_code().is_some());
    other.wait_until_shows("[the host did not let you in]");
    world.wait_until("the menu is gone", || !host.terminal.shows(MENU));
    viewer.terminal.enter_line("echo goes $((40 + 2))");
    viewer.wait_until_shows("goes 42");
}

#[test]
fn menu_goes_when_whoever_asked_does_and_who_is_busy_is_asked_by_a_line() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = asking(&world, &relay, &[]);
    let viewer = knock(&world, &host.read_write, ViewerOptions::default());
    let number = wait_for_one(&world, &host, "waits");
    wait_until_shows(&world, &host.terminal, MENU);
    viewer.signal(Signal::TERM);
    world.wait_until("the menu is gone", || !host.terminal.shows(MENU));
    world.wait_until("nobody waits", || numbers(&host, "waits").is_empty());
    assert_eq!(host.tern(&["approve", &number]).status.code(), Some(1));
    let log = text(&host.tern(&["show-messages"]));
    assert!(log.contains("A mate who wanted to join has gone"), "{log}");

    let viewer = knock(&world, &host.read_write, ViewerOptions::tern());
    let number = wait_for_one(&world, &host, "waits");
    let line = format!("tern approve {number}, or tern deny {number}");
    choose(&world, &host, "N", "a line asks", || host.terminal.shows(&line));
    assert!(!host.terminal.shows(MENU), "{}", world.report());
    // The next one comes by a line, too.
    let other = knock(&world, &host.read_only, ViewerOptions::default());
    wait_until_shows(&world, &host.terminal, "A mate wants to look on (127.0.0.1)");
    assert!(!host.terminal.shows("?  "), "{}", world.report());
    decide(&host, &["approve", "--all"]);
    viewer.wait_until_same(&host);
    other.wait_until_same(&host);
}

#[test]
fn who_is_kicked_may_come_back_and_who_is_banned_may_not_until_it_is_taken_back() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    for options in ways() {
        let viewer = Viewer::open(&world, &host.read_write, options.clone());
        viewer.wait_until_same(&host);
        let number = wait_for_one(&world, &host, "in");
        decide(&host, &["kick", &number]);
        viewer.wait_until_shows("[removed from the session by its host]");
        let viewer = Viewer::open(&world, &host.read_write, options.clone());
        viewer.wait_until_same(&host);
        let number = wait_for_one(&world, &host, "in");
        let said = decide(&host, &["kick", &number, "--ban"]);
        assert!(said.contains("nobody from this address gets in any more"), "{said}");
        viewer.wait_until_left();
        assert_eq!(numbers(&host, "kept"), std::slice::from_ref(&number));
        let refused = Viewer::open(&world, &host.read_write, options.clone());
        refused.wait_until_shows("does not let you in any more");
        assert_ne!(refused.wait_until_left(), 0);
        decide(&host, &["unban", &number]);
        let viewer = Viewer::open(&world, &host.read_write, options);
        viewer.wait_until_same(&host);
        decide(&host, &["kick", "--all"]);
        viewer.wait_until_left();
    }
    let none = host.tern(&["kick", "77"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none).contains("has the number 77"), "{}", text(&none));
}

#[test]
fn who_is_away_can_be_removed_and_reads_so_when_they_are_back() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let [one, other] = [(), ()].map(|()| {
        let viewer = Viewer::open(&world, &host.read_write, ViewerOptions::tern());
        viewer.wait_until_same(&host);
        viewer
    });
    for viewer in [&one, &other] {
        viewer.signal(Signal::STOP);
    }
    world.wait_until("both are away", || numbers(&host, "away").len() == 2);
    assert!(numbers(&host, "in").is_empty(), "{}", world.report());
    let status = text(&host.tern(&["status"]));
    assert!(status.contains("viewers: 0\naway: 2"), "{status}");
    let away = numbers(&host, "away");
    // Who is back has the same number.
    other.signal(Signal::CONT);
    other.wait_until_same(&host);
    let number = wait_for_one(&world, &host, "in");
    assert!(away.contains(&number), "{away:?} {number}");
    let gone = wait_for_one(&world, &host, "away");
    decide(&host, &["kick", &gone]);
    world.wait_until("it is not listed any more", || numbers(&host, "away").is_empty());
    one.signal(Signal::CONT);
    one.wait_until_shows("[removed from the session by its host]");
    assert_ne!(one.wait_until_left(), 0);
    other.terminal.enter_line("echo still $((40 + 2))");
    other.wait_until_shows("still 42");
}

#[test]
fn where_nobody_sits_the_log_asks_and_a_script_decides() {
    let world = World::new();
    let relay = Relay::start(&world);
    let script = Scripter::with_tern(&world);
    let mut words = vec!["-F".to_owned(), "-S".into(), script.socket.display().to_string()];
    words.extend(relay_args(Some(&relay)));
    let config = script.write("config", "set -g tern-approve on\n").display().to_string();
    words.extend(["-f".into(), config, "new-session".into(), "sh".into()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = script.home.join("output");
    let mut foreground: Command = script.bare(&words);
    let log = std::fs::File::create(&output).expect("our own home");
    let mut foreground = foreground.stdout(log).spawn().expect("tern starts");
    let read = || std::fs::read_to_string(&output).unwrap_or_default();
    let line = world.wait_for("the join line is printed", || {
        JoinLine::find_all(&read()).into_iter().find(|line| !line.is_read_only())
    });
    let viewer = knock(&world, &line, ViewerOptions::default());
    world.wait_until("the log asks", || read().contains("A mate wants to join (127.0.0.1): tern"));
    let ran = script.run_bare(&["approve", "1"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "Let in: 127.0.0.1\n"), "{ran:?}");
    world.wait_until("the viewer sees the session", || !viewer.terminal.shows(WAITING));
    viewer.terminal.enter_line("echo in $((40 + 2))");
    viewer.wait_until_shows("in 42");
    let ran = script.run_bare(&["viewers", "--json"]);
    assert!(ran.out.contains("\"by\":\"ssh\"") && ran.out.contains("\"is_asked\":true"), "{ran:?}");
    foreground.kill().expect("it runs");
    foreground.wait().expect("it ends");
}

#[test]
fn being_asked_outlives_the_agent_until_something_else_is_said() {
    let world = World::new();
    let relay = Relay::start(&world);
    let mut host = asking(&world, &relay, &[]);
    for is_killed in [true, false] {
        host.end_sharing(is_killed);
        host.share_again("");
        let viewer = knock(&world, &host.read_write, ViewerOptions::default());
        let number = wait_for_one(&world, &host, "waits");
        decide(&host, &["deny", &number]);
        viewer.wait_until_left();
    }
    // An option that is set later counts, in the next sharing, too.
    host.tmux(&["set-option", "-g", "@tmate-approve", "off"]);
    host.wait_until_log("You are not asked any more");
    host.end_sharing(true);
    host.share_again("");
    Viewer::join(&world, &host, &host.read_write);
    host.end_sharing(false);
    host.tmux(&["set-option", "-gu", "@tmate-approve"]);
    host.share_again("");
    knock(&world, &host.read_write, ViewerOptions::tern());
}

#[test]
fn option_for_all_sessions_takes_back_what_was_said_in_one_that_is_shared() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let socket = host.home.join("tmux").display().to_string();
    let type_tern = |args: &str| {
        host.terminal.enter_line(&format!("clear; {} {args}", binary("tern").display()));
    };
    let wait_until_asked = |is_asked: bool| {
        let told = format!("\"is_asked\":{is_asked}");
        world.wait_until(&format!("the agent says {told}"), || {
            text(&host.tern(&["viewers", "--json"])).contains(&told)
        });
    };
    let approve = || {
        type_tern("--approve");
        wait_until_shows(&world, &host.terminal, "ssh session: ssh");
        host.close_start_view();
        wait_until_asked(true);
    };
    approve();
    type_tern("set -g tern-approve off");
    wait_until_asked(false);
    // A script beside it, though the value for all sessions is the same as before.
    approve();
    decide(&host, &["-S", &socket, "set", "-g", "tern-approve", "off"]);
    wait_until_asked(false);
    // At the prompt of tmux.
    approve();
    host.terminal.press(&["C-b", ":"]);
    wait_until_shows(&world, &host.terminal, "\n:");
    host.terminal.enter_line("set -g tern-approve off");
    wait_until_asked(false);
    // Saying "on" to all lets nobody in meanwhile.
    approve();
    let viewer = knock(&world, &host.read_write, ViewerOptions::default());
    let number = wait_for_one(&world, &host, "waits");
    decide(&host, &["-S", &socket, "set", "-g", "tern-approve", "on"]);
    wait_until_asked(true);
    assert_eq!(numbers(&host, "waits"), [number], "{}", world.report());
    viewer.signal(Signal::TERM);
}

#[test]
fn without_tmux_a_command_decides() {
    let world = World::new();
    let relay = Relay::start(&world);
    let args = ["--no-tmux", "--approve", "--", "sh"].map(str::to_owned).to_vec();
    let host =
        Host::share_with(&world, Some(&relay), HostOptions { args, ..HostOptions::default() });
    let viewer = knock(&world, &host.read_write, ViewerOptions::default());
    let number = wait_for_one(&world, &host, "waits");
    decide(&host, &["approve", &number]);
    world.wait_until("the viewer sees the session", || !viewer.terminal.shows(WAITING));
    viewer.terminal.enter_line("echo in $((40 + 2))");
    viewer.wait_until_shows("in 42");
    decide(&host, &["kick", &number]);
    viewer.wait_until_shows("[removed from the session by its host]");
}

#[test]
fn whether_the_host_is_asked_can_be_said_while_it_shares() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let socket = host.home.join("tmux").display().to_string();
    let wait_until_asked = |is_asked: bool| {
        let told = format!("\"is_asked\":{is_asked}");
        world.wait_until(&format!("the agent says {told}"), || {
            text(&host.tern(&["viewers", "--json"])).contains(&told)
        });
    };
    let is_let_in_by_hand = || {
        let viewer = knock(&world, &host.read_only, ViewerOptions::default());
        let number = wait_for_one(&world, &host, "waits");
        decide(&host, &["approve", &number]);
        viewer.wait_until_same(&host);
        decide(&host, &["kick", &number]);
    };
    decide(&host, &["-S", &socket, "set", "-g", "tern-approve", "on"]);
    wait_until_shows(&world, &host.terminal, "From now on you are asked");
    wait_until_asked(true);
    is_let_in_by_hand();
    // In tmux, under the name that it keeps it by.
    host.tmux(&["set-option", "-g", "@tmate-approve", "off"]);
    wait_until_asked(false);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    // At the prompt, by somebody who is in.
    viewer.terminal.press(&["C-b", ":"]);
    viewer.wait_until_shows("\n:");
    viewer.terminal.enter_line("set -g tern-approve 1");
    wait_until_asked(true);
    is_let_in_by_hand();
    // A mistake is told, and opens no door.
    host.tmux(&["set-option", "-g", "@tmate-approve", "perhaps"]);
    world.wait_until("the mistake is told", || {
        text(&host.tern(&["show-messages"])).contains("'perhaps' is neither 0 (off) nor 1 (on)")
    });
    is_let_in_by_hand();
    host.tmux(&["set-option", "-gu", "@tmate-approve"]);
    wait_until_asked(false);
}

#[test]
fn option_that_tmux_takes_back_at_once_is_as_it_was() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let socket = host.home.join("tmux").display().to_string();
    let count = |words: &str| text(&host.tern(&["show-messages"])).matches(words).count();
    for round in 1..=4 {
        decide(&host, &["-S", &socket, "set", "-g", "tern-approve", "on"]);
        world.wait_until("the host is asked", || count("From now on you are asked") == round);
        host.tmux(&["set-option", "-gu", "@tmate-approve"]);
        world.wait_until("it is not", || count("You are not asked any more") == round);
    }
}
