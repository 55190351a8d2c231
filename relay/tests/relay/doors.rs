//! What nobody gets: commands, subsystems, forwarding, a second channel.

use crate::support::host::Host;
use crate::support::viewer::{Viewer, log_in};
use crate::support::{gate::Gate, must, relay, relay_with};
use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use std::time::Duration;
use tern_relay::{Limits, Relay};

/// What a request comes to: lines on standard error, exit status.
async fn outcome(mut channel: Channel<Msg>) -> (String, Option<u32>) {
    let (mut errors, mut exit_status) = (String::new(), None);
    while let Some(message) = must("a word", channel.wait()).await {
        match message {
            ChannelMsg::ExtendedData { data, .. } => {
                errors.push_str(&String::from_utf8_lossy(&data));
            }
            ChannelMsg::ExitStatus { exit_status: status } => exit_status = Some(status),
            ChannelMsg::Failure => return (errors, None),
            _ => {}
        }
    }
    (errors, exit_status)
}

async fn users(relay: &Relay) -> (Host, Vec<String>) {
    let host = Host::share(relay).await;
    let users = [&host.grant.token, &host.grant.token_ro, "tern", "root"];
    let users = users.map(str::to_owned).to_vec();
    (host, users)
}

#[tokio::test(flavor = "multi_thread")]
async fn command_or_subsystem_is_refused_in_words() {
    let relay = relay().await;
    let (_host, users) = users(&relay).await;
    for user in &users {
        for subsystem in [None, Some("sftp"), Some("netconf")] {
            let ssh = log_in(&relay, user).await;
            let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
            match subsystem {
                None => channel.exec(true, "id; touch /tmp/x").await.expect("asked"),
                Some(name) => channel.request_subsystem(true, name).await.expect("asked"),
            }
            let (errors, exit_status) = outcome(channel).await;
            assert!(errors.contains("runs no commands"), "{subsystem:?}: {errors:?}");
            assert_eq!(exit_status, Some(1));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_token_opens_no_session_of_its_own() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let ssh = log_in(&relay, &host.grant.token).await;
    let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
    channel.request_subsystem(true, "tern").await.expect("asked");
    assert_eq!(outcome(channel).await.1, Some(1));
    assert_eq!(relay.counts().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_forwarded() {
    let relay = relay().await;
    let (_host, users) = users(&relay).await;
    for user in &users {
        let ssh = log_in(&relay, user).await;
        let port = u32::from(relay.ssh_address().port());
        let direct = ssh.channel_open_direct_tcpip("127.0.0.1", port, "127.0.0.1", 1);
        assert!(must("an answer", direct).await.is_err());
        let socket = ssh.channel_open_direct_streamlocal("/var/run/docker.sock");
        assert!(must("an answer", socket).await.is_err());
        assert!(must("an answer", ssh.tcpip_forward("127.0.0.1", 0)).await.is_err());
        assert!(must("an answer", ssh.streamlocal_forward("/tmp/x")).await.is_err());
        let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
        channel.agent_forward(true).await.expect("asked");
        let mut channel = channel;
        let answer = must("an answer", channel.wait()).await;
        assert!(matches!(answer, Some(ChannelMsg::Failure)), "agent: {answer:?}");
        channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0).await.expect("asked");
        let answer = must("an answer", channel.wait()).await;
        assert!(matches!(answer, Some(ChannelMsg::Failure)), "x11: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_channel_is_refused_and_the_first_goes_on() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let ssh = log_in(&relay, &host.grant.token).await;
    let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
    assert!(must("an answer", ssh.channel_open_session()).await.is_err());
    channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("asked");
    channel.request_shell(true).await.expect("asked");
    let viewer = Viewer::of(ssh, channel, Gate::default());
    host.show("the first");
    viewer.wait_until_shows("the first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_without_a_terminal_says_how_to_get_one() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let ssh = log_in(&relay, &host.grant.token).await;
    let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
    channel.request_shell(true).await.expect("asked");
    let (errors, exit_status) = outcome(channel).await;
    assert!(errors.contains("A terminal is needed: ssh -t"), "{errors:?}");
    assert_eq!(exit_status, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn person_with_the_hosts_name_gets_help() {
    let relay = relay().await;
    let ssh = log_in(&relay, "tern").await;
    let channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
    channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("asked");
    channel.request_shell(true).await.expect("asked");
    let (errors, exit_status) = outcome(channel).await;
    assert!(errors.contains("tern --relay"), "{errors:?}");
    assert_eq!(exit_status, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_that_asks_for_nothing_is_closed_and_counts_no_more() {
    // Three at once: any that stays would keep a later one out.
    let limits = Limits {
        auth_time: Duration::from_millis(300),
        connections_per_address: 3,
        ..Limits::default()
    };
    let relay = relay_with(limits).await;
    for round in 0..8 {
        let ssh = log_in(&relay, if round % 2 == 0 { "nobody" } else { "tern" }).await;
        let mut channel = must("a channel", ssh.channel_open_session()).await.expect("a channel");
        for number in 0..20 {
            channel.set_env(false, format!("LC_{number}"), "x").await.expect("sent");
            channel.data_bytes("nobody asked".as_bytes()).await.expect("sent");
        }
        must("the end", async { while channel.wait().await.is_some() {} }).await;
    }
}
