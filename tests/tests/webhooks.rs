//! Webhooks, as a real web server receives them: from a relay, from a host, well and badly answered.

use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use tern_tests::drop_in::Scripter;
use tern_tests::process::text;
use tern_tests::web::{Answer, Request, Web};
use tern_tests::{Host, HostOptions, Relay, Viewer, World};
use tern_web::core::signature::Signer;

const ANY: &[&str] = &["--webhooks", "any"];

fn relay(world: &World, flags: &[&str]) -> Relay {
    Relay::start_with(world, Ipv4Addr::LOCALHOST, flags)
}

fn share(world: &World, relay: &Relay, args: &[&str]) -> Host {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Host::share_with(world, Some(relay), HostOptions { args, ..HostOptions::default() })
}

fn events(web: &Web) -> Vec<serde_json::Value> {
    let parsed = |request: Request| serde_json::from_slice(&request.body).expect("it is JSON");
    web.requests().into_iter().map(parsed).collect()
}

fn types(web: &Web) -> Vec<String> {
    let name = |event: &serde_json::Value| event["type"].as_str().expect("a type").to_owned();
    events(web).iter().map(name).collect()
}

/// What kinds of events have come.
#[track_caller]
fn wait_until_told(world: &World, web: &Web, expected: &[&str]) {
    world.wait_until(&format!("{expected:?} were told"), || types(web).len() >= expected.len());
    assert_eq!(types(web), expected, "{}", world.report());
}

fn keys(value: &serde_json::Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn leave(viewer: &Viewer) {
    viewer.terminal.press(&["Enter", "~", "."]);
    viewer.wait_until_left();
}

#[test]
fn relay_tells_with_tmates_fields_who_comes_and_goes() {
    let world = World::new();
    let (web, relay) = (Web::start(), relay(&world, ANY));
    let url = web.url("/hook?token=x");
    let host = share(
        &world,
        &relay,
        &["--webhook-url", &url, "--webhook-userdata", "mine", "--webhook-secret", "s3cret"],
    );
    let looker = Viewer::join_by_tern(&world, &host, &host.read_only);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    leave(&viewer);
    let before = ["session_register", "session_join", "session_join", "session_left"];
    wait_until_told(&world, &web, &before);
    host.terminal.enter_line("exit");
    looker.wait_until_left();
    let all = [&before[..], &["session_left", "session_close"]].concat();
    wait_until_told(&world, &web, &all);

    let events = events(&web);
    let expected =
        BTreeSet::from(["type", "entity_id", "timestamp", "generation", "userdata", "params"]);
    for (at, event) in events.iter().enumerate() {
        let mut keys = keys(event);
        assert!(keys.remove("tern") && keys == expected, "{event}");
        assert_eq!((&event["generation"], &event["userdata"]), (&1.into(), &"mine".into()));
        assert_eq!(event["entity_id"], events[0]["entity_id"]);
        assert_eq!(event["tern"]["sequence"], at);
    }
    let register = &events[0]["params"];
    let fields = BTreeSet::from([
        "ip_address",
        "client_version",
        "stoken",
        "stoken_ro",
        "reconnected",
        "ssh_only",
        "foreground",
        "named",
        "uname",
        "ssh_cmd_fmt",
        "ws_url_fmt",
        "web_url_fmt",
    ]);
    assert_eq!(keys(register), fields);
    assert_eq!(register["ip_address"], "127.0.0.1");
    assert_eq!(register["stoken"], host.read_write.token);
    assert_eq!(register["stoken_ro"], host.read_only.token);
    assert_eq!(register["ssh_cmd_fmt"], format!("ssh -p{} %s@127.0.0.1", relay.port));
    assert_eq!(register["uname"]["sysname"], "Linux");
    for flag in ["reconnected", "foreground", "named"] {
        assert_eq!(register[flag], false, "{flag}");
    }
    for (event, is_read_only, client) in [(&events[1], true, "tern"), (&events[2], false, "ssh")] {
        let params = &event["params"];
        assert_eq!(keys(params), BTreeSet::from(["id", "type", "ip_address", "readonly"]));
        assert_eq!((&params["type"], &params["ip_address"]), (&"ssh".into(), &"127.0.0.1".into()));
        assert_eq!(
            (&params["readonly"], &event["tern"]["client"]),
            (&is_read_only.into(), &client.into())
        );
    }
    assert_eq!(events[3]["params"], serde_json::json!({ "id": events[2]["params"]["id"] }));
    assert_eq!(events[4]["params"], serde_json::json!({ "id": events[1]["params"]["id"] }));
    assert_eq!(events[5]["params"], serde_json::json!({}));

    for request in web.requests() {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?token=x"));
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("host"), format!("localhost:{}", web.address.port()));
        let seconds = header("webhook-timestamp").parse().expect("a number");
        let signer = Signer::of("s3cret").expect("a secret").expect("it isn't empty");
        let signature = signer.sign(header("webhook-id"), seconds, &request.body);
        assert_eq!(header("webhook-signature"), signature);
    }
    for log in [relay.output(), text(&host.tern(&["show-messages"]))] {
        assert!(!log.contains("s3cret") && !log.contains("token=x"), "{log}");
    }
}

#[test]
fn nothing_is_lost_where_the_server_fails_in_every_way() {
    let world = World::new();
    let (web, relay) = (Web::start(), relay(&world, ANY));
    web.script([
        Answer::Page(500, "no".into()),
        Answer::Close,
        Answer::Garbage,
        Answer::EndlessHead,
        Answer::Redirect(web.url("/elsewhere")),
        // Taken: what follows the status is nobody's business.
        Answer::EndlessPage,
        Answer::Silence,
    ]);
    let host = share(&world, &relay, &["--webhook-url", &web.url("/")]);
    let viewer = Viewer::join(&world, &host, &host.read_write);
    host.wait_until_log("The webhook fails: http://localhost:");
    let expected = [&["session_register"; 6][..], &["session_join"; 2]].concat();
    wait_until_told(&world, &web, &expected);
    let events = events(&web);
    assert!(events[..6].iter().all(|event| *event == events[0]), "each try is the same event");
    assert!(web.requests().iter().all(|request| request.path == "/"), "no redirect is followed");
    host.wait_until_log("The webhook works again");
    host.wait_until_log("redirections are not followed");
    leave(&viewer);
    wait_until_told(&world, &web, &[&expected[..], &["session_left"]].concat());
}

#[test]
fn relay_reaches_nobody_in_its_own_network_unless_it_may() {
    let world = World::new();
    let (web, public) = (Web::start(), relay(&world, &[]));
    let port = web.address.port();
    // By name, by address, and by what resolvers read as one.
    for place in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{place}:{port}/");
        let host = share(&world, &public, &["--webhook-url", &url]);
        host.wait_until_log("leads to nothing on the public internet that may be asked");
    }
    let off = relay(&world, &["--webhooks", "off"]);
    let host = share(&world, &off, &["--webhook-url", &web.url("/")]);
    host.wait_until_log("The webhook fails: this relay sends no webhooks");
    assert_eq!(web.connections(), 0);
}

#[test]
fn certificate_is_checked_against_the_authorities_of_the_machine() {
    let world = World::new();
    let (web, stranger) = (Web::start_tls(&world), Web::start_tls(&world));
    let authority = web.authority.clone().expect("it has one");
    world.set_for_everybody("SSL_CERT_FILE", &authority.display().to_string());
    let relay = relay(&world, ANY);
    share(&world, &relay, &["--webhook-url", &web.url("/")]);
    wait_until_told(&world, &web, &["session_register"]);
    let host = share(&world, &relay, &["--webhook-url", &stranger.url("/")]);
    host.wait_until_log("The webhook fails: TLS with localhost fails");
    // The name counts, too.
    let by_address = format!("https://127.0.0.1:{}/", web.address.port());
    let host = share(&world, &relay, &["--webhook-url", &by_address]);
    host.wait_until_log("The webhook fails: TLS with 127.0.0.1 fails");
    assert_eq!((types(&web).len(), types(&stranger).len()), (1, 0));
}

#[test]
fn host_tells_itself_where_the_relay_should_not() {
    let world = World::new();
    let (web, relay) = (Web::start(), relay(&world, &["--webhooks", "off"]));
    let host = share(
        &world,
        &relay,
        &["--webhook-url", &web.url("/"), "--webhook-from-host", "--webhook-secret", "x"],
    );
    let viewer = Viewer::join(&world, &host, &host.read_write);
    let before = ["session_register", "session_join"];
    wait_until_told(&world, &web, &before);
    host.terminal.enter_line("exit");
    viewer.wait_until_left();
    wait_until_told(&world, &web, &[&before[..], &["session_left", "session_close"]].concat());
    assert!(events(&web).iter().all(|event| event["tern"]["sent_by"] == "host"));
    assert!(web.requests().iter().all(|request| request.headers.contains_key("webhook-signature")));
}

#[test]
fn relay_that_is_started_again_tells_of_the_same_session() {
    let world = World::new();
    let web = Web::start();
    let (folder, address) = (world.home("relay"), Ipv4Addr::LOCALHOST);
    let port = tern_tests::ports::free(address);
    let relay = Relay::start_in(&world, folder.clone(), address, port, ANY);
    let host = share(&world, &relay, &["--webhook-url", &web.url("/")]);
    wait_until_told(&world, &web, &["session_register"]);
    relay.signal(Signal::TERM);
    relay.wait();
    wait_until_told(&world, &web, &["session_register", "session_disconnect"]);
    let _relay = Relay::start_in(&world, folder, address, port, ANY);
    let all = ["session_register", "session_disconnect", "session_register"];
    wait_until_told(&world, &web, &all);
    let events = events(&web);
    assert_eq!(events[2]["params"]["reconnected"], true);
    assert_eq!(events[2]["entity_id"], events[0]["entity_id"]);
    assert!(events[2]["generation"].as_u64() > events[0]["generation"].as_u64());
    assert_eq!(events[2]["params"]["stoken"], host.read_write.token);
}

#[test]
fn webhook_is_set_changed_and_taken_away_while_the_session_runs() {
    let world = World::new();
    let (first, second) = (Web::start(), Web::start());
    let relay = relay(&world, ANY);
    let script = Scripter::with_link(&world);
    let config = format!(
        "set -g tmate-server-host {}\nset -g tmate-server-port {}\n\
         set -g tmate-server-ed25519-fingerprint {}\nset -g tern-webhook-url nonsense\n",
        relay.address, relay.port, relay.fingerprint
    );
    script.write(".tmate.conf", &config);
    let ran = script.run(&["new-session", "-d"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = Path::new(&script.home).join(".tmate.conf").display().to_string();
    assert!(
        ran.err.contains(&format!(
            "{file}:4: tern-webhook-url: it must begin with https:// or http://"
        )),
        "{}",
        ran.err
    );
    assert_eq!(script.run(&["wait", "tmate-ready"]).code, Some(0));
    script.run(&["set", "-g", "tmate-webhook-url", &first.url("/")]);
    wait_until_told(&world, &first, &["session_register"]);
    assert_eq!(events(&first)[0]["userdata"], serde_json::Value::Null);
    let line = tern_tests::JoinLine::find_all(&script.display("#{tmate_ssh}")).remove(0);
    let viewer = Viewer::open(&world, &line, tern_tests::ViewerOptions::default());
    wait_until_told(&world, &first, &["session_register", "session_join"]);
    script.run(&["set", "-g", "tmate-webhook-userdata", "new"]);
    script.run(&["set", "-g", "tmate-webhook-url", &second.url("/")]);
    wait_until_told(&world, &second, &["session_register", "session_join"]);
    assert_eq!(events(&second)[0]["userdata"], "new");
    script.run(&["set", "-gu", "tmate-webhook-url"]);
    let other = Viewer::open(&world, &line, tern_tests::ViewerOptions::default());
    world.wait_until("both count", || script.display("#{tmate_num_clients}") == "2");
    script.run(&["set", "-g", "tmate-webhook-url", &first.url("/again")]);
    let again = ["session_register", "session_join", "session_join"];
    wait_until_told(&world, &first, &[&["session_register", "session_join"][..], &again].concat());
    viewer.terminal.enter_line("exit");
    other.wait_until_left();
    assert_eq!(types(&second).len(), 2);
}
