//! Who gets in: tokens, keys, limits.

use crate::support::host::{Host, ask, ask_with};
use crate::support::viewer::{Viewer, connect};
use crate::support::{config, gate::Gate, must, relay, relay_with};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use std::sync::Arc;
use std::time::Duration;
use tern_bootstrap::client::BootstrapError;
use tern_bootstrap::token;
use tern_relay::{Limits, Relay};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const WRONG: &str = "Invalid or expired session token\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn wrong_malformed_and_empty_tokens_get_the_same_answer() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let mut close = host.grant.token.clone();
    close.replace_range(25.., if close.ends_with('a') { "b" } else { "a" });
    let tokens = [close, token::generate(), token::generate_read_only(), "x".into(), "ro-".into()];
    for token in tokens {
        let viewer = Viewer::open(&relay, &token).await;
        let seen = viewer.wait_until_closed().await;
        assert_eq!((seen.output.as_str(), seen.exit_status), (WRONG, Some(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_run_out() {
    let relay = relay_with(Limits { tries_per_minute: 4, ..Limits::default() }).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        let viewer = Viewer::open(&relay, &token::generate()).await;
        answers.push(viewer.wait_until_closed().await.output);
    }
    assert!(answers[..4].iter().all(|answer| answer == WRONG), "{answers:?}");
    assert!(answers[5].contains("Too many tries"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_relay_says_so() {
    let limits = Limits { sessions: 1, viewers_per_session: 1, ..Limits::default() };
    let relay = relay_with(limits).await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let error = ask(&relay).await.expect_err("the relay is full").to_string();
    assert!(error.contains("the relay is full"), "{error}");
    let first = Viewer::open(&relay, &host.grant.token).await;
    first.wait_until_shows("screen").await;
    let second = Viewer::open(&relay, &host.grant.token_ro).await;
    let seen = second.wait_until_closed().await;
    assert!(seen.output.contains("no room for another viewer"), "{:?}", seen.output);
    assert_eq!(seen.exit_status, Some(1));
    drop(first);
    // Its place is free as soon as the relay has noticed.
    loop {
        let third = Viewer::open(&relay, &host.grant.token_ro).await;
        let seen = third
            .wait_until("in or out", |seen| {
                seen.is_closed || seen.frame.to_text().contains("screen")
            })
            .await;
        if !seen.is_closed {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_with_too_many_connections_is_told_in_sshs_words() {
    let relay = relay_with(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let _first = connect(&relay, Gate::default()).await;
    let mut second = TcpStream::connect(relay.ssh_address()).await.expect("TCP connects");
    let mut answer = Vec::new();
    must("an answer", second.read_to_end(&mut answer)).await.expect("read");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("SSH-2.0-") && text.contains("no room"), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_says_nothing_is_closed_in_time() {
    let limits = Limits { auth_time: Duration::from_millis(300), ..Limits::default() };
    let relay = relay_with(limits).await;
    let mut silent = TcpStream::connect(relay.ssh_address()).await.expect("TCP connects");
    let mut answer = Vec::new();
    // Reset or closed, both are the end.
    let _ = must("the end", silent.read_to_end(&mut answer)).await;
    // One that did shake hands, and then wants nothing.
    let mut idle = connect(&relay, Gate::default()).await;
    let _ = must("authenticated", idle.authenticate_none("nobody")).await;
    must("the end", idle).await.expect_err("the connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_with_keys_or_questions_gets_in_as_well() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let mut ssh = connect(&relay, Gate::default()).await;
    let key = Arc::new(PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32])));
    let key = PrivateKeyWithHashAlg::new(key, None);
    let result = must("publickey", ssh.authenticate_publickey(&host.grant.token, key)).await;
    assert!(result.expect("an answer").success());
    let mut ssh = connect(&relay, Gate::default()).await;
    let start = ssh.authenticate_keyboard_interactive_start(&host.grant.token, None);
    let answer = must("keyboard-interactive", start).await.expect("an answer");
    assert!(matches!(answer, russh::client::KeyboardInteractiveAuthResponse::Success));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_keys_may_share_where_there_is_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("hosts");
    let key = |seed: u8| {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
        let path = folder.path().join(format!("key{seed}"));
        key.write_openssh_file(&path, LineEnding::LF).expect("written");
        (key.public_key().to_openssh().expect("a line"), path)
    };
    let ((listed, listed_path), (_, other_path)) = (key(1), key(2));
    std::fs::write(&list, format!("# who may\n{listed} somebody\n")).expect("written");
    let config =
        tern_relay::Config { authorized_hosts: Some(list.clone()), ..config(Limits::default()) };
    let relay = Relay::start(config).await.expect("started");
    assert!(matches!(ask(&relay).await, Err(BootstrapError::Denied { .. })));
    assert!(matches!(ask_with(&relay, vec![other_path]).await, Err(BootstrapError::Denied { .. })));
    let grant = ask_with(&relay, vec![listed_path.clone()]).await.expect("granted");
    // Who joins needs the token only.
    let viewer = Viewer::open(&relay, &grant.token).await;
    viewer.wait_until_shows("waiting for the host").await;
    std::fs::write(&list, "# nobody\n").expect("written");
    assert!(ask_with(&relay, vec![listed_path]).await.is_err(), "a change counts at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_list_of_hosts_stops_the_start() {
    let config = tern_relay::Config {
        authorized_hosts: Some("/nowhere/hosts".into()),
        ..config(Limits::default())
    };
    let error = Relay::start(config).await.expect_err("no such file").to_string();
    assert!(error.contains("/nowhere/hosts"), "{error}");
}
