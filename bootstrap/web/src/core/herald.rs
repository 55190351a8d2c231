//! Tells one web server what happens in one session: makes events of happenings, and says what is to
//! be sent and when. A machine without I/O.
//!
//! ```text
//!  happenings ──► Herald ──► Queue ──► Delivery ──► (shell: HTTP)
//!                                ▲                       │
//!                                └───── handle_result ◄──┘
//! ```

use super::event::{Event, Kind, Sender, Uuid};
use super::queue::Queue;
use super::signature::Signer;
use super::url::WebUrl;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tern_sync::session::{REPORT_SIZE_MAX, ViewerEvent, ViewerId, Visitor, Webhook, WebhookReport};

/// Viewers that a herald keeps book of; more are not told of (a host may be told of any number).
const PRESENT_MAX: usize = 4096;
/// How long the last events of a session are tried: a few times.
pub const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(60);

/// What happens in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The host wants this server told from now on; `None`: nobody. Those who are there are told of
    /// again, by [`Happening::Joined`].
    Wanted(Option<Webhook>),
    /// Where the host is, as far as it is known.
    HostAt(IpAddr),
    /// A viewer is in the session.
    Joined(ViewerId, Visitor),
    /// A viewer is gone; one that never was in is passed over.
    Left(ViewerId),
    /// All viewers are gone.
    AllLeft,
    /// Nothing is heard of the host.
    Lost,
    /// It is heard again, or for the first time.
    Present,
    /// The session is over.
    Over,
    /// The one who sends stops, and the session may go on without: like [`Happening::Lost`], for good.
    Stopping,
}

impl Happening {
    /// What a host is told of its viewers, if it is of interest.
    pub fn of_viewer(event: &ViewerEvent) -> Option<Self> {
        match event {
            ViewerEvent::Joined { viewer, who, .. } => Some(Self::Joined(*viewer, who.clone())),
            ViewerEvent::Left { viewer } => Some(Self::Left(*viewer)),
            // Who is away has not left; being back is no news.
            ViewerEvent::Asks { .. }
            | ViewerEvent::Away { .. }
            | ViewerEvent::Input { .. }
            | ViewerEvent::Scrollback { .. }
            | ViewerEvent::Resized { .. } => None,
        }
    }
}

/// Where and when something happens.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// For what is due.
    pub now: Instant,
    /// For what is told: microseconds since 1970.
    pub unix_micros: i64,
}

/// A request to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whom to ask.
    pub url: WebUrl,
    /// What to say beside what every request says.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a log should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The first try of an event failed.
    Failing(String),
    /// An event was given up.
    GivenUp(&'static str),
    /// After a failure, an event was taken.
    Recovered,
}

/// Where the session is, for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was not told of it.
    Unknown,
    Registered,
    /// The host is away.
    Lost,
    Over,
}

/// Whom to tell, as it is wished.
#[derive(Debug)]
struct Target {
    url: WebUrl,
    signer: Option<Signer>,
    webhook: Webhook,
}

impl Target {
    /// An error is for people.
    fn parse(webhook: Webhook) -> Result<Self, String> {
        let url = WebUrl::parse(&webhook.url);
        let url = url.map_err(|error| format!("the URL can't be used: {error}"))?;
        let signer = Signer::of(&webhook.secret);
        let signer = signer.map_err(|error| format!("the secret can't be used: {error}"))?;
        Ok(Self { url, signer, webhook })
    }
}

/// One session's herald.
#[derive(Debug)]
pub struct Herald {
    entity: Uuid,
    sender: Sender,
    /// The session was there before, at a relay that has forgotten it.
    is_restored: bool,
    seed: [u8; 32],
    uuids_count: u64,
    target: Option<Target>,
    address: Option<IpAddr>,
    present: BTreeMap<ViewerId, Uuid>,
    standing: Standing,
    is_host_present: bool,
    generation: u32,
    sequence: u64,
    queue: Queue,
    /// The request that is under way, if its answer still matters.
    is_sending: bool,
    trouble: Option<String>,
    notes: Vec<Note>,
    /// After the end: until then.
    until: Option<Instant>,
}

impl Herald {
    /// Of a session. `seed` is random; of it come the names of viewers and events.
    pub fn new(entity: Uuid, sender: Sender, is_restored: bool, seed: [u8; 32]) -> Self {
        Self {
            entity,
            sender,
            is_restored,
            seed,
            uuids_count: 0,
            target: None,
            address: None,
            present: BTreeMap::new(),
            standing: Standing::Unknown,
            is_host_present: true,
            generation: 0,
            sequence: 0,
            queue: Queue::default(),
            is_sending: false,
            trouble: None,
            notes: Vec::new(),
            until: None,
        }
    }

    /// Something happened.
    pub fn handle(&mut self, happening: Happening, clock: Clock) {
        if self.standing == Standing::Over {
            return;
        }
        match happening {
            Happening::Wanted(webhook) => self.on_wanted(webhook, clock),
            Happening::HostAt(address) => self.address = Some(address),
            Happening::Joined(viewer, who) => self.on_joined(viewer, who, clock),
            Happening::Left(viewer) => {
                if let Some(id) = self.present.remove(&viewer) {
                    self.tell(Kind::Left { id }, clock);
                }
            }
            Happening::AllLeft => self.tell_all_left(clock),
            Happening::Lost => self.on_lost(clock),
            Happening::Present => self.on_present(clock),
            Happening::Over => {
                self.tell_all_left(clock);
                let is_known = self.standing != Standing::Unknown;
                if is_known {
                    self.tell(Kind::Close, clock);
                }
                self.end(clock);
            }
            Happening::Stopping => {
                self.tell_all_left(clock);
                self.on_lost(clock);
                self.end(clock);
            }
        }
    }

    /// Less time than [`LAST_WORDS_TIME_MAX`] is left for the last events.
    pub fn hurry(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |before| before.min(until)));
    }

    /// What became of the last [`Self::poll_delivery`]; an error says why, for people. It may name the
    /// server, so it is cut to what a report has place for.
    pub fn handle_result(&mut self, result: Result<(), String>, now: Instant) {
        if !std::mem::take(&mut self.is_sending) {
            return;
        }
        match result {
            Ok(()) => {
                self.queue.handle_taken();
                if self.trouble.take().is_some() {
                    self.notes.push(Note::Recovered);
                }
            }
            Err(mut trouble) => {
                trouble.truncate(trouble.floor_char_boundary(REPORT_SIZE_MAX));
                if self.trouble.as_ref() != Some(&trouble) {
                    self.notes.push(Note::Failing(trouble.clone()));
                }
                self.trouble = Some(trouble);
                let given_up = self.queue.handle_failed(now);
                self.note_given_up(given_up.map(|event| event.kind));
            }
        }
    }

    /// The request that is to be made now, if one is. Only one at a time is under way.
    pub fn poll_delivery(&mut self, clock: Clock) -> Option<Delivery> {
        let Target { url, signer, webhook } = self.target.as_ref()?;
        let event = self.queue.poll(clock.now)?;
        self.is_sending = true;
        let body = event.body(self.entity, self.sender, webhook);
        let id = event.id.to_string();
        let seconds = u64::try_from(clock.unix_micros / 1_000_000).unwrap_or_default();
        let mut headers =
            vec![("webhook-id", id.clone()), ("webhook-timestamp", seconds.to_string())];
        if let Some(signer) = signer {
            headers.push(("webhook-signature", signer.sign(&id, seconds, &body)));
        }
        Some(Delivery { url: url.clone(), headers, body })
    }

    /// When [`Self::poll_delivery`] or [`Self::handle_timeout`] has something to do, if no request is
    /// under way.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        [self.queue.poll_timeout(now), self.until()].into_iter().flatten().min()
    }

    /// Time passed: what has waited long enough after the end is given up.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.give_up_all();
        }
    }

    /// When what still waits after the end is given up.
    pub fn until(&self) -> Option<Instant> {
        self.until.filter(|_| !self.queue.is_empty())
    }

    /// Whether the session is over and all is told.
    pub fn is_finished(&self) -> bool {
        self.standing == Standing::Over && self.queue.is_empty()
    }

    /// For the log; each once.
    pub fn poll_note(&mut self) -> Option<Note> {
        (!self.notes.is_empty()).then(|| self.notes.remove(0))
    }

    /// For the host's person.
    pub fn report(&self) -> WebhookReport {
        let trouble = self.trouble.clone().unwrap_or_default();
        WebhookReport { trouble, dropped_count: self.queue.dropped_count() }
    }

    fn on_wanted(&mut self, webhook: Option<Webhook>, clock: Clock) {
        let target = match webhook.map(Target::parse).transpose() {
            Ok(target) => target,
            Err(trouble) => {
                self.trouble = Some(trouble);
                None
            }
        };
        let url_of = |target: &Option<Target>| target.as_ref().map(|target| target.url.clone());
        let is_same = url_of(&target) == url_of(&self.target);
        self.target = target;
        if is_same {
            return;
        }
        // What was meant for another server is none of this one's business.
        self.give_up_all();
        self.present.clear();
        self.standing = Standing::Unknown;
        if self.target.is_some() && self.is_host_present {
            self.register(clock);
        }
    }

    fn register(&mut self, clock: Clock) {
        let Some(Target { webhook, .. }) = &self.target else { return };
        let was_lost = self.standing == Standing::Lost;
        // A host knows of outages that this one doesn't, and the other way round.
        self.generation = webhook.generation.max(self.generation + u32::from(was_lost)).max(1);
        let is_reconnected = std::mem::take(&mut self.is_restored) || was_lost;
        let address = self.address;
        self.standing = Standing::Registered;
        self.tell(Kind::Register { is_reconnected, address }, clock);
    }

    fn on_joined(&mut self, viewer: ViewerId, who: Visitor, clock: Clock) {
        let is_new = !self.present.contains_key(&viewer) && self.present.len() < PRESENT_MAX;
        if is_new && self.target.is_some() {
            let id = self.next_uuid();
            self.present.insert(viewer, id);
            self.tell(Kind::Join { id, who }, clock);
        }
    }

    fn on_lost(&mut self, clock: Clock) {
        self.is_host_present = false;
        if self.standing == Standing::Registered {
            self.standing = Standing::Lost;
            self.tell(Kind::Disconnect, clock);
        }
    }

    fn on_present(&mut self, clock: Clock) {
        self.is_host_present = true;
        match self.standing {
            Standing::Unknown | Standing::Lost => self.register(clock),
            Standing::Registered | Standing::Over => {}
        }
    }

    fn tell_all_left(&mut self, clock: Clock) {
        for id in std::mem::take(&mut self.present).into_values() {
            self.tell(Kind::Left { id }, clock);
        }
    }

    fn tell(&mut self, kind: Kind, clock: Clock) {
        if self.target.is_none() {
            return;
        }
        let event = Event {
            id: self.next_uuid(),
            sequence: self.sequence,
            at_micros: clock.unix_micros,
            generation: self.generation,
            kind,
        };
        self.sequence += 1;
        let given_up = self.queue.push(event);
        self.note_given_up(given_up.map(|event| event.kind));
    }

    fn end(&mut self, clock: Clock) {
        self.standing = Standing::Over;
        self.hurry(clock.now + LAST_WORDS_TIME_MAX);
    }

    fn give_up_all(&mut self) {
        self.is_sending = false;
        let kinds = self.queue.clear();
        self.note_given_up(kinds);
    }

    fn note_given_up(&mut self, kinds: impl IntoIterator<Item = Kind>) {
        self.notes.extend(kinds.into_iter().map(|kind| Note::GivenUp(kind.name())));
    }

    fn next_uuid(&mut self) -> Uuid {
        self.uuids_count += 1;
        Uuid::derived(&self.seed, self.uuids_count)
    }
}

#[cfg(test)]
mod tests;
