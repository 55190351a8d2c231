//! Keeps a granted session in step with the relay, over whatever reaches it.

use super::{Incoming, Link, SessionEnd, relays, webhook};
use crate::core::dialling::Carrier;
use crate::core::failover::Failover;
use crate::core::notice;
use crate::shell::board::unix_time;
use crate::shell::protocol::Connection;
use crate::shell::roaming::{Failure, Happening, Roaming, Welcomed};
use std::time::{Duration, Instant};
use tern_bootstrap::client::Granted;
use tern_sync::link::{Incoming as LinkIncoming, LinkError};
use tern_sync::log::{LOG_SIZE_MAX, Log, Whole};
use tern_sync::scrollback::{Scrollback, Trickle};
use tern_sync::session::{
    HOST_EVENTS, HostEvent, SCROLLBACK, SETTINGS, Settings, TEXT_SIZE_MAX, TOPOLOGY, Topology,
    VIEWER_EVENTS, ViewerEvent, WEBHOOK, WEBHOOK_REPORT, WebhookReport,
};
use tern_sync::{Endpoint, Event, Patience};
use tern_term::{SCREEN, Shown};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

/// An outage that lasts longer is shown by `tern status`.
const OUTAGE_COUNTS_AFTER: Duration = Duration::from_secs(1);
/// One that lasts longer is told to the person: who roams isn't bothered.
const OUTAGE_TOLD_AFTER: Duration = Duration::from_secs(5);
/// After this time without any way to the relay but the grant's, the person is told.
const FIRST_LINK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the end of the session may take to arrive at the relay.
pub(super) const FAREWELL_TIME_MAX: Duration = Duration::from_secs(5);
/// A close leaves by a task of its own; this is long enough for that.
const CLOSE_TIME: Duration = Duration::from_millis(50);
/// Time between attempts to say farewell.
const FAREWELL_INTERVAL: Duration = Duration::from_millis(250);
/// Events that wait for the relay's confirmation; more are dropped, but for the session's end, for
/// which there always is a place.
const EVENTS_MAX: usize = 512;

const _: () = assert!((EVENTS_MAX + 1) * (TEXT_SIZE_MAX + 64) <= LOG_SIZE_MAX);

/// The sync endpoint with its channels, and the number that names its states.
struct Synced {
    endpoint: Endpoint,
    epoch: u64,
    /// The relay has been told of them.
    is_used: bool,
    /// Brings what scrolled off, if the relay wants it.
    trickle: Option<Trickle>,
}

impl Synced {
    fn new(epoch: u64) -> Self {
        let endpoint = Endpoint::new(rand::random(), Instant::now());
        let mut endpoint = endpoint.with_patience(Patience::Eager);
        endpoint.open_sender(SETTINGS, Whole(Settings::default()));
        endpoint.open_sender(SCREEN, Shown::default());
        endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
        endpoint.open_sender(HOST_EVENTS, Log::<HostEvent>::new());
        endpoint.open_sender(SCROLLBACK, Log::new());
        endpoint.open_sender(WEBHOOK, Whole(None));
        endpoint.open_receiver(WEBHOOK_REPORT, Whole(WebhookReport::default()));
        endpoint.open_receiver(VIEWER_EVENTS, Log::<ViewerEvent>::new());
        Self { endpoint, epoch, is_used: false, trickle: None }
    }
}

/// What is told of an outage so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Status,
    Notice,
}

struct Kept {
    synced: Synced,
    roaming: Roaming,
    told: Told,
    /// People have the join lines.
    is_announced: bool,
    /// There was a link.
    was_linked: bool,
    failover: Failover,
    /// Other relays are being asked.
    asking: Option<JoinHandle<relays::Answer>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

impl Kept {
    /// Sends what is due, over the link and on new ways.
    fn pump(&mut self, now: Instant) {
        self.roaming.pump(&mut self.synced.endpoint, self.synced.epoch, now);
    }

    /// Gives the endpoint what may go of what scrolled off.
    fn trickle(&mut self, kept: &Scrollback, now: Instant) {
        if let Some(trickle) = &mut self.synced.trickle {
            trickle.pump(&mut self.synced.endpoint, kept, now);
        }
    }

    /// When to go on if nothing happens.
    fn due(&self) -> Option<Instant> {
        let since = self.roaming.silent_since();
        let tell = since.and_then(|since| match self.told {
            Told::Nothing => Some(since + OUTAGE_COUNTS_AFTER),
            Told::Status => Some(since + OUTAGE_TOLD_AFTER),
            Told::Notice => None,
        });
        let trickle = self.synced.trickle.as_ref().and_then(Trickle::poll_timeout);
        let link = self.roaming.poll_timeout(&self.synced.endpoint);
        [link, tell, trickle].into_iter().flatten().min()
    }
}

impl Link {
    /// Until the session ends or the relay doesn't know it any more.
    pub(super) async fn keep(
        &mut self,
        granted: &Granted,
        end: &mut oneshot::Receiver<String>,
    ) -> SessionEnd {
        let now = Instant::now();
        let mut kept = Kept {
            synced: Synced::new(rand::random()),
            roaming: Roaming::new(
                &self.options,
                &granted.grant.credentials(),
                granted.address,
                now,
            ),
            told: Told::Nothing,
            is_announced: false,
            was_linked: false,
            failover: Failover::default(),
            asking: None,
        };
        // Where the grant itself came over QUIC, the link will follow: nobody needs to wait for it.
        if granted.is_over_quic {
            self.announce_once(&mut kept, granted).await;
        }
        loop {
            let now = Instant::now();
            kept.pump(now);
            self.deliver(&mut kept.synced).await;
            kept.trickle(&self.scrollback.borrow_and_update(), now);
            self.tell_outage(&mut kept, granted, now).await;
            self.board.set_round_trip(kept.synced.endpoint.rtt());
            self.ask_others(&mut kept, now);
            let failover = self.failover_due(&kept);
            let due = [kept.due(), failover].into_iter().flatten().min();
            tokio::select! {
                answer = relays::answer(&mut kept.asking) => {
                    // The relay may have answered meanwhile.
                    if let Ok((relay, granted)) = answer
                        && kept.roaming.silent_since().is_some()
                    {
                        return SessionEnd::Elsewhere(relay, Box::new(granted));
                    }
                }
                text = &mut *end => {
                    self.say_farewell(&mut kept, text.unwrap_or_default()).await;
                    return SessionEnd::Ended;
                }
                happening = kept.roaming.next() => match happening {
                    Happening::Received(received) => self.on_received(&mut kept, received).await,
                    Happening::Found(Ok(welcomed)) => {
                        self.adopt(&mut kept, granted, welcomed).await;
                    }
                    Happening::Found(Err(failure)) => {
                        if let Some(end) = on_failure(&kept, failure) {
                            return end;
                        }
                    }
                    Happening::AddressesChanged => {
                        let endpoint = &mut kept.synced.endpoint;
                        kept.roaming.handle_hint(endpoint, "its addresses changed", Instant::now());
                    }
                },
                Ok(()) = self.settings.changed() => {
                    let settings = self.settings.borrow_and_update().clone();
                    kept.synced.endpoint.set(SETTINGS, Whole(settings), Instant::now());
                }
                Ok(()) = self.webhooks.wish.changed() => {
                    self.webhooks.apply(&mut kept.synced.endpoint, Instant::now());
                }
                report = webhook::report(&mut self.webhooks.courier) => self.on_webhook_report(report).await,
                Ok(()) = self.shown.changed() => {
                    let shown = self.shown.borrow_and_update().clone();
                    kept.synced.endpoint.set(SCREEN, shown, Instant::now());
                }
                Ok(()) = self.topology.changed() => {
                    let topology = self.topology.borrow_and_update().clone();
                    kept.synced.endpoint.set(TOPOLOGY, Whole(topology), Instant::now());
                }
                // The next turn deals with it.
                Ok(()) = self.scrollback.changed() => {}
                Some(told) = self.events.recv() => match told.in_era(self.era) {
                    Some(event) => push_event(&mut kept.synced.endpoint, event),
                    None => tracing::info!("a decision came too late: the relay began anew"),
                },
                () = sleep_until(due.unwrap_or(now).into()), if due.is_some() => {
                    kept.synced.endpoint.handle_timeout(Instant::now());
                }
            }
        }
    }

    fn failover_due(&self, kept: &Kept) -> Option<Instant> {
        let is_possible = kept.asking.is_none() && self.relays.has_other(&self.options.relay);
        kept.failover.due(kept.roaming.silent_since()).filter(|_| is_possible)
    }

    fn ask_others(&self, kept: &mut Kept, now: Instant) {
        if self.failover_due(kept).is_some_and(|due| due <= now) {
            kept.failover.handle_asked(now);
            kept.asking = self.relays.request_other(&self.options);
        }
    }

    async fn on_received(&mut self, kept: &mut Kept, received: Result<LinkIncoming, LinkError>) {
        let now = Instant::now();
        let incoming = match received {
            Ok(incoming) => incoming,
            Err(error) => return kept.roaming.lose(error.to_string(), now),
        };
        if let Err(error) = incoming.feed(&mut kept.synced.endpoint, now) {
            kept.roaming.break_off(error.to_string(), now);
            // Its states and ours can't be brought together: both begin anew.
            self.begin_anew(kept, rand::random()).await;
        }
    }

    /// State 0, with what is current to be sent.
    async fn begin_anew(&mut self, kept: &mut Kept, epoch: u64) {
        kept.synced = Synced::new(epoch);
        self.webhooks.on_viewers_forgotten();
        self.webhooks.wish.mark_changed();
        self.settings.mark_changed();
        self.shown.mark_changed();
        self.topology.mark_changed();
        self.forget_viewers().await;
    }

    /// Goes on over a link that the relay has welcomed.
    async fn adopt(&mut self, kept: &mut Kept, granted: &Granted, welcomed: Welcomed) {
        let now = Instant::now();
        let Welcomed { link, carrier, is_resumed, ref notices, .. } = welcomed;
        tracing::info!(relay = ?link.remote_address(), over = %link, is_resumed, "connected");
        for text in notices {
            self.notice(text).await;
        }
        let is_restarted = !is_resumed && kept.synced.is_used;
        if is_resumed {
            kept.synced.endpoint.handle_new_path(now);
        } else if is_restarted {
            self.begin_anew(kept, kept.synced.epoch).await;
        }
        kept.synced.is_used = true;
        let was_over_ssh = kept.roaming.take_up(link, carrier, now) == Some(Carrier::Ssh);
        self.announce_once(kept, granted).await;
        if std::mem::replace(&mut kept.was_linked, true)
            && (is_restarted || kept.told != Told::Nothing)
        {
            self.webhooks.on_back(&mut kept.synced.endpoint, now);
        }
        let port = granted.grant.quic_port;
        let over = match carrier {
            Carrier::Quic => "QUIC".to_owned(),
            Carrier::Ssh => format!("SSH, since nothing answers at its UDP port {port}"),
        };
        self.board.update(|status| {
            status.connection = Connection::Connected(unix_time());
            status.over = Some(over.clone());
        });
        match (carrier, kept.told) {
            (Carrier::Ssh, _) => self.notice(&format!("Connected over {over}")).await,
            (Carrier::Quic, _) if was_over_ssh => self.notice("Connected over QUIC").await,
            (Carrier::Quic, _) if is_restarted => {
                self.notice("Reconnected: the relay has restarted, the same lines go on").await;
            }
            (Carrier::Quic, Told::Notice) => self.notice("Reconnected").await,
            (Carrier::Quic, Told::Nothing | Told::Status) => {}
        }
        kept.told = Told::Nothing;
    }

    /// People get the join lines, and viewers the picture.
    async fn announce_once(&mut self, kept: &mut Kept, granted: &Granted) {
        if !std::mem::replace(&mut kept.is_announced, true) {
            self.settings.mark_changed();
            self.shown.mark_changed();
            self.topology.mark_changed();
            self.announce(granted).await;
            self.webhooks.wish.mark_changed();
        }
    }

    /// Says how long there has been no answer, or that there is one again.
    async fn tell_outage(&mut self, kept: &mut Kept, granted: &Granted, now: Instant) {
        let Some(since) = kept.roaming.silent_since() else {
            let told = std::mem::replace(&mut kept.told, Told::Nothing);
            if told != Told::Nothing {
                self.board.update(|s| s.connection = Connection::Connected(unix_time()));
                self.webhooks.on_back(&mut kept.synced.endpoint, now);
            }
            if told == Told::Notice {
                self.notice("Reconnected").await;
            }
            return;
        };
        let outage = now.saturating_duration_since(since);
        if !kept.is_announced {
            if outage >= FIRST_LINK_TIME_MAX && kept.told != Told::Notice {
                kept.told = Told::Notice;
                let (relay, port) = (&self.options.relay, granted.grant.quic_port);
                let text = format!(
                    "the relay {relay} answers over SSH but not over QUIC: is UDP to its port \
                     {port} open? (trying on)"
                );
                self.trouble(&text);
                self.notice(&text).await;
            }
            return;
        }
        if outage >= OUTAGE_COUNTS_AFTER && kept.told == Told::Nothing {
            kept.told = Told::Status;
            let began = unix_time().saturating_sub(outage.as_secs());
            self.board.update(|status| status.connection = Connection::Reconnecting(began));
        }
        if outage >= OUTAGE_TOLD_AFTER && kept.told == Told::Status {
            kept.told = Told::Notice;
            self.webhooks.on_lost();
            let reason = notice::printable(kept.roaming.reason());
            self.notice(&format!("Reconnecting... ({reason})")).await;
        }
    }

    /// Hands on what viewers did.
    async fn deliver(&mut self, synced: &mut Synced) {
        while let Some(event) = synced.endpoint.poll_event() {
            if event == Event::Received(WEBHOOK_REPORT.id) {
                let report = synced.endpoint.received(WEBHOOK_REPORT).0.clone();
                self.on_webhook_report(report).await;
            }
            if event == Event::Received(VIEWER_EVENTS.id) {
                for event in synced.endpoint.take(VIEWER_EVENTS) {
                    if let ViewerEvent::Scrollback { is_wanted } = event {
                        synced.trickle = is_wanted.then(Trickle::default);
                    }
                    self.webhooks.on_viewer(&event);
                    self.tell(Incoming::Viewer(event)).await;
                }
            }
        }
    }

    /// Tells the relay that the session is over, and waits until it knows, for a bounded time.
    async fn say_farewell(&mut self, kept: &mut Kept, text: String) {
        let endpoint = &mut kept.synced.endpoint;
        // The last picture, and what was decided before.
        endpoint.set(SCREEN, self.shown.borrow_and_update().clone(), Instant::now());
        while let Ok(told) = self.events.try_recv() {
            if let Some(event) = told.in_era(self.era) {
                push_event(endpoint, event);
            }
        }
        push_event(endpoint, HostEvent::Ended { text: text.clone() });
        if kept.is_announced {
            // Viewers at the relay wait for us, so a way there is looked for once more.
            let told = timeout(FAREWELL_TIME_MAX, await_acknowledgement(kept, &text));
            let (_, ()) = tokio::join!(told, self.webhooks.finish());
        }
        if kept.roaming.close("session ended") {
            // The close must leave the machine before the process ends.
            sleep(CLOSE_TIME).await;
        }
    }
}

/// What ends the session at the relay, if this does.
fn on_failure(kept: &Kept, failure: Failure) -> Option<SessionEnd> {
    tracing::info!(?failure, "the relay was not reached");
    match failure {
        Failure::Unreachable(_) | Failure::NotYet(_) => None,
        // While a link works, nobody's word counts against it.
        _ if kept.roaming.silent_since().is_none() => None,
        Failure::Unknown(_) => Some(SessionEnd::Unknown),
        // A relay that was made anew: SSH tells whether it's still the right one.
        Failure::WrongCertificate(_) if kept.is_announced => Some(SessionEnd::Unknown),
        Failure::WrongCertificate(address) => Some(SessionEnd::Refused(format!(
            "what answers at {address} (UDP) shows another certificate than the one that the relay \
             handed over by SSH. Somebody may be impersonating it, or another program uses that port"
        ))),
        Failure::Refused(text) => Some(SessionEnd::Refused(notice::printable(&text))),
    }
}

/// Until the relay has all events.
async fn await_acknowledgement(kept: &mut Kept, text: &str) {
    while !kept.synced.endpoint.is_acknowledged(HOST_EVENTS) {
        let now = Instant::now();
        kept.pump(now);
        while let Some(event) = kept.synced.endpoint.poll_event() {
            if event == Event::Received(VIEWER_EVENTS.id) {
                drop(kept.synced.endpoint.take(VIEWER_EVENTS));
            }
        }
        let due = kept.due().unwrap_or_else(|| now + FAREWELL_INTERVAL);
        tokio::select! {
            happening = kept.roaming.next() => match happening {
                Happening::Received(Ok(incoming)) => {
                    if incoming.feed(&mut kept.synced.endpoint, Instant::now()).is_err() {
                        return;
                    }
                }
                Happening::Received(Err(error)) => {
                    kept.roaming.lose(error.to_string(), Instant::now());
                }
                Happening::Found(Ok(welcomed)) => {
                    if welcomed.is_resumed {
                        kept.synced.endpoint.handle_new_path(Instant::now());
                    } else {
                        kept.synced = Synced::new(kept.synced.epoch);
                        let ended = HostEvent::Ended { text: text.to_owned() };
                        push_event(&mut kept.synced.endpoint, ended);
                    }
                    kept.roaming.take_up(welcomed.link, welcomed.carrier, Instant::now());
                }
                // The relay knows no session that could end.
                Happening::Found(Err(Failure::Unknown(_))) => return,
                Happening::Found(Err(_)) | Happening::AddressesChanged => {}
            },
            () = sleep_until(due.into()) => {
                kept.synced.endpoint.handle_timeout(Instant::now());
            }
        }
    }
}

fn push_event(endpoint: &mut Endpoint, event: HostEvent) {
    let is_last = matches!(event, HostEvent::Ended { .. });
    endpoint.update(HOST_EVENTS, Instant::now(), |log| {
        let has_place = is_last || log.len() < EVENTS_MAX;
        if !has_place || !log.push(event) {
            // A relay that confirms nothing: its viewers learn of the end by the host's absence.
            tracing::warn!("the relay confirms nothing: an event is dropped");
        }
    });
}
