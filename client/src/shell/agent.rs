//! The agent: a process of its own that shares a tmux session. If it dies, the session goes on.

use crate::core::backlog;
use crate::core::drop_in::options::{self, OptionsText, Values};
use crate::core::drop_in::run_time::RunTime;
use crate::core::leaving::Departure;
use crate::core::tmux_session::{Command, TmuxSession};
use crate::core::tmux_version::TmuxVersion;
use crate::core::wishes::{WebhookWish, Wishes};
use crate::shell::access::Access;
use crate::shell::board::Board;
use crate::shell::capture::capture;
use crate::shell::control_client::ControlClient;
use crate::shell::hidden_client::{Activity, HiddenClient};
use crate::shell::key_report::Reporter;
use crate::shell::link::{Incoming, Uplink};
use crate::shell::local_socket::{Errand, LocalSocket, StopRequest};
use crate::shell::menus::{MenuEvent, Menus};
use crate::shell::protocol::Chosen;
use crate::shell::sharing::{RelayArgs, Sharing};
use crate::shell::tmux::Tmux;
use crate::shell::{local_socket, logging, own_tmux, paths};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tern_sync::session::ViewerEvent;
use tern_term::{Frame, Size};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

/// How long tmux may take to restore what was touched.
const RESTORE_TIME_MAX: Duration = Duration::from_secs(3);
/// How long after the join lines are known somebody's view has to show them; else they come on the
/// local clients' status lines.
const VIEW_TIME_MAX: Duration = Duration::from_secs(2);

/// What the agent is told on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Program of the tmux server.
    pub tmux_binary: PathBuf,
    /// Its socket.
    pub tmux_socket: PathBuf,
    /// Its version, as text.
    pub tmux_version: String,
    /// tmux's `$N`.
    pub session_id: String,
    /// Columns and rows to begin with.
    pub size: (u16, u16),
    /// Whether the tmux server is tern's own.
    pub is_own_server: bool,
    /// How long notices stay on the local clients' status line.
    pub display_time_ms: u64,
    /// Where the agent listens.
    pub agent_socket: PathBuf,
    /// Whom to ask for a session.
    pub relay: RelayArgs,
    /// `-v`.
    pub verbosity: u8,
    /// tmux's `%N` of a program that is run again when it ends.
    #[serde(default)]
    pub respawned_pane: Option<String>,
    /// What else is wanted.
    #[serde(default)]
    pub wishes: Wishes,
    /// The part of it that no option says: it counts again when an option is taken back.
    #[serde(default)]
    pub wishes_of_flags: Wishes,
    /// What is wrong with the configuration, and what else it gave reason to say: a line each for the log.
    #[serde(default)]
    pub notices: Vec<String>,
    /// The options as they were when all this was wished.
    #[serde(default)]
    pub options: OptionsText,
}

/// Runs the agent until the session or the sharing ends. Standard error is the log. Whether
/// anybody could join at some time.
pub fn run(config: AgentConfig) -> anyhow::Result<bool> {
    // The terminal that it was started from may go. Fails if it leads a session already.
    let _ = rustix::process::setsid();
    logging::start(config.verbosity, None);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the agent's threads")?;
    let result = runtime.block_on(share(config));
    if let Err(error) = &result {
        tracing::error!(error = format!("{error:#}"), "the agent failed");
    }
    // Nothing that still runs has anything to finish.
    runtime.shutdown_background();
    result
}

async fn share(config: AgentConfig) -> anyhow::Result<bool> {
    let version = TmuxVersion::parse(&config.tmux_version).context("not a tmux version")?;
    let tmux = Tmux { binary: config.tmux_binary, socket: config.tmux_socket.clone(), version };
    let attach = format!("tmux -S {} attach", config.tmux_socket.display());
    let shared =
        format!("session {} of the tmux at {}", config.session_id, config.tmux_socket.display());
    let mut access = Access::start(&config.wishes).await?;
    let sharing = Sharing::start(&config.relay, &config.wishes).await?;
    let tmux_socket = config.tmux_socket.to_str().map(str::to_owned);
    let attach = config.is_own_server.then_some(attach);
    let board = Board::new(shared, tmux_socket, attach, sharing.relay_name());
    let (errand_sender, errands) = mpsc::channel(16);
    let socket = local_socket::serve(&config.agent_socket, board.clone(), errand_sender)?;
    report_ready()?;
    for notice in config.notices.into_iter().chain(sharing.notices()) {
        board.log(&notice);
    }
    let (size, now) = (Size::clamped(config.size.0.into(), config.size.1.into()), Instant::now());
    let display_time = Duration::from_millis(config.display_time_ms);
    let mut session = TmuxSession::new(version, config.session_id.clone(), size, display_time, now);
    if let Some(pane) = config.respawned_pane {
        session.respawn(pane, now);
    }
    access.keep(&board);
    let (webhook, on_webhook) = watch::channel(config.wishes.webhook());
    let uplink = sharing.link(board.clone(), access.settings(), on_webhook);
    let content = board.subscribe();
    let agent = Agent {
        menus: Menus::new(&tmux, &config.agent_socket)?,
        tmux,
        is_own_server: config.is_own_server,
        id: config.session_id,
        session,
        uplink,
        board,
        control: None,
        hidden: None,
        reporter: Reporter::default(),
        is_hidden_ready: false,
        is_status_old: false,
        checking: None,
        options: None,
        run_time: RunTime::new(
            options::parse(&config.options.0),
            config.wishes,
            config.wishes_of_flags,
        ),
        display_time,
        capturing: None,
        access,
        webhook,
        lines_due: None,
        errands,
        stopper: None,
        _socket: socket,
    };
    let (text, stopper) = agent.run().await?;
    tracing::info!(text, "the sharing ended");
    sharing.finish().await;
    // Who asked for it may start another one, which finds everything free.
    drop(stopper);
    let was_shared = content.borrow().status.lines.is_some();
    Ok(was_shared)
}

/// Tells whoever started us, by one byte on standard output, that the socket answers.
fn report_ready() -> anyhow::Result<()> {
    std::io::stdout().write_all(b"\n")?;
    std::io::stdout().flush()?;
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

struct Agent {
    tmux: Tmux,
    menus: Menus,
    is_own_server: bool,
    id: String,
    session: TmuxSession,
    uplink: Uplink,
    board: Board,
    control: Option<ControlClient>,
    hidden: Option<HiddenClient>,
    reporter: Reporter,
    is_hidden_ready: bool,
    /// Viewers or the hidden client may be others than the board says.
    is_status_old: bool,
    checking: Option<JoinHandle<bool>>,
    /// Our options are being read from tmux.
    options: Option<JoinHandle<Option<Values>>>,
    run_time: RunTime,
    /// How long notices stay if no option says it.
    display_time: Duration,
    capturing: Option<JoinHandle<Option<Vec<u8>>>>,
    /// Who may join.
    access: Access,
    /// Whom a webhook tells.
    webhook: watch::Sender<Option<WebhookWish>>,
    /// When the join lines are shown on status lines, if no view showed them before.
    lines_due: Option<Instant>,
    errands: mpsc::Receiver<Errand>,
    /// Gone before those who wait for the end are told, since they may start another agent.
    _socket: LocalSocket,
    /// Who asked for the end; told by being dropped.
    stopper: Option<StopRequest>,
}

/// Whether to go on.
enum Turn {
    GoOn,
    /// Over; viewers' terminals show this.
    End(&'static str),
}

impl Agent {
    /// Until the end: what viewers were told then, and who asked for it.
    async fn run(mut self) -> anyhow::Result<(&'static str, Option<StopRequest>)> {
        let mut signals = Signals::new()?;
        let mut stop_deadline = None;
        loop {
            if let Turn::End(text) = self.do_commands() {
                self.hidden = None;
                let Self { tmux, uplink, is_own_server, .. } = self;
                // Scripts take the socket for the session: it doesn't wait for the relay.
                tokio::join!(uplink.finish(text.into()), async {
                    if is_own_server {
                        remove_socket(&tmux).await;
                    }
                });
                return Ok((text, self.stopper.take()));
            }
            let due = [self.session.poll_timeout(), self.lines_due, stop_deadline];
            let due = due.into_iter().flatten().min();
            let board = self.board.clone();
            tokio::select! {
                // What tmux tells comes before what it shows: a client that was moved to another
                // session must not be seen there.
                biased;
                event = recv_control(&mut self.control) => {
                    let now = Instant::now();
                    match event {
                        Some(event) => self.session.handle_control_event(event, now),
                        None => {
                            self.control = None;
                            self.session.handle_control_lost(now);
                        }
                    }
                }
                is_there = await_task(&mut self.checking) => {
                    self.checking = None;
                    let is_there = is_there.unwrap_or(false);
                    self.session.handle_session_checked(is_there, Instant::now());
                }
                values = await_task(&mut self.options) => {
                    self.options = None;
                    if let Some(values) = values.flatten() {
                        self.handle_options(values).await;
                    }
                }
                captured = await_task(&mut self.capturing) => {
                    self.capturing = None;
                    let captured = captured.flatten();
                    self.session.handle_captured(captured.as_deref(), Instant::now());
                }
                incoming = self.uplink.incoming.recv() => match incoming {
                    Some(incoming) => self.handle_incoming(incoming),
                    None => anyhow::bail!("the link's task ended"),
                },
                activity = recv_hidden(&mut self.hidden) => self.handle_hidden(activity),
                event = self.menus.event() => match event {
                    MenuEvent::Shown(tty) => self.session.handle_menu_shown(&tty, Instant::now()),
                    MenuEvent::Closed(tty) => self.session.handle_menu_closed(&tty, Instant::now()),
                },
                () = board.pane_died().notified() => self.session.handle_pane_died(),
                () = board.options_changed().notified() => self.session.handle_option_set(),
                alerts = board.alerts() => {
                    for text in alerts {
                        self.session.notify(&text, Instant::now());
                    }
                }
                Some(errand) = self.errands.recv(), if self.stopper.is_none() => match errand {
                    Errand::Stop(stop) => {
                        tracing::info!("asked to stop");
                        self.stopper = Some(stop);
                        self.session.stop(Instant::now());
                        stop_deadline = Some(Instant::now() + RESTORE_TIME_MAX);
                    }
                    Errand::Decide(deciding, answer) => {
                        self.is_status_old = true;
                        // Who asked may have gone; it is decided all the same.
                        let _ = answer.send(self.session.decide(deciding, Instant::now()));
                    }
                    Errand::Chosen(Chosen { number, choice, tty }) => {
                        self.is_status_old = true;
                        self.session.handle_menu_choice(&tty, number, choice, Instant::now());
                    }
                },
                name = signals.recv(), if stop_deadline.is_none() => {
                    tracing::info!(signal = name, "told to stop");
                    self.session.stop(Instant::now());
                    stop_deadline = Some(Instant::now() + RESTORE_TIME_MAX);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    let now = Instant::now();
                    if stop_deadline.is_some_and(|due| due <= now) {
                        self.uplink.finish(STOPPED_TEXT.into()).await;
                        return Ok((STOPPED_TEXT, self.stopper.take()));
                    }
                    self.show_lines_if_due(now);
                    self.session.handle_timeout(now);
                }
            }
            if std::mem::take(&mut self.is_status_old) {
                self.publish_status();
            }
        }
    }

    fn handle_incoming(&mut self, incoming: Incoming) {
        let now = Instant::now();
        self.uplink.on_incoming(&incoming);
        match incoming {
            Incoming::Viewer(event) => {
                self.is_status_old |= !matches!(event, ViewerEvent::Input { .. });
                self.session.handle_viewer_event(event, now);
            }
            Incoming::ViewersForgotten => {
                self.is_status_old = true;
                self.session.handle_viewers_forgotten(now);
            }
            Incoming::NewLines(lines) => {
                self.session.handle_lines(&lines);
                self.lines_due = Some(now + VIEW_TIME_MAX);
            }
            Incoming::Notice(text) => self.session.notify(&text, now),
        }
    }

    fn handle_hidden(&mut self, activity: Activity) {
        match activity {
            Activity::Frame(frame) => {
                if !self.is_hidden_ready {
                    self.is_hidden_ready = true;
                    self.session.handle_hidden_ready(Instant::now());
                }
                self.uplink.shown.send_replace(self.reporter.shown(frame));
                self.session.handle_hidden_drawn(Instant::now());
            }
            Activity::Flooded => self.session.handle_hidden_flooded(Instant::now()),
            Activity::Exited(departure) => {
                self.hidden = None;
                self.is_status_old = true;
                self.session.handle_hidden_exited(departure, Instant::now());
            }
        }
    }

    /// Reads our options, which somebody may have changed.
    fn ask_options(&mut self) {
        let (tmux, id) = (self.tmux.clone(), self.id.clone());
        self.options = Some(tokio::task::spawn_blocking(move || {
            let text = tmux.run(&["display-message", "-p", "-t", &id, &options::format()]).ok()?;
            Some(options::parse(&text))
        }));
    }

    async fn handle_options(&mut self, values: Values) {
        let Ok(home) = paths::home() else { return };
        let changes = self.run_time.handle_values(values, &home);
        if let Some(time) = changes.display_time_ms {
            let time = time.map_or(self.display_time, Duration::from_millis);
            self.session.set_display_time(time);
        }
        for text in &changes.told {
            self.board.alert(text);
        }
        let wishes = self.run_time.wishes();
        let webhook = wishes.webhook();
        self.webhook.send_if_modified(|wished| {
            let is_new = *wished != webhook;
            *wished = webhook;
            is_new
        });
        if changes.is_access_new {
            tracing::info!(?wishes, "other wishes");
            self.access.change(wishes, &self.board).await;
        }
    }

    /// The start view was closed, or never was: the local clients' status lines show the line.
    fn show_lines_if_due(&mut self, now: Instant) {
        if self.lines_due.take_if(|due| *due <= now).is_none() || self.board.are_lines_shown() {
            return;
        }
        let lines = self.board.subscribe().borrow().status.lines.clone();
        if let Some(lines) = lines {
            self.session.notify(&format!("ssh session: {}", lines.read_write), now);
        }
    }

    fn do_commands(&mut self) -> Turn {
        while let Some(command) = self.session.poll_command() {
            match command {
                Command::Tmux(query, line) => {
                    if let Some(control) = &mut self.control {
                        control.send(query, &line);
                    }
                }
                Command::AttachControl => self.attach_control(),
                Command::DropControl => self.control = None,
                Command::CheckSession => {
                    let (tmux, id) = (self.tmux.clone(), self.id.clone());
                    let check = tokio::task::spawn_blocking(move || tmux.has_session(&id));
                    self.checking = Some(check);
                }
                Command::AttachHidden(decision) => self.attach_hidden(decision),
                Command::DetachHidden => {
                    self.hidden = None;
                    let size = self.uplink.shown.borrow().frame.size();
                    self.uplink.shown.send_replace(Frame::blank(size).into());
                }
                Command::ResizeHidden(size) => {
                    if let Some(hidden) = &mut self.hidden {
                        hidden.resize(size);
                    }
                }
                Command::WriteHidden(bytes) => {
                    if let Some(hidden) = &mut self.hidden
                        && hidden.write(&bytes)
                    {
                        tracing::warn!("tmux does not read viewers' input: it is dropped");
                        self.session.notify(backlog::DROPPED, Instant::now());
                    }
                }
                Command::Tell(event) => self.uplink.tell(event),
                Command::Topology(topology) => {
                    self.uplink.topology.send_replace(topology);
                }
                Command::Keys(place, marks) => {
                    self.reporter.update(place, marks);
                    let frame = self.uplink.shown.borrow().frame.clone();
                    self.uplink.shown.send_replace(self.reporter.shown(frame));
                }
                Command::Capture(count) => {
                    let capturing = capture(&self.tmux, &self.id, count);
                    self.capturing = Some(tokio::spawn(capturing));
                }
                Command::Scrollback(kept) => {
                    self.uplink.scrollback.send_replace(kept);
                }
                Command::ReadOptions => self.ask_options(),
                Command::ShowMenu(menu) => self.menus.show(&menu),
                Command::TakeMenuAway { tty, pid } => self.menus.take_away(&tty, pid),
                Command::Refuse(refused) => self.access.refuse(refused),
                Command::Log(text) => self.board.log(&text),
                Command::Ready => self.board.update(|status| status.is_ready = true),
                Command::Ended => return Turn::End("[session ended]"),
                Command::Stopped => return Turn::End(STOPPED_TEXT),
            }
        }
        Turn::GoOn
    }

    fn attach_control(&mut self) {
        let now = Instant::now();
        match ControlClient::start(&self.tmux, &self.id) {
            Ok(control) => {
                self.control = Some(control);
                self.session.handle_control_attached(now);
            }
            Err(error) => {
                tracing::warn!(%error, "the control client could not be started");
                self.session.handle_control_lost(now);
            }
        }
    }

    fn attach_hidden(&mut self, decision: crate::core::sizes::Decision) {
        let now = Instant::now();
        self.is_hidden_ready = false;
        match HiddenClient::start(&self.tmux, &self.id, decision, now) {
            Ok(hidden) => {
                self.session.handle_hidden_attached(hidden.tty().to_owned(), hidden.pid());
                self.hidden = Some(hidden);
                self.is_status_old = true;
            }
            Err(error) => {
                tracing::warn!(%error, "the hidden client could not be started");
                self.session.handle_hidden_exited(Departure::Lost, now);
            }
        }
    }

    fn publish_status(&self) {
        let hidden_tty = self.hidden.as_ref().map(|hidden| hidden.tty().to_owned());
        self.board.update_viewers(self.session.viewers(), self.session.bans(), hidden_tty);
    }
}

/// What viewers see when the person stops sharing.
const STOPPED_TEXT: &str = "[sharing stopped by the host]";

async fn recv_control(
    control: &mut Option<ControlClient>,
) -> Option<crate::core::control_mode::Event<crate::core::tmux_session::Query>> {
    match control {
        Some(control) => control.recv().await,
        None => std::future::pending().await,
    }
}

async fn recv_hidden(hidden: &mut Option<HiddenClient>) -> Activity {
    match hidden {
        Some(hidden) => hidden.recv().await,
        None => std::future::pending().await,
    }
}

/// tmux leaves its socket behind. It may take a moment to end; if it doesn't, there are other
/// sessions in it.
async fn remove_socket(tmux: &Tmux) {
    let began = Instant::now();
    while !own_tmux::clean_up(tmux) && began.elapsed() < own_tmux::TMUX_END_TIME_MAX {
        tokio::time::sleep(own_tmux::TMUX_END_POLL).await;
    }
}

/// What a task gives, nothing if it panicked.
async fn await_task<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    match task {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}

/// Signals that end the sharing. A hang-up doesn't: the session outlives its terminal.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {}
            }
        }
    }
}
