//! The way to the relay: one task that asks for a session over SSH, then keeps it ([`keep`]) over
//! whatever reaches the relay.

mod keep;
mod relays;
mod webhook;

pub use relays::Relays;

use crate::core::messages::JoinLines;
use crate::core::naming;
use crate::core::notice;
use crate::core::wishes::WebhookWish;
use crate::shell::board::Board;
use crate::shell::protocol::Connection;
use keep::FAREWELL_TIME_MAX;
use std::time::Duration;
use tern_bootstrap::client::{BootstrapError, Granted, Options, RelayAddress};
use tern_bootstrap::grant::{RefusalCode, WireError};
use tern_sync::scrollback::Scrollback;
use tern_sync::session::{HostEvent, Settings, Topology, ViewerEvent};
use tern_term::Shown;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use webhook::Webhooks;

/// How long after a failed request for a session the next one follows.
const BOOTSTRAP_RETRY_DELAY: Duration = Duration::from_secs(2);
/// The same, after the relay said that it is full or stopping.
const REFUSED_RETRY_DELAY: Duration = Duration::from_secs(10);
/// Viewers' events that wait for the session's task.
const INCOMING_MAX: usize = 1024;
/// Events for the relay that wait for this task.
const EVENTS_MAX: usize = 1024;

/// What comes from the relay, for the session's task.
#[derive(Debug)]
pub enum Incoming {
    /// A viewer did something.
    Viewer(ViewerEvent),
    /// The relay started anew: it will tell of its viewers again.
    ViewersForgotten,
    /// There are new join lines.
    NewLines(JoinLines),
    /// The person should see this.
    Notice(String),
}

/// How often the relay has begun anew with its numbers of viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Era(u32);

impl Era {
    fn begin(&mut self) {
        self.0 = self.0.wrapping_add(1);
    }
}

/// Something for the relay about one of its viewers, by the number that it had in this era: what is
/// decided while the relay begins anew must not let in somebody else.
#[derive(Debug)]
struct Told {
    era: Era,
    event: HostEvent,
}

impl Told {
    /// The event, unless its number is another viewer's by now.
    fn in_era(self, era: Era) -> Option<HostEvent> {
        (self.era == era).then_some(self.event)
    }
}

/// The session's side of the link.
#[derive(Debug)]
pub struct Uplink {
    /// The newest picture.
    pub shown: watch::Sender<Shown>,
    /// The newest topology.
    pub topology: watch::Sender<Topology>,
    /// What scrolled off the screen.
    pub scrollback: watch::Sender<Scrollback>,
    /// What the relay must know.
    events: mpsc::Sender<Told>,
    /// As far as the session's task has heard.
    era: Era,
    /// What comes from there; [`Self::on_incoming`] is told of each.
    pub incoming: mpsc::Receiver<Incoming>,
    end: oneshot::Sender<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Uplink {
    /// Starts the task, for one of these relays. `shown_host` stands in join lines if the relay names
    /// no host itself and the one that it was reached by is of no use to others. `settings` are what
    /// the relay is told before anything else; `webhook` is whom it, or the host, tells of it.
    pub fn start(
        options: Options,
        relays: Relays,
        shown_host: Option<String>,
        is_access_limited: bool,
        board: Board,
        settings: watch::Receiver<Settings>,
        webhook: watch::Receiver<Option<WebhookWish>>,
    ) -> Self {
        let shown = watch::Sender::new(Shown::default());
        let topology = watch::Sender::new(Topology::default());
        let scrollback = watch::Sender::new(Scrollback::default());
        let (events, event_receiver) = mpsc::channel(EVENTS_MAX);
        let (incoming_sender, incoming) = mpsc::channel(INCOMING_MAX);
        let (end, end_receiver) = oneshot::channel();
        let link = Link {
            options,
            relays,
            shown_host,
            is_access_limited,
            board,
            shown: shown.subscribe(),
            topology: topology.subscribe(),
            scrollback: scrollback.subscribe(),
            settings,
            webhooks: Webhooks::new(webhook),
            events: event_receiver,
            era: Era::default(),
            incoming: incoming_sender,
        };
        let task = tokio::spawn(async move { link.run(end_receiver).await });
        let era = Era::default();
        Self { shown, topology, scrollback, events, era, incoming, end, task }
    }

    /// Tells the relay what was decided about a viewer.
    pub fn tell(&self, event: HostEvent) {
        if self.events.try_send(Told { era: self.era, event }).is_err() {
            tracing::warn!("an event for the relay was lost: too many wait");
        }
    }

    /// This was taken from [`Self::incoming`].
    pub fn on_incoming(&mut self, incoming: &Incoming) {
        if let Incoming::ViewersForgotten = incoming {
            self.era.begin();
        }
    }

    /// The session is over: viewers are told `text`, as far as the relay is within reach.
    pub async fn finish(self, text: String) {
        let Self { end, task, incoming, .. } = self;
        // Nobody takes them any more, and the task must not wait for that.
        drop(incoming);
        // If the task has ended, there is nobody to tell.
        let _ = end.send(text);
        let _ = timeout(FAREWELL_TIME_MAX + Duration::from_secs(1), task).await;
    }
}

struct Link {
    /// With the relay that has the session, once there is one.
    options: Options,
    relays: Relays,
    shown_host: Option<String>,
    /// Not everybody who has a join line gets in.
    is_access_limited: bool,
    board: Board,
    shown: watch::Receiver<Shown>,
    topology: watch::Receiver<Topology>,
    scrollback: watch::Receiver<Scrollback>,
    settings: watch::Receiver<Settings>,
    webhooks: Webhooks,
    events: mpsc::Receiver<Told>,
    era: Era,
    incoming: mpsc::Sender<Incoming>,
}

/// How a session at the relay ended.
enum SessionEnd {
    /// The host ended it.
    Ended,
    /// The relay doesn't know it any more.
    Unknown,
    /// The relay doesn't want to talk to us.
    Refused(String),
    /// It is silent, and another one grants a session.
    Elsewhere(RelayAddress, Box<Granted>),
}

impl Link {
    /// Until the sharing ends or fails for good.
    async fn run(mut self, mut end: oneshot::Receiver<String>) {
        let host = self.shown_host.clone().unwrap_or_else(|| self.relays.name());
        let host = notice::printable(&host);
        self.board.log(&format!("Connecting to {host}..."));
        let mut other = None;
        loop {
            let granted = tokio::select! {
                biased;
                _ = &mut end => return,
                granted = self.bootstrap(other.take()) => granted,
            };
            let outcome = match granted {
                Ok(granted) => {
                    for text in &granted.notices {
                        self.notice(text).await;
                    }
                    self.keep(&granted, &mut end).await
                }
                Err(text) => SessionEnd::Refused(text),
            };
            match outcome {
                SessionEnd::Ended => return,
                SessionEnd::Unknown => {
                    self.notice("The relay lost the session: asking for a new one").await;
                    self.forget_viewers().await;
                }
                SessionEnd::Elsewhere(relay, granted) => {
                    let silent = &self.options.relay;
                    let text = format!(
                        "The relay {silent} is silent: the session goes on over {relay}, with new \
                         lines to join"
                    );
                    self.notice(&text).await;
                    self.forget_viewers().await;
                    other = Some((relay, *granted));
                }
                SessionEnd::Refused(text) => {
                    self.trouble(&text);
                    self.notice(&not_shared(&text)).await;
                    self.board.update(|status| status.connection = Connection::Failed(text));
                    // The session goes on unshared, until somebody stops the sharing.
                    let _ = end.await;
                    return;
                }
            }
        }
    }

    /// Asks for a session until there is one. An error is one that asking again won't mend.
    /// `other` is one that is there already, at another relay.
    async fn bootstrap(
        &mut self,
        other: Option<(RelayAddress, Granted)>,
    ) -> Result<Granted, String> {
        let mut told = String::new();
        let mut answer = match other {
            Some(other) => Ok(other),
            None => self.relays.request(&self.options).await,
        };
        loop {
            let errors = match answer {
                Ok((relay, granted)) => {
                    if self.relays.has_other(&relay) {
                        self.board.update(|status| status.relay = relay.to_string());
                    }
                    self.options.relay = relay;
                    return Ok(granted);
                }
                Err(errors) => errors,
            };
            // As long as one may be there later, it is waited for.
            let is_mending = |error: &&BootstrapError| retry_delay(error).is_some();
            let error = errors.iter().find(is_mending).or(errors.first());
            let error = error.ok_or_else(|| String::from("no relay was named"))?;
            let text = notice::printable(&error.to_string());
            let Some(delay) = retry_delay(error) else {
                return Err(text);
            };
            tracing::info!(error = text, "no session yet");
            if told != text {
                self.trouble(&text);
                self.notice(&format!(
                    "Not shared yet: {text} (trying again every {} s)",
                    delay.as_secs()
                ))
                .await;
                told = text;
            }
            sleep(delay).await;
            answer = self.relays.request(&self.options).await;
        }
    }

    async fn announce(&mut self, granted: &Granted) {
        let grant = &granted.grant;
        let host = match (&self.shown_host, &grant.ssh_host) {
            (Some(host), _) | (None, Some(host)) => host.clone(),
            (None, None) => self.options.relay.host.clone(),
        };
        let host = notice::printable(&host);
        let lines = JoinLines::new(&grant.token, &grant.token_ro, &host, grant.ssh_port);
        let template = JoinLines::new("%s", "%s", &host, grant.ssh_port);
        self.webhooks.on_session(grant, template, self.options.claim.is_some());
        self.board.set_lines_shown(false);
        for text in lines.messages() {
            self.board.log(&text);
        }
        self.board.update(|status| {
            status.lines = Some(lines.clone());
            status.trouble = None;
        });
        self.tell(Incoming::NewLines(lines)).await;
        for text in &grant.notices {
            self.notice(text).await;
        }
        if let Some(text) = naming::warning(&grant.token, &grant.token_ro, self.is_access_limited) {
            self.notice(&text).await;
        }
    }

    /// Why nobody can join yet.
    fn trouble(&self, text: &str) {
        self.board.update(|status| status.trouble = Some(text.to_owned()));
    }

    /// Into the log, and before the person's eyes.
    async fn notice(&mut self, text: &str) {
        self.board.log(text);
        self.tell(Incoming::Notice(text.to_owned())).await;
    }

    async fn forget_viewers(&mut self) {
        self.era.begin();
        self.tell(Incoming::ViewersForgotten).await;
    }

    async fn tell(&mut self, incoming: Incoming) {
        // The session's task ends before this one: then nobody needs to know.
        let _ = self.incoming.send(incoming).await;
    }
}

/// What to do comes first: a status line may have no room for the whole reason.
fn not_shared(reason: &str) -> String {
    format!("Not shared; the session goes on here, and `tern` in it tries again: {reason}")
}

/// When to ask again; `None` if only the person can mend it.
fn retry_delay(error: &BootstrapError) -> Option<Duration> {
    match error {
        BootstrapError::Lookup { .. }
        | BootstrapError::Connect { .. }
        | BootstrapError::Ssh { .. }
        | BootstrapError::Timeout { .. } => Some(BOOTSTRAP_RETRY_DELAY),
        BootstrapError::HostKey(_)
        | BootstrapError::Denied { .. }
        | BootstrapError::KeyRefused { .. }
        | BootstrapError::NotARelay { .. } => None,
        BootstrapError::Grant { error, .. }
        | BootstrapError::View { error, .. }
        | BootstrapError::Register { error, .. }
        | BootstrapError::Link { error, .. } => match error {
            WireError::Refused(refusal) => match refusal.code {
                RefusalCode::Full
                | RefusalCode::Stopping
                | RefusalCode::Returning
                | RefusalCode::TooManyTries
                | RefusalCode::Unavailable
                | RefusalCode::Other => Some(REFUSED_RETRY_DELAY),
                RefusalCode::Version
                | RefusalCode::Unauthorized
                | RefusalCode::Malformed
                | RefusalCode::Superseded => None,
            },
            WireError::Version { .. } | WireError::Malformed(_) | WireError::Impostor => None,
            WireError::Io(_) | WireError::Quic(_) => Some(BOOTSTRAP_RETRY_DELAY),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_sync::session::ViewerId;

    #[test]
    fn decision_about_a_viewer_of_before_the_relays_restart_is_dropped() {
        let event = HostEvent::Admit { viewer: ViewerId(1) };
        let (mut host, mut link) = (Era::default(), Era::default());
        let told = |era| Told { era, event: event.clone() };
        assert_eq!(told(host).in_era(link), Some(event.clone()));
        link.begin();
        assert_eq!(told(host).in_era(link), None, "the host has not heard of it yet");
        host.begin();
        assert_eq!(told(host).in_era(link), Some(event.clone()));
    }
}
