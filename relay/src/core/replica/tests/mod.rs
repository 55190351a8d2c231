//! The machine against a viewer's endpoint, in virtual time.

use super::*;
use crate::core::keys::{PASTE_END, PASTE_START};
use proptest::prelude::*;
use tern_sync::scrollback::{Block, Scrollback};
use tern_sync::session::ViewerAction;
use tern_sync::session::{INPUT_SIZE_MAX, TAKEN_STEP, TYPED_WINDOW};
use tern_term::{Frame, KeyReport, KeyTarget};

const MS: Duration = Duration::from_millis(1);
const SIZE: Size = Size { cols: 40, rows: 10 };
const ID: ViewerId = ViewerId(7);

/// The machine, a viewer, and a link between that loses what it is told to.
struct World {
    now: Instant,
    replica: Replica,
    viewer: Endpoint,
    is_linked: bool,
    done: Vec<Output>,
    typed: Vec<Typed>,
    /// The session takes keys.
    is_taking: bool,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let replica = Replica::new(view("first"), Duration::from_secs(3600), now);
        let viewer = viewer_endpoint(now);
        let (done, typed) = (Vec::new(), Vec::new());
        Self { now, replica, viewer, is_linked: false, done, typed, is_taking: true }
    }

    fn linked() -> Self {
        let mut world = Self::new();
        world.link(1);
        world
    }

    fn joined() -> Self {
        let mut world = Self::linked();
        world.act(ViewerAction::Resized { cols: SIZE.cols, rows: SIZE.rows });
        world.pass(10 * MS);
        assert!(world.has(|output| matches!(output, Output::Join(size) if *size == SIZE)));
        world.replica.handle_joined(ID, world.now);
        world.pass(10 * MS);
        world
    }

    fn link(&mut self, epoch: u64) -> Option<bool> {
        self.is_linked = true;
        self.replica.handle_link(epoch, 2, self.now)
    }

    fn cut(&mut self) {
        self.is_linked = false;
        self.replica.handle_link_lost(self.now);
    }

    fn act(&mut self, action: ViewerAction) {
        let now = self.now;
        self.viewer.update(VIEWER_ACTIONS, now, |log| assert!(log.push(action)));
    }

    fn types(&mut self, bytes: &[u8], mark: u32) {
        self.act(ViewerAction::Input { bytes: bytes.to_vec(), mark });
    }

    /// Time passes; what is sent arrives at once.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let viewer = self.is_linked.then(|| self.viewer.poll_timeout()).flatten();
            let due = [self.replica.poll_timeout(), viewer].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due) + MS / 10;
            self.viewer.handle_timeout(self.now);
            self.replica.handle_timeout(self.now);
        }
        self.now = self.now.max(end);
    }

    fn exchange(&mut self) {
        for _ in 0..1000 {
            let room = self.is_linked.then_some(1200);
            let from_relay = self.replica.poll_output(self.now, room);
            let from_viewer =
                self.is_linked.then(|| self.viewer.poll_output(self.now, 1200)).flatten();
            if from_relay.is_none() && from_viewer.is_none() {
                break;
            }
            match from_relay {
                Some(Output::Link(output)) => feed(&mut self.viewer, output, self.now),
                Some(Output::CloseLink { code, reason }) => {
                    self.is_linked = false;
                    self.done.push(Output::CloseLink { code, reason });
                }
                Some(output) => self.done.push(output),
                None => {}
            }
            if let Some(incoming) = from_viewer.and_then(incoming) {
                self.replica.handle_incoming(incoming, self.now);
            }
        }
        while self.is_taking
            && let Some(typed) = self.replica.poll_typed(self.now)
        {
            self.typed.push(typed);
        }
    }

    fn has(&self, is_wanted: impl Fn(&Output) -> bool) -> bool {
        self.done.iter().any(is_wanted)
    }

    fn shown(&self) -> &Shown {
        self.viewer.received(SCREEN)
    }
}

fn incoming(output: tern_sync::Output) -> Option<tern_sync::link::Incoming> {
    match output {
        tern_sync::Output::Datagram(bytes) => {
            Some(tern_sync::link::Incoming::Datagram(bytes.into()))
        }
        tern_sync::Output::Stream { message, .. } => {
            Some(tern_sync::link::Incoming::Stream(message))
        }
        tern_sync::Output::ResetStream { .. } => None,
    }
}

fn feed(endpoint: &mut Endpoint, output: tern_sync::Output, now: Instant) {
    if let Some(incoming) = incoming(output) {
        incoming.feed(endpoint, now).expect("the relay keeps to the protocol");
    }
}

fn viewer_endpoint(now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(1, now);
    endpoint.open_receiver(SCREEN, Shown::default());
    endpoint.open_receiver(HOST_STANDING, Whole(HostStanding::default()));
    endpoint.open_receiver(FAREWELL, Log::new());
    endpoint.open_receiver(TAKEN, Whole(0));
    endpoint.open_receiver(SCROLLBACK, Log::new());
    endpoint.open_sender(VIEWER_ACTIONS, Log::new());
    endpoint
}

fn view(text: &str) -> Arc<View> {
    let keys = KeyReport {
        target: KeyTarget::Raw,
        prefixes: vec![vec![2]],
        marks: vec![(ViewerId(1), 5), (ID, 9)],
    };
    let (frame, standing) = (Frame::from_lines(SIZE, [text]), HostStanding::Present);
    Arc::new(View { frame, keys: keys.into(), standing, ..View::default() })
}

#[test]
fn viewer_sees_the_session_when_it_has_said_its_size_and_only_its_own_marks() {
    let mut world = World::linked();
    world.pass(100 * MS);
    assert_eq!(*world.shown(), Shown::default(), "nobody has joined");
    let world = World::joined();
    assert_eq!(world.shown().frame.to_text().lines().next(), Some("first"));
    assert_eq!(world.shown().keys.marks, [(ViewerId(0), 9)]);
    assert_eq!(world.viewer.received(HOST_STANDING).0, HostStanding::Present);
}

#[test]
fn keys_arrive_once_in_order_with_their_marks_over_broken_links() {
    let mut world = World::joined();
    for mark in 1..=30 {
        world.types(&[b'a' + (mark % 26) as u8], mark);
        if mark % 7 == 0 {
            world.cut();
            world.types(b"blind", 100 + mark);
            world.pass(500 * MS);
            assert_eq!(world.link(1), Some(true));
            world.viewer.handle_new_path(world.now);
        }
        world.pass(20 * MS);
    }
    world.pass(1000 * MS);
    let marks: Vec<u32> = world.typed.iter().map(|typed| typed.mark).collect();
    let expected: Vec<u32> = (1..=30)
        .flat_map(|mark| if mark % 7 == 0 { vec![mark, 100 + mark] } else { vec![mark] })
        .collect();
    assert_eq!(marks, expected);
}

#[test]
fn viewer_of_another_epoch_begins_with_state_0() {
    let mut world = World::joined();
    world.cut();
    assert_eq!(world.link(2), Some(false));
    world.viewer = viewer_endpoint(world.now);
    world.replica.handle_view(view("second"), world.now);
    world.pass(100 * MS);
    assert_eq!(world.shown().frame.to_text().lines().next(), Some("second"));
    world.types(b"x", 1);
    world.pass(100 * MS);
    assert_eq!(world.typed.len(), 1);
}

#[test]
fn what_scrolled_off_comes_to_the_viewer_over_broken_links_too() {
    let mut world = World::joined();
    let mut scrollback = Scrollback::default();
    for n in 0..40 {
        let bytes = (0..1000).map(|i| (i * 7 + n) as u8).collect();
        scrollback.add(Arc::new(Block { first: n * 10, count: 10, bytes }));
    }
    let with_lines =
        |text: &str| View { scrollback: scrollback.clone(), ..View::clone(&view(text)) };
    world.replica.handle_view(Arc::new(with_lines("second")), world.now);
    let mut seen = Scrollback::default();
    let take = |world: &mut World, seen: &mut Scrollback| {
        world.pass(50 * MS);
        for entry in world.viewer.take(SCROLLBACK) {
            seen.handle_entry(entry);
        }
    };
    for _ in 0..5 {
        take(&mut world, &mut seen);
    }
    assert_eq!(seen.range().end, 400, "the newest first");
    assert!(seen.range().start > 0, "and not all at once");
    world.cut();
    take(&mut world, &mut seen);
    assert_eq!(world.link(1), Some(true));
    world.viewer.handle_new_path(world.now);
    for _ in 0..60 {
        take(&mut world, &mut seen);
    }
    assert!(seen.blocks().eq(scrollback.blocks()), "{:?}", seen.range());
    assert_eq!(world.shown().frame, view("second").frame);
}

#[test]
fn viewer_at_the_door_is_given_nothing_and_types_nowhere() {
    let mut world = World::linked();
    let mut scrollback = Scrollback::default();
    scrollback.add(Arc::new(Block { first: 0, count: 1, bytes: vec![7; 100] }));
    world
        .replica
        .handle_view(Arc::new(View { scrollback, ..View::clone(&view("secret")) }), world.now);
    world.act(ViewerAction::Resized { cols: SIZE.cols, rows: SIZE.rows });
    world.pass(10 * MS);
    world.replica.handle_asked(world.now);
    world.types(b"blindly", 1);
    world.types(&[PASTE_START, b"half"].concat(), 2);
    world.pass(500 * MS);
    assert_eq!(world.viewer.received(HOST_STANDING).0, HostStanding::Asked);
    assert_eq!(world.shown().frame, Frame::default());
    assert!(world.viewer.take(SCROLLBACK).is_empty());
    world.replica.handle_joined(ID, world.now);
    world.types(&[b"rest", PASTE_END].concat(), 3);
    world.pass(500 * MS);
    assert_eq!(world.shown().frame, view("secret").frame);
    assert!(!world.viewer.take(SCROLLBACK).is_empty());
    let typed: Vec<u8> = world.typed.iter().flat_map(|typed| typed.bytes.clone()).collect();
    assert_eq!(typed, [PASTE_START, b"rest", PASTE_END].concat());
}

#[test]
fn silence_is_told_and_its_end_and_who_stays_away_too_long_is_over() {
    let mut world = World::joined();
    world.cut();
    world.pass(Duration::from_secs(60));
    assert!(world.has(|output| matches!(output, Output::Silence(true))));
    assert_eq!(world.link(1), Some(true));
    world.exchange();
    assert!(world.has(|output| matches!(output, Output::Silence(false))));
    world.cut();
    world.pass(Duration::from_secs(3700));
    assert!(world.has(|output| matches!(output, Output::Over)));
    assert_eq!(world.link(1), None);
}

#[test]
fn release_brings_the_last_words_and_then_closes() {
    let mut world = World::joined();
    world.replica.handle_release("[session ended]", 0, world.now);
    world.pass(100 * MS);
    let farewell = world.viewer.take(FAREWELL).pop().expect("last words");
    assert_eq!((farewell.text.as_str(), farewell.exit_status), ("[session ended]", 0));
    assert!(world.has(|output| matches!(output, Output::Over)));
}

#[test]
fn who_leaves_is_gone_and_who_never_says_its_size_too() {
    let mut world = World::joined();
    world.types(b"last", 1);
    world.act(ViewerAction::Leave);
    world.pass(100 * MS);
    assert!(world.has(|output| matches!(output, Output::Leave)));
    assert!(world.has(|output| matches!(output, Output::Over)));
    let typed = Typed { bytes: b"last".to_vec(), mark: 1 };
    assert_eq!(world.replica.take_last_typed(), [typed], "what was typed before counts");
    let mut world = World::linked();
    world.pass(SIZE_TIME_MAX + 10 * MS);
    assert!(world.has(|output| matches!(output, Output::Over)));
}

#[test]
fn host_that_is_silent_is_told_now_and_then() {
    let mut world = World::joined();
    let mut told = Vec::new();
    for seconds in 8..40 {
        let standing = HostStanding::Silent { seconds };
        let view = View { standing, ..View::clone(&view("first")) };
        world.replica.handle_view(Arc::new(view), world.now);
        world.pass(Duration::from_secs(1));
        let HostStanding::Silent { seconds } = world.viewer.received(HOST_STANDING).0 else {
            panic!("it is silent")
        };
        told.push(seconds);
    }
    told.dedup();
    assert_eq!(told, [8, 18, 28, 38]);
}

#[test]
fn viewer_is_answered_though_its_session_takes_no_keys_and_learns_when_it_does() {
    let mut world = World::joined();
    world.is_taking = false;
    let pieces = u32::try_from(TYPED_WINDOW / INPUT_SIZE_MAX).expect("few");
    for mark in 1..=pieces {
        world.types(&[b'x'; INPUT_SIZE_MAX], mark);
        world.pass(50 * MS);
    }
    world.replica.handle_view(view("second"), world.now);
    world.pass(Duration::from_secs(60));
    assert!(world.viewer.is_acknowledged(VIEWER_ACTIONS));
    let heard_at = world.viewer.last_heard().expect("a live link");
    assert!(world.now - heard_at < Duration::from_secs(8), "pings are answered");
    assert_eq!(world.shown().frame.to_text().lines().next(), Some("second"));
    assert_eq!(world.viewer.received(TAKEN).0, 0);
    world.is_taking = true;
    world.pass(100 * MS);
    assert_eq!(world.viewer.received(TAKEN).0, TYPED_WINDOW as u64);
    assert_eq!(world.typed.len(), pieces as usize);
    // What doesn't fill a step isn't told.
    world.types(b"y", 1000);
    world.pass(100 * MS);
    assert_eq!(world.viewer.received(TAKEN).0, TYPED_WINDOW as u64);
}

#[test]
fn what_waited_before_both_began_anew_does_not_count_as_taken_and_its_paste_is_closed() {
    let mut world = World::joined();
    world.is_taking = false;
    let paste = [PASTE_START, &[b'x'; INPUT_SIZE_MAX - 6]].concat();
    world.types(&paste, 1);
    world.pass(50 * MS);
    world.cut();
    assert_eq!(world.link(2), Some(false));
    world.viewer = viewer_endpoint(world.now);
    let pieces = u32::try_from(TAKEN_STEP / INPUT_SIZE_MAX).expect("few");
    for mark in 2..2 + pieces {
        world.types(&[b'y'; INPUT_SIZE_MAX], mark);
    }
    world.is_taking = true;
    world.pass(1000 * MS);
    assert_eq!(world.viewer.received(TAKEN).0, TAKEN_STEP as u64);
    assert_eq!(world.typed[0].bytes, paste);
    assert_eq!(world.typed[1], Typed { bytes: PASTE_END.to_vec(), mark: 0 });
    assert_eq!(world.typed.len(), 2 + pieces as usize);
}

#[test]
fn memory_counts_frames_that_only_a_slow_viewer_keeps_and_goes_with_its_link() {
    let mut world = World::joined();
    let idle = world.replica.memory();
    // Its link is there and takes all, but nothing arrives: no acknowledgement comes.
    for number in 0..12 {
        let line = format!("{number}").repeat(15);
        world.replica.handle_view(view(&line), world.now);
        while world.replica.poll_output(world.now, Some(1200)).is_some() {}
        world.now += 40 * MS;
        world.replica.handle_timeout(world.now);
    }
    let held = world.replica.memory();
    assert!(held > idle + 3 * size_of::<Frame>(), "{held} after {idle}");
    world.replica.handle_no_memory("too much".into(), world.now);
    world.exchange();
    let is_limit =
        |output: &Output| matches!(output, Output::CloseLink { code: CloseCode::Limit, .. });
    assert!(world.has(is_limit));
    assert!(world.replica.memory() < held);
    assert_eq!(world.link(1), Some(false), "both begin anew");
}

#[test]
fn more_keys_than_a_viewer_may_type_ahead_end_the_link() {
    let mut world = World::joined();
    let piece = vec![b'x'; INPUT_SIZE_MAX];
    let now = world.now;
    for mark in 1..100 {
        let (bytes, mark) = (piece.clone(), mark);
        world.replica.on_action(ViewerAction::Input { bytes, mark }, now);
    }
    world.exchange();
    let is_limit =
        |output: &Output| matches!(output, Output::CloseLink { code: CloseCode::Limit, .. });
    assert!(world.has(is_limit));
    assert_eq!(world.link(1), Some(false), "both begin anew");
}

proptest! {
    #[test]
    fn any_bytes_of_a_viewer_are_read_or_end_the_link(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20),
    ) {
        let mut world = World::joined();
        for datagram in datagrams {
            let incoming = tern_sync::link::Incoming::Datagram(datagram.into());
            world.replica.handle_incoming(incoming, world.now);
            world.exchange();
        }
        prop_assert!(world.replica.poll_timeout().is_some());
    }
}
