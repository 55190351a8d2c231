//! The link over real QUIC on loopback.

mod quic;

use quic::Driver;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;
use tern_sync::link::{Incoming, QuicLink, STREAMS_MAX};
use tern_sync::log::Log;
use tern_sync::session::{TOPOLOGY, Topology, VIEWER_EVENTS, ViewerEvent, ViewerId, Window};
use tern_sync::{Endpoint, MESSAGE_SIZE_MAX, Output, log::Whole};

#[tokio::test]
async fn datagrams_and_streams_arrive_whole() {
    let mut pair = Pair::connect().await;
    pair.host.send(Output::Datagram(b"datagram".to_vec()));
    assert!(matches!(pair.relay.recv().await, Ok(Incoming::Datagram(d)) if *d == *b"datagram"));
    let message: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    pair.host.send(Output::Stream { id: 1, message: message.clone() });
    assert!(matches!(next(&mut pair.relay).await, Ok(Incoming::Stream(m)) if m == message));
}

#[tokio::test]
async fn recv_that_is_dropped_half_way_loses_nothing() {
    let mut pair = Pair::connect().await;
    let message = vec![7; 500_000];
    pair.host.send(Output::Stream { id: 1, message: message.clone() });
    let received = loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            received = next(&mut pair.relay) => break received,
        }
    };
    assert!(matches!(received, Ok(Incoming::Stream(m)) if m == message));
}

#[tokio::test]
async fn reset_stream_never_arrives_in_part() {
    let mut pair = Pair::connect().await;
    // Nobody reads yet, so the message fills the window and waits.
    pair.host.send(Output::Stream { id: 1, message: vec![1; 1_000_000] });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    pair.host.send(Output::ResetStream { id: 1 });
    pair.host.send(Output::Stream { id: 2, message: vec![2; 10] });
    assert!(matches!(next(&mut pair.relay).await, Ok(Incoming::Stream(m)) if m == [2; 10]));
}

#[tokio::test]
async fn dropped_link_finishes_no_half_message() {
    let mut pair = Pair::connect().await;
    let connection = pair.host.connection().clone();
    pair.host.send(Output::Stream { id: 1, message: vec![1; 1_000_000] });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    pair.host = QuicLink::new(connection);
    pair.host.send(Output::Stream { id: 1, message: vec![2; 10] });
    assert!(matches!(next(&mut pair.relay).await, Ok(Incoming::Stream(m)) if m == [2; 10]));
}

#[tokio::test]
async fn message_above_the_owners_limit_is_not_read() {
    let mut pair = Pair::connect().await;
    pair.relay = QuicLink::new(pair.relay.connection().clone()).with_message_size_max(100_000);
    pair.host.send(Output::Stream { id: 1, message: vec![1; 200_000] });
    assert!(matches!(next(&mut pair.relay).await, Ok(Incoming::TooLarge)));
    assert_eq!(pair.relay.arriving_size(), 0);
}

#[tokio::test]
async fn more_streams_than_allowed_wait_for_their_turn() {
    let mut pair = Pair::connect().await;
    let count = u64::from(STREAMS_MAX) * 3;
    for id in 0..count {
        pair.host
            .send(Output::Stream { id, message: vec![u8::try_from(id).expect("few"); 10_000] });
    }
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(count).expect("few") {
        if let Ok(Incoming::Stream(message)) = next(&mut pair.relay).await {
            assert_eq!(message.len(), 10_000);
            seen.push(message[0]);
        }
    }
    seen.sort_unstable();
    assert!(seen.iter().zip(0..).all(|(a, b)| *a == b));
}

#[tokio::test]
async fn message_without_end_closes_the_connection() {
    let mut pair = Pair::connect().await;
    pair.host.send(Output::Stream { id: 1, message: vec![0; MESSAGE_SIZE_MAX + 1] });
    assert!(next(&mut pair.relay).await.is_err());
    assert!(pair.host.recv().await.is_err());
}

#[tokio::test]
async fn datagram_that_is_too_large_is_dropped_alone() {
    let mut pair = Pair::connect().await;
    let size_max = pair.host.datagram_size_max();
    assert!(size_max >= 1162);
    pair.host.send(Output::Datagram(vec![0; 3000]));
    pair.host.send(Output::Datagram(vec![1; size_max]));
    assert!(matches!(pair.relay.recv().await, Ok(Incoming::Datagram(d)) if d.len() == size_max));
}

#[tokio::test]
async fn nothing_is_lost_by_a_driver_that_waits_for_room() {
    let mut pair = Pair::connect().await;
    let size = pair.host.datagram_size_max();
    let (mut sent, mut arrived) = (0..40u8, Vec::new());
    while arrived.len() < 40 {
        while pair.host.has_room()
            && let Some(piece) = sent.next()
        {
            pair.host.send(Output::Datagram(vec![piece; size]));
        }
        tokio::select! {
            room = pair.host.recv() => assert!(matches!(room, Ok(Incoming::Room)), "{room:?}"),
            Ok(Incoming::Datagram(datagram)) = pair.relay.recv() => arrived.push(datagram[0]),
        }
    }
    arrived.sort_unstable();
    assert!(arrived.into_iter().eq(0..40));
}

#[tokio::test]
async fn endpoints_end_equal_over_quic() {
    let pair = Pair::connect().await;
    let now = Instant::now();
    let mut host = Endpoint::new(1, now);
    host.open_sender(TOPOLOGY, Whole::default());
    host.open_receiver(VIEWER_EVENTS, Log::new());
    let mut relay = Endpoint::new(2, now);
    relay.open_receiver(TOPOLOGY, Whole::default());
    relay.open_sender(VIEWER_EVENTS, Log::new());

    let topology = large_topology();
    host.set(TOPOLOGY, Whole(topology.clone()), now);
    let keys = 200u8;
    for key in 0..keys {
        let event = ViewerEvent::Input { viewer: ViewerId(1), bytes: vec![key; 100], mark: 0 };
        relay.update(VIEWER_EVENTS, now, |log| assert!(log.push(event)));
    }
    let mut host = Driver::new(host, pair.host);
    let mut relay = Driver::new(relay, pair.relay);
    let mut taken = Vec::new();
    while !(host.endpoint.is_acknowledged(TOPOLOGY)
        && relay.endpoint.is_acknowledged(VIEWER_EVENTS))
    {
        tokio::select! {
            () = host.turn(None) => {}
            () = relay.turn(None) => {}
        }
        taken.extend(host.endpoint.take(VIEWER_EVENTS));
    }
    assert_eq!(relay.endpoint.received(TOPOLOGY).0, topology);
    assert_eq!(taken.len(), usize::from(keys));
    let in_order = taken.iter().zip(0..keys).all(|(event, key)| {
        matches!(event, ViewerEvent::Input { bytes, .. } if *bytes == vec![key; 100])
    });
    assert!(in_order);
}

/// Too large for datagrams even when compressed.
fn large_topology() -> Topology {
    let layout = |i: u32| (0..1000).map(|n| format!("{:x}", (i * 7919 + n) ^ (n * n))).collect();
    let windows =
        (0..10).map(|i| Window { id: i, layout: layout(i), ..Window::default() }).collect();
    Topology { session_name: "main".to_owned(), windows }
}

/// What happens next, but for news of what is still arriving.
async fn next(link: &mut QuicLink) -> Result<Incoming, quinn::ConnectionError> {
    loop {
        match link.recv().await {
            Ok(Incoming::Arriving) => {}
            happened => return happened,
        }
    }
}

/// Two links, and what keeps them alive.
struct Pair {
    host: QuicLink,
    relay: QuicLink,
    _endpoints: [quinn::Endpoint; 2],
}

impl Pair {
    async fn connect() -> Self {
        let (server, client) = quic::configs();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = quinn::Endpoint::server(server, any).expect("loopback");
        let endpoint = quinn::Endpoint::client(any).expect("loopback");
        let address = server.local_addr().expect("bound");
        let connecting = endpoint.connect_with(client, address, quic::NAME).expect("valid");
        let accepting = async { server.accept().await.expect("open").await };
        let (host, relay) = tokio::join!(connecting, accepting);
        Self {
            host: QuicLink::new(host.expect("connected")),
            relay: QuicLink::new(relay.expect("connected")),
            _endpoints: [endpoint, server],
        }
    }
}
