//! A session with its host in virtual time, over a link that can be cut.

use super::super::host::CloseCode;
use super::super::{Output, Session};
use crate::core::doors::{Admission, Doors};
use crate::core::limits::Limits;
use crate::core::painter::View;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::Endpoint;
use tern_sync::log::{Log, Whole};
use tern_sync::session::{
    Access, HOST_EVENTS, HostEvent, Role, SCROLLBACK, SETTINGS, Settings, TOPOLOGY, Topology,
    VIEWER_EVENTS, ViewerEvent, ViewerId, Visitor, WEBHOOK, WEBHOOK_REPORT, Webhook, WebhookReport,
};
use tern_term::{Frame, SCREEN, Shown, Size};
use tern_web::core::herald::Happening;

pub(super) const SIZE: Size = Size { cols: 80, rows: 24 };
const DATAGRAM_SIZE: usize = 1200;
pub(super) const DELAY: Duration = Duration::from_millis(20);

/// What arrives, and when.
enum Packet {
    ToHost(tern_sync::Output),
    ToRelay(tern_sync::Output),
}

pub(super) struct World {
    pub(super) session: Session,
    pub(super) host: Endpoint,
    pub(super) now: Instant,
    pub(super) is_link_up: bool,
    /// The link stands, but nothing arrives.
    pub(super) is_hole: bool,
    flying: BTreeMap<(Instant, u64), Packet>,
    packets_count: u64,
    /// What the host was told, in order.
    pub(super) told: Vec<ViewerEvent>,
    pub(super) view: Arc<View>,
    pub(super) doors: Option<Arc<Doors>>,
    pub(super) admitted: Vec<ViewerId>,
    pub(super) released: Vec<(ViewerId, String, u32)>,
    pub(super) taken: BTreeMap<ViewerId, usize>,
    pub(super) closed: Vec<CloseCode>,
    /// What a webhook would be told.
    pub(super) happened: Vec<Happening>,
    pub(super) is_ended: bool,
    pub(super) is_retired: bool,
    pub(super) is_over: bool,
}

impl World {
    /// A session that was granted; its host isn't there yet.
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let session = Session::new(limits, 1, now);
        let view = session.view();
        Self {
            session,
            host: host_endpoint(now),
            now,
            is_link_up: false,
            is_hole: false,
            flying: BTreeMap::new(),
            packets_count: 0,
            told: Vec::new(),
            view,
            doors: None,
            admitted: Vec::new(),
            released: Vec::new(),
            taken: BTreeMap::new(),
            closed: Vec::new(),
            happened: Vec::new(),
            is_ended: false,
            is_retired: false,
            is_over: false,
        }
    }

    /// One whose host has connected.
    pub(super) fn connected() -> Self {
        let mut world = Self::new(Limits::default());
        world.connect(1);
        world
    }

    /// The host connects; gives whether it is resumed.
    pub(super) fn connect(&mut self, epoch: u64) -> bool {
        let is_resumed = self.session.handle_host(epoch, 2, self.now).expect("the session lives");
        if is_resumed {
            self.host.handle_new_path(self.now);
        } else {
            self.host = host_endpoint(self.now);
        }
        self.flying.clear();
        self.is_link_up = true;
        self.settle();
        is_resumed
    }

    pub(super) fn lose_link(&mut self) {
        self.is_link_up = false;
        self.flying.clear();
        self.session.handle_link_lost(self.now);
        self.settle();
    }

    pub(super) fn join(&mut self, role: Role) -> ViewerId {
        self.join_as(visitor(role)).0
    }

    /// Gives whether it is in at once.
    pub(super) fn join_as(&mut self, who: Visitor) -> (ViewerId, bool) {
        self.join_by(Admission { who, bearer: None })
    }

    /// The same, of somebody whom the doors let in by a right.
    pub(super) fn join_by(&mut self, admission: Admission) -> (ViewerId, bool) {
        let joined = self.session.handle_join(admission, SIZE, self.now);
        self.settle();
        joined.expect("the session lives")
    }

    pub(super) fn input(&mut self, viewer: ViewerId, bytes: &[u8]) {
        self.session.handle_input(viewer, bytes, 0, (0, 0), self.now);
        self.settle();
    }

    pub(super) fn show(&mut self, text: &str) {
        self.host.set(SCREEN, Frame::from_lines(SIZE, [text]).into(), self.now);
        self.settle();
    }

    pub(super) fn host_wants(&mut self, settings: Settings) {
        self.host.set(SETTINGS, Whole(settings), self.now);
        self.settle();
    }

    pub(super) fn host_wants_webhook(&mut self, webhook: Option<Webhook>) {
        self.host.set(WEBHOOK, Whole(webhook), self.now);
        self.settle();
    }

    pub(super) fn host_says(&mut self, event: HostEvent) {
        self.host.update(HOST_EVENTS, self.now, |log| {
            log.push(event);
        });
        self.settle();
    }

    /// Lets time pass, with everything that happens meanwhile.
    pub(super) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            self.settle();
            let next = [
                self.flying.keys().next().map(|(at, _)| *at),
                self.session.poll_timeout(),
                self.is_link_up.then(|| self.host.poll_timeout()).flatten(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            self.deliver();
            self.session.handle_timeout(self.now);
            self.host.handle_timeout(self.now);
        }
        self.now = until;
        self.settle();
    }

    /// Everything arrives and is answered.
    pub(super) fn run(&mut self) {
        self.run_for(Duration::from_millis(500));
    }

    /// Everything that the session and the host want done now.
    fn settle(&mut self) {
        while let Some(output) = self.session.poll_output(self.now, self.size_max()) {
            match output {
                Output::Link(output) => self.send(Packet::ToHost(output)),
                Output::CloseLink { code, .. } => {
                    self.closed.push(code);
                    self.is_link_up = false;
                }
                Output::Show(view) => self.view = view,
                Output::Doors(doors) => self.doors = Some(doors),
                Output::Admit(viewer) => self.admitted.push(viewer),
                Output::Release { viewer, text, exit_status } => {
                    self.released.push((viewer, text, exit_status));
                }
                Output::Taken { viewer, byte_count } => {
                    *self.taken.entry(viewer).or_default() += byte_count;
                }
                Output::Happened(happening) => self.happened.push(*happening),
                Output::Ended => self.is_ended = true,
                Output::Retire => self.is_retired = true,
                Output::Over => self.is_over = true,
            }
        }
        if self.is_link_up {
            while let Some(output) = self.host.poll_output(self.now, DATAGRAM_SIZE) {
                self.send(Packet::ToRelay(output));
            }
        }
    }

    fn size_max(&self) -> Option<usize> {
        self.is_link_up.then_some(DATAGRAM_SIZE)
    }

    fn send(&mut self, packet: Packet) {
        self.packets_count += 1;
        self.flying.insert((self.now + DELAY, self.packets_count), packet);
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now)
        {
            let packet = entry.remove();
            if !self.is_link_up || self.is_hole {
                continue;
            }
            match packet {
                Packet::ToHost(tern_sync::Output::Datagram(datagram)) => {
                    self.host.handle_datagram(&datagram, self.now).expect("the relay is honest");
                }
                Packet::ToHost(tern_sync::Output::Stream { message, .. }) => {
                    self.host.handle_stream(&message, self.now).expect("the relay is honest");
                }
                Packet::ToRelay(tern_sync::Output::Datagram(datagram)) => {
                    self.session.handle_datagram(&datagram, self.now);
                }
                Packet::ToRelay(tern_sync::Output::Stream { message, .. }) => {
                    self.session.handle_stream(&message, self.now);
                }
                Packet::ToHost(tern_sync::Output::ResetStream { .. })
                | Packet::ToRelay(tern_sync::Output::ResetStream { .. }) => {}
            }
            while self.host.poll_event().is_some() {}
            self.told.extend(self.host.take(VIEWER_EVENTS));
            self.settle();
        }
    }

    pub(super) fn notice(&self) -> Option<&str> {
        self.view.notice.as_deref()
    }

    /// All that the host was given to type, in order.
    pub(super) fn typed(&self) -> Vec<u8> {
        self.told
            .iter()
            .filter_map(|event| match event {
                ViewerEvent::Input { bytes, .. } => Some(bytes.as_slice()),
                ViewerEvent::Joined { .. }
                | ViewerEvent::Asks { .. }
                | ViewerEvent::Away { .. }
                | ViewerEvent::Left { .. }
                | ViewerEvent::Resized { .. }
                | ViewerEvent::Scrollback { .. } => None,
            })
            .collect::<Vec<_>>()
            .concat()
    }

    /// Viewers that the host believes to be there, with their sizes.
    pub(super) fn present(&self) -> BTreeMap<ViewerId, (u16, u16)> {
        let (mut present, mut asking) = (BTreeMap::new(), BTreeSet::new());
        let mut away = BTreeSet::new();
        for event in &self.told {
            match event {
                ViewerEvent::Joined { viewer, cols, rows, .. } => {
                    away.remove(viewer);
                    present.insert(*viewer, (*cols, *rows));
                }
                ViewerEvent::Away { viewer } => {
                    present.remove(viewer).expect("only who is there falls silent");
                    away.insert(*viewer);
                }
                ViewerEvent::Asks { viewer, .. } => {
                    asking.insert(*viewer);
                }
                ViewerEvent::Left { viewer } => {
                    let was_there = present.remove(viewer).is_some() || away.remove(viewer);
                    assert!(asking.remove(viewer) || was_there, "only who is there leaves");
                }
                ViewerEvent::Resized { viewer, cols, rows } => {
                    let size = present.get_mut(viewer).expect("only who is there has a size");
                    *size = (*cols, *rows);
                }
                ViewerEvent::Scrollback { .. } => {}
                ViewerEvent::Input { viewer, .. } => {
                    assert!(present.contains_key(viewer), "only who is there types");
                }
            }
        }
        present
    }
}

/// Who may be anybody.
pub(super) fn visitor(role: Role) -> Visitor {
    Visitor { role, address: "10.0.0.1".into(), key: None, place: None }
}

/// Settings of a host that lets everybody in, once it was asked or at once.
pub(super) fn open_doors(asks: bool) -> Settings {
    Settings { access: Access::Everybody, asks, ..Settings::default() }
}

fn host_endpoint(now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(3, now);
    endpoint.open_sender(SCREEN, Shown::default());
    endpoint.open_sender(TOPOLOGY, Whole(Topology::default()));
    endpoint.open_sender(HOST_EVENTS, Log::new());
    endpoint.open_sender(SCROLLBACK, Log::new());
    endpoint.open_sender(SETTINGS, Whole(Settings::default()));
    endpoint.open_sender(WEBHOOK, Whole(None));
    endpoint.open_receiver(VIEWER_EVENTS, Log::new());
    endpoint.open_receiver(WEBHOOK_REPORT, Whole(WebhookReport::default()));
    endpoint
}
