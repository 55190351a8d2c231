//! A host whose network lets no UDP through: its link is inside SSH.

use crate::support::host::{Host, ask, open};
use crate::support::process::Process;
use crate::support::viewer::{Viewer, log_in};
use crate::support::{must, relay, relay_with};
use russh::ChannelMsg;
use std::time::Duration;
use tern_bootstrap::client::{BootstrapError, OpenedLink};
use tern_bootstrap::grant::{RefusalCode, Secret, SessionGrant, WireError};
use tern_bootstrap::ticket::Ticket;
use tern_relay::Limits;
use tern_sync::session::HostEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn assert_unauthorized(opened: Result<OpenedLink, BootstrapError>) {
    match opened {
        Err(BootstrapError::Link { error: WireError::Refused(refusal), .. }) => {
            assert_eq!(refusal.code, RefusalCode::Unauthorized);
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_goes_on_over_ssh_and_back_over_quic() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.show("over QUIC");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("over QUIC").await;
    let quic = host.connection.clone();
    assert!(host.reconnect_over_ssh(&relay).await, "it is the same session");
    let reason = must("QUIC is closed", quic.closed()).await.to_string();
    assert!(reason.contains("newer connection"), "{reason}");
    host.show("over SSH");
    viewer.wait_until_shows("over SSH").await;
    viewer.enter("k");
    host.wait_until("a key", |seen| seen.typed() == "k").await;
    assert!(host.reconnect(&relay).await);
    host.show("over QUIC again");
    viewer.wait_until_shows("over QUIC again").await;
    viewer.enter("l");
    host.wait_until("a key", |seen| seen.typed() == "kl").await;
    assert_eq!(host.seen().present().len(), 1, "nobody was announced twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_screen_passes_over_ssh() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.reconnect_over_ssh(&relay).await;
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    // More than fits what may be on its way at once, over and over.
    for round in 0..40u32 {
        let line = |row: u32| {
            let letter = |col: u32| {
                let mixed = (row * 80 + col + 1).wrapping_mul(2_654_435_761) ^ round << 7;
                char::from(b'a' + (mixed >> 11) as u8 % 26)
            };
            (0..70).map(letter).collect::<String>()
        };
        let first = format!("round {round}.");
        host.show_lines([first.clone()].into_iter().chain((0..23).map(line)).collect());
        viewer.wait_until_shows(&first).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_that_was_killed_has_the_session_back_over_ssh() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path()).await;
    let mut host = Host::share(&process.relay).await;
    host.reconnect_over_ssh(&process.relay).await;
    host.show("before");
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    let process = process.restart(folder.path()).await;
    host.wait_until("the link is gone", |seen| seen.closed.is_some()).await;
    assert!(!host.reconnect_over_ssh(&process.relay).await, "both begin with state 0");
    host.show("after");
    Viewer::open(&process.relay, &host.grant.token).await.wait_until_shows("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_are_told_when_the_link_over_ssh_is_lost_and_the_host_when_it_ends() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.reconnect_over_ssh(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    host.say(HostEvent::Ended { text: "[exited]".into() });
    let seen = viewer.wait_until_closed().await;
    assert!(seen.output.ends_with("[exited]\r\n"), "{:?}", seen.output);
    let seen = host.wait_until("the relay closes the link", |seen| seen.closed.is_some()).await;
    assert_eq!(seen.closed.as_deref(), Some("the session ended"));

    let mut host = Host::share(&relay).await;
    host.reconnect_over_ssh(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    host.vanish();
    viewer.wait_until_shows("host last heard").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_relay_tells_hosts_over_ssh() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.reconnect_over_ssh(&relay).await;
    must("the relay stops", relay.stop()).await;
    let seen = host.wait_until("the host is told", |seen| seen.closed.is_some()).await;
    let reason = seen.closed.unwrap_or_default();
    assert!(reason.contains("restarting or stopping"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secret_and_forged_ticket_open_no_link_over_ssh() {
    let relay = relay().await;
    let grant = ask(&relay).await.expect("granted");
    let thief = SessionGrant { secret: Secret([7; 32]), ..grant.clone() };
    assert_unauthorized(open(&relay, &thief, 1).await);
    let session = tern_bootstrap::grant::SessionId([1; 16]);
    let forger = SessionGrant { session, ticket: Ticket(vec![1; 149]), ..grant.clone() };
    assert_unauthorized(open(&relay, &forger, 1).await);
    assert!(open(&relay, &grant, 1).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_says_nothing_or_nonsense_on_the_subsystem_is_let_go() {
    let limits = Limits { auth_time: Duration::from_millis(500), ..Limits::default() };
    let relay = relay_with(limits).await;
    for words in [&b""[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let ssh = log_in(&relay, "tern").await;
        let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
        channel.request_subsystem(true, "tern-link").await.expect("asked");
        let mut stream = channel.into_stream();
        if !words.is_empty() {
            stream.write_all(words).await.expect("written");
        }
        let mut heard = Vec::new();
        let _ = must("the end", stream.read_to_end(&mut heard)).await;
        assert!(heard.starts_with(b"TERN"), "the challenge came");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_gets_no_link() {
    let relay = relay().await;
    let grant = ask(&relay).await.expect("granted");
    let ssh = log_in(&relay, &grant.token).await;
    let mut channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
    channel.request_subsystem(true, "tern-link").await.expect("asked");
    loop {
        match must("an answer", channel.wait()).await {
            Some(ChannelMsg::ExitStatus { exit_status }) => break assert_eq!(exit_status, 1),
            Some(ChannelMsg::Data { data }) => panic!("{data:?}"),
            Some(_) => {}
            None => panic!("closed without an exit status"),
        }
    }
}
