//! What both sides did, and what must never happen.

use std::fmt::Write;
use std::time::Duration;
use tern_sync::Load;
use tern_term::Frame;

/// The first key's byte; every printable character but the blank follows in turn.
const KEY_FIRST: u8 = b'!';
const KEYS_COUNT: u64 = 94;
/// Violations that are kept: the first tell most.
const VIOLATIONS_MAX: usize = 5;

/// The byte that key number `index` sends. Lost, doubled and swapped keys are seen at the place, or
/// by the count.
pub(super) fn key(index: u64) -> u8 {
    KEY_FIRST + u8::try_from(index % KEYS_COUNT).expect("below 94")
}

/// A key and its echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// When it was typed at the relay.
    pub typed: Duration,
    /// When the relay showed a frame with its echo.
    pub shown: Option<Duration>,
}

impl Echo {
    /// How long the echo took.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.shown.map(|shown| shown.saturating_sub(self.typed))
    }
}

#[derive(Debug)]
struct Had {
    generation: u64,
    /// Keys that the program had echoed.
    keys: u64,
    frame: Frame,
}

/// What both sides did so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) echoes: Vec<Echo>,
    /// Keys that the program got.
    pub(super) keys_received: u64,
    /// Keys before this one were given to a relay that was killed: they may be lost.
    pub(super) era: u64,
    /// Frames of the host's that the relay may show yet, the one that it shows first.
    had: Vec<Had>,
    generations: u64,
    shown: u64,
    pub(super) violations: Vec<String>,
    pub(super) load_max: Option<Load>,
    /// Connections that carried the session.
    pub(super) links: u64,
    /// Bytes of the transfer beside that arrived.
    pub(super) downloaded: u64,
    /// When the relay first showed the host's newest frame, and all keys had arrived; begins anew
    /// with each key and frame.
    pub(super) in_step_at: Option<Duration>,
    /// Lines for people, where they are wanted.
    pub(super) lines: Option<Vec<(Duration, String)>>,
}

impl Journal {
    pub(super) fn note(&mut self, now: Duration, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((now, line()));
        }
    }

    pub(super) fn accuse(&mut self, now: Duration, what: &str) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(format!("at {:.3} s: {what}", now.as_secs_f64()));
        }
    }

    /// The viewer typed a key; gives its byte.
    pub(super) fn on_typed(&mut self, now: Duration) -> u8 {
        let index = self.echoes.len() as u64;
        self.echoes.push(Echo { typed: now, shown: None });
        self.in_step_at = None;
        self.note(now, || format!("key {index} typed"));
        key(index)
    }

    /// The relay was killed, and with it what it hadn't handed on.
    pub(super) fn on_relay_killed(&mut self) {
        self.era = self.echoes.len() as u64;
    }

    /// The host begins anew with the relay: keys from the new one follow.
    pub(super) fn on_new_era(&mut self, now: Duration) {
        if self.era < self.keys_received {
            self.accuse(now, "both ends began anew although the relay was not restarted");
        }
        self.keys_received = self.keys_received.max(self.era);
    }

    /// The program got a key.
    pub(super) fn on_key_received(&mut self, now: Duration, byte: u8) {
        let index = self.keys_received;
        if index >= self.echoes.len() as u64 {
            self.accuse(now, &format!("key {byte:#x} arrived, which was not typed"));
        } else if byte != key(index) {
            let expected = key(index);
            self.accuse(now, &format!("key {index} should be {expected:#x}, is {byte:#x}"));
        }
        self.keys_received = index + 1;
        self.note(now, || format!("key {index} at the host"));
    }

    /// The host's screen is this from now on.
    pub(super) fn on_frame(&mut self, now: Duration, frame: Frame) {
        if self.had.last().is_some_and(|last| last.frame == frame) {
            if let Some(last) = self.had.last_mut() {
                last.keys = self.keys_received;
            }
            return;
        }
        self.generations += 1;
        let generation = self.generations;
        self.had.push(Had { generation, keys: self.keys_received, frame });
        self.in_step_at = None;
        self.note(now, || format!("frame {generation} at the host"));
    }

    /// The relay shows this from now on.
    pub(super) fn on_shown(&mut self, now: Duration, frame: &Frame) {
        let Some(at) = self.had.iter().position(|had| had.frame == *frame) else {
            self.accuse(
                now,
                &format!(
                    "the relay shows what the host never had after frame {}:\n{}",
                    self.shown,
                    frame.to_text()
                ),
            );
            return;
        };
        self.had.drain(..at);
        let Had { generation, keys, .. } = self.had[0];
        self.shown = generation;
        let unseen = self.echoes.iter_mut().take(usize::try_from(keys).unwrap_or(usize::MAX)).rev();
        for echo in unseen.take_while(|echo| echo.shown.is_none()) {
            echo.shown = Some(now);
        }
        self.note(now, || format!("frame {generation} shown, with {keys} keys"));
    }

    /// Whether the relay shows what the host has, and the host has all keys.
    pub(super) fn is_in_step(&self) -> bool {
        self.shown == self.generations && self.keys_received == self.echoes.len() as u64
    }

    /// Notices if both are in step now.
    pub(super) fn look(&mut self, now: Duration) {
        if self.in_step_at.is_none() && self.is_in_step() {
            self.in_step_at = Some(now);
            self.note(now, || "in step".to_owned());
        }
    }

    pub(super) fn on_load(&mut self, load: Load) {
        let max = self.load_max.get_or_insert(load);
        max.states_count = max.states_count.max(load.states_count);
        max.pending_size = max.pending_size.max(load.pending_size);
    }

    /// Where both stand, for a failure's message.
    pub(super) fn standing(&self) -> String {
        let mut text = String::new();
        let _ = write!(
            text,
            "{} of {} keys at the host, frame {} of {} shown, {} links",
            self.keys_received,
            self.echoes.len(),
            self.shown,
            self.generations,
            self.links
        );
        text
    }
}
