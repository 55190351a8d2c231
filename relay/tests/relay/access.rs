//! Who may join: what the host says, keys, certificates, the host's own word.

use crate::support::host::{Host, ask};
use crate::support::viewer::{Viewer, connect};
use crate::support::{config, gate::Gate, must, relay};
use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey, PrivateKeyWithHashAlg};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tern_bootstrap::client::{
    BootstrapError, GrantedView, HostKeyPolicy, Options, RelayAddress, open_link, request_view,
};
use tern_bootstrap::grant::{RefusalCode, WireError};
use tern_relay::{Limits, Relay};
use tern_sync::session::{Access, HostEvent, Refused, Role, Settings, ViewerEvent};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn line(seed: u8) -> String {
    key(seed).public_key().to_openssh().expect("a line").trim().to_owned()
}

fn listed(lines: &[String]) -> Settings {
    Settings { access: Access::Keys(lines.to_vec()), ..Settings::default() }
}

/// A host that wants this, which the relay has heard.
async fn host_that_wants(relay: &Relay, settings: Settings) -> Host {
    let host = Host::share(relay).await;
    host.want(settings);
    host.show("screen");
    host
}

/// Whether ssh with this key gets in. What the host wants may still be on its way: a change is
/// waited for.
async fn is_accepted(relay: &Relay, token: &str, seed: u8) -> bool {
    let mut ssh = connect(relay, Gate::default()).await;
    if must("an answer", ssh.authenticate_none(token)).await.expect("an answer").success() {
        return true;
    }
    let key = PrivateKeyWithHashAlg::new(Arc::new(key(seed)), None);
    let answer = must("an answer", ssh.authenticate_publickey(token, key)).await;
    answer.expect("an answer").success()
}

async fn is_certified(relay: &Relay, token: &str, seed: u8, certificate: &Certificate) -> bool {
    let mut ssh = connect(relay, Gate::default()).await;
    let key = Arc::new(key(seed));
    let sent = ssh.authenticate_openssh_cert(token, key, certificate.clone());
    must("an answer", sent).await.expect("an answer").success()
}

fn certificate(authority: u8, seed: u8, valid_for: u64) -> Certificate {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let key = key(seed).public_key().key_data().clone();
    let mut builder =
        Builder::new([7; 16], key, now - 100, now - 50 + valid_for).expect("in order");
    builder.key_id("bob").expect("a name").valid_principal("bob").expect("a name");
    builder.sign(&self::key(authority)).expect("signed")
}

fn options(relay: &Relay, seeds: &[u8], folder: &std::path::Path) -> Options {
    let address = relay.ssh_address();
    let write = |seed: &u8| -> PathBuf {
        let path = folder.join(format!("key{seed}"));
        key(*seed)
            .write_openssh_file(&path, russh::keys::ssh_key::LineEnding::LF)
            .expect("written");
        path
    };
    Options {
        relay: RelayAddress { host: address.ip().to_string(), port: address.port() },
        host_key: HostKeyPolicy::Pinned(vec![relay.fingerprint().to_owned()]),
        identities: seeds.iter().map(write).collect(),
        use_agent: false,
        software: "test".into(),
        claim: None,
    }
}

async fn join(relay: &Relay, token: &str, seeds: &[u8]) -> Result<GrantedView, BootstrapError> {
    let folder = tempfile::tempdir().expect("a folder");
    must("an answer", request_view(&options(relay, seeds, folder.path()), token, &mut Vec::new()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_keys_get_in_where_the_host_wants_it() {
    let relay = relay().await;
    let host = host_that_wants(&relay, listed(&[line(1)])).await;
    let token = &host.grant.token;
    // The host's first word lets everybody in (`Host::share`), so the change is waited for.
    while is_accepted(&relay, token, 2).await {}
    assert!(is_accepted(&relay, token, 1).await);
    assert!(!is_accepted(&relay, &host.grant.token_ro, 2).await);
    host.want(listed(&[line(2)]));
    while is_accepted(&relay, token, 1).await {}
    assert!(is_accepted(&relay, token, 2).await, "a change counts for who comes next");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_a_listed_authority_gets_in() {
    let relay = relay().await;
    let authority = format!("cert-authority,principals=\"bob\" {}", line(9));
    let host = host_that_wants(&relay, listed(&[authority])).await;
    let token = &host.grant.token;
    while is_accepted(&relay, token, 2).await {}
    assert!(is_certified(&relay, token, 2, &certificate(9, 2, 1000)).await);
    assert!(!is_certified(&relay, token, 2, &certificate(8, 2, 1000)).await, "another authority");
    assert!(!is_certified(&relay, token, 2, &certificate(9, 2, 0)).await, "it is over");
    assert!(!is_accepted(&relay, token, 9).await, "the authority's own key");
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_joins_shows_its_keys_and_gets_their_rights() {
    let relay = relay().await;
    let lines =
        [line(1), format!("read-only {}", line(2)), format!("from=\"10.0.0.1\" {}", line(3))];
    let host = host_that_wants(&relay, listed(&lines)).await;
    let token = &host.grant.token;
    while is_accepted(&relay, token, 7).await {}
    // The right one is found among several.
    let granted = join(&relay, token, &[7, 1]).await.expect("it is listed");
    assert!(granted.grant.may_type);
    assert!(!join(&relay, token, &[2]).await.expect("it is listed").grant.may_type);
    for seeds in [&[3][..], &[7], &[]] {
        let error = join(&relay, token, seeds).await.expect_err("not from here");
        assert!(matches!(error, BootstrapError::KeyRefused { .. }), "{error}");
    }
    // A program that names no token with its user name has shown nothing.
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(&relay, &[], folder.path());
    // Its place outlives its key's line no longer than its link: who comes anew is looked at anew.
    let credentials = granted.grant.credentials();
    host.want(listed(&[line(2)]));
    while is_accepted(&relay, token, 1).await {}
    let error = must("an answer", open_link(&options, &credentials, 1)).await;
    match error.expect_err("its line is gone") {
        BootstrapError::Link { error: WireError::Refused(refusal), .. } => {
            assert_eq!(refusal.code, RefusalCode::Unauthorized, "{refusal}");
        }
        other => panic!("expected a refusal, got {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_before_the_host_has_said_who_may() {
    let relay = Relay::start(config(Limits::default())).await.expect("started");
    let grant = ask(&relay).await.expect("granted");
    let early = Viewer::open(&relay, &grant.token).await;
    early.wait_until("it waits", |seen| seen.output.contains("waiting for the host")).await;
    let error = join(&relay, &grant.token, &[1]).await.expect_err("nothing is known");
    match error {
        BootstrapError::View { error: WireError::Refused(refusal), .. } => {
            assert_eq!(refusal.code, RefusalCode::Returning, "{refusal}");
        }
        other => panic!("expected a refusal, got {other}"),
    }
    let host = Host::of_with(&relay, grant, listed(&[line(1)])).await;
    host.show("secret screen");
    let seen = early.wait_until_closed().await;
    assert!(seen.output.contains("people whose SSH keys"), "{}", seen.output);
    assert!(!seen.output.contains("secret screen"));
    assert_eq!(seen.exit_status, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_sees_nothing_until_the_host_lets_it_in() {
    let relay = relay().await;
    let everybody = Settings { access: Access::Everybody, asks: true, ..Settings::default() };
    let grant = ask(&relay).await.expect("granted");
    let host = Host::of_with(&relay, grant, everybody).await;
    host.show("secret screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until("it waits", |seen| seen.output.contains("let you in")).await;
    let asks = |event: &ViewerEvent| match event {
        ViewerEvent::Asks { viewer, who } => {
            assert_eq!((who.role, who.address.as_str()), (Role::ReadWrite, "127.0.0.1"));
            Some(*viewer)
        }
        _ => None,
    };
    let seen =
        host.wait_until("it is asked", move |seen| seen.events.iter().any(|e| asks(e).is_some()));
    let id = seen.await.events.iter().find_map(asks).expect("asked");
    assert!(!viewer.seen().output.contains("secret"));
    host.say(HostEvent::Admit { viewer: id });
    // What the terminal was sent before it saw the session comes before its answer.
    let seen = viewer.wait_until_shows("secret screen").await;
    assert!(seen.output.contains("\x1b[5n"), "{:?}", seen.output);
    viewer.enter("early\x1b[0nseen");
    let seen = host.wait_until("it types", |seen| seen.typed().contains("seen")).await;
    assert_eq!(seen.typed(), "seen");
    // The next one isn't wanted.
    let second = Viewer::open(&relay, &host.grant.token_ro).await;
    let asked = |seen: &crate::support::host::Seen| {
        seen.events.iter().filter(|e| matches!(e, ViewerEvent::Asks { .. })).count() == 2
    };
    let events = host.wait_until("it is asked again", asked).await.events;
    let last = events.iter().rev().find_map(|event| match event {
        ViewerEvent::Asks { viewer, .. } => Some(*viewer),
        _ => None,
    });
    host.say(HostEvent::Dismiss { viewer: last.expect("asked"), text: "[no]".into() });
    let seen = second.wait_until_closed().await;
    assert!(seen.output.contains("[no]") && !seen.output.contains("secret"), "{}", seen.output);
    assert_eq!(seen.exit_status, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_shown_the_door_is_told_so_and_stays_outside() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    let place = join(&relay, &host.grant.token, &[]).await.expect("a place").grant;
    let refused = vec![Refused::Address("127.0.0.1".into())];
    host.want(Settings { access: Access::Everybody, refused, ..Settings::default() });
    let seen = viewer.wait_until_closed().await;
    assert!(seen.output.contains("[removed from the session"), "{}", seen.output);
    assert_eq!(seen.exit_status, Some(1));
    let again = Viewer::open(&relay, &host.grant.token).await;
    let seen = again.wait_until_closed().await;
    assert!(seen.output.contains("does not let you in"), "{}", seen.output);
    assert!(join(&relay, &host.grant.token, &[]).await.is_err());
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(&relay, &[], folder.path());
    assert!(must("an answer", open_link(&options, &place.credentials(), 1)).await.is_err());
}
