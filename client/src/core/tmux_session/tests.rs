//! The machine against a tmux of a few lines.

use super::*;
use crate::core::hidden::LINGER;
use crate::core::refresh::{POLL_INTERVAL, REFRESH_INTERVAL_MIN};
use proptest::prelude::*;
use tern_sync::session::{Role, ViewerId, Visitor};

const LOCAL: Size = Size { cols: 100, rows: 30 };
const HIDDEN_TTY: &str = "/dev/pts/9";
const A: ViewerId = ViewerId(1);
const B: ViewerId = ViewerId(2);

#[test]
fn first_viewer_brings_the_hidden_client_at_the_windows_size() {
    let mut world = World::new();
    assert!(world.take(is_attach).is_empty(), "nobody watches");
    world.joins(A, Role::ReadOnly, (60, 20));
    let attached = world.take(is_attach);
    assert_eq!(attached, [Command::AttachHidden(Decision { size: LOCAL, counts: false })]);
}

#[test]
fn writer_makes_the_windows_small_and_leaves_them_as_they_were() {
    let mut world = World::new();
    world.joins(A, Role::ReadWrite, (90, 40));
    assert!(world.lines().contains(&"set-option -w -t @0 window-size smallest".into()));
    let size = Size { cols: 90, rows: 30 };
    let attached = world.take(is_attach);
    assert_eq!(attached, [Command::AttachHidden(Decision { size, counts: true })]);
    world.forget();
    world.event(ViewerEvent::Left { viewer: A });
    let lines = world.lines();
    assert!(lines.contains(&"set-option -wu -t @0 window-size".into()), "{lines:?}");
    let flag = format!("refresh-client -t '{HIDDEN_TTY}' -f 'ignore-size'");
    assert!(lines.contains(&flag), "{lines:?}");
}

#[test]
fn keys_wait_until_the_hidden_client_shows_something() {
    let mut world = World::new();
    world.joins(A, Role::ReadWrite, (90, 40));
    world.types(A, "early");
    assert!(world.take(is_write).is_empty());
    world.session.handle_hidden_ready(world.now);
    world.settle();
    assert_eq!(world.typed(), ["e", "a", "r", "l", "y"], "spaced, as all keys are");
}

#[test]
fn what_scrolls_off_is_captured_while_a_replica_is_kept() {
    let mut world = World::watched_by(A, Role::ReadOnly);
    let is_capture = |command: &Command| matches!(command, Command::Capture(_));
    let is_told = |command: &Command| matches!(command, Command::Scrollback(_));
    world.session.handle_hidden_drawn(world.now);
    world.settle();
    assert!(world.take(is_capture).is_empty(), "nobody wants it");
    world.event(ViewerEvent::Scrollback { is_wanted: true });
    // Of 70 lines, 50 were there when the sharing began.
    assert_eq!(world.take(is_capture), [Command::Capture(5000)]);
    let lines: String = (0..70).map(|n| format!("{n}\n")).collect();
    let header = "h\t%0\t70\t900\t100\t29\t0\t0\t0\ton\tbottom\n";
    let captured = header.to_owned() + &lines;
    world.session.handle_captured(Some(captured.as_bytes()), world.now);
    world.settle();
    let told = world.take(is_told);
    let Some(Command::Scrollback(kept)) = told.last() else { panic!("{told:?}") };
    assert_eq!((kept.range(), kept.place().rows), (0..20, 29));
    world.forget();
    // The same again is no news.
    world.session.handle_hidden_drawn(world.now);
    world.pass(POLL_INTERVAL);
    assert!(world.take(is_capture).is_empty() && world.take(is_told).is_empty());
    world.event(ViewerEvent::Scrollback { is_wanted: false });
    world.session.handle_hidden_drawn(world.now);
    world.forget();
    world.pass(POLL_INTERVAL);
    assert!(!world.lines().iter().any(|line| line.contains("history_size")));
}

#[test]
fn where_keys_go_and_which_are_answered_is_told_to_who_asks() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    let is_keys = |command: &Command| matches!(command, Command::Keys(..));
    world.types(A, "x");
    world.pass(POLL_INTERVAL);
    assert!(world.take(is_keys).is_empty(), "nobody asked");
    let bytes = b"y".to_vec();
    world.event(ViewerEvent::Input { viewer: A, bytes, mark: 7 });
    world.pass(REFRESH_INTERVAL_MIN + TYPING_TIME);
    let told = world.take(is_keys);
    let Some(Command::Keys(place, marks)) = told.last() else { panic!("{told:?}") };
    assert_eq!((place.tty.as_str(), marks.as_slice()), ("/dev/pts/5", &[(A, 7)][..]));
}

#[test]
fn reader_types_nothing() {
    let mut world = World::watched_by(A, Role::ReadOnly);
    world.types(A, "x");
    assert!(world.take(is_write).is_empty());
}

#[test]
fn detach_key_lets_its_typist_go_and_the_others_stay() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.joins(B, Role::ReadWrite, (100, 30));
    world.types(A, "\x02dx");
    assert_eq!(world.typed_until("d"), ["\x02", "d"]);
    world.forget();
    world.session.handle_hidden_exited(Departure::Detached, world.now);
    // What comes before tmux has answered: the one has detached, the other has not.
    world.types(A, "rm");
    world.types(B, "ls");
    world.settle();
    let text = "[detached (from session work)]".to_owned();
    assert_eq!(world.take(is_tell), [Command::Tell(HostEvent::Detach { viewer: A, text })]);
    world.pass(REFRESH_INTERVAL_MIN);
    assert_eq!(world.take(is_attach).len(), 1);
    world.session.handle_hidden_ready(world.now);
    world.settle();
    assert_eq!(world.typed(), ["l", "s"]);
}

#[test]
fn last_viewers_detach_key_brings_no_new_client() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.types(A, "\x02d");
    world.forget();
    world.session.handle_hidden_exited(Departure::Detached, world.now);
    world.settle();
    assert_eq!(world.take(is_tell).len(), 1);
    world.event(ViewerEvent::Left { viewer: A });
    world.pass(LINGER);
    assert!(world.take(is_attach).is_empty());
}

#[test]
fn attach_d_of_the_host_throws_nobody_out() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.types(A, "x");
    world.forget();
    world.is_answering = false;
    world.session.handle_hidden_exited(Departure::Detached, world.now);
    world.session.handle_control_event(Event::Exit, world.now);
    world.settle();
    world.is_answering = true;
    world.session.handle_session_checked(true, world.now);
    world.pass(Duration::from_secs(1));
    assert!(world.take(is_tell).is_empty());
    assert_eq!(world.take(is_attach).len(), 1, "{:?}", world.session);
}

#[test]
fn nobody_is_blamed_for_a_hidden_client_that_was_killed() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.types(A, "x");
    world.forget();
    world.session.handle_hidden_exited(Departure::Lost, world.now);
    world.pass(Duration::from_secs(1));
    assert!(world.take(is_tell).is_empty());
    assert_eq!(world.take(is_attach).len(), 1, "{:?}", world.session);
}

#[test]
fn nobody_is_blamed_for_a_hidden_client_that_somebody_here_detached() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.types(A, "x");
    world.pass(Duration::from_secs(2));
    world.forget();
    world.tmux_time = LOCAL_ACTIVE_AT;
    world.session.handle_hidden_exited(Departure::Detached, world.now);
    world.settle();
    world.pass(Duration::from_secs(1));
    assert!(world.take(is_tell).is_empty());
    assert_eq!(world.take(is_attach).len(), 1, "{:?}", world.session);
}

#[test]
fn session_that_is_gone_ends_the_sharing() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.forget();
    world.session.handle_control_lost(world.now);
    world.settle();
    assert_eq!(world.take(|command| *command == Command::CheckSession).len(), 1);
    world.session.handle_session_checked(false, world.now);
    world.settle();
    assert_eq!(world.take(|command| *command == Command::Ended).len(), 1);
    world.pass(Duration::from_secs(60));
    assert!(world.take(is_attach).is_empty());
}

#[test]
fn nothing_of_another_session_is_shown() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.forget();
    let session = "$7".to_owned();
    let moved = Notification::SessionChanged { session };
    world.session.handle_control_event(Event::Notification(moved), world.now);
    world.settle();
    assert_eq!(world.take(|command| *command == Command::DetachHidden).len(), 1);
    assert_eq!(world.take(|command| *command == Command::DropControl).len(), 1);
}

#[test]
fn hidden_client_that_is_moved_comes_back() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.forget();
    let (client, session) = (HIDDEN_TTY.to_owned(), "$7".to_owned());
    let moved = Notification::ClientSessionChanged { client, session };
    world.session.handle_control_event(Event::Notification(moved), world.now);
    world.settle();
    assert!(world.lines().contains(&format!("switch-client -c '{HIDDEN_TTY}' -t '$3'")));
}

#[test]
fn notices_go_to_peoples_terminals_and_run_nothing() {
    let mut world = World::watched_by(A, Role::ReadOnly);
    world.forget();
    world.session.notify("it's #(reboot)", world.now);
    world.pass(REFRESH_INTERVAL_MIN);
    let messages: Vec<_> =
        world.lines().into_iter().filter(|line| line.starts_with("display-message -c")).collect();
    assert_eq!(messages, [r"display-message -c '/dev/pts/1' -d 15000 'it'\''s ?(reboot)'"]);
}

#[test]
fn unwatched_session_is_left_alone() {
    let mut world = World::new();
    world.pass(POLL_INTERVAL);
    world.forget();
    world.pass(POLL_INTERVAL * 100);
    assert_eq!(world.lines(), Vec::<String>::new());
    assert_eq!(world.session.poll_timeout(), None);
}

#[test]
fn hidden_client_goes_a_while_after_the_last_viewer() {
    let mut world = World::watched_by(A, Role::ReadOnly);
    world.forget();
    world.event(ViewerEvent::Left { viewer: A });
    assert!(world.take(|command| *command == Command::DetachHidden).is_empty());
    world.pass(LINGER);
    assert_eq!(world.take(|command| *command == Command::DetachHidden).len(), 1);
}

#[test]
fn stop_restores_before_it_says_so() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.forget();
    world.session.stop(world.now);
    world.settle();
    let restored = world.at(|command| is_line(command, "set-option -wu -t @0 window-size"));
    let stopped = world.at(|command| *command == Command::Stopped);
    assert!(restored.is_some() && stopped > restored, "{:?}", world.lines());
}

#[test]
fn topology_is_told_when_it_changes() {
    let mut world = World::new();
    assert_eq!(world.take(|command| matches!(command, Command::Topology(_))).len(), 1);
    world
        .session
        .handle_control_event(Event::Notification(Notification::TopologyChanged), world.now);
    world.pass(REFRESH_INTERVAL_MIN);
    assert!(world.take(|command| matches!(command, Command::Topology(_))).is_empty());
}

#[test]
fn old_tmux_is_spoken_to_in_its_own_words() {
    let mut world = World::with_version(TmuxVersion::new(2, 6));
    world.joins(A, Role::ReadWrite, (90, 40));
    let all = world.lines().join("\n");
    for word in ["window-size", "-f '", "-d 15000", "no-output"] {
        assert!(!all.contains(word), "{word} in\n{all}");
    }
    assert_eq!(world.take(is_attach).len(), 1);
}

proptest! {
    #[test]
    fn whatever_happens_an_unwatched_session_has_no_hidden_client(
        steps in prop::collection::vec((0u8..12, 1u32..4), 0..60),
    ) {
        let mut world = World::new();
        for (what, who) in steps {
            let viewer = ViewerId(who);
            match what {
                0 => world.joins(viewer, Role::ReadWrite, (80, 24)),
                1 => world.joins(viewer, Role::ReadOnly, (200, 10)),
                2 => world.event(ViewerEvent::Left { viewer }),
                3 => world.types(viewer, "\x1b[200~x"),
                4 => world.event(ViewerEvent::Resized { viewer, cols: 1, rows: 500 }),
                5 => world.session.handle_hidden_exited(Departure::Detached, world.now),
                6 => world.session.handle_hidden_ready(world.now),
                7 => {
                    world.session.handle_control_lost(world.now);
                    world.settle();
                    world.session.handle_session_checked(true, world.now);
                }
                8 => world.session.handle_viewers_forgotten(world.now),
                9 => world.session.notify("notice", world.now),
                10 => world.pass(Duration::from_millis(300)),
                _ => world.is_answering = !world.is_answering,
            }
            world.settle();
        }
        world.is_answering = true;
        world.session.handle_viewers_forgotten(world.now);
        world.pass(LINGER * 20);
        prop_assert!(!world.is_hidden_there);
        prop_assert!(world.session.viewers().iter().next().is_none());
    }
}

fn asks(viewer: ViewerId) -> ViewerEvent {
    let (role, address) = (Role::ReadWrite, "192.0.2.1".to_owned());
    ViewerEvent::Asks { viewer, who: Visitor { role, address, key: None, place: None } }
}

#[test]
fn options_are_read_anew_when_tmux_tells_of_them() {
    let mut world = World::new();
    let subscribes = |line: &String| line.starts_with("refresh-client -B 'tern-options::");
    let is_read = |command: &Command| *command == Command::ReadOptions;
    // tmux 3.3 would take it to be about another client.
    world.session.handle_option_set();
    world.settle();
    assert!(!world.lines().iter().any(subscribes), "{:?}", world.lines());
    assert_eq!(world.take(is_read).len(), 1);
    world.enters("$3");
    assert!(world.lines().iter().any(subscribes), "{:?}", world.lines());
    world.forget();
    // What it compares with begins anew.
    world.session.handle_option_set();
    world.settle();
    assert!(world.lines().iter().any(subscribes), "{:?}", world.lines());
    assert_eq!(world.take(is_read).len(), 1);
    for (name, count) in [("tern-options", 1), ("somebody-elses", 0)] {
        let name = name.to_owned();
        let event = Event::Notification(Notification::SubscriptionChanged { name });
        world.session.handle_control_event(event, world.now);
        world.settle();
        assert_eq!(world.take(is_read).len(), count);
    }
    let mut old = World::with_version(TmuxVersion::new(3, 1));
    old.enters("$3");
    assert!(!old.lines().iter().any(subscribes));
}

fn is_menu(command: &Command) -> bool {
    matches!(command, Command::ShowMenu(_))
}

#[test]
fn menus_come_to_the_hosts_terminals_and_never_to_the_viewers_client() {
    let mut world = World::watched_by(A, Role::ReadWrite);
    world.event(asks(B));
    world.pass(REFRESH_INTERVAL_MIN);
    let shown = world.take(is_menu);
    let [Command::ShowMenu(menu)] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((menu.tty.as_str(), menu.number), ("/dev/pts/1", 2));
    world.session.handle_menu_shown("/dev/pts/1", world.now);
    let choose = |world: &mut World, tty: &str, choice| {
        world.session.handle_menu_choice(tty, 2, choice, world.now);
        world.settle();
        world.take(is_tell)
    };
    world.pass(menus::GUARD_TIME);
    assert!(choose(&mut world, HIDDEN_TTY, Choice::Approve).is_empty(), "no menu is there");
    assert!(choose(&mut world, "/dev/pts/1", Choice::Approve).is_empty(), "are they sure?");
    assert_eq!(world.take(is_menu).len(), 1);
    world.session.handle_menu_shown("/dev/pts/1", world.now);
    world.pass(menus::GUARD_TIME);
    let admitted = [Command::Tell(HostEvent::Admit { viewer: B })];
    assert_eq!(choose(&mut world, "/dev/pts/1", Choice::Sure), admitted);
    assert!(choose(&mut world, "/dev/pts/1", Choice::Sure).is_empty(), "it is decided");
    world.pass(menus::QUIET_TIME);
    assert!(world.take(is_menu).is_empty());
}

#[test]
fn hidden_client_that_has_gone_is_nobodys_terminal_while_it_is_still_listed() {
    for was_listed in [true, false] {
        let mut world = World::new();
        world.is_hidden_listed = was_listed;
        world.joins(A, Role::ReadWrite, (100, 30));
        world.session.handle_hidden_exited(Departure::Lost, world.now);
        world.is_hidden_listed = true;
        world.event(asks(B));
        world.pass(REFRESH_INTERVAL_MIN);
        let shown = world.take(is_menu);
        let [Command::ShowMenu(menu)] = shown.as_slice() else { panic!("{shown:?}") };
        assert_eq!(menu.tty, "/dev/pts/1");
    }
}

#[test]
fn menu_goes_with_its_question_and_with_the_sharing() {
    let is_gone = |command: &Command| matches!(command, Command::TakeMenuAway { .. });
    for ends in [true, false] {
        let mut world = World::watched_by(A, Role::ReadWrite);
        world.event(asks(B));
        world.pass(REFRESH_INTERVAL_MIN);
        assert_eq!(world.take(is_menu).len(), 1);
        if ends {
            world.session.stop(world.now);
            world.settle();
        } else {
            world.event(ViewerEvent::Left { viewer: B });
        }
        assert_eq!(
            world.take(is_gone),
            [Command::TakeMenuAway { tty: "/dev/pts/1".into(), pid: 1 }]
        );
    }
}

#[test]
fn old_tmux_has_a_line_in_place_of_a_menu() {
    let mut world = World::with_version(TmuxVersion::new(2, 9));
    world.event(asks(A));
    world.pass(REFRESH_INTERVAL_MIN);
    assert!(world.take(is_menu).is_empty());
    let is_told = |line: &String| line.contains("/dev/pts/1") && line.contains("tern approve 1");
    assert!(world.lines().iter().any(is_told), "{:?}", world.lines());
}

fn is_attach(command: &Command) -> bool {
    matches!(command, Command::AttachHidden(_))
}

fn is_write(command: &Command) -> bool {
    matches!(command, Command::WriteHidden(_))
}

/// When somebody typed at the local client, in tmux's seconds.
const LOCAL_ACTIVE_AT: u64 = 5;

/// Longer than the spacing of keys.
const TYPING_TIME: Duration = Duration::from_millis(100);

fn is_tell(command: &Command) -> bool {
    matches!(command, Command::Tell(_))
}

fn is_line(command: &Command, wanted: &str) -> bool {
    matches!(command, Command::Tmux(_, line) if line == wanted)
}

/// The machine, a tmux that answers its questions, and what was done.
struct World {
    session: TmuxSession,
    now: Instant,
    done: Vec<Command>,
    is_answering: bool,
    is_hidden_there: bool,
    is_hidden_listed: bool,
    /// What time tmux says it is.
    tmux_time: u64,
}

impl World {
    fn new() -> Self {
        Self::with_version(TmuxVersion::new(3, 3))
    }

    fn with_version(version: TmuxVersion) -> Self {
        let (now, time) = (Instant::now(), Duration::from_secs(15));
        let session = TmuxSession::new(version, "$3".into(), LOCAL, time, now);
        let (is_answering, is_hidden_there, is_hidden_listed) = (true, false, true);
        let tmux_time = LOCAL_ACTIVE_AT + 60;
        let done = Vec::new();
        let mut world =
            Self { session, now, done, is_answering, is_hidden_there, is_hidden_listed, tmux_time };
        world.settle();
        world
    }

    fn watched_by(viewer: ViewerId, role: Role) -> Self {
        let mut world = Self::new();
        world.joins(viewer, role, (100, 30));
        world.session.handle_hidden_ready(world.now);
        world.settle();
        world
    }

    fn joins(&mut self, viewer: ViewerId, role: Role, (cols, rows): (u16, u16)) {
        let address = "192.0.2.1".to_owned();
        let who = Visitor { role, address, key: None, place: None };
        self.event(ViewerEvent::Joined { viewer, who, cols, rows });
        self.pass(REFRESH_INTERVAL_MIN);
    }

    fn types(&mut self, viewer: ViewerId, text: &str) {
        let bytes = text.as_bytes().to_vec();
        self.session.handle_viewer_event(ViewerEvent::Input { viewer, bytes, mark: 0 }, self.now);
        if !self.session.hidden.is_unexplained() {
            self.settle();
        }
    }

    fn event(&mut self, event: ViewerEvent) {
        self.session.handle_viewer_event(event, self.now);
        self.settle();
    }

    /// tmux tells that the control client is in this session.
    fn enters(&mut self, session: &str) {
        let event = Notification::SessionChanged { session: session.to_owned() };
        self.session.handle_control_event(Event::Notification(event), self.now);
        self.settle();
    }

    /// Time passes, and everything that is due happens.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Does what the machine says, until it says nothing more.
    fn settle(&mut self) {
        while let Some(command) = self.session.poll_command() {
            self.done.push(command.clone());
            match command {
                Command::Tmux(query, _) if self.is_answering => self.answer(query),
                Command::AttachControl => self.session.handle_control_attached(self.now),
                Command::AttachHidden(_) => {
                    self.is_hidden_there = true;
                    self.session.handle_hidden_attached(HIDDEN_TTY.into(), 2);
                }
                Command::DetachHidden => self.is_hidden_there = false,
                _ => {}
            }
        }
        self.is_hidden_there &= self.session.hidden.tty().is_some();
    }

    fn answer(&mut self, query: Query) {
        let time = self.tmux_time.to_string();
        let text = match query {
            Query::WhyDetached => &time,
            Query::Session => "s\t100\t29\ton\twork",
            Query::Clients if !self.is_hidden_listed => {
                "c\t1\t100\t30\t0\t0\t5\tattached\t/dev/pts/1"
            }
            Query::Clients => {
                "c\t1\t100\t30\t0\t0\t5\tattached\t/dev/pts/1\n\
                 c\t2\t100\t30\t0\t0\t5\tattached\t/dev/pts/9\n\
                 c\t3\t80\t\t1\t0\t5\tcontrol-mode\t"
            }
            Query::KeysPlace => "k\t/dev/pts/5\t0\ton\tbottom\tC-b\tNone",
            Query::Windows => "w\t@0\t0\t1\tlayout\tbash",
            Query::Panes => "p\t@0\t%0\t1\t100\t29\t0\t0\ttitle",
            Query::DeadPanes => "%0 1",
            Query::WindowSize(_) | Query::Farewell | Query::Ready | Query::Nothing => "",
            Query::Before => "b\t%0\t50\t100",
            Query::History => "h\t%0\t70\t900\t100\t29\t0\t0\t0\ton\tbottom",
        };
        let lines = text.lines().map(|line| line.as_bytes().to_vec()).collect();
        let reply = Event::Reply(Reply { tag: query, is_ok: true, lines });
        self.session.handle_control_event(reply, self.now);
    }

    /// What is typed from now on, write by write.
    fn typed(&mut self) -> Vec<String> {
        self.pass(TYPING_TIME);
        self.writes()
    }

    /// What is typed until (and with) this key; time stops there.
    fn typed_until(&mut self, key: &str) -> Vec<String> {
        let mut typed = self.writes();
        while typed.last().is_none_or(|last| last != key) {
            self.now = self.session.poll_timeout().expect("the key is still to come");
            self.session.handle_timeout(self.now);
            self.settle();
            typed.extend(self.writes());
        }
        typed
    }

    fn writes(&mut self) -> Vec<String> {
        let text = |command| match command {
            Command::WriteHidden(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => panic!("{other:?} writes nothing"),
        };
        self.take(is_write).into_iter().map(text).collect()
    }

    fn forget(&mut self) {
        self.done.clear();
    }

    fn take(&mut self, is_wanted: impl Fn(&Command) -> bool) -> Vec<Command> {
        let done = std::mem::take(&mut self.done);
        let (taken, left) = done.into_iter().partition(is_wanted);
        self.done = left;
        taken
    }

    fn at(&self, is_wanted: impl Fn(&Command) -> bool) -> Option<usize> {
        self.done.iter().position(is_wanted)
    }

    fn lines(&self) -> Vec<String> {
        let line = |command: &Command| match command {
            Command::Tmux(_, line) => Some(line.clone()),
            _ => None,
        };
        self.done.iter().filter_map(line).collect()
    }
}
