//! What a session is like when nobody means harm.

use crate::support::host::Host;
use crate::support::viewer::Viewer;
use crate::support::{SIZE, must, relay};
use tern_sync::session::{HostEvent, Role, ViewerEvent};
use tern_term::Size;

#[tokio::test(flavor = "multi_thread")]
async fn viewer_sees_the_host_and_types_to_it() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("hello from the host");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("hello from the host").await;
    viewer.enter("ls -l\r");
    host.wait_until("the keys arrive", |seen| seen.typed() == "ls -l\r").await;
    host.show("total 0");
    viewer.wait_until_shows("total 0").await;
    assert_eq!(relay.counts(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn host_knows_who_is_there_and_how_large() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    let seen = host.wait_until("somebody joined", |seen| !seen.events.is_empty()).await;
    assert!(matches!(
        &seen.events[0],
        ViewerEvent::Joined { who, cols: 80, rows: 24, .. }
            if (who.role, who.address.as_str()) == (Role::ReadWrite, "127.0.0.1")
    ));
    viewer.resize(Size { cols: 100, rows: 30 });
    host.wait_until("the size", |seen| {
        seen.present().iter().any(|(_, cols, rows)| (*cols, *rows) == (100, 30))
    })
    .await;
    drop(viewer);
    host.wait_until("the viewer left", |seen| seen.present().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_viewer_sees_all_and_changes_nothing() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("look");
    let reader = Viewer::open(&relay, &host.grant.token_ro).await;
    reader.wait_until_shows("look").await;
    reader.wait_until_shows("press q to leave").await;
    reader.enter("rm -rf /\r");
    reader.enter("\x1b[<0;3;3M\x1b[200~paste\x1b[201~");
    let writer = Viewer::open(&relay, &host.grant.token).await;
    writer.enter("w");
    let seen = host.wait_until("a key of the writer's", |seen| !seen.typed().is_empty()).await;
    assert_eq!(seen.typed(), "w");
    // A q among other keys is no wish to leave: they have to be read before.
    reader.resize(Size { cols: 100, rows: 30 });
    host.wait_until("the size", |seen| {
        seen.present().iter().any(|(_, cols, rows)| (*cols, *rows) == (100, 30))
    })
    .await;
    reader.enter("q");
    let seen = reader.wait_until_closed().await;
    assert_eq!(seen.exit_status, Some(0));
    assert!(seen.output.ends_with("[left the session]\r\n"), "{:?}", seen.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_the_session_is_told_and_is_clean() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let viewers = [
        Viewer::open(&relay, &host.grant.token).await,
        Viewer::open(&relay, &host.grant.token_ro).await,
    ];
    for viewer in &viewers {
        viewer.wait_until_shows("screen").await;
    }
    host.say(HostEvent::Ended { text: "[exited]".into() });
    for viewer in &viewers {
        let seen = viewer.wait_until_closed().await;
        assert_eq!(seen.exit_status, Some(0));
        assert!(seen.output.ends_with("[exited]\r\n"));
        assert!(seen.frame.to_text().starts_with("[exited]"), "the main screen is back");
    }
    host.wait_until("the relay closes the link", |seen| seen.closed.is_some()).await;
    let late = Viewer::open(&relay, &host.grant.token).await;
    let seen = late.wait_until_closed().await;
    assert_eq!(seen.output, "Invalid or expired session token\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_viewer_leaves_and_the_others_stay() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let first = Viewer::open(&relay, &host.grant.token).await;
    first.wait_until_shows("screen").await;
    let second = Viewer::open(&relay, &host.grant.token).await;
    second.wait_until_shows("screen").await;
    let seen = host.wait_until("both joined", |seen| seen.present().len() == 2).await;
    let viewer = seen.present()[0].0;
    host.say(HostEvent::Detach { viewer, text: "[detached (from session 0)]".into() });
    let seen = first.wait_until_closed().await;
    assert_eq!(seen.exit_status, Some(0));
    assert!(seen.output.ends_with("[detached (from session 0)]\r\n"));
    host.show("more");
    second.wait_until_shows("more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_comes_back_goes_on_where_it_was() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    host.show("before");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    host.connection.close(0u32.into(), b"");
    viewer.wait_until_shows("host last heard").await;
    viewer.enter("typed while away");
    assert!(host.reconnect(&relay).await, "the relay still has everything");
    host.wait_until("keys typed meanwhile", |seen| seen.typed() == "typed while away").await;
    host.show("after");
    let seen = viewer.wait_until_shows("after").await;
    assert!(!seen.frame.to_text().contains("last heard"));
    assert_eq!(host.seen().present().len(), 1, "nobody was announced twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_moves_to_another_address_goes_on() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("before");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("before").await;
    for round in 0..3 {
        host.move_away();
        viewer.enter("k");
        host.show(&format!("round {round}"));
        viewer.wait_until_shows(&format!("round {round}")).await;
        let typed = "k".repeat(round + 1);
        host.wait_until("the key", move |seen| seen.typed() == typed).await;
    }
    assert!(host.seen().closed.is_none(), "over the same connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_begins_anew_is_told_who_is_there() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    host.wait_until("somebody joined", |seen| seen.present().len() == 1).await;
    host.epoch = 2;
    assert!(!host.reconnect(&relay).await);
    host.wait_until("told again", |seen| seen.events.len() == 2).await;
    host.show("anew");
    viewer.wait_until_shows("anew").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_connection_of_a_host_takes_over() {
    let relay = relay().await;
    let mut host = Host::share(&relay).await;
    let first = host.connection.clone();
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    // Only a host that was heard is resumed.
    host.show("over the first");
    viewer.wait_until_shows("over the first").await;
    assert!(host.reconnect(&relay).await);
    let reason = must("the first is closed", first.closed()).await.to_string();
    assert!(reason.contains("newer connection"), "{reason}");
    host.show("over the second");
    viewer.wait_until_shows("over the second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_before_the_host_waits_for_it() {
    let relay = relay().await;
    let grant = crate::support::host::ask(&relay).await.expect("granted");
    let viewer = Viewer::open(&relay, &grant.token).await;
    viewer.wait_until_shows("waiting for the host").await;
    let host = Host::of(&relay, grant).await;
    host.show("here");
    let seen = viewer.wait_until_shows("here").await;
    assert!(!seen.frame.to_text().contains("waiting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_relay_tells_everybody() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    must("the relay stops", relay.stop()).await;
    let seen = viewer.wait_until_closed().await;
    assert!(seen.output.contains("the same line works again"), "{:?}", seen.output);
    assert_eq!(seen.exit_status, Some(1));
    let seen = host.wait_until("the host is told", |seen| seen.closed.is_some()).await;
    let reason = seen.closed.unwrap_or_default();
    assert!(reason.contains("restarting or stopping"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_that_vanished_stops_counting_and_counts_again_when_it_is_back() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    host.show("screen");
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.wait_until_shows("screen").await;
    host.wait_until("it joined", |seen| seen.present().len() == 1).await;
    viewer.vanish();
    host.wait_until("it doesn't count", |seen| seen.present().is_empty()).await;
    host.show("meanwhile");
    viewer.gate.open();
    host.wait_until("it counts again", |seen| seen.present().len() == 1).await;
    viewer.wait_until_shows("meanwhile").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_viewer_gets_a_part_and_its_clicks_hit_what_it_sees() {
    let relay = relay().await;
    let host = Host::share(&relay).await;
    let viewer = Viewer::open(&relay, &host.grant.token).await;
    viewer.resize(Size { cols: 40, rows: 24 });
    host.wait_until("the size", |seen| seen.present().iter().any(|(_, cols, _)| *cols == 40)).await;
    host.show(&"x".repeat(SIZE.cols.into()));
    viewer.wait_until_shows(&"x".repeat(40)).await;
    viewer.enter("\x1b[<0;3;4M");
    viewer.enter("\x1b[<0;3;99M");
    viewer.enter("k");
    let seen = host.wait_until("a key", |seen| seen.typed().ends_with('k')).await;
    assert_eq!(seen.typed(), "\x1b[<0;3;4Mk", "what is outside is dropped");
}
