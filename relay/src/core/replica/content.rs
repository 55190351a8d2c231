//! What a replica and its viewer tell each other: pictures and the host's standing there, keys and
//! sizes back.

use super::{Output, Phase, Replica};
use crate::core::keys::{PASTE_END, PASTE_START, is_paste_open};
use crate::core::painter::View;
use crate::core::session::CloseCode;
use std::sync::Arc;
use std::time::Instant;
use tern_sync::Event;
use tern_sync::log::Whole;
use tern_sync::session::{
    FAREWELL, HOST_STANDING, HostStanding, STANDING_INTERVAL, TAKEN, TAKEN_STEP, TYPED_WINDOW,
    VIEWER_ACTIONS, ViewerAction, ViewerId,
};
use tern_term::{KeyReport, SCREEN, Shown, Size};

/// Bytes of keys that wait here at most: what a viewer may type ahead ([`TYPED_WINDOW`]), also if it
/// began anew some times meanwhile.
const TYPED_MAX: usize = 4 * TYPED_WINDOW;

/// What was passed on of what a viewer typed.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Bytes since both began with state 0.
    byte_count: u64,
    /// Of those, the viewer was told of so many.
    told: u64,
    /// Bytes that wait from before: they don't count.
    stale: usize,
    /// A paste is open behind it.
    is_paste_open: bool,
}

/// Typed by the viewer.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// Some bytes, not empty.
    pub bytes: Vec<u8>,
    /// As the viewer gave it; 0 for what the relay adds.
    pub mark: u32,
}

impl Replica {
    /// How many bytes the next keys have, if there are any and the viewer has joined.
    pub fn typed_len(&self) -> Option<usize> {
        let next = self.typed.front()?;
        (self.phase == Phase::Joined && self.id.is_some()).then_some(next.bytes.len())
    }

    /// The next keys.
    pub fn poll_typed(&mut self, now: Instant) -> Option<Typed> {
        self.typed_len()?;
        let next = self.typed.pop_front()?;
        let size = next.bytes.len();
        self.typed_size -= size;
        let passed = &mut self.passed;
        passed.is_paste_open = is_paste_open(&next.bytes, passed.is_paste_open);
        let stale = passed.stale.min(size);
        passed.stale -= stale;
        passed.byte_count += (size - stale) as u64;
        if passed.byte_count - passed.told >= TAKEN_STEP as u64 {
            passed.told = passed.byte_count;
            self.endpoint.set(TAKEN, Whole(passed.told), now);
        }
        Some(next)
    }

    /// Both begin with state 0. What waits is passed on all the same; if that ends within a paste, the
    /// paste is closed: the viewer opens another one for the rest.
    pub(super) fn begin_typing_anew(&mut self) {
        let waiting = self.typed.iter();
        let was_open = self.passed.is_paste_open;
        if waiting.fold(was_open, |is_open, typed| is_paste_open(&typed.bytes, is_open)) {
            self.typed_size += PASTE_END.len();
            self.typed.push_back(Typed { bytes: PASTE_END.to_vec(), mark: 0 });
        }
        let (stale, is_paste_open) = (self.typed_size, was_open);
        self.passed = Passed { stale, is_paste_open, ..Passed::default() };
    }

    /// The viewer was let in, and couldn't see where what it typed before would go: it goes nowhere.
    /// The rest of a paste is still one.
    pub(super) fn forget_typed(&mut self, now: Instant) {
        while self.poll_typed(now).is_some() {}
        if self.passed.is_paste_open {
            self.passed.stale += PASTE_START.len();
            self.typed_size += PASTE_START.len();
            self.typed.push_back(Typed { bytes: PASTE_START.to_vec(), mark: 0 });
        }
    }

    /// What was typed and not passed on, when the viewer has left by itself.
    pub fn take_last_typed(&mut self) -> Vec<Typed> {
        self.typed_size = 0;
        self.typed.drain(..).collect()
    }

    /// After anything came: what the viewer did, and whether it has all that was said.
    pub(super) fn update(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            if event == Event::Received(VIEWER_ACTIONS.id) {
                for action in self.endpoint.take(VIEWER_ACTIONS) {
                    self.on_action(action, now);
                    if !self.is_linked {
                        // It was too much, or the last: what follows must not come without it.
                        break;
                    }
                }
            }
        }
        if let Phase::Leaving { .. } = self.phase
            && self.endpoint.is_acknowledged(FAREWELL)
        {
            self.finish_leaving();
        }
    }

    pub(super) fn on_action(&mut self, action: ViewerAction, now: Instant) {
        match (action, self.phase) {
            (ViewerAction::Resized { cols, rows }, Phase::Arriving { .. }) => {
                // One that says its size twice before it has joined is told of the first.
                self.phase = Phase::Joined;
                self.outputs.push_back(Output::Join(size(cols, rows)));
            }
            (ViewerAction::Resized { cols, rows }, Phase::Joined) => {
                self.outputs.push_back(Output::Resize(size(cols, rows)));
            }
            (ViewerAction::Input { bytes, mark }, Phase::Joined) => {
                if bytes.is_empty() {
                    return;
                }
                self.typed_size += bytes.len();
                self.typed.push_back(Typed { bytes, mark });
                if self.typed_size > TYPED_MAX {
                    let reason = format!("more than {TYPED_MAX} bytes of keys wait");
                    self.abandon(CloseCode::Limit, reason, now);
                }
            }
            (ViewerAction::Leave, Phase::Arriving { .. } | Phase::Joined) => {
                self.outputs.push_back(Output::Leave);
                self.close_link(CloseCode::Ended, "left".into());
                self.finish();
            }
            (ViewerAction::Input { .. }, Phase::Arriving { .. })
            | (_, Phase::Leaving { .. } | Phase::Over) => {}
        }
    }

    /// Brings what the viewer is told to what the session shows.
    pub(super) fn show(&mut self, now: Instant) {
        if self.phase == Phase::Joined && self.is_asked {
            self.told = HostStanding::Asked;
            self.endpoint.set(HOST_STANDING, Whole(self.told), now);
        }
        if self.phase != Phase::Joined || self.id.is_none() {
            return;
        }
        let View { frame, keys, standing, .. } = &*self.view;
        let own = self.id.and_then(|id| keys.mark(id));
        let keys = KeyReport {
            marks: own.map(|mark| (ViewerId(0), mark)).into_iter().collect(),
            target: keys.target,
            prefixes: keys.prefixes.clone(),
        };
        let shown = Shown { frame: frame.clone(), keys: Arc::new(keys) };
        let is_told = is_told(self.told, *standing);
        if !is_told {
            self.told = *standing;
            self.endpoint.set(HOST_STANDING, Whole(*standing), now);
        }
        self.endpoint.set(SCREEN, shown, now);
    }
}

/// Whether somebody who was told `told` needs not be told `now`: they count the seconds themselves.
fn is_told(told: HostStanding, now: HostStanding) -> bool {
    match (told, now) {
        (HostStanding::Silent { seconds: then }, HostStanding::Silent { seconds }) => {
            u64::from(seconds.abs_diff(then)) < STANDING_INTERVAL.as_secs() && seconds >= then
        }
        (told, now) => told == now,
    }
}

fn size(cols: u16, rows: u16) -> Size {
    Size::clamped(cols.into(), rows.into())
}
