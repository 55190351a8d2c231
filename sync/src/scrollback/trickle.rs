//! Brings a [`Scrollback`] to a peer behind everything else: never more than a little is on its way,
//! and that only while nothing else is. The peer then has the newest lines first.

use super::{Block, Place, Scrollback, ScrollbackEntry};
use crate::Endpoint;
use crate::session::SCROLLBACK;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are sent at once on a path of which nothing is known: a datagram's, and more than is
/// ever sent several times on a lossy path.
const CHUNK_MIN: usize = 1100;
/// Bytes that are sent at once at most: 40 ms of 3 Mbit/s.
const CHUNK_MAX: usize = 16 * 1024;
/// A chunk whose confirmation takes so much longer than a round trip is too large: a key behind it
/// would wait so long.
const CHUNK_TIME_MAX: Duration = Duration::from_millis(36);
/// The same of the least chunk, for twice of it has to be sent within [`CHUNK_TIME_MAX`]: 1 Mbit/s.
const CHUNK_MIN_TIME_MAX: Duration = Duration::from_millis(11);
/// After a chunk was confirmed the next waits for so long: on a short path there were no end of them.
const CHUNK_PAUSE: Duration = Duration::from_millis(25);
/// How long everything else must be at rest: two keys of a fast typist are nearer.
const QUIET_TIME: Duration = Duration::from_millis(150);
/// On a screen that never rests, a least chunk goes this often: 1 kB/s, a hundredth of 1 Mbit/s.
const STARVED_TIME: Duration = Duration::from_secs(1);
/// If so many lines are to come before the newest (there was a flood), the peer begins anew with the
/// newest, which somebody who scrolls sees first.
const BACKLOG_LINES_MAX: u64 = 500;

/// Feeds [`SCROLLBACK`] of an endpoint; one for each endpoint.
#[derive(Debug, Default)]
pub struct Trickle {
    /// What the peer was told, if anything.
    told: Option<Told>,
    place: Place,
    chunk: Chunk,
    /// A chunk is on its way since then.
    sent_at: Option<Instant>,
    /// Until then none goes.
    pause_end: Option<Instant>,
    /// When something else was on its way last.
    busy_at: Option<Instant>,
    /// When there was a chunk last, or when there was first need of one.
    waits_since: Option<Instant>,
    due: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    source: u32,
    lines: Range<u64>,
}

/// How many bytes go at once.
#[derive(Debug)]
struct Chunk(usize);

impl Default for Chunk {
    fn default() -> Self {
        Self(CHUNK_MIN)
    }
}

impl Trickle {
    /// Gives the endpoint what it may send now. To be called after anything happened to it, or to
    /// what is `kept`, and at [`Trickle::poll_timeout`].
    pub fn pump(&mut self, endpoint: &mut Endpoint, kept: &Scrollback, now: Instant) {
        if endpoint.is_acknowledged(SCROLLBACK)
            && let Some(sent_at) = self.sent_at.take()
        {
            self.chunk.on_confirmed(now.saturating_duration_since(sent_at), endpoint.rtt());
            self.pause_end = Some(now + CHUNK_PAUSE);
        }
        self.tell_little(endpoint, kept, now);
        let is_busy = !endpoint.are_others_acknowledged(SCROLLBACK);
        if is_busy {
            self.busy_at = Some(now);
        }
        self.due = None;
        if self.next(kept).is_none() {
            self.waits_since = None;
            return;
        }
        let waits_since = *self.waits_since.get_or_insert(now);
        if self.sent_at.is_some() {
            return;
        }
        let starved_at = waits_since + STARVED_TIME;
        let quiet_at = self.busy_at.map(|busy_at| busy_at + QUIET_TIME);
        let quiet_at = quiet_at.max(self.pause_end).unwrap_or(now);
        if !is_busy && quiet_at <= now {
            self.send(endpoint, kept, self.chunk.0, now);
        } else if starved_at <= now {
            self.send(endpoint, kept, CHUNK_MIN, now);
        } else {
            // While it is busy, what ends that wakes us.
            self.due = Some(if is_busy { starved_at } else { quiet_at.min(starved_at) });
        }
    }

    /// When [`Trickle::pump`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// That the lines are other ones, and where they scroll off, is little, and goes at once: no viewer
    /// shall see one pane's lines in another's place, and its mouse depends on it.
    fn tell_little(&mut self, endpoint: &mut Endpoint, kept: &Scrollback, now: Instant) {
        let source = kept.source();
        if self.told.as_ref().is_some_and(|told| told.source != source) {
            let start = ScrollbackEntry::Start { source };
            if push(endpoint, start.clone(), now) {
                self.on_told(&start);
            }
        }
        let place = kept.place();
        if place != self.place && push(endpoint, ScrollbackEntry::Place(place), now) {
            self.place = place;
        }
    }

    /// What the peer should be told next.
    fn next(&self, kept: &Scrollback) -> Option<ScrollbackEntry> {
        let range = kept.range();
        let start = ScrollbackEntry::Start { source: kept.source() };
        let Some(told) = self.told.as_ref().filter(|told| told.source == kept.source()) else {
            let is_new = self.told.is_some() || !range.is_empty();
            return is_new.then_some(start);
        };
        let lines = |block: &Arc<Block>| ScrollbackEntry::Lines(block.clone());
        if told.lines.is_empty() {
            return kept.block_before(range.end).map(lines);
        }
        if told.lines.end < range.end {
            let is_behind = range.end - told.lines.end > BACKLOG_LINES_MAX;
            return match kept.block_from(told.lines.end) {
                Some(block) if !is_behind => Some(lines(block)),
                // What comes next is gone, or far from what is new.
                Some(_) | None => Some(start),
            };
        }
        kept.block_before(told.lines.start).map(lines)
    }

    fn send(&mut self, endpoint: &mut Endpoint, kept: &Scrollback, room: usize, now: Instant) {
        let mut size = 0;
        while let Some(entry) = self.next(kept) {
            if let ScrollbackEntry::Lines(block) = &entry {
                // One goes, however large it is.
                if size > 0 && size + block.bytes.len() > room {
                    break;
                }
                size += block.bytes.len();
            }
            if !push(endpoint, entry.clone(), now) {
                break;
            }
            self.on_told(&entry);
        }
        self.sent_at = Some(now);
        self.waits_since = Some(now);
    }

    fn on_told(&mut self, entry: &ScrollbackEntry) {
        match entry {
            ScrollbackEntry::Start { source } => {
                self.told = Some(Told { source: *source, lines: 0..0 });
            }
            ScrollbackEntry::Lines(block) => {
                if let Some(Told { lines, .. }) = &mut self.told {
                    if lines.is_empty() {
                        *lines = block.first..block.end();
                    } else if block.first == lines.end {
                        lines.end = block.end();
                    } else {
                        lines.start = block.first;
                    }
                }
            }
            ScrollbackEntry::Place(_) => {}
        }
    }
}

impl Chunk {
    /// The last chunk was confirmed after `time`.
    fn on_confirmed(&mut self, time: Duration, rtt: Option<Duration>) {
        let allowed = if self.0 == CHUNK_MIN { CHUNK_MIN_TIME_MAX } else { CHUNK_TIME_MAX };
        let is_fast = time <= rtt.unwrap_or_default() + allowed;
        let size = if is_fast { self.0 + CHUNK_MIN } else { self.0 / 2 };
        self.0 = size.clamp(CHUNK_MIN, CHUNK_MAX);
    }
}

/// Whether there was room in the log.
fn push(endpoint: &mut Endpoint, entry: ScrollbackEntry, now: Instant) -> bool {
    let mut is_pushed = false;
    endpoint.update(SCROLLBACK, now, |log| is_pushed = log.push(entry));
    is_pushed
}
