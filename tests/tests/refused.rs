//! Who can't join by `tern` reads why and what to do, and a script reads it from the exit status:
//! every reason of the manual but those that `join.rs` has (wrong token, pinned key, no relay there,
//! no terminal).

use std::fs;
use tern_client::shell::join::Reason;
use tern_tests::answering::{Answering, OURS, framed};
use tern_tests::process::{binary, run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::{Host, JoinLine, Relay, Terminal, Viewer, ViewerOptions, World};

/// One person, who joins several times.
struct Person {
    world: World,
    home: std::path::PathBuf,
}

impl Person {
    fn new(world: &World) -> Self {
        Self { world: world.clone(), home: world.home(&world.unique("person")) }
    }

    /// Runs `tern join`, in a wide terminal, so that lines don't wrap; the terminal stays.
    fn join(&self, line: &JoinLine) -> Viewer {
        let home = self.home.display().to_string();
        let environment = self.world.environment(&self.home);
        let of_home = environment.into_iter().filter(|(_, value)| value.starts_with(&home));
        let options = ViewerOptions {
            size: (200, 24),
            environment: of_home.collect(),
            ..ViewerOptions::tern()
        };
        Viewer::open(&self.world, line, options)
    }

    /// It ends so, and what stays on the terminal has these words.
    #[track_caller]
    fn is_refused(&self, line: &JoinLine, reason: Reason, words: &[&str]) -> String {
        let viewer = self.join(line);
        assert_eq!(
            viewer.wait_until_left(),
            i32::from(reason.exit_status()),
            "{}",
            self.world.report()
        );
        let said = unwrapped(&viewer.terminal);
        for word in words {
            assert!(said.contains(word), "{word:?} is not in:\n{said}");
        }
        said
    }
}

/// Its text, whole where it wraps.
fn unwrapped(terminal: &Terminal) -> String {
    terminal.tmux(&["capture-pane", "-p", "-J"])
}

#[test]
fn relay_whose_learnt_key_has_changed_gets_no_token_until_the_person_says_so() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let person = Person::new(&world);
    let viewer = person.join(&host.read_write);
    viewer.wait_until_shows("$");
    viewer.terminal.press(&["Enter", "~", "."]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());

    let (address, port, former) = (relay.address, relay.port, relay.folder());
    drop(relay);
    let impostor = Relay::start_in(&world, world.home("impostor"), address, port, &[]);
    let file = person.home.join(".local/state/tern/known_hosts");
    let place = format!("[127.0.0.1]:{port}");
    let known = fs::read_to_string(&file).expect("the key was learnt");
    assert!(known.contains(&place), "{known}");
    let forget = format!("ssh-keygen -f '{}' -R '{place}'", file.display());
    let words = ["has CHANGED", &impostor.fingerprint, "impersonating", &forget];
    let said = person.is_refused(&host.read_write, Reason::HostKey, &words);
    assert!(!said.contains(&host.read_write.token), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), known, "nothing is learnt");
    // Whoever has such a token is a viewer whose session isn't there; nobody came so far.
    let log = impostor.output();
    assert!(!log.contains("token") && !log.contains("place"), "{log}");

    // The true one is trusted as ever.
    drop(impostor);
    let relay = Relay::start_in(&world, former, address, port, &[]);
    person.join(&host.read_write).wait_until_shows("$");

    // What the message says helps.
    drop(relay);
    let impostor = Relay::start_in(&world, world.home("new"), address, port, &[]);
    let mut shell = world.command("sh", &person.home);
    let forgotten = run(shell.args(["-c", &forget]));
    assert!(forgotten.status.success(), "{}", text(&forgotten));
    let words = ["was not known before", &impostor.fingerprint, "Invalid or expired"];
    person.is_refused(&host.read_write, Reason::Token, &words);
}

#[test]
fn relay_of_another_version_is_told_from_a_wrong_token_and_who_has_to_update() {
    /// Of a refusal, in every version.
    const VERSION: u8 = 1;
    let world = World::new();
    let person = Person::new(&world);
    let (newer, older) = (OURS + 8, OURS - 1);
    let is_refused = |relay: &Answering, words: &[&str]| {
        person.is_refused(&relay.line(), Reason::Version, words);
    };
    // What relays say is their own.
    let said = "your tern is older than this relay: update it";
    is_refused(&Answering::with_refusal(newer, VERSION, &format!("{said}\x1b[31m")), &[said]);
    is_refused(&Answering::with_refusal(newer, VERSION, ""), &["the relay gives no reason"]);
    let here = "this tern is older than the other side: update it here";
    is_refused(&Answering::of_version(newer), &[here, &format!("version {newer}")]);
    let there = "the other side is older than this tern: update it there";
    is_refused(&Answering::of_version(older), &[there, &format!("version {older}")]);
}

#[test]
fn relay_says_to_programs_of_either_age_that_join_which_is_the_older() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let home = world.home("stranger");
    for (version, words) in [
        (OURS - 1, "your tern is older than this relay: update it"),
        (OURS + 8, "this relay is older than your tern: ask its operator to update it"),
    ] {
        let question = home.join("question");
        fs::write(&question, framed(version, b"")).expect("our own");
        let known_hosts = world.folder().join("known_hosts");
        let mut args = tern_tests::viewer::ssh_options(&known_hosts, "accept-new");
        let to = format!("tern-view+{}@127.0.0.1", host.read_write.token);
        args.extend(["-s", "-p", &relay.port.to_string(), &to, "tern-view"].map(str::to_owned));
        let mut ssh = world.command("timeout", &home);
        let question = fs::File::open(question).expect("just written");
        let said = text(&run(ssh.arg("60").args(args).stdin(question)));
        assert!(said.contains(words), "{said:?}");
    }
    assert!(relay.is_running());
}

#[test]
fn help_and_manual_have_every_exit_status() {
    let world = World::new();
    let home = world.home("reader");
    let said = |args: &[&str]| text(&run(world.command(binary("tern"), &home).args(args)));
    let (help, manual) = (said(&["join", "--help"]), said(&["man"]));
    for reason in Reason::ALL {
        let (code, meaning) = (reason.exit_status(), reason.meaning());
        assert!(help.contains(&format!("\n  {code}  {meaning}")), "{help}");
        let meaning = meaning.replace('\'', "\\*(Aq");
        assert!(manual.contains(&format!("\\fB{code}\\fR\n{meaning}.\n")), "{manual}");
    }
}

#[test]
fn terminal_of_one_cell_shows_a_cell_and_lets_its_person_leave() {
    let world = World::new();
    let relay = Relay::start(&world);
    let host = Host::share(&world, &relay);
    let options = ViewerOptions { size: (1, 1), ..ViewerOptions::tern() };
    let viewer = Viewer::open(&world, &host.read_only, options);
    let alternate = || viewer.terminal.tmux(&["display-message", "-p", "#{alternate_on}"]);
    world.wait_until("it has joined", || alternate().trim() == "1");
    host.terminal.enter_line("echo as wide as e''ver");
    wait_until_shows(&world, &host.terminal, "\nas wide as ever");
    viewer.terminal.press(&["Enter", "~", "."]);
    assert_eq!(viewer.wait_until_left(), 0, "{}", world.report());
}
