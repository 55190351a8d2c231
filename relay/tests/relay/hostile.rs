//! QUIC peers that mean harm, or are broken.

use crate::support::host::{Host, ask, connect};
use crate::support::viewer::Viewer;
use crate::support::{must, relay, relay_with};
use std::time::Duration;
use tern_bootstrap::grant::{RefusalCode, Secret, WireError};
use tern_bootstrap::hello::introduce;
use tern_relay::{Limits, Relay};

/// A session that must not notice anything, with its viewer.
async fn bystander(relay: &Relay) -> (Host, Viewer) {
    let host = Host::share(relay).await;
    host.show("untouched");
    let viewer = Viewer::open(relay, &host.grant.token).await;
    viewer.wait_until_shows("untouched").await;
    (host, viewer)
}

async fn check(bystander: (Host, Viewer)) {
    let (host, viewer) = bystander;
    assert!(host.seen().closed.is_none());
    host.show("still here");
    viewer.wait_until_shows("still here").await;
    viewer.enter("k");
    host.wait_until("a key", |seen| seen.typed() == "k").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secret_is_refused_and_changes_nothing() {
    let relay = relay().await;
    let bystander = bystander(&relay).await;
    let mut grant = bystander.0.grant.clone();
    grant.secret = Secret([7; 32]);
    let (_quic, connection) = connect(&relay, &grant).await;
    let refused = must("an answer", introduce(&connection, &grant.credentials(), 1)).await;
    assert!(matches!(
        refused,
        Err(WireError::Refused(refusal)) if refusal.code == RefusalCode::Unauthorized
    ));
    check(bystander).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_version_is_refused_in_words() {
    let relay = relay().await;
    let grant = ask(&relay).await.expect("granted");
    let (_quic, connection) = connect(&relay, &grant).await;
    let (mut writer, mut reader) = connection.open_bi().await.expect("a stream");
    let hello = [b"TERN".as_slice(), &99u16.to_be_bytes(), &3u32.to_be_bytes(), b"abc"].concat();
    writer.write_all(&hello).await.expect("written");
    let answer = must("an answer", reader.read_to_end(4096)).await.expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("your tern 99") && text.contains("older than your tern"), "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_for_a_hello_ends_that_connection_only() {
    let relay = relay().await;
    let bystander = bystander(&relay).await;
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 4000], vec![]] {
        let (_quic, connection) = connect(&relay, &bystander.0.grant).await;
        let (mut writer, _reader) = connection.open_bi().await.expect("a stream");
        let _ = writer.write_all(&garbage).await;
        let _ = writer.finish();
        must("the end", connection.closed()).await;
    }
    check(bystander).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_without_a_hello_is_closed_in_time() {
    let limits = Limits { auth_time: Duration::from_millis(300), ..Limits::default() };
    let relay = relay_with(limits).await;
    let grant = ask(&relay).await.expect("granted");
    let (_quic, connection) = connect(&relay, &grant).await;
    must("the end", connection.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_a_host_ends_its_link_and_its_viewers_wait() {
    let relay = relay().await;
    let bystander = bystander(&relay).await;
    let mut host = Host::share(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    let mut seed = 1u32;
    while host.connection.close_reason().is_none() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let garbage: Vec<u8> = (0..100).map(|at| (seed >> (at % 24)) as u8 ^ at as u8).collect();
        let _ = host.connection.send_datagram(garbage.into());
        tokio::task::yield_now().await;
    }
    viewer.wait_until_shows("host last heard").await;
    host.epoch += 1;
    host.reconnect(&relay).await;
    host.show("repented");
    viewer.wait_until_shows("repented").await;
    check(bystander).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_streams_and_datagrams_ends_at_the_bounds() {
    let relay = relay().await;
    let bystander = bystander(&relay).await;
    let host = Host::share(&relay).await;
    for _ in 0..3 {
        let connection = host.connection.clone();
        tokio::spawn(async move {
            // The relay reads 4 MiB at most; then the connection is closed.
            while let Ok(mut stream) = connection.open_uni().await {
                for _ in 0..100 {
                    if stream.write_all(&[0xa5; 64 * 1024]).await.is_err() {
                        break;
                    }
                }
            }
        });
    }
    must("the end", host.connection.closed()).await;
    check(bystander).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn screen_above_the_limit_ends_the_link_with_the_reason() {
    let relay = relay_with(Limits { screen_cells: 1000, ..Limits::default() }).await;
    let host = Host::share(&relay).await;
    host.show("80 x 24 is too large here");
    let seen = host.wait_until("the end", |seen| seen.closed.is_some()).await;
    let reason = seen.closed.unwrap_or_default();
    assert!(reason.contains("allows 1000"), "{reason}");
}
