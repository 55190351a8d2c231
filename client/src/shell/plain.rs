//! Sharing without tmux: a program on a pty of ours, the local terminal passed through. It lives
//! and ends with this process.

use crate::core::backlog;
use crate::core::plain_session::{Command as SessionCommand, PlainSession};
use crate::core::wishes::WebhookWish;
use crate::shell::access::Access;
use crate::shell::board::Board;
use crate::shell::cli::{SECRET_VARIABLES, ShareArgs};
use crate::shell::link::{Incoming, Uplink};
use crate::shell::local_socket::{self, Errand, LocalSocket};
use crate::shell::passthrough::{Commander, Passthrough};
use crate::shell::program::{Unusable, exit_code};
use crate::shell::program_input::{self, ProgramInput};
use crate::shell::pty::Pty;
use crate::shell::sharing::Sharing;
use crate::shell::{agents, logging, paths, start_view, tty};
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::session::ViewerEvent;
use tern_term::Frame;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};

/// How long viewers' goodbye may hold up the local terminal.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the program has to end after a hang-up.
const HANG_UP_TIME_MAX: Duration = Duration::from_secs(2);

/// Runs the whole of it; gives the program's exit code. `notice` is what the person should know
/// before.
pub fn run(args: &ShareArgs, notice: Option<String>) -> anyhow::Result<u8> {
    let (_, log) = logging::create_file(&paths::state_folder()?)?;
    logging::start(args.verbosity, Some(log));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let shared = match runtime.block_on(Shared::start(args)) {
        Ok(shared) => {
            if let Some(notice) = notice {
                shared.board.log(&notice);
            }
            start_view::follow_agent(&shared.socket_path)?;
            Some(shared)
        }
        Err(error) => {
            // Whatever hinders the sharing, the person gets the shell.
            start_view::show_text(&format!(
                "Not shared: {error:#}\nThe shell goes on here, unshared. To try again, leave it \
                 and start `tern` anew."
            ))?;
            None
        }
    };
    // Viewers begin with an empty screen, so the local one does, too; what it showed scrolls off.
    let rows = tty::size().rows;
    let scroll = "\n".repeat(rows.into());
    tty::write(format!("\x1b[{rows};1H{scroll}\x1b[H").as_bytes())?;
    let code = runtime.block_on(share(args, shared));
    // A thread may still wait for the terminal.
    runtime.shutdown_background();
    code
}

/// The way to the viewers.
struct Shared {
    sharing: Sharing,
    access: Access,
    /// As long as it is here, the wish holds.
    _webhook: watch::Sender<Option<WebhookWish>>,
    uplink: Uplink,
    board: Board,
    errands: mpsc::Receiver<Errand>,
    socket_path: PathBuf,
    _socket: LocalSocket,
}

impl Shared {
    async fn start(args: &ShareArgs) -> anyhow::Result<Self> {
        let socket_path = agents::path_for_plain()?;
        let settings = args.plain_settings();
        let wishes = args.wishes().or(settings.wishes.clone());
        let mut access = Access::start(&wishes).await?;
        let sharing = Sharing::start(&args.relay_args(&settings), &wishes).await?;
        let board = Board::new("a plain terminal".into(), None, None, sharing.relay_name());
        let (errand_sender, errands) = mpsc::channel(16);
        let socket = local_socket::serve(&socket_path, board.clone(), errand_sender)?;
        for notice in sharing.notices() {
            board.log(&notice);
        }
        access.keep(&board);
        let (webhook, on_webhook) = watch::channel(wishes.webhook());
        let uplink = sharing.link(board.clone(), access.settings(), on_webhook);
        Ok(Self {
            sharing,
            access,
            _webhook: webhook,
            uplink,
            board,
            errands,
            socket_path,
            _socket: socket,
        })
    }

    async fn finish(self, text: &str) {
        let farewell = async {
            self.uplink.finish(text.into()).await;
            self.sharing.finish().await;
        };
        let _ = timeout(FAREWELL_TIME_MAX, farewell).await;
    }
}

async fn share(args: &ShareArgs, shared: Option<Shared>) -> anyhow::Result<u8> {
    let size = tty::size();
    let mut command = program(args);
    for name in SECRET_VARIABLES {
        command.env_remove(name);
    }
    if let Some(shared) = &shared {
        command.env(agents::AGENT_ENV, &shared.socket_path);
    }
    let name = command.as_std().get_program().to_owned();
    let (pty, child) = match Pty::spawn(command, size) {
        Ok(started) => started,
        Err(error) => match Unusable::from_start(&name, &error) {
            // A script whose interpreter is missing, which is not seen before.
            Some(unusable) => {
                eprintln!("tern: {unusable}");
                return Ok(unusable.exit_code());
            }
            None => return Err(error).with_context(|| format!("cannot run {}", name.display())),
        },
    };
    let master = Arc::new(pty.master);
    let (shown, scrollback) = match &shared {
        Some(shared) => (shared.uplink.shown.clone(), shared.uplink.scrollback.clone()),
        None => (watch::Sender::new(Frame::blank(size).into()), watch::Sender::default()),
    };
    let raw = tty::RawMode::enter(b"")?;
    let (passthrough, commander) = Passthrough::new(master.clone(), shown, scrollback, size)?;
    let display_thread = std::thread::spawn(move || passthrough.run());
    let (local_end, input) = program_input::start(&master);
    let session = PlainSession::new(size);
    let mut host = Host { session, shared, master, display: commander, input };
    let status = host.run(child, local_end).await?;
    host.display.finish();
    // It reads what the program wrote last.
    let _ = tokio::task::spawn_blocking(move || display_thread.join()).await;
    drop(raw);
    if let Some(shared) = host.shared.take() {
        shared.finish("[session ended]").await;
    }
    println!("[tern] the session ended");
    Ok(exit_code(status))
}

fn program(args: &ShareArgs) -> Command {
    match args.command.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        None => {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            Command::new(shell.unwrap_or_else(|| "/bin/sh".into()))
        }
    }
}

struct Host {
    session: PlainSession,
    shared: Option<Shared>,
    master: Arc<OwnedFd>,
    display: Commander,
    input: ProgramInput,
}

/// What the link and its socket have to say.
enum Happening {
    Incoming(Incoming),
    Asked(Errand),
    Alerts(Vec<String>),
    LinkEnded,
}

impl Host {
    /// Until the program has ended.
    async fn run(
        &mut self,
        mut child: Child,
        mut local_end: mpsc::Receiver<()>,
    ) -> anyhow::Result<ExitStatus> {
        let mut resized = signal(SignalKind::window_change())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // The terminal may have changed while the start view was shown.
        self.session.handle_local_resize(tty::size());
        loop {
            self.do_commands();
            let due = self.session.poll_timeout();
            tokio::select! {
                status = child.wait() => return Ok(status?),
                _ = resized.recv() => {
                    self.session.handle_local_resize(tty::size());
                    self.order_resize();
                }
                _ = hang_up.recv() => return hang_up_child(child).await,
                _ = terminate.recv() => return hang_up_child(child).await,
                Some(()) = local_end.recv() => return hang_up_child(child).await,
                happening = next(&mut self.shared) => self.handle(happening).await,
                () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                    self.session.handle_timeout(Instant::now());
                }
            }
        }
    }

    async fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Incoming(Incoming::Viewer(event)) => {
                let is_roster = !matches!(event, ViewerEvent::Input { .. });
                self.session.handle_viewer_event(event, Instant::now());
                if is_roster {
                    self.publish_status();
                }
            }
            Happening::Incoming(Incoming::ViewersForgotten) => {
                self.session.handle_viewers_forgotten(Instant::now());
                self.publish_status();
            }
            Happening::Incoming(Incoming::Notice(text)) => {
                self.display.notice(text);
            }
            // The start view and `tern status` show them; here is no place that viewers don't see.
            Happening::Incoming(Incoming::NewLines(_)) => {}
            Happening::Asked(Errand::Stop(stop)) => {
                self.stop_sharing("[sharing stopped by the host]").await;
                drop(stop);
            }
            Happening::Asked(Errand::Decide(deciding, answer)) => {
                let decided = self.session.decide(deciding);
                self.do_commands();
                self.publish_status();
                // Who asked may have gone; it is decided all the same.
                let _ = answer.send(decided);
            }
            Happening::Alerts(alerts) => {
                for text in alerts {
                    self.display.notice(text);
                }
            }
            // There are no menus here.
            Happening::Asked(Errand::Chosen(_)) => {}
            Happening::LinkEnded => self.stop_sharing("").await,
        }
    }

    async fn stop_sharing(&mut self, text: &str) {
        self.display.stop_sharing();
        self.session.handle_viewers_forgotten(Instant::now());
        self.do_commands();
        if let Some(shared) = self.shared.take() {
            shared.finish(text).await;
        }
    }

    fn do_commands(&mut self) {
        while let Some(command) = self.session.poll_command() {
            match command {
                SessionCommand::Resize(size) => {
                    if let Err(error) = crate::shell::pty::set_size(&self.master, size) {
                        tracing::warn!(%error, "the pty keeps its size");
                    }
                    self.order_resize();
                }
                SessionCommand::Write(bytes) => {
                    if self.input.pass(bytes) {
                        tracing::warn!("the program does not read viewers' input: it is dropped");
                        self.display.notice(backlog::DROPPED.into());
                    }
                }
                SessionCommand::Scrollback(is_wanted) => {
                    self.display.scrollback_wanted(is_wanted);
                }
                SessionCommand::Marks(marks) => self.display.answered(marks),
                SessionCommand::Tell(event) => {
                    if let Some(shared) = &self.shared {
                        shared.uplink.tell(event);
                    }
                }
                SessionCommand::Refuse(refused) => {
                    if let Some(shared) = &mut self.shared {
                        shared.access.refuse(refused);
                    }
                }
                SessionCommand::Log(text) => {
                    if let Some(shared) = &self.shared {
                        shared.board.log(&text);
                    }
                }
                SessionCommand::Notice(text) => {
                    if let Some(shared) = &self.shared {
                        shared.board.log(&text);
                    }
                    self.display.notice(text);
                }
            }
        }
    }

    fn order_resize(&self) {
        let (pty, local) = (self.session.size(), tty::size());
        self.display.resize(pty, local);
    }

    fn publish_status(&self) {
        if let Some(shared) = &self.shared {
            shared.board.update_viewers(self.session.viewers(), self.session.bans(), None);
        }
    }
}

async fn next(shared: &mut Option<Shared>) -> Happening {
    match shared {
        Some(shared) => tokio::select! {
            incoming = shared.uplink.incoming.recv() => match incoming {
                Some(incoming) => {
                    shared.uplink.on_incoming(&incoming);
                    Happening::Incoming(incoming)
                }
                None => Happening::LinkEnded,
            },
            Some(errand) = shared.errands.recv() => Happening::Asked(errand),
            alerts = shared.board.alerts() => Happening::Alerts(alerts),
        },
        None => std::future::pending().await,
    }
}

/// What a terminal does when it goes: the program is told, and has some time to end.
async fn hang_up_child(mut child: Child) -> anyhow::Result<ExitStatus> {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        // It may have ended already.
        let _ = kill_process_group(pid, Signal::HUP);
        let _ = kill_process_group(pid, Signal::CONT);
    }
    if let Ok(status) = timeout(HANG_UP_TIME_MAX, child.wait()).await {
        return Ok(status?);
    }
    child.kill().await?;
    Ok(child.wait().await?)
}
