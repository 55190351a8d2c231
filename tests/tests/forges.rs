//! Who may join by keys that a forge has of its users, asked for over HTTPS.

use tern_tests::drop_in::Scripter;
use tern_tests::keys::{Keys, by_ssh, by_tern, refused};
use tern_tests::process::text;
use tern_tests::shared::wait_until_shows;
use tern_tests::web::{Answer, Web};
use tern_tests::{Host, HostOptions, JoinLine, Relay, World};

/// A forge that everybody trusts, a relay, and keys of some people.
struct Stage {
    world: World,
    forge: Web,
    relay: Relay,
    keys: Keys,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        let forge = Web::start_tls(&world);
        let authority = forge.authority.clone().expect("it has one");
        world.set_for_everybody("SSL_CERT_FILE", &authority.display().to_string());
        let (relay, keys) = (Relay::start(&world), Keys::new(&world));
        for name in ["alice", "bob", "eve"] {
            keys.make(name, &["ed25519"]);
        }
        Self { world, forge, relay, keys }
    }

    fn share(&self, args: &[&str]) -> Host {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let options = HostOptions { args, ..HostOptions::default() };
        Host::share_with(&self.world, Some(&self.relay), options)
    }

    /// For `--keys-url`.
    fn template(&self) -> String {
        self.forge.url("/{user}.keys")
    }

    fn assert_refused(&self, line: &JoinLine, name: &str) {
        let said = refused(&self.world, line, &self.keys.folder.join(name));
        assert!(said.contains("Permission denied"), "{said}");
    }
}

#[test]
fn people_get_in_by_the_keys_that_a_forge_has_of_them_and_by_those_of_a_file() {
    let stage = Stage::new();
    let Stage { world, forge, keys, .. } = &stage;
    // Forges don't name their keys; and a list can't vouch for others' keys.
    let line = keys.line("alice");
    let key = line.rsplit_once(' ').expect("it has a comment").0;
    let list = format!("{key}\ncert-authority {}", keys.line("eve"));
    forge.set_page("/alice.keys", Answer::Page(200, list));
    let file = keys.folder.join("list");
    std::fs::write(&file, keys.line("bob")).expect("our own folder");
    let file = file.display().to_string();
    let mut host =
        stage.share(&["-a", &file, "--keys-url", &stage.template(), "--keys-user", "alice"]);
    let viewer = by_ssh(world, &host.read_write, &keys.folder.join("alice"));
    viewer.wait_until_same(&host);
    host.wait_until_log("A mate has joined (127.0.0.1, alice@localhost)");
    by_tern(world, &host.read_write, &keys.folder.join("alice")).wait_until_same(&host);
    by_ssh(world, &host.read_write, &keys.folder.join("bob")).wait_until_same(&host);
    stage.assert_refused(&host.read_write, "eve");
    host.wait_until_log("Using the keys of alice@localhost for access control");
    host.wait_until_log("alice@localhost: 1 key lets in; lines that can't be used: 1");
    let request = forge.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/alice.keys"));
    viewer.signal(rustix::process::Signal::TERM);
    viewer.wait_until_left();
    for is_killed in [false, true] {
        host.end_sharing(is_killed);
        host.share_again("");
        stage.assert_refused(&host.read_write, "eve");
        by_ssh(world, &host.read_write, &keys.folder.join("alice")).wait_until_same(&host);
    }
}

#[test]
fn forge_that_fails_lets_nobody_in_until_it_answers() {
    let stage = Stage::new();
    let Stage { world, forge, keys, .. } = &stage;
    forge.set_page("/alice.keys", Answer::Page(200, keys.line("alice")));
    forge.script([Answer::Page(503, keys.line("alice"))]);
    let host = stage.share(&["--keys-url", &stage.template(), "--keys-user", "alice"]);
    stage.assert_refused(&host.read_write, "alice");
    host.wait_until_log("The keys of alice@localhost can't be had");
    host.wait_until_log("503 Service Unavailable; nobody is let in by them yet (trying again)");
    host.wait_until_log("alice@localhost: 1 key lets in");
    by_ssh(world, &host.read_write, &keys.folder.join("alice")).wait_until_same(&host);
    stage.assert_refused(&host.read_write, "eve");
}

#[test]
fn no_answer_but_a_list_of_keys_lets_anybody_in() {
    let stage = Stage::new();
    let Stage { world, forge, keys, .. } = &stage;
    let elsewhere = Web::start();
    elsewhere.set_page("/", Answer::Page(200, keys.line("eve")));
    let pages = [
        ("redirected", Answer::Redirect(elsewhere.url("/")), "307"),
        ("endless", Answer::EndlessPage, "more than 262144 bytes"),
        ("garbage", Answer::Garbage, "no proper answer"),
        ("gone", Answer::Page(404, keys.line("eve")), "there is no such list"),
        ("empty", Answer::Page(200, String::new()), "has no keys"),
        ("page", Answer::Page(200, "<html>\n</html>".into()), "has no key that can be used"),
    ];
    let mut args = vec!["--keys-url".to_owned(), stage.template()];
    for (user, answer, _) in &pages {
        forge.set_page(&format!("/{user}.keys"), answer.clone());
        args.extend(["--keys-user".to_owned(), (*user).to_owned()]);
    }
    let stranger = Web::start_tls(world);
    stranger.set_page("/list", Answer::Page(200, keys.line("eve")));
    args.extend(["--keys-url".to_owned(), stranger.url("/list")]);
    let host = stage.share(&args.iter().map(String::as_str).collect::<Vec<_>>());
    for (_, _, words) in &pages {
        host.wait_until_log(words);
    }
    host.wait_until_log("TLS with localhost fails");
    stage.assert_refused(&host.read_write, "eve");
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn users_are_changed_while_the_session_runs() {
    let stage = Stage::new();
    let Stage { world, forge, relay, keys } = &stage;
    for name in ["alice", "bob"] {
        forge.set_page(&format!("/{name}.keys"), Answer::Page(200, keys.line(name)));
    }
    let script = Scripter::with_tern(world);
    let config = format!(
        "set -g tern-server-host {}\nset -g tern-server-port {}\n\
         set -g tern-server-ed25519-fingerprint {}\n\
         set -g tern-keys-url '{}'\nset -g tern-keys-user alice\n",
        relay.address,
        relay.port,
        relay.fingerprint,
        stage.template()
    );
    script.write(".tern.conf", &config);
    let ran = script.run(&["new-session", "-d"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(script.run(&["wait", "tern-ready"]).code, Some(0));
    let line = JoinLine::find_all(&script.display("#{tern_ssh}")).remove(0);
    let shows = |name: &str| {
        let viewer = by_ssh(world, &line, &keys.folder.join(name));
        viewer.terminal.enter_line(&format!("echo {name}$((6 * 7))"));
        viewer.wait_until_shows(&format!("\n{name}42"));
    };
    shows("alice");
    stage.assert_refused(&line, "bob");
    script.run(&["set", "-g", "tern-keys-user", "bob"]);
    let log = |words: &str| script.run(&["show-messages"]).out.contains(words);
    world.wait_until("bob's keys are there", || log("bob@localhost: 1 key lets in"));
    shows("bob");
    stage.assert_refused(&line, "alice");
    // What can't be kept lets nobody in, rather than everybody.
    script.run(&["set", "-g", "tern-keys-user", "a/b"]);
    world.wait_until("it is told", || {
        log("Nobody new is let in until it is mended: 'a/b' is no user")
    });
    stage.assert_refused(&line, "bob");
}

#[test]
fn wish_that_cannot_be_kept_shares_nothing() {
    let stage = Stage::new();
    for (args, reason) in [
        (&["--github-user", "a/../b"][..], "is no user of a forge"),
        (&["--keys-url", "http://192.0.2.1/keys"], "https:// only"),
        (&["--keys-user", "alice"], "no URL has {user}"),
    ] {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let options = HostOptions { args, size: (160, 24), ..HostOptions::default() };
        let terminal = Host::try_share(&stage.world, Some(&stage.relay), options);
        wait_until_shows(&stage.world, &terminal, reason);
        assert!(terminal.shows("Not shared"), "{}", stage.world.report());
    }
    // Without TLS only this machine is asked.
    let web = Web::start();
    web.set_page("/keys", Answer::Page(200, stage.keys.line("alice")));
    let host = stage.share(&["--keys-url", &web.url("/keys")]);
    let viewer = by_ssh(&stage.world, &host.read_write, &stage.keys.folder.join("alice"));
    viewer.wait_until_same(&host);
    let log = text(&host.tern(&["show-messages"]));
    assert!(log.contains("localhost/keys: 1 key lets in"), "{log}");
}
