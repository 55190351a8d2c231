//! Who is watching, as the relay tells it.

use crate::core::notice;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tern_bootstrap::authorized_keys::Fingerprint;
use tern_sync::session::{Role, ViewerEvent, ViewerId, Visitor};
use tern_term::Size;

/// Most viewers that a host keeps book of; a relay that claims more is not believed.
pub const VIEWERS_MAX: usize = 4096;
/// How long after its last key a viewer may be the one who made the hidden client detach. Keys
/// reach tmux at once; choosing in a tree of clients takes a person some seconds.
pub const DETACH_ATTRIBUTION_TIME_MAX: Duration = Duration::from_secs(10);

/// One viewer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Viewer {
    /// By its token.
    pub role: ViewerRole,
    /// IP address, checked to be one.
    pub address: String,
    /// The key that let it in, if the session asks for one.
    pub key: Option<Key>,
    /// Whether it came by `tern join`.
    pub is_by_tern: bool,
    /// Columns of its terminal.
    pub cols: u16,
    /// Rows of its terminal.
    pub rows: u16,
}

/// A viewer's key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// `SHA256:...`.
    pub fingerprint: String,
    /// What the list calls it; may be empty.
    pub comment: String,
}

/// What a viewer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ViewerRole {
    /// Types and counts for the size.
    ReadWrite,
    /// Only looks.
    ReadOnly,
}

/// The book of viewers.
#[derive(Debug, Default)]
pub struct Viewers {
    present: BTreeMap<u32, Viewer>,
    /// Those that detached and haven't left yet: they have no say any more.
    leaving: BTreeSet<u32>,
    /// Who typed last, and when.
    last_typist: Option<(ViewerId, Instant)>,
}

/// What an event changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody came or went; the host's person is told this.
    Roster {
        /// e.g. `A mate has joined (192.0.2.1) -- 1 client currently connected`.
        notice: String,
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

impl Viewer {
    fn of(who: &Visitor, cols: u16, rows: u16) -> Self {
        let role = match who.role {
            Role::ReadWrite => ViewerRole::ReadWrite,
            Role::ReadOnly => ViewerRole::ReadOnly,
        };
        let key = who.key.as_ref().map(|key| Key {
            fingerprint: Fingerprint(key.fingerprint).to_string(),
            comment: notice::printable(&key.comment),
        });
        let (address, is_by_tern) = (notice::address(&who.address), who.place.is_some());
        Self { role, address, key, is_by_tern, cols, rows }
    }

    /// The address, and the key's comment if there is one.
    fn name(&self) -> String {
        match &self.key {
            Some(key) if !key.comment.is_empty() => format!("{}, {}", self.address, key.comment),
            Some(_) | None => self.address.clone(),
        }
    }
}

impl Viewers {
    /// The relay told this.
    pub fn handle_event(&mut self, event: ViewerEvent, now: Instant) -> Change {
        match event {
            ViewerEvent::Joined { viewer, who, cols, rows } => {
                if self.present.len() >= VIEWERS_MAX || self.present.contains_key(&viewer.0) {
                    return Change::Nothing;
                }
                let newcomer = Viewer::of(&who, cols, rows);
                let text = format!("A mate has joined ({}) -- ", newcomer.name());
                self.present.insert(viewer.0, newcomer);
                Change::Roster { notice: text + &self.count_text() }
            }
            ViewerEvent::Asks { .. } => Change::Nothing,
            ViewerEvent::Left { viewer } => {
                let Some(gone) = self.present.remove(&viewer.0) else { return Change::Nothing };
                self.leaving.remove(&viewer.0);
                let text = format!("A mate has left ({}) -- ", gone.name());
                Change::Roster { notice: text + &self.count_text() }
            }
            ViewerEvent::Input { viewer, .. } if self.leaving.contains(&viewer.0) => {
                Change::Nothing
            }
            ViewerEvent::Input { viewer, bytes, mark } => match self.present.get(&viewer.0) {
                Some(Viewer { role: ViewerRole::ReadWrite, .. }) => {
                    self.last_typist = Some((viewer, now));
                    Change::Typed { viewer, bytes, mark }
                }
                Some(Viewer { role: ViewerRole::ReadOnly, .. }) | None => Change::Nothing,
            },
            ViewerEvent::Scrollback { .. } => Change::Nothing,
            ViewerEvent::Resized { viewer, cols, rows } => match self.present.get_mut(&viewer.0) {
                Some(known) => {
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
        self.leaving.clear();
        self.last_typist = None;
    }

    /// All that are present, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.present.values()
    }

    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.present.len() > self.leaving.len()
    }

    /// The sizes of those that count.
    pub fn writer_sizes(&self) -> Vec<Size> {
        let staying = self.present.iter().filter(|(number, _)| !self.leaving.contains(number));
        let writers = staying.filter(|(_, viewer)| viewer.role == ViewerRole::ReadWrite);
        writers.map(|(_, writer)| Size::clamped(writer.cols.into(), writer.rows.into())).collect()
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
    fn read_only_newcomerneither_types_nor_counts() {
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
    fn detach_is_not_blamed_on_a_newcomerif_somebody_typed_here_after_it() {
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
    fn newcomerthat_left_is_not_blamed() {
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
            viewers.handle_event(joined(ViewerId(number), Role::ReadOnly), now);
        }
        assert_eq!(viewers.iter().count(), VIEWERS_MAX);
    }
}
