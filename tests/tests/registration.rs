//! Registration by e-mail: a mail, a link, a key; and all that must not work.

use std::net::Ipv4Addr;
use std::process::Stdio;
use tern_tests::accounts::Operator;
use tern_tests::certified::Certified;
use tern_tests::process::{binary, run, text};
use tern_tests::shared::wait_until_shows;
use tern_tests::smtp::{Mail, Smtp};
use tern_tests::{Host, HostOptions, Relay, Viewer, World, ports};

struct Cast {
    world: World,
    relay: Relay,
    smtp: Smtp,
    web: String,
}

impl Cast {
    fn start() -> Self {
        Self::start_with(true)
    }

    fn start_with(has_page: bool) -> Self {
        let (world, smtp) = (World::new(), Smtp::start());
        let web = format!("127.0.0.1:{}", ports::free(Ipv4Addr::LOCALHOST));
        let web_url = format!("http://{web}/");
        let url = smtp.url();
        let mut flags = vec!["--smtp-url", &url, "--mail-from", "Tern <relay@example.org>"];
        if has_page {
            flags.extend(["--http-listen", &web, "--web-url", &web_url]);
        }
        let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &flags);
        Self { world, relay, smtp, web }
    }

    /// Runs `tern register ARGS`: exit code, standard output, all that was said.
    fn register(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let home = self.world.home("person");
        let mut command = self.world.command(binary("tern"), &home);
        command.args(["register", "--relay", &self.relay.name()]);
        command.args(["--relay-fingerprint", &self.relay.fingerprint]).args(args);
        let output = run(command.stdin(Stdio::null()));
        let key = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        (output.status.code(), key, text(&output))
    }

    /// Asks for an account, and waits for the mail about it.
    #[track_caller]
    fn ask(&self, name: &str, email: &str) -> Mail {
        let count = self.smtp.mails().len();
        let (code, _, said) = self.register(&[name, email]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("is on its way"), "{said}");
        self.world.wait_for("the mail comes", || self.smtp.mails().get(count).cloned())
    }

    /// What curl gets: status and all that came.
    fn curl(&self, args: &[&str], path: &str) -> (String, String) {
        let mut command = self.world.command("curl", &self.world.home("browser"));
        command
            .args(["-sS", "-i", "-m", "30"])
            .args(args)
            .arg(format!("http://{}{path}", self.web));
        let said = text(&run(&mut command));
        let status = said.split_whitespace().nth(1).unwrap_or_default().to_owned();
        (status, said)
    }
}

/// What follows `before` in a mail, up to the next blank.
#[track_caller]
fn after(mail: &Mail, before: &str) -> String {
    let (_, rest) = mail.text.split_once(before).unwrap_or_else(|| panic!("{before}: {mail:?}"));
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

#[track_caller]
fn key_in(page: &str) -> String {
    let (_, rest) = page.split_once("<pre>tmk-").unwrap_or_else(|| panic!("no key: {page}"));
    format!("tmk-{}", rest.split('<').next().unwrap_or_default())
}

#[test]
fn account_by_a_mail_and_its_link_names_a_session() {
    let cast = Cast::start();
    let mail = cast.ask("alice", "Alice@example.org");
    assert_eq!(mail.to, ["alice@example.org"]);
    assert!(mail.text.contains("From: Tern <relay@example.org>"), "{}", mail.text);
    let path = after(&mail, &format!("http://{}", cast.web));
    // Programs that look through mail follow links, too.
    for _ in 0..2 {
        let (status, page) = cast.curl(&[], &path);
        assert_eq!(status, "200", "{page}");
        assert!(page.contains("<form method=\"post\"") && !page.contains("tmk-"), "{page}");
    }
    let (status, page) = cast.curl(&["-X", "POST"], &path);
    assert_eq!(status, "200", "{page}");
    for header in ["cache-control: no-store", "referrer-policy: no-referrer", "default-src 'none'"]
    {
        assert!(page.to_lowercase().contains(header), "{header}: {page}");
    }
    let key = key_in(&page);
    let (status, page) = cast.curl(&["-X", "POST"], &path);
    assert_eq!(status, "410", "it is good once: {page}");

    let options = HostOptions {
        args: vec!["-n".into(), "web".into()],
        environment: vec![("TERN_API_KEY".into(), key.clone())],
        ..HostOptions::default()
    };
    let host = Host::share_with(&cast.world, Some(&cast.relay), options);
    assert_eq!(host.read_write.token, "alice/web");
    let viewer = Viewer::join(&cast.world, &host, &host.read_write);
    viewer.terminal.enter_line("echo by mail $((40 + 2))");
    wait_until_shows(&cast.world, &host.terminal, "\nby mail 42");
    let output = cast.relay.output();
    for secret in ["alice@example.org", &key[10..], path.trim_start_matches("/register/")] {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
    }
}

#[test]
fn account_by_a_code_where_there_is_no_page() {
    let cast = Cast::start_with(false);
    let mail = cast.ask("alice", "alice@example.org");
    let code = after(&mail, "--code ");
    let (status, key, said) = cast.register(&["--code", &code]);
    assert_eq!(status, Some(0), "{said}");
    assert!(key.starts_with("tmk-") && key.len() == 30, "only the key is for programs: {key}");
    assert!(said.contains("You are alice"), "{said}");
    let (status, key, said) = cast.register(&["--code", &code]);
    assert_eq!((status, key.as_str()), (Some(1), ""));
    assert!(said.contains("used already"), "{said}");
}

#[test]
fn answer_tells_nothing_of_who_is_there_and_the_mail_tells_its_reader() {
    let cast = Cast::start();
    let operator = Operator::of(&cast.world, &cast.relay);
    operator.must(&["user", "add", "alice", "--email", "alice@example.org"]);
    let answer = |name: &str, email: &str| {
        let count = cast.smtp.mails().len();
        let (_, _, said) = cast.register(&[name, email]);
        let came = cast.world.wait_for("the mail", || cast.smtp.mails().get(count).cloned());
        (said.replace(email, "EMAIL"), came)
    };
    let (new, to_new) = answer("bob", "bob@example.org");
    let (taken, to_taken) = answer("ALICE", "carol@example.org");
    let (known, to_known) = answer("dave", "alice@example.org");
    assert!(new == taken && new == known, "{new} {taken} {known}");
    assert!(to_new.text.contains("user name bob") && to_new.text.contains("--code"));
    assert!(to_taken.text.contains("It is taken") && !to_taken.text.contains("--code"));
    assert!(to_known.text.contains("You have one: alice"), "{}", to_known.text);

    // A new key replaces the one that may be lost.
    let old = operator.must(&["key", "list", "alice"]);
    let path = after(&to_known, &format!("http://{}", cast.web));
    let (_, page) = cast.curl(&["-X", "POST"], &path);
    let key = key_in(&page);
    let list = operator.must(&["key", "list", "alice"]);
    assert!(list.contains(&key[..10]) && list.lines().count() == 2 && list != old, "{list}");
}

#[test]
fn nobody_writes_headers_or_fills_a_mailbox() {
    let cast = Cast::start();
    for (name, email, words) in [
        ("alice", "a@example.org\r\nBcc: b@example.org", "can't be an e-mail address"),
        ("alice", "a@example.org>,<b@example.org", "can't be an e-mail address"),
        ("alice", "nobody", "can't be an e-mail address"),
        ("alice\r\nBcc: b@example.org", "a@example.org", "can't be a user name"),
        ("<script>", "a@example.org", "can't be a user name"),
    ] {
        let (code, _, said) = cast.register(&[name, email]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    for _ in 0..6 {
        let (code, _, said) = cast.register(&["alice", "victim@example.org"]);
        assert_eq!(code, Some(0), "whoever asks can't tell: {said}");
    }
    let (code, _, said) = cast.register(&["bob", "bob@example.org"]);
    assert_eq!(code, Some(0), "{said}");
    let mails_to = |address: &str| cast.smtp.mails().iter().filter(|m| m.to == [address]).count();
    cast.world.wait_until("the other has his mail, and the victim no more than its share", || {
        mails_to("bob@example.org") == 1 && mails_to("victim@example.org") == 3
    });
    cast.world.wait_until("one address has had its share", || {
        let (code, _, said) = cast.register(&["carol", "carol@example.org"]);
        code == Some(1) && said.to_lowercase().contains("too many")
    });
    assert_eq!(mails_to("victim@example.org"), 3);
}

#[test]
fn page_answers_nonsense_in_words() {
    let cast = Cast::start();
    let code = "a".repeat(26);
    for (args, path, status) in [
        (&[][..], "/", "404"),
        (&[], "/register/<script>", "400"),
        (&[], "/register/%3Cscript%3E", "404"),
        (&["-X", "POST"], "/register/", "404"),
        (&["-X", "POST"], &format!("/register/{code}"), "410"),
        (&["-X", "DELETE"], &format!("/register/{code}"), "405"),
        (&["-X", "POST", "-d", "x=y"], &format!("/register/{code}"), "410"),
        (&["-H", &format!("X: {}", "x".repeat(20_000))], "/", "431"),
    ] {
        let (got, page) = cast.curl(args, path);
        assert_eq!(got, status, "{path}: {page}");
        assert!(!page.contains("<script"), "{page}");
    }
}

#[test]
fn relay_that_offers_no_registration_says_so_and_half_a_set_up_is_refused() {
    let world = World::new();
    let relay = Relay::start(&world);
    let cast = Cast { world, relay, smtp: Smtp::start(), web: String::new() };
    let (code, _, said) = cast.register(&["alice", "alice@example.org"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("offers no registration"), "{said}");
    let home = cast.world.home("operator");
    for (flags, words) in [
        (&["--smtp-url", "smtp://127.0.0.1:1"][..], "--mail-from"),
        (&["--http-listen", "127.0.0.1:0"], "--smtp-url"),
        (&["--smtp-url", "nonsense", "--mail-from", "a@example.org"], "SMTP server's URL"),
        (&["--smtp-url", "smtp://127.0.0.1:1", "--mail-from", "nobody"], "no sender of mail"),
    ] {
        let mut command = cast.world.command(binary("tern-relay"), &home);
        let output = run(command.args(["--listen", "127.0.0.1:0"]).args(flags));
        let said = text(&output);
        assert!(!output.status.success() && said.contains(words), "{flags:?}: {said}");
    }
}

#[test]
fn letter_that_the_server_does_not_take_at_once_comes_later() {
    let cast = Cast::start();
    cast.smtp.answer("450 later");
    let (code, _, said) = cast.register(&["alice", "alice@example.org"]);
    assert_eq!(code, Some(0), "{said}");
    cast.world.wait_until("the relay tells its operator", || {
        cast.relay.output().contains("a letter about an account was not sent")
    });
    assert!(!cast.relay.output().contains("alice@"), "{}", cast.relay.output());
    cast.smtp.answer("250 ok");
    cast.world.wait_until("it comes", || cast.smtp.mails().len() == 1);
}

#[test]
fn mails_go_over_tls_where_it_is_asked_for_and_to_no_impostor() {
    let world = World::new();
    let (right, wrong) = (Certified::new(&world), Certified::new(&world));
    world.set_for_everybody("SSL_CERT_FILE", &right.authority.display().to_string());
    let ask = |smtp: &Smtp, url: &str| {
        let flags = ["--smtp-url", url, "--mail-from", "relay@example.org"];
        let relay = Relay::start_with(&world, Ipv4Addr::LOCALHOST, &flags);
        let mut tern = world.command(binary("tern"), &world.home("person"));
        tern.args(["register", "--relay", &relay.name(), "--relay-fingerprint"]);
        tern.args([&relay.fingerprint, "alice", "alice@example.org"]).stdin(Stdio::null());
        assert!(run(&mut tern).status.success(), "{}", relay.output());
        world.wait_until("the mail goes, or fails", || {
            !smtp.mails().is_empty() || relay.output().contains("WARN")
        });
        smtp.mails().len()
    };
    let smtp = Smtp::start_tls(&right);
    assert_eq!(ask(&smtp, &smtp.tls_url()), 1, "{}", world.report());
    let impostor = Smtp::start_tls(&wrong);
    assert_eq!(ask(&impostor, &impostor.tls_url()), 0);
    // A server that doesn't offer it gets nothing.
    let clear = Smtp::start();
    assert_eq!(ask(&clear, &clear.tls_url()), 0);
}
