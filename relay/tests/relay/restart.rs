//! A relay that is killed or stopped, and started again with the same data folder.

use crate::support::host::{Host, ask, connect};
use crate::support::must;
use crate::support::process::Process;
use crate::support::viewer::Viewer;
use quinn::ConnectionError;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tern_bootstrap::grant::{RefusalCode, Secret, SessionGrant, SessionId, WireError};
use tern_bootstrap::hello::{Welcome, introduce};
use tern_bootstrap::identity::Identity;
use tern_bootstrap::ticket::{Ticket, TicketContent};
use tern_bootstrap::token::TokenHash;
use tern_relay::Relay;
use tern_sync::session::HostEvent;

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A hello on a connection of its own.
async fn hello(relay: &Relay, grant: &SessionGrant) -> Result<Welcome, WireError> {
    let (_quic, connection) = connect(relay, grant).await;
    must("an answer", introduce(&connection, &grant.credentials(), 1)).await
}

fn assert_unauthorized(answer: Result<Welcome, WireError>) {
    match answer {
        Err(WireError::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::Unauthorized),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_relay_comes_back_with_the_same_lines() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let mut host = Host::share(&process.relay).await;
    host.show("before");
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    let process = process.restart(folder.path()).await;
    assert_eq!(process.relay.counts(), (0, 0), "nothing of a session is stored");
    assert!(!host.reconnect(&process.relay).await, "both begin with state 0");
    host.show("after");
    for token in [&host.grant.token, &host.grant.token_ro] {
        Viewer::open(&process.relay, token).await.wait_until_shows("after").await;
    }
    let writer = Viewer::open(&process.relay, &host.grant.token).await;
    writer.wait_until_shows("after").await;
    writer.enter("k");
    host.wait_until("a key", |seen| seen.typed() == "k").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_connection_learns_with_its_next_packet_that_the_relay_was_killed() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let host = Host::share(&process.relay).await;
    host.show("before");
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    let _process = process.restart(folder.path()).await;
    assert!(host.connection.close_reason().is_none(), "the killed relay said no word");
    host.connection.send_datagram(vec![0; 30].into()).expect("sent");
    let reason = must("the old connection ends", host.connection.closed()).await;
    assert_eq!(reason, ConnectionError::Reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_relay_comes_back_with_the_same_lines() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let mut host = Host::share(&process.relay).await;
    host.show("before");
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    let address = process.stop().await;
    let seen = viewer.wait_until_closed().await;
    assert!(seen.output.contains("the same line works again"), "{:?}", seen.output);
    let process = Process::start_at(folder.path(), address).await;
    assert!(!host.reconnect(&process.relay).await);
    host.show("after");
    Viewer::open(&process.relay, &host.grant.token).await.wait_until_shows("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_is_back_before_the_host_waits_for_it() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let mut host = Host::share(&process.relay).await;
    let process = process.restart(folder.path()).await;
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("waiting for the host of this session").await;
    host.reconnect(&process.relay).await;
    host.show("after");
    viewer.wait_until_shows("after").await;
    viewer.enter("k");
    host.wait_until("a key", |seen| seen.typed() == "k").await;
    let nonsense = Viewer::open(&process.relay, "x").await;
    let seen = nonsense.wait_until_closed().await;
    assert_eq!(seen.output, "Invalid or expired session token\r\n", "what is no token waits not");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_viewer_is_told_when_the_relay_stops() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let host = Host::share(&process.relay).await;
    let process = process.restart(folder.path()).await;
    let viewer = Viewer::open(&process.relay, &host.grant.token).await;
    viewer.wait_until_shows("waiting for the host of this session").await;
    process.stop().await;
    let seen = viewer.wait_until_closed().await;
    assert!(seen.output.contains("the same line works again"), "{:?}", seen.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_of_a_host_bring_one_session_back() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let host = Host::share(&process.relay).await;
    let process = process.restart(folder.path()).await;
    let (first, second) =
        tokio::join!(hello(&process.relay, &host.grant), hello(&process.relay, &host.grant));
    // The later one takes over, perhaps before the earlier one has read its welcome.
    assert!(first.is_ok() || second.is_ok(), "{first:?} {second:?}");
    // Nothing was heard over either of them, so nothing can be resumed.
    assert!(!hello(&process.relay, &host.grant).await.expect("welcome").is_resumed);
    assert_eq!(process.relay.counts().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_without_the_secret_opens_nothing() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let grant = ask(&process.relay).await.expect("granted");
    let process = process.restart(folder.path()).await;
    let thief = SessionGrant { secret: Secret([0; 32]), ..grant.clone() };
    assert_unauthorized(hello(&process.relay, &thief).await);
    let other = SessionGrant { session: SessionId([1; 16]), ..grant.clone() };
    assert_unauthorized(hello(&process.relay, &other).await);
    assert_eq!(process.relay.counts().0, 0, "nothing is made for them");
    assert!(hello(&process.relay, &grant).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_that_is_cut_changed_missing_or_another_relays_is_refused() {
    let (folder, other_folder) = (data(), data());
    let other = Process::start(other_folder.path()).await;
    let foreign = ask(&other.relay).await.expect("granted").ticket;
    let process = Process::start(folder.path()).await;
    let grant = ask(&process.relay).await.expect("granted");
    let process = process.restart(folder.path()).await;
    let whole = &grant.ticket.0;
    let mut changed = whole.clone();
    changed[40] ^= 1;
    let cut = whole[..whole.len() - 1].to_vec();
    for ticket in [Ticket(changed), Ticket(cut), Ticket::default(), foreign] {
        let grant = SessionGrant { ticket, ..grant.clone() };
        assert_unauthorized(hello(&process.relay, &grant).await);
    }
    let long = SessionGrant { ticket: Ticket(vec![1; 2000]), ..grant.clone() };
    assert!(hello(&process.relay, &long).await.is_err());
    assert!(hello(&process.relay, &grant).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_that_is_too_old_is_refused() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let folder = data();
    let process = Process::start(folder.path()).await;
    let grant = ask(&process.relay).await.expect("granted");
    let process = process.restart(folder.path()).await;
    let aged =
        |days| SessionGrant { ticket: ticket(folder.path(), &grant, days * DAY), ..grant.clone() };
    assert_unauthorized(hello(&process.relay, &aged(31)).await);
    assert!(hello(&process.relay, &aged(29)).await.is_ok());
}

/// A ticket as the relay would have made it some time ago.
fn ticket(data: &Path, grant: &SessionGrant, age: Duration) -> Ticket {
    let identity = Identity::load_or_create(data).expect("keys");
    identity.ticket_key().seal(&TicketContent {
        session: grant.session,
        secret: grant.secret.clone(),
        token: TokenHash::of(&grant.token),
        token_ro: TokenHash::of(&grant.token_ro),
        granted_at: SystemTime::now() - age,
        owner: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_its_host_ended_does_not_come_back() {
    let folder = data();
    let process = Process::start(folder.path()).await;
    let host = Host::share(&process.relay).await;
    host.say(HostEvent::Ended { text: "[exited]".into() });
    host.wait_until("the relay closes the link", |seen| seen.closed.is_some()).await;
    assert_unauthorized(hello(&process.relay, &host.grant).await);
    assert_eq!(process.relay.counts().0, 0);
}
