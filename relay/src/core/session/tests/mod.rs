//! A session in virtual time: its life, its viewers, a host that comes and goes.

mod asking;
mod random;
mod webhook;
mod world;

use super::events::UNTOLD_MAX;
use super::host::{CONNECT_TIME_MAX, LOSS_SHOWN_AFTER, SILENCE_SHOWN_AFTER};
use super::viewers::{PASTE_HOLD_MAX, UNCONFIRMED_MAX};
use super::*;
use crate::core::doors::Admission;
use crate::core::input::VIEWER_BACKLOG_MAX;
use tern_sync::log::Whole;
use tern_sync::scrollback::{Block, ScrollbackEntry};
use tern_sync::session::{Pane, Role, SCROLLBACK, TOPOLOGY, Topology, ViewerEvent, Window};
use tern_term::{Frame, Size};
use world::{SIZE, World, visitor};

#[test]
fn viewers_see_what_the_host_shows() {
    let mut world = World::new(Limits::default());
    assert_eq!(world.notice(), Some(text::WAITING_NOTICE));
    world.connect(1);
    world.show("hello");
    world.run();
    assert!(world.view.frame.to_text().starts_with("hello"));
    assert_eq!(world.notice(), None);
}

#[test]
fn host_that_missed_its_welcome_begins_anew_and_loses_no_key() {
    let mut world = World::new(Limits::default());
    let viewer = world.join(Role::ReadWrite);
    assert_eq!(world.session.handle_host(1, 2, world.now), Some(false));
    world.input(viewer, b"ls\r");
    assert!(!world.connect(1), "it may hold states of a relay that is gone");
    world.run();
    assert_eq!(world.typed(), b"ls\r");
    assert!(world.connect(1), "it was heard");
}

#[test]
fn host_learns_who_joins_types_resizes_and_leaves() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.input(viewer, b"ls\r");
    world.session.handle_resize(viewer, Size { cols: 100, rows: 30 }, world.now);
    world.run();
    assert_eq!(world.present().into_values().collect::<Vec<_>>(), [(100, 30)]);
    assert_eq!(world.typed(), b"ls\r");
    assert_eq!(world.taken[&viewer], 3);
    world.session.handle_leave(viewer, world.now);
    world.run();
    assert!(world.present().is_empty());
}

#[test]
fn read_only_viewer_types_nothing_and_may_leave() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadOnly);
    for keys in [b"rm -rf\r".as_slice(), b"\x1b[<0;3;3M", b"\x1b[200~q\x1b[201~", b"\x1b", b"quit"]
    {
        world.input(viewer, keys);
    }
    world.run();
    assert!(world.typed().is_empty() && world.released.is_empty());
    assert!(world.taken[&viewer] > 0, "what is ignored may be followed by more");
    world.input(viewer, b"q");
    world.run();
    assert_eq!(world.released, [(viewer, text::LEFT.to_owned(), EXIT_ENDED)]);
    assert!(world.present().is_empty());
}

#[test]
fn what_scrolls_off_is_asked_for_as_long_as_somebody_keeps_a_replica() {
    let mut world = World::connected();
    let wishes = |world: &World| {
        let wish = |event: &ViewerEvent| match event {
            ViewerEvent::Scrollback { is_wanted } => Some(*is_wanted),
            _ => None,
        };
        world.told.iter().filter_map(wish).collect::<Vec<_>>()
    };
    let scroll_off = |world: &mut World, first| {
        let block = Arc::new(Block { first, count: 1, bytes: vec![7; 9000] });
        world.host.update(SCROLLBACK, world.now, |log| {
            assert!(log.push(ScrollbackEntry::Lines(block)));
        });
        world.run();
    };
    let by_ssh = world.join(Role::ReadWrite);
    scroll_off(&mut world, 0);
    assert!(wishes(&world).is_empty() && world.view.scrollback.range().is_empty(), "unasked");
    let (first, second) = (world.join(Role::ReadOnly), world.join(Role::ReadWrite));
    world.session.handle_scrollback_wanted(first, world.now);
    world.session.handle_scrollback_wanted(second, world.now);
    world.run();
    assert_eq!(wishes(&world), [true]);
    let memory = world.session.memory();
    scroll_off(&mut world, 1);
    assert_eq!(world.view.scrollback.range(), 1..2);
    assert!(world.session.memory() >= memory + 9000, "what is kept is counted");
    world.session.handle_leave(first, world.now);
    world.run();
    assert_eq!(wishes(&world), [true]);
    // Memory is short: lines go before the session's link.
    world.session.handle_no_memory("none", world.now);
    world.run();
    assert_eq!(wishes(&world), [true, false]);
    assert!(world.view.scrollback.range().is_empty() && world.closed.is_empty());
    world.session.handle_leave(second, world.now);
    let third = world.join(Role::ReadOnly);
    world.session.handle_scrollback_wanted(third, world.now);
    world.run();
    assert_eq!(wishes(&world), [true, false, true], "others may have more luck");
    world.session.handle_leave(third, world.now);
    world.session.handle_leave(by_ssh, world.now);
    world.run();
    assert_eq!(wishes(&world), [true, false, true, false]);
    world.session.handle_no_memory("none", world.now);
    assert!(!world.is_over);
}

#[test]
fn keys_are_sent_again_at_once_when_the_host_is_heard_from_another_address() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.is_hole = true;
    world.input(viewer, b"k");
    world.run_for(Duration::from_secs(6));
    assert!(world.typed().is_empty());
    world.is_hole = false;
    world.session.handle_path_changed(world.now);
    world.run_for(world::DELAY + Duration::from_millis(5));
    assert_eq!(world.typed(), b"k");
    world.run();
    assert_eq!(world.typed(), b"k", "once");
}

#[test]
fn keys_of_two_viewers_are_never_mixed_within_a_sequence_or_a_paste() {
    let mut world = World::connected();
    let (first, second) = (world.join(Role::ReadWrite), world.join(Role::ReadWrite));
    world.input(first, b"\x1b[1;");
    world.input(second, b"x");
    world.input(first, b"5A");
    world.run();
    assert_eq!(world.typed(), b"x\x1b[1;5A");

    world.told.retain(|event| matches!(event, ViewerEvent::Joined { .. }));
    world.input(first, b"\x1b[200~one ");
    world.input(second, b"y");
    world.input(first, b"two\x1b[201~");
    world.run();
    assert_eq!(world.typed(), b"\x1b[200~one two\x1b[201~y");
}

#[test]
fn paste_that_does_not_end_holds_others_up_for_a_moment_only() {
    let mut world = World::connected();
    let (first, second) = (world.join(Role::ReadWrite), world.join(Role::ReadWrite));
    world.input(first, b"\x1b[200~one");
    world.input(second, b"y");
    world.run_for(PASTE_HOLD_MAX + Duration::from_millis(100));
    assert_eq!(world.typed(), b"\x1b[200~oney");
    world.session.handle_leave(first, world.now);
    world.run();
    assert_eq!(world.typed(), b"\x1b[200~oney\x1b[201~", "a paste is closed for who is gone");
}

#[test]
fn paste_that_outlives_a_silence_does_not_go_on_as_typed_lines() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.input(viewer, b"\x1b[200~one");
    world.run();
    world.session.handle_silence(viewer, true, world.now);
    world.run();
    world.input(viewer, b"two\r\x1b[201~");
    world.run();
    // That the viewer left has closed the first half at the host.
    assert_eq!(world.typed(), b"\x1b[200~one\x1b[200~two\r\x1b[201~");
}

#[test]
fn backlog_of_keys_is_bounded_and_drains_in_turn() {
    let mut world = World::connected();
    let (greedy, modest) = (world.join(Role::ReadWrite), world.join(Role::ReadWrite));
    world.run();
    world.lose_link();
    let mut given = 0;
    // As the shell does it: no more than the credit.
    while given - world.taken.get(&greedy).copied().unwrap_or(0) < VIEWER_BACKLOG_MAX {
        world.input(greedy, &[b'a'; 1024]);
        given += 1024;
        assert!(given < 10 * UNCONFIRMED_MAX, "it never ends");
    }
    world.input(modest, b"B");
    assert!(
        world.session.endpoint.current(tern_sync::session::VIEWER_EVENTS).byte_count() < UNTOLD_MAX
    );
    assert!(world.connect(1), "nothing was forgotten");
    world.run();
    let typed = world.typed();
    assert_eq!(typed.len(), given + 1);
    let place = typed.iter().position(|byte| *byte == b'B').expect("it arrived");
    assert!(place < given, "the modest viewer had its turn before the greedy one was done");
}

#[test]
fn silent_viewer_does_not_count_until_it_is_heard() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.session.handle_silence(viewer, true, world.now);
    world.run();
    assert!(world.present().is_empty());
    world.input(viewer, b"back");
    world.run();
    assert_eq!(world.present().len(), 1);
    assert_eq!(world.typed(), b"back");
    let numbers: Vec<_> = world
        .told
        .iter()
        .filter_map(|event| match event {
            ViewerEvent::Joined { viewer, .. } => Some(*viewer),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [viewer, viewer], "it is the same one");
}

#[test]
fn silent_viewer_is_shown_out_by_a_word_that_was_on_its_way() {
    for is_back in [false, true] {
        let mut world = World::connected();
        let viewer = world.join(Role::ReadWrite);
        world.run();
        world.host_says(HostEvent::Dismiss { viewer, text: "[no]".into() });
        world.session.handle_silence(viewer, true, world.now);
        if is_back {
            world.input(viewer, b"rm");
        }
        world.run();
        assert_eq!(world.released, [(viewer, "[no]".to_owned(), EXIT_LOST)]);
        assert!(world.present().is_empty());
        assert_eq!(world.told.last(), Some(&ViewerEvent::Left { viewer }));
    }
}

#[test]
fn host_that_begins_anew_learns_of_silent_viewers_too() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.session.handle_silence(viewer, true, world.now);
    world.run();
    world.lose_link();
    world.told.clear();
    world.connect(2);
    world.run();
    assert!(world.present().is_empty());
    let Some(ViewerEvent::Away { viewer: number }) = world.told.last().cloned() else {
        panic!("{:?}", world.told)
    };
    world.host_says(HostEvent::Dismiss { viewer: number, text: String::new() });
    world.run();
    assert_eq!(world.released.len(), 1);
}

#[test]
fn host_that_was_away_for_long_is_told_who_is_present_now() {
    let mut world = World::connected();
    let stays = world.join(Role::ReadWrite);
    world.run();
    world.lose_link();
    let events_max = UNTOLD_MAX / 20;
    for _ in 0..events_max {
        let viewer = world.join(Role::ReadOnly);
        world.session.handle_leave(viewer, world.now);
    }
    let log_size = world.session.endpoint.current(tern_sync::session::VIEWER_EVENTS).byte_count();
    assert!(log_size <= UNTOLD_MAX, "{log_size}");
    world.told.clear();
    assert!(!world.connect(1), "the log was given up");
    world.run();
    assert_eq!(world.present().len(), 1);
    world.session.handle_leave(stays, world.now);
    world.run();
    assert!(world.present().is_empty());
}

#[test]
fn lost_host_is_shown_by_the_second_and_its_return_clears_the_notice() {
    let mut world = World::connected();
    world.show("screen");
    world.run();
    world.lose_link();
    world.run_for(LOSS_SHOWN_AFTER - Duration::from_millis(1));
    assert_eq!(world.notice(), None);
    world.run_for(Duration::from_millis(1));
    assert!(world.notice().is_some_and(|notice| notice.starts_with("host last heard 2 s")));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.notice(), Some("host last heard 12 s ago"));
    assert!(world.view.frame.to_text().starts_with("screen"), "the screen stays");
    assert!(world.connect(1));
    assert_eq!(world.notice(), None);
    world.show("more");
    world.run();
    assert!(world.view.frame.to_text().starts_with("more"));
}

#[test]
fn silent_host_is_shown_though_its_connection_stands() {
    let mut world = World::connected();
    world.run();
    world.is_hole = true;
    world.run_for(SILENCE_SHOWN_AFTER + Duration::from_secs(2));
    assert!(world.notice().is_some_and(|notice| notice.starts_with("host last heard")));
    world.is_hole = false;
    world.run_for(Duration::from_secs(6));
    assert_eq!(world.notice(), None);
}

#[test]
fn host_that_lives_and_has_nothing_to_say_is_not_called_silent() {
    let mut world = World::connected();
    world.run();
    for _ in 0..600 {
        world.run_for(Duration::from_millis(100));
        assert_eq!(world.notice(), None);
    }
}

#[test]
fn host_with_another_epoch_begins_anew_and_the_old_screen_stays_until_then() {
    let mut world = World::connected();
    let _ = world.join(Role::ReadWrite);
    world.show("old");
    world.run();
    world.lose_link();
    world.told.clear();
    assert!(!world.connect(2));
    assert!(world.view.frame.to_text().starts_with("old"));
    world.show("new");
    world.run();
    assert!(world.view.frame.to_text().starts_with("new"));
    assert_eq!(world.present().len(), 1, "present viewers are announced again");
}

#[test]
fn end_of_the_session_reaches_viewers_and_the_host_knows_it() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.host_says(HostEvent::Ended { text: "[exited]\x1b[2J".into() });
    world.run_for(Duration::from_millis(200));
    assert_eq!(world.released, [(viewer, "[exited][2J".to_owned(), EXIT_ENDED)]);
    assert!(world.is_retired && !world.is_over);
    assert!(world.host.is_acknowledged(HOST_EVENTS));
    let late = Admission { who: visitor(Role::ReadOnly), bearer: None };
    assert!(world.session.handle_join(late, SIZE, world.now).is_none());
    world.run_for(ENDING_TIME_MAX);
    assert!(world.is_over);
    assert_eq!(world.closed, [CloseCode::Ended]);
}

#[test]
fn detached_viewer_leaves_alone() {
    let mut world = World::connected();
    let (first, second) = (world.join(Role::ReadWrite), world.join(Role::ReadWrite));
    world.run();
    let announced = *world.present().keys().next().expect("two are present");
    world.host_says(HostEvent::Detach { viewer: announced, text: "[detached]".into() });
    world.run();
    assert_eq!(world.released, [(first, "[detached]".to_owned(), EXIT_ENDED)]);
    assert_eq!(world.present().len(), 1);
    world.input(second, b"still here");
    world.run();
    assert_eq!(world.typed(), b"still here");
}

#[test]
fn stopping_relay_tells_viewers_and_host() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.session.handle_stop(world.now);
    world.run();
    assert_eq!(world.released, [(viewer, text::STOPPING.to_owned(), EXIT_LOST)]);
    assert_eq!(world.closed, [CloseCode::Stopping]);
    assert!(world.is_over);
}

#[test]
fn superseded_session_tells_viewers_and_host_and_is_not_one_that_its_host_ended() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.session.handle_superseded(world.now);
    world.run();
    let words = text::SUPERSEDED_FOR_VIEWERS.to_owned();
    assert_eq!(world.released, [(viewer, words, EXIT_LOST)]);
    assert_eq!(world.closed, [CloseCode::Superseded]);
    assert!(world.is_over && world.is_retired);
    assert!(world.session.handle_host(2, 0, world.now).is_none(), "its host is too late");
}

#[test]
fn session_that_is_ending_is_over_as_soon_as_the_relay_stops() {
    let mut world = World::connected();
    world.host_says(HostEvent::Ended { text: "[exited]".into() });
    world.run_for(Duration::from_millis(200));
    assert!(world.is_retired && !world.is_over);
    world.session.handle_stop(world.now);
    world.run();
    assert!(world.is_over);
    assert_eq!(world.closed, [CloseCode::Ended]);
}

#[test]
fn host_that_never_comes_or_never_returns_ends_its_session() {
    let mut world = World::new(Limits::default());
    world.run_for(CONNECT_TIME_MAX);
    assert!(world.is_over && world.is_retired);

    let limits = Limits { host_away: Duration::from_secs(100), ..Limits::default() };
    let mut world = World::new(limits);
    world.connect(1);
    let viewer = world.join(Role::ReadWrite);
    world.run();
    world.lose_link();
    world.run_for(Duration::from_secs(90));
    assert!(!world.is_over);
    world.run_for(Duration::from_secs(11));
    assert!(world.is_over);
    assert_eq!(world.released, [(viewer, text::HOST_GONE.to_owned(), EXIT_LOST)]);
}

#[test]
fn garbage_closes_the_link_and_nothing_else() {
    let mut world = World::connected();
    let viewer = world.join(Role::ReadWrite);
    world.show("screen");
    world.run();
    for garbage in [b"".as_slice(), b"\xff\xff\xff\xff", &[0; 64]] {
        world.session.handle_datagram(garbage, world.now);
        world.run();
        if !world.closed.is_empty() {
            break;
        }
    }
    assert_eq!(world.closed, [CloseCode::Protocol]);
    assert!(world.released.is_empty() && !world.is_over);
    assert!(!world.connect(1), "both begin anew");
    world.show("again");
    world.input(viewer, b"key");
    world.run();
    assert!(world.view.frame.to_text().starts_with("again"));
    assert_eq!(world.typed(), b"key");
}

#[test]
fn screen_above_the_limit_closes_the_link_and_is_never_shown() {
    let mut world = World::new(Limits { screen_cells: 100, ..Limits::default() });
    world.connect(1);
    world.show("too large");
    world.run();
    assert_eq!(world.closed, [CloseCode::Limit]);
    assert!(!world.view.frame.to_text().contains("too large"));
}

#[test]
fn topology_counts_for_what_it_holds() {
    let mut world = World::new(Limits { session_memory: 64 * 1024, ..Limits::default() });
    world.connect(1);
    world.show("small");
    world.run();
    assert!(world.closed.is_empty());
    let panes = vec![Pane::default(); 500];
    let window = Window { panes, ..Window::default() };
    let topology = Topology { windows: vec![window; 4], ..Topology::default() };
    world.host.set(TOPOLOGY, Whole(topology), world.now);
    world.run();
    assert_eq!(world.closed, [CloseCode::Limit]);
    assert!(world.session.memory() < 64 * 1024, "it was let go of");
}

#[test]
fn screens_count_for_what_they_hold_however_small_the_newest_is() {
    let mut world = World::connected();
    world.show("x");
    world.run();
    let idle = world.session.memory();
    let size = Size { cols: 400, rows: 200 };
    let line = "x".repeat(400);
    world.host.set(SCREEN, Frame::from_lines(size, vec![line.as_str(); 200]).into(), world.now);
    world.run();
    assert!(world.session.memory() > idle + 400 * 200 * 4);
    let tiny = Frame::blank(Size { cols: 1, rows: 1 });
    world.host.set(SCREEN, tiny.into(), world.now);
    world.run();
    assert!(world.session.memory() > idle + 400 * 200 * 4, "it is kept as a base");
}

#[test]
fn host_that_makes_much_work_is_not_read_for_a_moment() {
    let mut world = World::connected();
    world.run();
    assert_eq!(world.session.deaf_until(world.now), None);
    let until = (0..40).find_map(|number: u32| {
        let size = Size { cols: 500, rows: 400 };
        let frame = Frame::from_lines(size, [number.to_string().as_str()]);
        world.host.set(SCREEN, frame.into(), world.now);
        world.run_for(Duration::from_millis(10));
        world.session.deaf_until(world.now)
    });
    let until = until.expect("it has done enough");
    assert_eq!(world.session.deaf_until(until), None);
}

#[test]
fn session_without_memory_lets_go_of_its_host_and_takes_it_back() {
    let mut world = World::connected();
    world.show("before");
    world.run();
    world.session.handle_no_memory("the relay is full", world.now);
    world.run();
    assert_eq!(world.closed, [CloseCode::Limit]);
    assert!(!world.connect(2));
    world.run();
    assert_eq!(world.closed, [CloseCode::Limit], "no more");
}
