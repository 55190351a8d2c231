//! Who is watching, and who waits to be let in, as the relay tells it.

use crate::core::person::{Person, ViewerRole};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tern_sync::session::{Role, ViewerEvent, ViewerId, Visitor};
use tern_term::Size;

/// Most viewers that a host keeps book of; a relay that claims more is not believed.
pub const VIEWERS_MAX: usize = 4096;
/// Most who wait to be let in that a host keeps book of: more than anybody decides about one by one.
/// Whoever else asks is turned away by the relay when its time is over.
pub const WAITING_MAX: usize = 100;
/// How long after its last key a viewer may be the one who made the hidden client detach. Keys
/// reach tmux at once; choosing in a tree of clients takes a person some seconds.
pub const DETACH_ATTRIBUTION_TIME_MAX: Duration = Duration::from_secs(10);

/// Somebody who watches.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Viewer {
    /// Who.
    pub person: Person,
    /// Columns of its terminal.
    pub cols: u16,
    /// Rows of its terminal.
    pub rows: u16,
}

/// The book of viewers.
#[derive(Debug, Default)]
pub struct Viewers {
    present: BTreeMap<u32, Present>,
    /// Those of whom nothing is heard for now, with the time since when.
    away: BTreeMap<u32, Present>,
    waiting: BTreeMap<u32, Waiting>,
    /// The last one that a person was given.
    last_number: u32,
    /// Those that detached and haven't left yet: they have no say any more.
    leaving: BTreeSet<u32>,
    /// Who typed last, and when.
    last_typist: Option<(ViewerId, Instant)>,
}

/// Somebody who is in.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) viewer: Viewer,
    pub(super) who: Visitor,
    since: Instant,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) person: Person,
    pub(super) who: Visitor,
    since: Instant,
    /// The host has said whether they may come in; the relay doesn't know it yet.
    pub(super) is_decided: bool,
}

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody came or went; the host's person is told this.
    Roster {
        /// e.g. `A mate has joined (192.0.2.1) -- 1 client currently connected`.
        notice: String,
    },
    /// Somebody waits to be let in, or waits no more.
    Door {
        /// e.g. `A mate wants to join (192.0.2.1): tern approve 3, or tern deny 3`.
        notice: Option<String>,
    },
    /// Somebody's window changed.
    Sizes,
    /// A read-write viewer typed.
    Typed {
        /// Who.
        viewer: ViewerId,
        /// What.
        bytes: Vec<u8>,
        /// 0 if the viewer doesn't want to know when its effect shows.
        mark: u32,
    },
    /// Nothing that matters (an event about a viewer that isn't there, input without the right).
    Nothing,
}

impl Viewers {
    /// The relay told this.
    pub fn handle_event(&mut self, event: ViewerEvent, now: Instant) -> Change {
        match event {
            ViewerEvent::Joined { viewer, who, cols, rows } => {
                let before = self.away.remove(&viewer.0);
                if self.is_full() || self.present.contains_key(&viewer.0) {
                    return Change::Nothing;
                }
                let waited = self.waiting.remove(&viewer.0);
                let verb = if before.is_some() { "is back" } else { "has joined" };
                let known = before.map(|it| it.viewer.person).or(waited.map(|it| it.person));
                let number = known.map_or_else(|| self.next_number(), |person| person.number);
                let person = Person::of(&who, number);
                let text = format!("A mate {verb} ({}) -- ", person.name());
                let newcomer = Viewer { person, cols, rows };
                self.present.insert(viewer.0, Present { viewer: newcomer, who, since: now });
                Change::Roster { notice: text + &self.count_text() }
            }
            ViewerEvent::Asks { viewer, who } => {
                let is_known = self.waiting.contains_key(&viewer.0);
                if is_known || self.waiting.len() >= WAITING_MAX {
                    return Change::Nothing;
                }
                let person = Person::of(&who, self.next_number());
                let notice = person.question();
                let waiting = Waiting { person, who, since: now, is_decided: false };
                self.waiting.insert(viewer.0, waiting);
                Change::Door { notice: Some(notice) }
            }
            ViewerEvent::Away { viewer } => {
                let Some(mut away) = self.present.remove(&viewer.0) else { return Change::Nothing };
                self.leaving.remove(&viewer.0);
                away.since = now;
                let text = format!("A mate is away ({}) -- ", away.viewer.person.name());
                self.away.insert(viewer.0, away);
                Change::Roster { notice: text + &self.count_text() }
            }
            ViewerEvent::Left { viewer } => {
                if let Some(gone) = self.waiting.remove(&viewer.0) {
                    let name = gone.person.name();
                    let text = || format!("A mate who wanted to join has gone ({name})");
                    return Change::Door { notice: (!gone.is_decided).then(text) };
                }
                let gone = self.present.remove(&viewer.0).or_else(|| self.away.remove(&viewer.0));
                let Some(gone) = gone else { return Change::Nothing };
                self.leaving.remove(&viewer.0);
                let text = format!("A mate has left ({}) -- ", gone.viewer.person.name());
                Change::Roster { notice: text + &self.count_text() }
            }
            ViewerEvent::Input { viewer, .. } if self.leaving.contains(&viewer.0) => {
                Change::Nothing
            }
            ViewerEvent::Input { viewer, bytes, mark } => match self.role(viewer) {
                Some(ViewerRole::ReadWrite) => {
                    self.last_typist = Some((viewer, now));
                    Change::Typed { viewer, bytes, mark }
                }
                Some(ViewerRole::ReadOnly) | None => Change::Nothing,
            },
            ViewerEvent::Scrollback { .. } => Change::Nothing,
            ViewerEvent::Resized { viewer, cols, rows } => match self.present.get_mut(&viewer.0) {
                Some(Present { viewer: known, .. }) => {
                    (known.cols, known.rows) = (cols, rows);
                    Change::Sizes
                }
                None => Change::Nothing,
            },
        }
    }

    /// The relay knows nobody any more (it started anew).
    pub fn clear(&mut self) {
        self.present.clear();
        self.away.clear();
        self.waiting.clear();
        self.leaving.clear();
        self.last_typist = None;
    }

    /// All that are present, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.present.values().map(|present| &present.viewer)
    }

    /// The same, with the time since when they are there.
    pub fn since(&self) -> impl Iterator<Item = (&Viewer, Instant)> {
        self.present.values().map(|present| (&present.viewer, present.since))
    }

    /// All of whom nothing is heard for now, in the order in which they came, with the time since when.
    pub fn away(&self) -> impl Iterator<Item = (&Viewer, Instant)> {
        self.away.values().map(|away| (&away.viewer, away.since))
    }

    /// All about whom the host is to decide, in the order in which they came, with the time since
    /// when they wait.
    pub fn waiting(&self) -> impl Iterator<Item = (&Person, Instant)> {
        let open = self.waiting.values().filter(|waiting| !waiting.is_decided);
        open.map(|waiting| (&waiting.person, waiting.since))
    }

    /// All that are in, also those that are away.
    pub(super) fn members(&self) -> impl Iterator<Item = (u32, &Present)> {
        self.present.iter().chain(&self.away).map(|(number, present)| (*number, present))
    }

    fn is_full(&self) -> bool {
        self.present.len() + self.away.len() >= VIEWERS_MAX
    }

    pub(super) fn waiting_mut(&mut self) -> &mut BTreeMap<u32, Waiting> {
        &mut self.waiting
    }

    fn role(&self, viewer: ViewerId) -> Option<ViewerRole> {
        self.present.get(&viewer.0).map(|present| present.viewer.person.role)
    }

    /// People are known by numbers of ours: a relay that was restarted begins anew with its own, and
    /// what is said about 3 must not mean another one.
    fn next_number(&mut self) -> u32 {
        self.last_number = self.last_number.wrapping_add(1);
        self.last_number
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.present.len() > self.leaving.len()
    }

    /// The sizes of those that count.
    pub fn writer_sizes(&self) -> Vec<Size> {
        let staying = self.present.iter().filter(|(number, _)| !self.leaving.contains(number));
        let viewers = staying.map(|(_, present)| &present.viewer);
        let writers = viewers.filter(|viewer| viewer.person.role == ViewerRole::ReadWrite);
        writers.map(|writer| Size::clamped(writer.cols.into(), writer.rows.into())).collect()
    }

    /// Who must have made the hidden client detach, if anybody; forgets the key, so that it
    /// explains only one detach. The viewer has no say any more. `times`: what time it is for tmux,
    /// and when somebody last typed at a local client (both in seconds since 1970); whoever typed
    /// there after the viewer did it.
    pub fn take_detacher(&mut self, times: Option<(u64, u64)>, now: Instant) -> Option<ViewerId> {
        let (viewer, at) = self.last_typist.take()?;
        let age = now.saturating_duration_since(at);
        // In doubt, in the same second, it was the viewer: their key must work.
        let was_local = times.is_some_and(|(tmux_time, active_at)| {
            active_at > tmux_time.saturating_sub(age.as_secs())
        });
        let is_recent = age <= DETACH_ATTRIBUTION_TIME_MAX;
        if !is_recent || was_local || !self.present.contains_key(&viewer.0) {
            return None;
        }
        self.leaving.insert(viewer.0);
        Some(viewer)
    }

    fn count_text(&self) -> String {
        // As tmate counts: the plural only from two on.
        let count = self.present.len();
        let plural = if count > 1 { "s" } else { "" };
        format!("{count} client{plural} currently connected")
    }
}

/// Who has come, if it's somebody who may type.
pub fn writer_who_joined(event: &ViewerEvent) -> Option<ViewerId> {
    let ViewerEvent::Joined { viewer, who, .. } = event else { return None };
    (who.role == Role::ReadWrite).then_some(*viewer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ViewerId = ViewerId(1);
    const B: ViewerId = ViewerId(2);

    fn joined(viewer: ViewerId, role: Role) -> ViewerEvent {
        let who = Visitor { role, address: "192.0.2.7".into(), key: None, place: None };
        ViewerEvent::Joined { viewer, who, cols: 90, rows: 20 }
    }

    fn input(viewer: ViewerId) -> ViewerEvent {
        ViewerEvent::Input { viewer, bytes: b"x".to_vec(), mark: 0 }
    }

    fn asks(viewer: ViewerId, role: Role) -> ViewerEvent {
        let who = Visitor { role, address: "192.0.2.7".into(), key: None, place: None };
        ViewerEvent::Asks { viewer, who }
    }

    fn roster(notice: &str) -> Change {
        Change::Roster { notice: notice.into() }
    }

    #[test]
    fn coming_and_going_is_told_in_tmates_words() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        assert_eq!(
            viewers.handle_event(joined(A, Role::ReadWrite), now),
            roster("A mate has joined (192.0.2.7) -- 1 client currently connected")
        );
        assert_eq!(
            viewers.handle_event(joined(B, Role::ReadOnly), now),
            roster("A mate has joined (192.0.2.7) -- 2 clients currently connected")
        );
        assert_eq!(viewers.handle_event(joined(B, Role::ReadWrite), now), Change::Nothing);
        viewers.handle_event(ViewerEvent::Left { viewer: A }, now);
        assert_eq!(
            viewers.handle_event(ViewerEvent::Left { viewer: B }, now),
            roster("A mate has left (192.0.2.7) -- 0 client currently connected")
        );
        assert_eq!(viewers.handle_event(ViewerEvent::Left { viewer: B }, now), Change::Nothing);
    }

    #[test]
    fn who_is_away_does_not_count_and_keeps_its_number_when_it_is_back() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        let away = || ViewerEvent::Away { viewer: A };
        assert_eq!(viewers.handle_event(away(), now), Change::Nothing);
        viewers.handle_event(joined(A, Role::ReadWrite), now);
        assert_eq!(
            viewers.handle_event(away(), now),
            roster("A mate is away (192.0.2.7) -- 0 client currently connected")
        );
        assert_eq!(viewers.handle_event(input(A), now), Change::Nothing);
        assert!(!viewers.is_watched() && viewers.writer_sizes().is_empty());
        assert_eq!(viewers.away().count(), 1);
        viewers.handle_event(joined(B, Role::ReadWrite), now);
        assert_eq!(
            viewers.handle_event(joined(A, Role::ReadWrite), now),
            roster("A mate is back (192.0.2.7) -- 2 clients currently connected")
        );
        assert_eq!(viewers.iter().map(|it| it.person.number).collect::<Vec<_>>(), [1, 2]);
        viewers.handle_event(away(), now);
        assert_eq!(
            viewers.handle_event(ViewerEvent::Left { viewer: A }, now),
            roster("A mate has left (192.0.2.7) -- 1 client currently connected")
        );
        assert_eq!((viewers.away().count(), viewers.members().count()), (0, 1));
    }

    #[test]
    fn who_waits_is_told_and_keeps_its_number_when_it_comes_in() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        viewers.handle_event(joined(A, Role::ReadWrite), now);
        let notice = "A mate wants to look on (192.0.2.7): tern approve 2, or tern deny 2";
        let asked = Change::Door { notice: Some(notice.into()) };
        assert_eq!(viewers.handle_event(asks(B, Role::ReadOnly), now), asked);
        assert_eq!(viewers.handle_event(asks(B, Role::ReadOnly), now), Change::Nothing);
        assert_eq!(viewers.handle_event(input(B), now), Change::Nothing);
        assert_eq!((viewers.waiting().count(), viewers.iter().count()), (1, 1));
        viewers.handle_event(joined(B, Role::ReadOnly), now);
        assert_eq!(viewers.waiting().count(), 0);
        assert_eq!(viewers.iter().map(|it| it.person.number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn who_gives_up_waiting_is_told_and_numbers_mean_one_person_only() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        viewers.handle_event(asks(A, Role::ReadWrite), now);
        let notice = Some("A mate who wanted to join has gone (192.0.2.7)".into());
        assert_eq!(
            viewers.handle_event(ViewerEvent::Left { viewer: A }, now),
            Change::Door { notice }
        );
        viewers.clear();
        viewers.handle_event(asks(A, Role::ReadWrite), now);
        assert_eq!(viewers.waiting().map(|(it, _)| it.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn read_only_newcomer_neither_types_nor_counts() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        viewers.handle_event(joined(A, Role::ReadOnly), now);
        assert_eq!(viewers.handle_event(input(A), now), Change::Nothing);
        assert_eq!(viewers.writer_sizes(), []);
        assert_eq!(viewers.take_detacher(None, now), None);
    }

    #[test]
    fn stranger_can_not_type() {
        let mut viewers = Viewers::default();
        assert_eq!(viewers.handle_event(input(A), Instant::now()), Change::Nothing);
    }

    #[test]
    fn detach_is_blamed_on_the_last_typist_once_and_not_for_long() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        viewers.handle_event(joined(A, Role::ReadWrite), now);
        viewers.handle_event(joined(B, Role::ReadWrite), now);
        viewers.handle_event(input(A), now);
        viewers.handle_event(input(B), now);
        assert_eq!(viewers.take_detacher(None, now), Some(B));
        assert_eq!(viewers.take_detacher(None, now), None);
        assert_eq!(viewers.handle_event(input(B), now), Change::Nothing);
        assert_eq!(viewers.writer_sizes().len(), 1);
        viewers.handle_event(input(A), now);
        let later = now + DETACH_ATTRIBUTION_TIME_MAX + Duration::from_secs(1);
        assert_eq!(viewers.take_detacher(None, later), None);
    }

    #[test]
    fn detach_is_not_blamed_on_a_newcomer_if_somebody_typed_here_after_it() {
        let detacher = |active_at| {
            let (mut viewers, now) = (Viewers::default(), Instant::now());
            viewers.handle_event(joined(A, Role::ReadWrite), now);
            viewers.handle_event(input(A), now);
            viewers.take_detacher(Some((1000, active_at)), now + Duration::from_millis(3500))
        };
        assert_eq!(detacher(999), None);
        assert_eq!(detacher(997), Some(A));
        assert_eq!(detacher(500), Some(A));
    }

    #[test]
    fn newcomer_that_left_is_not_blamed() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        viewers.handle_event(joined(A, Role::ReadWrite), now);
        viewers.handle_event(input(A), now);
        viewers.handle_event(ViewerEvent::Left { viewer: A }, now);
        assert_eq!(viewers.take_detacher(None, now), None);
    }

    #[test]
    fn flood_of_viewers_is_bounded() {
        let (mut viewers, now) = (Viewers::default(), Instant::now());
        for number in 0..2 * VIEWERS_MAX as u32 {
            let viewer = ViewerId(number);
            viewers.handle_event(joined(viewer, Role::ReadOnly), now);
            if number % 2 == 0 {
                viewers.handle_event(ViewerEvent::Away { viewer }, now);
            }
        }
        assert_eq!(viewers.members().count(), VIEWERS_MAX);
        for number in 0..2 * WAITING_MAX as u32 {
            viewers.handle_event(asks(ViewerId(number), Role::ReadOnly), now);
        }
        assert_eq!(viewers.waiting().count(), WAITING_MAX);
    }
}
