//! The viewer's place in a session, kept over whatever reaches the relay: what is typed goes there,
//! what the session shows comes back, and a terminal that stops and goes on.

use super::{End, JoinArgs, Reason};
use crate::core::dialling::Carrier;
use crate::core::viewing::{Command, Viewing};
use crate::shell::alarm::Alarm;
use crate::shell::recording::Recording;
use crate::shell::roaming::{Failure, Happening, Roaming, Welcomed};
use crate::shell::screen_writer::ScreenWriter;
use crate::shell::terminal::{Local, Terminal, exit_status_of};
use crate::shell::tty;
use std::time::{Duration, Instant};
use tern_bootstrap::client::{GrantedView, Options};
use tern_sync::link::{Incoming, LinkError};
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    FAREWELL, Farewell, HOST_STANDING, HostStanding, SCROLLBACK, TAKEN, TYPED_WINDOW,
    VIEWER_ACTIONS, ViewerAction,
};
use tern_sync::{Endpoint, Event, Patience};
use tern_term::{Frame, SCREEN, Shown};
use tokio::time::{sleep, sleep_until, timeout};

/// How long the word that we leave may take to arrive.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(1);
/// A close leaves by a task of its own; this is long enough for that.
const CLOSE_TIME: Duration = Duration::from_millis(50);

/// What a viewer's terminal shows at the end.
const LEFT: &str = "[left the session]";

/// The viewer while it runs.
pub(super) struct Session {
    endpoint: Endpoint,
    epoch: u64,
    /// The relay has been told of the endpoint's states.
    is_used: bool,
    roaming: Roaming,
    /// Bytes typed that the relay was told of, from state 0 on.
    typed_bytes: u64,
    viewing: Viewing,
    screen: ScreenWriter,
    recording: Option<Recording>,
    port: u16,
}

impl Session {
    pub(super) fn new(
        options: &Options,
        granted: &GrantedView,
        args: &JoinArgs,
        screen: ScreenWriter,
        recording: Option<Recording>,
    ) -> Self {
        let now = Instant::now();
        let who = granted.grant.credentials();
        Self {
            endpoint: new_endpoint(now),
            epoch: rand::random(),
            is_used: false,
            roaming: Roaming::new(options, &who, granted.address, now),
            typed_bytes: 0,
            viewing: Viewing::new(granted.grant.may_type, tty::size(), args.predict, now)
                .with_wheel(args.has_wheel),
            screen,
            recording,
            port: who.quic_port,
        }
    }

    /// Until the session or the viewer ends it.
    pub(super) async fn run(mut self) -> anyhow::Result<End> {
        let (mut terminal, mut alarm) = (Terminal::open()?, Alarm::new()?);
        let end = loop {
            if let Some(end) = self.carry_out().await? {
                break end;
            }
            let now = Instant::now();
            let due = self.poll_timeout(now);
            let is_deaf = self.viewing.is_deaf();
            let on_idle = self.screen.on_idle();
            tokio::select! {
                happening = self.roaming.next() => {
                    if let Some(end) = self.on_happening(happening) {
                        break end;
                    }
                }
                local = terminal.next(is_deaf) => match local {
                    Local::Keys(bytes) => self.viewing.handle_bytes(&bytes, Instant::now()),
                    Local::Resized => {
                        self.screen.forget();
                        self.viewing.handle_resize(tty::size());
                        self.viewing.handle_redraw();
                    }
                    Local::Stopped => self.suspend()?,
                    Local::Ended(signal) => {
                        break End { exit_status: exit_status_of(signal), ..self.leave().await };
                    }
                },
                () = on_idle.notified() => {}
                rung = alarm.at(due) => {
                    rung?;
                    let now = Instant::now();
                    self.endpoint.handle_timeout(now);
                    self.viewing.handle_timeout(now);
                }
            }
        };
        if self.roaming.close("the viewer leaves") {
            sleep(CLOSE_TIME).await;
        }
        let recorded = self.recording.take().map(|recording| recording.finish(end.exit_status));
        let has_taken_all = self.screen.suspend();
        Ok(End { recorded: recorded.unwrap_or(Ok(())), is_terminal_stuck: !has_taken_all, ..end })
    }

    fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let link = self.roaming.poll_timeout(&self.endpoint);
        [link, self.viewing.poll_timeout(now)].into_iter().flatten().min()
    }

    /// Does what is due: keys to the relay, frames to the terminal.
    async fn carry_out(&mut self) -> anyhow::Result<Option<End>> {
        while let Some(command) = self.viewing.poll_command() {
            match command {
                Command::Leave => return Ok(Some(self.leave().await)),
                Command::Suspend => self.suspend()?,
            }
        }
        let now = Instant::now();
        self.pass_actions(now);
        self.roaming.pump(&mut self.endpoint, self.epoch, now);
        self.viewing.handle_silence(self.roaming.silent_since());
        self.viewing.handle_rtt(self.endpoint.rtt());
        if let Some(end) = self.take_news(now) {
            return Ok(Some(end));
        }
        if self.screen.is_idle()
            && let Some(question) = self.viewing.poll_question(now)
        {
            self.screen.tell(question);
        }
        if self.screen.is_idle()
            && let Some(frame) = self.viewing.poll_frame(now)
        {
            self.screen.draw(&frame);
        }
        Ok(None)
    }

    fn pass_actions(&mut self, now: Instant) {
        while self.may_say_more() {
            let Some(action) = self.viewing.poll_action() else { return };
            if let ViewerAction::Input { bytes, .. } = &action {
                self.typed_bytes += bytes.len() as u64;
            }
            push_action(&mut self.endpoint, action, now);
        }
    }

    /// Whether the session takes what was typed; if not, more waits here. Sizes, which don't count,
    /// are bounded by what the relay has not confirmed.
    fn may_say_more(&self) -> bool {
        let untaken = self.typed_bytes.saturating_sub(self.endpoint.received(TAKEN).0);
        let unconfirmed = self.endpoint.current(VIEWER_ACTIONS).byte_count();
        untaken < TYPED_WINDOW as u64 && unconfirmed < TYPED_WINDOW
    }

    /// What the relay told.
    fn take_news(&mut self, now: Instant) -> Option<End> {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Received(id) if id == SCREEN.id => {
                    tracing::debug!(keys = ?self.endpoint.received(SCREEN).keys, "screen");
                    let shown = self.endpoint.received(SCREEN).clone();
                    self.record(&shown.frame, now);
                    self.viewing.handle_shown(shown, now);
                }
                Event::Received(id) if id == HOST_STANDING.id => {
                    let standing = self.endpoint.received(HOST_STANDING).0;
                    self.mark(standing);
                    self.viewing.handle_standing(standing, now);
                }
                Event::Received(id) if id == SCROLLBACK.id => {
                    for entry in self.endpoint.take(SCROLLBACK) {
                        self.viewing.handle_scrollback(entry);
                    }
                }
                Event::Received(id) if id == FAREWELL.id => {
                    let farewell = self.endpoint.take(FAREWELL).pop();
                    if let Some(Farewell { text, exit_status }) = farewell {
                        // The relay waits for the acknowledgement, and closes then.
                        self.roaming.pump(&mut self.endpoint, self.epoch, now);
                        return Some(End::new(text, exit_status));
                    }
                }
                Event::Received(_) | Event::Acknowledged(_) => {}
            }
        }
        None
    }

    /// What the host showed; a recording that fails is told once, and the session goes on.
    fn record(&mut self, frame: &Frame, now: Instant) {
        let Some(recording) = &mut self.recording else { return };
        let had_failed = recording.failure().is_some();
        recording.handle_frame(frame);
        if !had_failed && let Some(failure) = recording.failure() {
            self.viewing.handle_news(failure.to_owned(), now);
        }
    }

    /// Where a recording shows nothing for a while, it says why.
    fn mark(&mut self, standing: HostStanding) {
        let text = match standing {
            HostStanding::Silent { .. } => "host silent",
            HostStanding::Awaited => "host awaited",
            HostStanding::Asked => "host asked",
            HostStanding::Present => "host present",
        };
        if let Some(recording) = &mut self.recording {
            recording.handle_marker(text);
        }
    }

    fn on_happening(&mut self, happening: Happening) -> Option<End> {
        let now = Instant::now();
        match happening {
            Happening::Received(received) => self.on_received(received, now),
            Happening::Found(Ok(welcomed)) => self.adopt(welcomed, now),
            Happening::Found(Err(failure)) => return self.on_failure(failure, now),
            Happening::AddressesChanged => {
                self.roaming.handle_hint(&mut self.endpoint, "its addresses changed", now);
            }
        }
        None
    }

    fn on_received(&mut self, received: Result<Incoming, LinkError>, now: Instant) {
        let fed = match received {
            Ok(incoming) => incoming.feed(&mut self.endpoint, now),
            Err(error) => return self.roaming.lose(error.to_string(), now),
        };
        if let Err(error) = fed {
            self.roaming.break_off(error.to_string(), now);
            self.begin_anew(rand::random(), now);
        }
    }

    /// Goes on over a link that the relay has welcomed.
    fn adopt(&mut self, welcomed: Welcomed, now: Instant) {
        let Welcomed { link, carrier, is_resumed, ref notices, .. } = welcomed;
        tracing::info!(relay = ?link.remote_address(), over = %link, is_resumed, "connected");
        for text in notices {
            self.viewing.handle_news(text.clone(), now);
        }
        if is_resumed {
            self.endpoint.handle_new_path(now);
        } else if self.is_used {
            self.begin_anew(self.epoch, now);
        }
        self.is_used = true;
        let before = self.roaming.take_up(link, carrier, now);
        match (carrier, before) {
            (Carrier::Ssh, _) => {
                let port = self.port;
                let text = format!("connected over SSH: nothing answers at UDP port {port}");
                self.viewing.handle_news(text, now);
            }
            (Carrier::Quic, Some(Carrier::Ssh)) => {
                self.viewing.handle_news("connected over QUIC".into(), now);
            }
            (Carrier::Quic, _) => {}
        }
    }

    /// State 0. What the relay did not confirm may have reached the session or not: keys must not
    /// come twice, so they don't come again.
    fn begin_anew(&mut self, epoch: u64, now: Instant) {
        let has_lost = !self.endpoint.is_acknowledged(VIEWER_ACTIONS);
        (self.endpoint, self.epoch, self.typed_bytes) = (new_endpoint(now), epoch, 0);
        self.viewing.handle_forgotten();
        if has_lost {
            let text = "the relay has restarted: keys typed last may be lost";
            self.viewing.handle_news(text.into(), now);
        }
    }

    fn on_failure(&mut self, failure: Failure, now: Instant) -> Option<End> {
        tracing::info!(?failure, "the relay was not reached");
        // While a link works, nobody's word counts against it.
        self.roaming.silent_since()?;
        let lost = |text: String, reason: Reason| Some(End::new(text, reason.exit_status()));
        match failure {
            Failure::Unreachable(_) => None,
            Failure::NotYet(text) => {
                self.viewing.handle_news(text, now);
                None
            }
            Failure::Unknown(text) => lost(text, Reason::Token),
            Failure::WrongCertificate(address) => {
                let text = format!(
                    "what answers at {address} (UDP) shows another certificate than the one that the \
                 relay handed over by SSH: the relay was made anew, or somebody impersonates it. \
                 Join again: tern join, with the same line"
                );
                lost(text, Reason::HostKey)
            }
            Failure::Refused(text) => lost(text, Reason::Other),
        }
    }

    /// Tells the relay, as far as it is within reach.
    async fn leave(&mut self) -> End {
        let now = Instant::now();
        // What was typed before counts, too.
        self.pass_actions(now);
        push_action(&mut self.endpoint, ViewerAction::Leave, now);
        let _ = timeout(LEAVE_TIME_MAX, self.await_acknowledgement()).await;
        End::new(LEFT.into(), 0)
    }

    async fn await_acknowledgement(&mut self) {
        while !self.endpoint.is_acknowledged(VIEWER_ACTIONS) {
            let now = Instant::now();
            self.roaming.pump(&mut self.endpoint, self.epoch, now);
            while self.endpoint.poll_event().is_some() {}
            let due = self.roaming.poll_timeout(&self.endpoint).unwrap_or(now + LEAVE_TIME_MAX);
            tokio::select! {
                happening = self.roaming.next() => match happening {
                    Happening::Received(Ok(incoming)) => {
                        if incoming.feed(&mut self.endpoint, Instant::now()).is_err() {
                            return;
                        }
                    }
                    // The relay closes when it has read that we leave.
                    Happening::Received(Err(_)) => return,
                    Happening::Found(Ok(welcomed)) => {
                        let is_anew = !welcomed.is_resumed && self.is_used;
                        self.adopt(welcomed, Instant::now());
                        if is_anew {
                            push_action(&mut self.endpoint, ViewerAction::Leave, Instant::now());
                        }
                    }
                    Happening::Found(Err(_)) | Happening::AddressesChanged => {}
                },
                () = sleep_until(due.into()) => self.endpoint.handle_timeout(Instant::now()),
            }
        }
    }

    /// Gives the terminal back, and stops until somebody continues us.
    fn suspend(&mut self) -> anyhow::Result<()> {
        self.screen.stop_until_continued()?;
        self.viewing.handle_resize(tty::size());
        self.viewing.handle_redraw();
        Ok(())
    }
}

fn push_action(endpoint: &mut Endpoint, action: ViewerAction, now: Instant) {
    endpoint.update(VIEWER_ACTIONS, now, |log| {
        if !log.push(action) {
            tracing::error!("the log of actions is full below its bound");
        }
    });
}

/// Both ends' state 0.
fn new_endpoint(now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(rand::random(), now).with_patience(Patience::Eager);
    endpoint.open_receiver(SCREEN, Shown::default());
    endpoint.open_receiver(HOST_STANDING, Whole(HostStanding::default()));
    endpoint.open_receiver(FAREWELL, Log::new());
    endpoint.open_receiver(TAKEN, Whole(0));
    endpoint.open_receiver(SCROLLBACK, Log::new());
    endpoint.open_sender(VIEWER_ACTIONS, Log::new());
    endpoint
}
