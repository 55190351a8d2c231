//! Named sessions: `ssh USER/NAME@relay` is the same line, whatever is started again.

use rustix::process::Signal;
use std::net::Ipv4Addr;
use tern_tests::accounts::Operator;
use tern_tests::postgres::Postgres;
use tern_tests::process::text;
use tern_tests::shared::wait_until_shows;
use tern_tests::viewer::run_ssh;
use tern_tests::{Host, HostOptions, JoinLine, Relay, Viewer, ViewerOptions, World};

/// A relay with a user `alice`, and her key.
struct Cast {
    world: World,
    relay: Relay,
    operator: Operator,
    key: String,
}

impl Cast {
    fn start() -> Self {
        let world = World::new();
        let relay = Relay::start(&world);
        let operator = Operator::of(&world, &relay);
        let key = operator.add("alice");
        Self { world, relay, operator, key }
    }

    /// A host with names, its key in the environment.
    fn share(&self, args: &[&str]) -> Host {
        Host::share_with(&self.world, Some(&self.relay), named(args, &self.key))
    }

    fn line(&self, token: &str) -> JoinLine {
        JoinLine {
            port: self.relay.port,
            token: token.into(),
            is_shown_as_read_only: false,
            host: "127.0.0.1".into(),
        }
    }

    /// What a host is told that asks for names, and that its lines are random ones.
    #[track_caller]
    fn assert_not_named(&self, args: &[&str], key: &str, words: &str) {
        let host = Host::start(&self.world, Some(&self.relay), named(args, key));
        for line in [&host.read_write, &host.read_only] {
            assert!(!line.token.contains('/'), "{}", line.token);
        }
        host.close_start_view();
        let said = text(&host.tern(&["show-messages"]));
        assert!(said.contains(words), "{said}");
        host.terminal.enter_line("echo not lo''st");
        wait_until_shows(&self.world, &host.terminal, "not lost");
    }
}

fn named(args: &[&str], key: &str) -> HostOptions {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let environment = vec![("TERN_API_KEY".into(), key.into())];
    HostOptions { args, environment, ..HostOptions::default() }
}

#[test]
fn line_stays_the_same_over_restarts_of_relay_host_and_viewer() {
    let cast = Cast::start();
    let host = cast.share(&["-n", "web", "-r", "look"]);
    assert_eq!(host.read_write.token, "alice/web");
    assert_eq!(host.read_only.token, "alice/look");
    let viewer = Viewer::join(&cast.world, &host, &cast.line("alice/web"));
    viewer.terminal.enter_line("echo from $((40 + 2))");
    wait_until_shows(&cast.world, &host.terminal, "\nfrom 42");
    // By hand nobody heeds capital letters.
    Viewer::join_by_tern(&cast.world, &host, &cast.line("Alice/WEB"));

    let (folder, port) = (cast.relay.folder(), cast.relay.port);
    cast.relay.signal(Signal::KILL);
    assert_eq!(cast.relay.wait(), None);
    let relay = Relay::start_in(&cast.world, folder, Ipv4Addr::LOCALHOST, port, &[]);
    let viewer = Viewer::join(&cast.world, &host, &cast.line("alice/web"));
    viewer.terminal.enter_line("echo again $((40 + 3))");
    wait_until_shows(&cast.world, &host.terminal, "\nagain 43");

    // The host dies without a word, and is started anew.
    host.agent().signal(Signal::KILL);
    drop(host);
    let host = Host::share_with(&cast.world, Some(&relay), named(&["-n", "web"], &cast.key));
    let viewer = Viewer::join(&cast.world, &host, &cast.line("alice/web"));
    viewer.terminal.enter_line("echo anew $((40 + 4))");
    wait_until_shows(&cast.world, &host.terminal, "\nanew 44");
    assert!(host.read_only.token.starts_with("ro-"), "only -n was named");
}

#[test]
fn named_read_only_line_only_looks() {
    let cast = Cast::start();
    let host = cast.share(&["-r", "look"]);
    assert_eq!(host.read_only.token, "alice/look");
    assert_eq!(host.read_write.token.len(), 26);
    let by_ssh = Viewer::join(&cast.world, &host, &host.read_only);
    let by_tern = Viewer::join_by_tern(&cast.world, &host, &host.read_only);
    for viewer in [&by_ssh, &by_tern] {
        viewer.terminal.enter_line("echo no$((40 + 2))");
    }
    host.terminal.enter_line("echo yes$((40 + 2))");
    for viewer in [&by_ssh, &by_tern] {
        viewer.wait_until_shows("\nyes42");
        viewer.wait_until_same(&host);
    }
    assert!(!host.terminal.shows("no42"), "{}", cast.world.report());
    for viewer in [by_ssh, by_tern] {
        viewer.terminal.press(&["q"]);
        assert_eq!(viewer.wait_until_left(), 0, "{}", cast.world.report());
    }
}

#[test]
fn newer_host_of_the_same_owner_takes_the_name_over_and_the_older_one_stops() {
    let cast = Cast::start();
    let older = cast.share(&["-n", "web"]);
    let viewer = Viewer::join(&cast.world, &older, &older.read_write);
    let newer = cast.share(&["-n", "web"]);
    assert_ne!(viewer.wait_until_left(), 0);
    assert!(viewer.terminal.shows("the same line joins it"), "{}", cast.world.report());
    cast.world.wait_until("the older host is told", || {
        let said = text(&older.tern(&["show-messages"]));
        said.contains("taken over this session's name") && said.contains("Not shared")
    });
    let viewer = Viewer::join(&cast.world, &newer, &cast.line("alice/web"));
    viewer.terminal.enter_line("echo here $((40 + 2))");
    wait_until_shows(&cast.world, &newer.terminal, "\nhere 42");
    older.terminal.enter_line("echo not lo''st");
    wait_until_shows(&cast.world, &older.terminal, "not lost");
    let status = text(&newer.tern(&["status"]));
    assert!(status.contains("connected"), "{status}");
}

#[test]
fn two_users_have_the_same_name_each_for_themselves() {
    let cast = Cast::start();
    let bobs_key = cast.operator.add("bob");
    let alice = cast.share(&["-n", "web"]);
    let bob = Host::share_with(&cast.world, Some(&cast.relay), named(&["-n", "web"], &bobs_key));
    assert_eq!(bob.read_write.token, "bob/web");
    for (host, number) in [(&alice, 1), (&bob, 2)] {
        let viewer = Viewer::join(&cast.world, host, &host.read_write);
        viewer.terminal.enter_line(&format!("echo i am $((40 + {number}))"));
        wait_until_shows(&cast.world, &host.terminal, &format!("\ni am {}", 40 + number));
    }
}

#[test]
fn what_hinders_a_name_is_told_and_the_session_has_random_lines() {
    let cast = Cast::start();
    cast.assert_not_named(&["-n", "web"], "", "specify your api key with -k");
    cast.assert_not_named(&["-n", "web"], "tmk-wrong", "The provided api key is invalid");
    let key = &cast.key;
    cast.assert_not_named(&["-n", "a b"], key, "may only contain alphanumeric characters");
    cast.assert_not_named(&["-n", &"x".repeat(51)], key, "too long (max 50 chars)");
    cast.assert_not_named(&["-n", "web", "-r", "web"], key, "The same session name");
    let second = cast.operator.must(&["key", "new", "alice"]);
    cast.operator.must(&["key", "revoke", &second[..10]]);
    cast.assert_not_named(&["-n", "web"], &second, "invalid or revoked");
    let named = cast.share(&["-n", "web"]);
    assert_eq!(named.read_write.token, "alice/web");
    let said = text(&named.tern(&["show-messages"]));
    assert!(said.contains("whoever guesses the session's name can join and type"), "{said}");
}

#[test]
fn relay_without_accounts_says_so() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share_with(&world, Some(&relay), named(&["-n", "web"], "tmk-any"));
    assert!(!host.read_write.token.contains('/'));
    let said = text(&host.tern(&["show-messages"]));
    assert!(said.contains("Named sessions are not supported by this relay"), "{said}");
    assert!(!relay.folder().join("data/accounts.sqlite").exists(), "no database is made");
}

#[test]
fn removed_user_s_named_session_ends_and_its_line_is_dead() {
    let cast = Cast::start();
    let host = cast.share(&["-n", "web"]);
    let viewer = Viewer::join(&cast.world, &host, &host.read_write);
    let refused = cast.operator.run(&["user", "remove", "alice"]);
    assert_eq!(refused.status.code(), Some(1), "nobody was asked");
    assert!(text(&refused).contains("--yes"), "{}", text(&refused));
    cast.operator.must(&["user", "remove", "alice", "--yes"]);
    viewer.wait_until_left();
    let said = text(&run_ssh(&cast.world, &host.read_write, &["-tt"], &[]));
    assert!(said.contains("Invalid or expired session token"), "{said}");
    cast.world.wait_until("the host has random lines", || {
        let said = text(&host.tern(&["show-messages"]));
        said.contains("The provided api key is invalid") && said.contains("ssh ")
    });
}

#[test]
fn key_is_in_no_log_no_process_list_and_no_program_of_the_session() {
    let cast = Cast::start();
    let host = cast.share(&["-n", "web"]);
    host.terminal
        .enter_line("echo \"key:$TERN_API_KEY:\"; tmux show-environment -g | grep -c tmk-");
    wait_until_shows(&cast.world, &host.terminal, "\nkey::\n0");
    let secret = &cast.key[cast.key.len() - 20..];
    assert!(!cast.relay.output().contains(secret), "{}", cast.relay.output());
    let messages = text(&host.tern(&["show-messages"]));
    assert!(!messages.contains(secret), "{messages}");
    for process in cast.world.processes().iter().filter(|p| p.name().starts_with("tern")) {
        assert!(!process.args.iter().any(|arg| arg.contains(secret)), "{process:?}");
    }
    let logs = std::fs::read_dir(host.home.join(".local/state/tern/log")).expect("the agent's log");
    for log in logs.flatten() {
        let said = std::fs::read_to_string(log.path()).expect("readable");
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn names_are_kept_in_postgresql_and_its_failure_is_told_and_lets_nobody_in() {
    let world = World::new();
    let mut postgres = Postgres::start(&world);
    let folder = world.home("relay");
    let operator = Operator::of_folder(&world, &folder).with_database(&postgres.url());
    let key = operator.add("alice");
    let port = tern_tests::ports::free(Ipv4Addr::LOCALHOST);
    let flags = ["--database", &postgres.url()];
    let relay = Relay::start_in(&world, folder, Ipv4Addr::LOCALHOST, port, &flags);
    let host = Host::share_with(&world, Some(&relay), named(&["-n", "web"], &key));
    let viewer = Viewer::join(&world, &host, &host.read_write);

    postgres.kill();
    let waiting = Host::try_share(&world, Some(&relay), named(&["-n", "other"], &key));
    wait_until_shows(&world, &waiting, "can't look up API keys");
    assert!(JoinLine::find_all(&waiting.text()).is_empty(), "{}", world.report());
    viewer.terminal.enter_line("echo goes on $((40 + 2))");
    wait_until_shows(&world, &host.terminal, "\ngoes on 42");
    let unnamed = Host::share(&world, &relay);
    Viewer::join(&world, &unnamed, &unnamed.read_write);

    postgres.start_again();
    world.wait_until("the name is given", || {
        JoinLine::find_all(&waiting.text()).iter().any(|line| line.token == "alice/other")
    });
}

#[test]
fn operator_reads_lists_and_programs_read_json() {
    let world = World::new();
    let folder = world.home("relay");
    let operator = Operator::of_folder(&world, &folder);
    let output = operator.run(&["user", "list"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("tern-relay user add NAME"), "{}", text(&output));

    let key = operator.must(&["user", "add", "alice", "--email", "a@example.org"]);
    assert!(key.starts_with("tmk-") && key.len() == 30, "only the key is there for programs");
    let json = operator.must(&["key", "new", "alice", "--json"]);
    assert!(json.starts_with(r#"{"user":"alice","key":"tmk-"#), "{json}");
    let list = operator.must(&["user", "list"]);
    assert!(list.contains("LAST USED") && list.contains("alice  2     today"), "{list}");
    let json = operator.must(&["user", "list", "--json"]);
    assert!(json.contains(r#""name":"alice","email":"a@example.org","keys":2"#), "{json}");
    let keys = operator.must(&["key", "list", "alice"]);
    assert!(keys.contains(&key[..10]) && !keys.contains(&key[..12]), "{keys}");
    for (args, code, words) in [
        (&["user", "add", "ALICE"][..], 1, "there is a user ALICE already"),
        (&["user", "add", "a/b"], 1, "can't be a user's name"),
        (&["user", "remove", "bob", "--yes"], 1, "there is no user bob"),
        (&["key", "revoke", "tmk-aaaaaa"], 1, "no key that begins with tmk-aaaaaa"),
        (&["user", "list", "--database", "mysql://x"], 2, "postgres://USER"),
        (&["user", "list", "--database", "postgres://u:geheim@127.0.0.1:1/x"], 1, "127.0.0.1:1/x"),
        (&["user", "adopt"], 2, "adopt"),
    ] {
        let output = operator.run(args);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words) && !said.contains("geheim"), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn viewer_of_a_name_that_nobody_has_learns_no_more_than_with_a_wrong_token() {
    let cast = Cast::start();
    for token in ["alice/web", "nobody/web", "alice/", "/", "alice/-x"] {
        let viewer = Viewer::open(&cast.world, &cast.line(token), ViewerOptions::default());
        assert_ne!(viewer.wait_until_left(), 0);
        let said = viewer.terminal.text();
        assert!(said.contains("Invalid or expired session token"), "{token}: {said}");
    }
}
