//! A tmux session that is shared: the machine that knows its viewers and its clients, and decides
//! when the hidden client attaches, how large it is, what it is fed, and whom its end concerns.
//!
//! ```text
//! viewers' events --->+-------------+---> commands for tmux (control mode)
//! control mode   ---->| TmuxSession |---> hidden client: attach, resize, write, detach
//! hidden client  ---->+-------------+---> events for the relay, topology, log
//! ```

use crate::core::control_mode::{Event, Notification, Reply, quoted};
use crate::core::decisions::{Bans, Deciding, KeptOut, Undecided, Verdict, Whom};
use crate::core::drop_in::run_time;
use crate::core::hidden::Hidden;
use crate::core::input::InputMerger;
use crate::core::keys_place::{self, KeysPlace, PLACE_FORMAT};
use crate::core::leaving::Departure;
use crate::core::marks::Marks;
use crate::core::menus::{self, Choice, Menus, Terminal};
use crate::core::messages::JoinLines;
use crate::core::notice;
use crate::core::pane_history::{BEFORE_FORMAT, HISTORY_FORMAT, PaneHistory};
use crate::core::person::Person;
use crate::core::refresh::Refresh;
use crate::core::respawn::{self, Respawner};
use crate::core::sizes::{self, Decision, Lookers};
use crate::core::tmux_clients::{self, CLIENT_FORMAT, SESSION_FORMAT, TmuxClient};
use crate::core::tmux_version::TmuxVersion;
use crate::core::topology::{self, PANE_FORMAT, WINDOW_FORMAT};
use crate::core::typing::Typing;
use crate::core::variables::{Telling, Variables};
use crate::core::viewers::{Change, Viewers, writer_who_joined};
use crate::core::window_sizes::{Request, WindowSizes};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tern_sync::scrollback::Scrollback;
use tern_sync::session::{HostEvent, Topology, ViewerEvent, ViewerId};
use tern_term::Size;

/// Most viewers' events that wait for one answer of tmux's.
const DEFERRED_MAX: usize = 1000;
/// Most notices that wait for the list of clients.
const NOTICES_MAX: usize = 20;
/// Most hidden clients that are remembered: those that tmux has not yet seen go. They come one after the
/// other, half a second apart if they don't last ([`Hidden`]), and tmux sees one go at once.
const HIDDEN_NAMES_MAX: usize = 8;
/// How long a lost control client waits before it attaches again, if it was lost just before.
const CONTROL_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Said as tmate says it.
const RESTARTED: &str = "Session shell restarted";

/// What a command to tmux was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The session's name and current window.
    Session,
    /// Its clients.
    Clients,
    /// Its windows.
    Windows,
    /// Where keys go.
    KeysPlace,
    /// Its panes; the last of a round.
    Panes,
    /// What all panes of the server keep, when the sharing begins.
    Before,
    /// What the active pane keeps of what scrolled off.
    History,
    /// What a window's `window-size` is.
    WindowSize(u32),
    /// What time it is for tmux, asked when the hidden client has gone; that it is answered tells
    /// that the control client is alive.
    WhyDetached,
    /// Everything before it was done: the sharing may end.
    Farewell,
    /// Which panes are dead.
    DeadPanes,
    /// The format variables are there, and who waited for them is awake.
    Ready,
    /// A setting or a message: nobody waits for the answer.
    Nothing,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Write this line to the control client.
    Tmux(Query, String),
    /// Start a control client; its start is told by [`TmuxSession::handle_control_attached`].
    AttachControl,
    /// Let the control client go.
    DropControl,
    /// Find out whether the session is there, for [`TmuxSession::handle_session_checked`].
    CheckSession,
    /// Start the hidden client.
    AttachHidden(Decision),
    /// Let the hidden client go, and show nothing.
    DetachHidden,
    /// Give its terminal this size.
    ResizeHidden(Size),
    /// Type this there.
    WriteHidden(Vec<u8>),
    /// Tell the relay.
    Tell(HostEvent),
    /// Tell the relay.
    Topology(Topology),
    /// Where keys go, and which of them the screen shows the effect of, has changed.
    Keys(KeysPlace, Vec<(ViewerId, u32)>),
    /// Capture so many lines that scrolled off the active pane, for
    /// [`TmuxSession::handle_captured`].
    Capture(usize),
    /// What viewers may have of what scrolled off is another one.
    Scrollback(Scrollback),
    /// Read our options anew: somebody has set one.
    ReadOptions,
    /// The relay is to keep these out.
    Refuse(KeptOut),
    /// Ask the host's people at one of their terminals; that the menu is there, and its end, are told by
    /// [`TmuxSession::handle_menu_shown`] and [`TmuxSession::handle_menu_closed`].
    ShowMenu(menus::Shown),
    /// Take away the menu at a terminal.
    TakeMenuAway {
        /// By which tmux knows it.
        tty: String,
        /// The client's process.
        pid: u32,
    },
    /// Add to the message log.
    Log(String),
    /// Scripts that wait for the join lines find them in tmux now.
    Ready,
    /// The session is over.
    Ended,
    /// What was touched is as it was; answers [`TmuxSession::stop`].
    Stopped,
}

/// The machine.
#[derive(Debug)]
pub struct TmuxSession {
    version: TmuxVersion,
    /// tmux's `$N`, which stays when the session is renamed.
    id: String,
    name: String,
    viewers: Viewers,
    bans: Bans,
    menus: Menus,
    input: InputMerger,
    typing: Typing,
    marks: Marks,
    keys_place: KeysPlace,
    history: PaneHistory,
    /// It was asked what panes kept when the sharing began.
    knows_before: bool,
    hidden: Hidden,
    /// It and those before it, the newest last: they are nobody's terminals, and tmux may list one that
    /// has gone just now.
    hidden_names: VecDeque<HiddenName>,
    clients: Vec<TmuxClient>,
    /// The current window with its status lines.
    window: Option<Size>,
    window_sizes: WindowSizes,
    topology: Topology,
    /// Of the windows, until the panes are there.
    window_lines: Vec<String>,
    /// How long a notice stays (tmate's `tmate-display-time`).
    display_time: Duration,
    /// For the local clients' status lines.
    notices: VecDeque<String>,
    refresh: Refresh,
    control: Control,
    variables: Variables,
    /// Of a program that is run again when it ends.
    respawner: Option<Respawner>,
    /// What viewers did between the hidden client's end and the knowledge of why it ended: the
    /// viewer that detached has no say any more.
    deferred: VecDeque<ViewerEvent>,
    commands: VecDeque<Command>,
}

/// A hidden client, as tmux lists it. Both: the next terminal of a person's may have the one or the other.
#[derive(Debug)]
struct HiddenName {
    tty: String,
    pid: u32,
}

/// The control client, as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Attached {
        at: Instant,
        /// tmux has said so. Before, 3.2 and 3.3 take what names no client to be about another one:
        /// they may read this one's commands before its own `attach-session`.
        is_in_session: bool,
    },
    /// Gone; whether the session still is there is being found out.
    Checking {
        retry_after: Instant,
    },
    Waiting {
        until: Instant,
    },
    /// The session is gone.
    Over,
}

impl TmuxSession {
    /// For the session `id` (`$N`) of a server of this version; its control client is attaching.
    /// Notices stay on the local clients' status line for `display_time`.
    pub fn new(
        version: TmuxVersion,
        id: String,
        size: Size,
        display_time: Duration,
        now: Instant,
    ) -> Self {
        let mut machine = Self {
            version,
            display_time,
            id,
            name: String::new(),
            viewers: Viewers::default(),
            bans: Bans::default(),
            menus: Menus::default(),
            input: InputMerger::for_tmux(),
            typing: Typing::new(now),
            marks: Marks::default(),
            keys_place: KeysPlace::default(),
            history: PaneHistory::new(version.clusters(), now),
            knows_before: false,
            hidden: Hidden::new(size),
            hidden_names: VecDeque::new(),
            clients: Vec::new(),
            window: None,
            window_sizes: WindowSizes::default(),
            topology: Topology::default(),
            window_lines: Vec::new(),
            notices: VecDeque::new(),
            refresh: Refresh::Wanted { after: now },
            control: Control::Waiting { until: now },
            variables: Variables::default(),
            respawner: None,
            deferred: VecDeque::new(),
            commands: VecDeque::new(),
        };
        machine.variables.set_viewers_count(0);
        machine.attach_control(now);
        machine
    }

    /// How people join, for scripts and status lines.
    pub fn handle_lines(&mut self, lines: &JoinLines) {
        self.variables.set_lines(lines);
        self.tell_variables();
    }

    /// The program in this pane (`%N`) is run again when it ends.
    pub fn respawn(&mut self, pane: String, now: Instant) {
        self.respawner = Some(Respawner::new(pane, now));
    }

    /// A program has ended whose pane is still there.
    pub fn handle_pane_died(&mut self) {
        if self.respawner.is_some() {
            let line =
                format!("list-panes -s -t {} -F {}", quoted(&self.id), quoted(respawn::FORMAT));
            self.tmux(Query::DeadPanes, line);
        }
    }

    fn respawn_if_due(&mut self, now: Instant) {
        let line = self.respawner.as_mut().and_then(|respawner| respawner.handle_timeout(now));
        let Some(line) = line else { return };
        self.tmux(Query::Nothing, line);
        self.commands.push_back(Command::Log(RESTARTED.into()));
        self.notify(RESTARTED, now);
        if let Some(tty) = self.hidden.tty().map(quoted) {
            let text = quoted(&format!("{RESTARTED}. To disconnect: <Enter>~."));
            self.tmux(Query::Nothing, format!("display-message -c {tty} {text}"));
        }
    }

    /// How long notices stay from now on.
    pub fn set_display_time(&mut self, time: Duration) {
        self.display_time = time;
    }

    /// Who watches, and who waits to be let in.
    pub fn viewers(&self) -> &Viewers {
        &self.viewers
    }

    /// Who is kept out.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// The host's person has decided about somebody. Gives what was done, a line each.
    pub fn decide(&mut self, deciding: Deciding, now: Instant) -> Result<Vec<String>, Undecided> {
        let decided = self.viewers.decide(deciding, &mut self.bans)?;
        self.commands.extend(decided.refused.map(Command::Refuse));
        self.commands.extend(decided.events.into_iter().map(Command::Tell));
        self.commands.extend(decided.told.iter().cloned().map(Command::Log));
        self.update_menus(now);
        Ok(decided.told)
    }

    /// The process of the menu at this terminal runs.
    pub fn handle_menu_shown(&mut self, tty: &str, now: Instant) {
        self.menus.handle_shown(tty, now);
    }

    /// The menu at this terminal is gone.
    pub fn handle_menu_closed(&mut self, tty: &str, now: Instant) {
        self.menus.handle_closed(tty, now);
        self.update_menus(now);
    }

    /// Somebody chose from the menu at this terminal.
    pub fn handle_menu_choice(&mut self, tty: &str, number: u32, choice: Choice, now: Instant) {
        let verdict = match choice {
            Choice::Later | Choice::Approve => None,
            Choice::Sure => Some(Verdict::Approve),
            Choice::Deny => Some(Verdict::Deny { bans: false }),
            Choice::Ban => Some(Verdict::Deny { bans: true }),
        };
        if self.menus.handle_choice(tty, number, choice, now)
            && let Some(verdict) = verdict
        {
            // If they have gone meanwhile, there is nothing to decide.
            let _ = self.decide(Deciding { whom: Whom::One(number), verdict }, now);
        }
        self.update_menus(now);
    }

    fn update_menus(&mut self, now: Instant) {
        if self.version.has_menus() {
            let waiting: Vec<&Person> = self.viewers.waiting().map(|(person, _)| person).collect();
            // Somebody who can only look here has no say either.
            let clients = self.local_clients().filter(|client| !client.is_read_only);
            let terminal =
                |client: &TmuxClient| Terminal { tty: client.tty.clone(), cols: client.size.cols };
            let terminals: Vec<_> = clients.map(terminal).collect();
            self.menus.update(&waiting, &terminals, now);
        }
        while let Some(output) = self.menus.poll_output() {
            match output {
                menus::Output::Show(menu) => self.commands.push_back(Command::ShowMenu(menu)),
                menus::Output::TakeAway(tty) => {
                    let client = self.clients.iter().find(|client| client.tty == tty);
                    let command = client.map(|client| client.pid);
                    let command = command.map(|pid| Command::TakeMenuAway { tty, pid });
                    self.commands.extend(command);
                }
                menus::Output::Remind(number) => {
                    let is_meant = |person: &&Person| person.number == number;
                    let person = self.viewers.waiting().map(|(person, _)| person).find(is_meant);
                    if let Some(text) = person.map(Person::question) {
                        self.notify(&text, now);
                    }
                }
            }
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let control = match self.control {
            Control::Attached { .. } => {
                let refresh = self.refresh.due(self.viewers.is_watched());
                [refresh, self.history.poll_timeout()].into_iter().flatten().min()
            }
            Control::Waiting { until } => Some(until),
            Control::Checking { .. } | Control::Over => None,
        };
        let input =
            [self.input.poll_timeout(), self.typing.poll_timeout(), self.marks.poll_timeout()];
        let respawn = self.respawner.as_ref().and_then(Respawner::poll_timeout);
        let others = [self.hidden.poll_timeout(), self.menus.poll_timeout(), respawn];
        others.into_iter().chain([control]).chain(input).flatten().min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.control {
            Control::Waiting { until } if until <= now => self.attach_control(now),
            Control::Attached { .. } => {
                self.refresh_if_due(now);
                self.ask_history_if_due(now);
            }
            Control::Waiting { .. } | Control::Checking { .. } | Control::Over => {}
        }
        self.respawn_if_due(now);
        self.menus.handle_timeout(now);
        self.update_menus(now);
        self.input.handle_timeout(now);
        if self.marks.handle_timeout(now) {
            self.tell_keys();
        }
        self.pass_input(now);
        if self.hidden.handle_timeout(now) {
            self.typing.clear();
            self.commands.push_back(Command::DetachHidden);
        }
        self.update_hidden(now);
    }

    /// The relay told what a viewer did.
    pub fn handle_viewer_event(&mut self, event: ViewerEvent, now: Instant) {
        if self.hidden.is_unexplained() && self.deferred.len() < DEFERRED_MAX {
            self.deferred.push_back(event);
            return;
        }
        if let ViewerEvent::Scrollback { is_wanted } = event {
            self.history.handle_wanted(is_wanted);
            return self.ask_history_if_due(now);
        }
        if let ViewerEvent::Left { viewer } | ViewerEvent::Away { viewer } = &event {
            self.input.handle_left(*viewer, now);
            self.marks.handle_left(*viewer);
        }
        let newcomer = writer_who_joined(&event);
        match self.viewers.handle_event(event, now) {
            Change::Roster { notice } => {
                if let Some(viewer) = newcomer {
                    self.input.handle_joined(viewer);
                }
                self.notify(&notice, now);
                self.commands.push_back(Command::Log(notice));
                self.watch_changed(now);
                self.update_menus(now);
            }
            Change::Door { notice } => {
                if let Some(notice) = notice {
                    if !self.version.has_menus() || self.menus.is_quiet() {
                        self.notify(&notice, now);
                    }
                    self.commands.push_back(Command::Log(notice));
                }
                // A menu follows when it is known who is there.
                self.refresh.want(now);
                self.refresh_if_due(now);
                self.update_menus(now);
            }
            Change::Sizes => self.watch_changed(now),
            Change::Typed { viewer, bytes, mark } => {
                if mark != 0 && !self.marks.is_wanted() {
                    // It wasn't asked for as long as nobody wanted to know.
                    self.refresh.want(now);
                }
                self.marks.handle_input(viewer, mark);
                self.input.handle_input(viewer, bytes, now);
            }
            Change::Nothing => {}
        }
        self.pass_input(now);
    }

    /// The relay knows no viewers any more; those that still are there will be told anew.
    pub fn handle_viewers_forgotten(&mut self, now: Instant) {
        self.viewers.clear();
        self.history.handle_wanted(false);
        self.input.handle_viewers_forgotten();
        self.typing.clear();
        self.marks.clear();
        self.deferred.clear();
        self.pass_input(now);
        self.watch_changed(now);
        self.update_menus(now);
    }

    /// Shows a notice on the local clients' status lines.
    pub fn notify(&mut self, text: &str, now: Instant) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice::for_tmux(text));
        }
        self.refresh.want(now);
        self.refresh_if_due(now);
    }

    /// The control client has started.
    pub fn handle_control_attached(&mut self, now: Instant) {
        self.control = Control::Attached { at: now, is_in_session: false };
        self.window_sizes.handle_answers_lost();
        self.variables.handle_answers_lost();
        self.tell_variables();
        self.handle_pane_died();
        self.history.handle_answers_lost();
        if !std::mem::replace(&mut self.knows_before, true) {
            let line = format!("list-panes -a -F {}", quoted(BEFORE_FORMAT));
            self.tmux(Query::Before, line);
        }
        self.ask(now);
        // The same command that took the control client took the hidden one.
        self.handle_explained(false, now);
    }

    /// The control client is gone.
    pub fn handle_control_lost(&mut self, now: Instant) {
        let retry_after = match self.control {
            Control::Attached { at, .. } => (at + CONTROL_RETRY_DELAY).max(now),
            Control::Waiting { .. } => now + CONTROL_RETRY_DELAY,
            Control::Checking { .. } | Control::Over => return,
        };
        self.control = Control::Checking { retry_after };
        self.refresh = Refresh::Wanted { after: now };
        self.commands.push_back(Command::CheckSession);
    }

    /// Whether the session is there.
    pub fn handle_session_checked(&mut self, is_there: bool, now: Instant) {
        let Control::Checking { retry_after } = self.control else { return };
        if !is_there {
            self.end(now);
        } else if retry_after <= now {
            self.attach_control(now);
        } else {
            self.control = Control::Waiting { until: retry_after };
        }
    }

    /// The control client told something.
    pub fn handle_control_event(&mut self, event: Event<Query>, now: Instant) {
        match event {
            Event::Reply(reply) => self.handle_reply(reply, now),
            Event::Exit => self.lose_control(now),
            Event::Notification(Notification::SessionChanged { session }) => {
                if session == self.id {
                    self.on_in_session();
                } else {
                    // The session was destroyed and its clients went to another one
                    // (`detach-on-destroy off`), or somebody moved this client: nothing of the
                    // other session may be shown.
                    self.drop_hidden(now);
                    self.lose_control(now);
                }
            }
            Event::Notification(Notification::ClientSessionChanged { client, session }) => {
                if session != self.id && self.hidden.tty() == Some(client.as_str()) {
                    let (client, id) = (quoted(&client), quoted(&self.id));
                    self.tmux(Query::Nothing, format!("switch-client -c {client} -t {id}"));
                }
                self.refresh.want(now);
            }
            Event::Notification(Notification::SubscriptionChanged { name }) => {
                if name == run_time::SUBSCRIPTION {
                    self.commands.push_back(Command::ReadOptions);
                }
            }
            Event::Notification(
                Notification::TopologyChanged
                | Notification::SessionRenamed
                | Notification::SessionsChanged
                | Notification::ClientDetached,
            ) => self.refresh.want(now),
        }
        self.refresh_if_due(now);
    }

    fn on_in_session(&mut self) {
        if let Control::Attached { is_in_session, .. } = &mut self.control {
            *is_in_session = true;
        }
        if self.version.has_no_output_by_refresh() {
            self.tmux(Query::Nothing, "refresh-client -F no-output".into());
        }
        self.subscribe();
    }

    /// tmux tells what our options are within a second, and whenever they have changed.
    fn subscribe(&mut self) {
        let is_in_session = matches!(self.control, Control::Attached { is_in_session: true, .. });
        if is_in_session && self.version.has_subscriptions() {
            let line = format!("refresh-client -B {}", quoted(&run_time::subscription()));
            self.tmux(Query::Nothing, line);
        }
    }

    /// Somebody says that one of our options was set.
    pub fn handle_option_set(&mut self) {
        self.commands.push_back(Command::ReadOptions);
        // tmux looks once in a second: what is taken back before it has looked is no change to it.
        self.subscribe();
    }

    /// The hidden client was started, on this terminal, as this process.
    pub fn handle_hidden_attached(&mut self, tty: String, pid: u32) {
        if self.hidden_names.len() == HIDDEN_NAMES_MAX {
            self.hidden_names.pop_front();
        }
        self.hidden_names.push_back(HiddenName { tty: tty.clone(), pid });
        self.hidden.handle_attached(tty);
        self.input.handle_terminal_anew();
    }

    /// The hidden client shows the session: it takes input now.
    pub fn handle_hidden_ready(&mut self, now: Instant) {
        if let Some(held) = self.hidden.handle_ready() {
            self.typing.handle_input(&held);
            self.pass_input(now);
        }
    }

    /// The hidden client has gone by itself.
    pub fn handle_hidden_exited(&mut self, departure: Departure, now: Instant) {
        self.hidden.handle_exited(now);
        // What was on its way there is gone with it, as is what it had not read: behind a detach
        // key it was its typist's, who doesn't type here any more.
        self.typing.clear();
        match (departure, self.control) {
            (Departure::Lost, _) => self.handle_explained(false, now),
            (Departure::Detached, Control::Attached { .. }) => {
                // `attach -d` takes all clients of a session, the control client among them; a
                // viewer's detach key only the hidden one. If this is answered, it was the latter,
                // or somebody at a local client who typed after the viewers.
                self.ask_clients();
                self.tmux(Query::WhyDetached, "display-message -p '%s'".into());
            }
            (Departure::Detached, _) => {}
        }
    }

    /// The sharing ends, the session goes on: what was touched is restored, then comes
    /// [`Command::Stopped`].
    pub fn stop(&mut self, now: Instant) {
        self.drop_hidden(now);
        self.viewers.clear();
        self.update_menus(now);
        self.hidden.handle_watched(false, now);
        self.release_window_sizes();
        match self.control {
            Control::Attached { .. } => {
                self.tmux(Query::Farewell, "display-message -p farewell".into());
            }
            Control::Waiting { .. } | Control::Checking { .. } | Control::Over => {
                self.commands.push_back(Command::Stopped);
            }
        }
    }

    fn handle_reply(&mut self, reply: Reply<Query>, now: Instant) {
        match reply.tag {
            Query::Session => self.handle_session_line(&reply),
            Query::Clients => {
                let lines: Vec<_> = reply.texts().collect();
                self.clients = tmux_clients::parse(lines.iter().map(|line| line.as_ref()));
            }
            Query::KeysPlace => {
                let place = reply.texts().find_map(|line| keys_place::parse(&line));
                let place = place.unwrap_or_default();
                if place != self.keys_place {
                    self.keys_place = place;
                    self.tell_keys();
                }
            }
            Query::Before => {
                let lines: Vec<_> = reply.texts().collect();
                self.history.handle_before(lines.iter().map(|line| line.as_ref()));
            }
            Query::History => {
                let line = reply.texts().find(|line| line.starts_with("h\t"));
                let count = self.history.handle_answer(line.as_deref(), now);
                self.on_history(count, now);
            }
            Query::Windows if !reply.is_ok => self.lose_control(now),
            Query::Windows => {
                self.window_lines = reply.texts().map(|line| line.into_owned()).collect();
            }
            Query::Panes => self.handle_round_end(&reply, now),
            Query::WindowSize(window) => {
                let answer = reply.texts().next().unwrap_or_default().into_owned();
                let answer = reply.is_ok.then_some(answer.as_str());
                let request = self.window_sizes.handle_answer(window, answer);
                self.send(request.into_iter().collect());
            }
            Query::WhyDetached => {
                let tmux_time = reply.texts().next().and_then(|text| text.trim().parse().ok());
                let locals_active_at = self.local_clients().map(|client| client.active_at).max();
                let detacher = self.viewers.take_detacher(tmux_time.zip(locals_active_at), now);
                if let Some(viewer) = detacher {
                    let text = format!("[detached (from session {})]", self.name);
                    self.commands.push_back(Command::Tell(HostEvent::Detach { viewer, text }));
                    self.input.handle_left(viewer, now);
                }
                self.handle_explained(detacher.is_some(), now);
            }
            Query::Farewell => self.commands.push_back(Command::Stopped),
            Query::DeadPanes => {
                let lines: Vec<_> = reply.texts().collect();
                let lines = lines.iter().map(|line| line.as_ref());
                let closing = self.respawner.as_mut().map(|r| r.handle_panes(lines, now));
                for line in closing.unwrap_or_default() {
                    self.tmux(Query::Nothing, line);
                }
            }
            Query::Ready => self.commands.push_back(Command::Ready),
            Query::Nothing => {}
        }
    }

    /// The hidden client's screen shows something else.
    pub fn handle_hidden_drawn(&mut self, now: Instant) {
        self.history.handle_drawn();
        self.ask_history_if_due(now);
    }

    /// What [`Command::Capture`] gave: the line of [`HISTORY_FORMAT`], then the lines; `None` if it
    /// failed.
    pub fn handle_captured(&mut self, captured: Option<&[u8]>, now: Instant) {
        let count = self.history.handle_captured(captured, now);
        self.on_history(count, now);
    }

    fn on_history(&mut self, to_capture: Option<usize>, now: Instant) {
        if let Some(kept) = self.history.poll_change() {
            self.commands.push_back(Command::Scrollback(kept));
        }
        match to_capture {
            Some(count) => self.commands.push_back(Command::Capture(count)),
            None => self.ask_history_if_due(now),
        }
    }

    fn ask_history_if_due(&mut self, now: Instant) {
        if let Control::Attached { .. } = self.control
            && self.history.poll_question(now)
        {
            let (id, format) = (quoted(&self.id), quoted(HISTORY_FORMAT));
            self.tmux(Query::History, format!("display-message -p -t {id} {format}"));
        }
    }

    fn handle_explained(&mut self, was_detached_by_viewer: bool, now: Instant) {
        self.hidden.handle_explained(was_detached_by_viewer, now);
        for event in std::mem::take(&mut self.deferred) {
            self.handle_viewer_event(event, now);
        }
        self.watch_changed(now);
    }

    fn handle_session_line(&mut self, reply: &Reply<Query>) {
        let session = reply.texts().find_map(|line| tmux_clients::parse_session(&line));
        if let Some((name, window)) = session {
            self.name = notice::printable(&name);
            self.window = window;
        }
    }

    /// All lists of a round are there.
    fn handle_round_end(&mut self, reply: &Reply<Query>, now: Instant) {
        self.refresh.handle_answered(now);
        let panes: Vec<_> = reply.texts().collect();
        let windows = std::mem::take(&mut self.window_lines);
        let lines =
            windows.iter().map(String::as_str).chain(panes.iter().map(|line| line.as_ref()));
        let topology = topology::parse(&self.name, lines);
        if topology != self.topology {
            self.topology = topology.clone();
            self.commands.push_back(Command::Topology(topology));
        }
        self.show_notices();
        self.update_menus(now);
        self.hold_window_sizes();
        self.update_hidden(now);
    }

    fn show_notices(&mut self) {
        let delay = if self.version.has_message_delay() {
            format!("-d {} ", self.display_time.as_millis())
        } else {
            String::new()
        };
        let clients: Vec<_> =
            self.local_clients().map(|client| (quoted(&client.tty), client.size.cols)).collect();
        for text in std::mem::take(&mut self.notices) {
            for (tty, cols) in &clients {
                let text = quoted(&notice::cut_to(&text, (*cols).into()));
                self.tmux(Query::Nothing, format!("display-message -c {tty} {delay}{text}"));
            }
        }
    }

    /// People's terminals.
    fn local_clients(&self) -> impl Iterator<Item = &TmuxClient> {
        let hidden = self.hidden.tty();
        let is_named = |client: &TmuxClient| {
            self.hidden_names.iter().any(|name| name.pid == client.pid && name.tty == client.tty)
        };
        let is_hidden =
            move |client: &TmuxClient| hidden == Some(client.tty.as_str()) || is_named(client);
        self.clients.iter().filter(move |client| client.is_terminal() && !is_hidden(client))
    }

    fn lookers(&self) -> Lookers {
        let counting = self.local_clients().filter(|client| client.counts_for_size(self.version));
        Lookers {
            locals: counting.map(|client| client.size).collect(),
            writers: self.viewers.writer_sizes(),
            window: self.window,
            can_ignore_size: self.version.has_client_flags(),
        }
    }

    /// Viewers came, went or changed their size.
    fn watch_changed(&mut self, now: Instant) {
        self.variables.set_viewers_count(self.viewers.iter().count());
        self.tell_variables();
        self.hidden.handle_watched(self.viewers.is_watched(), now);
        if self.viewers.writer_sizes().is_empty() {
            self.release_window_sizes();
        } else {
            self.hold_window_sizes();
        }
        self.adapt_hidden();
        self.refresh.want(now);
        self.refresh_if_due(now);
    }

    /// Brings the hidden client to what is wanted of it.
    fn update_hidden(&mut self, now: Instant) {
        self.adapt_hidden();
        // A new one comes only when the clients' sizes are known.
        if self.refresh.is_known() && self.hidden.wants_attach(now) {
            let decision = sizes::decide(&self.lookers(), self.hidden.size());
            self.hidden.handle_attaching(decision, now);
            self.commands.push_back(Command::AttachHidden(decision));
        }
    }

    fn adapt_hidden(&mut self) {
        let Some(tty) = self.hidden.tty().map(quoted) else { return };
        let decision = sizes::decide(&self.lookers(), self.hidden.size());
        let before = self.hidden.decide(decision);
        if before.counts != decision.counts && self.version.has_client_flags() {
            let flag = if decision.counts { "!ignore-size" } else { "ignore-size" };
            self.tmux(Query::Nothing, format!("refresh-client -t {tty} -f '{flag}'"));
        }
        if before.size != decision.size {
            self.commands.push_back(Command::ResizeHidden(decision.size));
        }
    }

    /// The hidden client isn't read for a while, for it gets more than is worth reading. Until tmux
    /// can draw its screen anew, it makes nothing for it.
    pub fn handle_hidden_flooded(&mut self, now: Instant) {
        self.history.handle_flooded(now);
        if let Some(tty) = self.hidden.tty().map(quoted) {
            self.tmux(Query::Nothing, format!("refresh-client -t {tty}"));
        }
    }

    fn drop_hidden(&mut self, now: Instant) {
        self.typing.clear();
        if self.hidden.handle_dropped(now) {
            self.commands.push_back(Command::DetachHidden);
        }
    }

    fn pass_input(&mut self, now: Instant) {
        if let Some(input) = self.hidden.handle_input(self.input.take_output()) {
            self.typing.handle_input(&input);
        }
        // The last before the client: what was held for it is spaced, too.
        let output = self.typing.take_output(now);
        if !output.is_empty() {
            self.commands.push_back(Command::WriteHidden(output));
        }
        if self.typing.is_empty() && !self.hidden.is_holding() && !self.input.is_holding() {
            self.marks.handle_typed(now);
        }
    }

    fn tell_variables(&mut self) {
        if !matches!(self.control, Control::Attached { .. }) {
            return;
        }
        while let Some(telling) = self.variables.poll_telling(self.version) {
            match telling {
                Telling::Line(line) => self.tmux(Query::Nothing, line),
                Telling::Last(line) => self.tmux(Query::Ready, line),
            }
        }
    }

    fn tell_keys(&mut self) {
        let keys = Command::Keys(self.keys_place.clone(), self.marks.answered());
        self.commands.push_back(keys);
    }

    fn hold_window_sizes(&mut self) {
        if self.viewers.writer_sizes().is_empty() {
            return;
        }
        let windows: Vec<_> = self.topology.windows.iter().map(|window| window.id).collect();
        let requests = self.window_sizes.hold(windows.into_iter(), self.version);
        self.send(requests);
    }

    fn release_window_sizes(&mut self) {
        let requests = self.window_sizes.release();
        self.send(requests);
    }

    fn send(&mut self, requests: Vec<Request>) {
        for request in requests {
            match request {
                Request::Ask { window, line } => self.tmux(Query::WindowSize(window), line),
                Request::Set(line) => self.tmux(Query::Nothing, line),
            }
        }
    }

    fn refresh_if_due(&mut self, now: Instant) {
        let due = self.refresh.due(self.viewers.is_watched());
        let is_attached = matches!(self.control, Control::Attached { .. });
        if is_attached && due.is_some_and(|due| due <= now) {
            self.ask(now);
        }
    }

    /// Asks for everything, in one round.
    fn ask(&mut self, now: Instant) {
        self.refresh = Refresh::Asked { at: now, is_old: false };
        let id = quoted(&self.id);
        let line = format!("display-message -p -t {id} {}", quoted(SESSION_FORMAT));
        self.tmux(Query::Session, line);
        self.ask_clients();
        if self.marks.is_wanted() {
            let line = format!("display-message -p -t {id} {}", quoted(PLACE_FORMAT));
            self.tmux(Query::KeysPlace, line);
        }
        self.tmux(Query::Windows, format!("list-windows -t {id} -F {}", quoted(WINDOW_FORMAT)));
        self.tmux(Query::Panes, format!("list-panes -s -t {id} -F {}", quoted(PANE_FORMAT)));
    }

    fn ask_clients(&mut self) {
        let (id, format) = (quoted(&self.id), quoted(CLIENT_FORMAT));
        self.tmux(Query::Clients, format!("list-clients -t {id} -F {format}"));
    }

    fn tmux(&mut self, query: Query, line: String) {
        if let Control::Attached { .. } = self.control {
            self.commands.push_back(Command::Tmux(query, line));
        }
    }

    fn attach_control(&mut self, now: Instant) {
        self.control = Control::Waiting { until: now + CONTROL_RETRY_DELAY * 20 };
        self.commands.push_back(Command::AttachControl);
    }

    fn lose_control(&mut self, now: Instant) {
        if let Control::Attached { .. } = self.control {
            self.commands.push_back(Command::DropControl);
            self.handle_control_lost(now);
        }
    }

    fn end(&mut self, now: Instant) {
        self.control = Control::Over;
        self.viewers.clear();
        self.hidden.handle_watched(false, now);
        self.commands.push_back(Command::DetachHidden);
        self.commands.push_back(Command::Ended);
    }
}

#[cfg(test)]
mod tests;
