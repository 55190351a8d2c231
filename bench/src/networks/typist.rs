//! Somebody who types, whatever the network does, and notes when each key is echoed.

use super::place::RTT;
use crate::glyphs::{Glyphs, glyph};
use crate::pty::{Pty, pause};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two keys on average: 5 keys per second.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);
/// An interval is so much shorter or longer at most, so that no timer of anybody keeps step with the
/// keys.
const SPREAD: Duration = Duration::from_millis(40);

/// No echo is faster than the path: what is comes from the viewer's own terminal, after its program
/// has ended.
const ECHO_TIME_MIN: Duration = RTT.saturating_sub(Duration::from_millis(5));

/// A typed key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// What was typed; no two are the same.
    pub glyph: char,
    /// When.
    pub at: Instant,
}

impl Key {
    /// When its echo came.
    fn echo(&self, glyphs: &Glyphs) -> Option<Instant> {
        glyphs.first_seen(self.glyph).filter(|seen| *seen >= self.at + ECHO_TIME_MIN)
    }
}

/// A key and its fate, for plots.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Echo {
    /// When it was typed, in seconds from the begin.
    pub at_s: f64,
    /// Until its echo, in milliseconds; `None`: never.
    pub delay_ms: Option<f64>,
}

/// Types at one terminal.
#[derive(Default)]
pub(crate) struct Typist {
    count: u32,
}

impl Typist {
    /// Types a key now. An error: the terminal's program has ended.
    pub(crate) fn type_key(&mut self, pty: &mut Pty) -> anyhow::Result<Key> {
        let glyph = glyph(self.count);
        self.count += 1;
        let at = Instant::now();
        pty.write(glyph.to_string().as_bytes())?;
        Ok(Key { glyph, at })
    }

    /// Types for `time` at the usual pace, beginning now.
    pub(crate) fn type_for(&mut self, pty: &mut Pty, time: Duration) -> anyhow::Result<Vec<Key>> {
        let end = Instant::now() + time;
        let mut keys = Vec::new();
        let mut next = Instant::now();
        while next < end {
            pause(next.saturating_duration_since(Instant::now()));
            keys.push(self.type_key(pty)?);
            next += self.interval();
        }
        pause(end.saturating_duration_since(Instant::now()));
        Ok(keys)
    }

    /// Types a key now and more at the usual pace, until one of them is echoed. `None`: none was
    /// within `patience`. The time is from now to that echo.
    pub(crate) fn time_to_echo(&mut self, pty: &mut Pty, patience: Duration) -> Option<Duration> {
        let start = Instant::now();
        let mut keys: Vec<Key> = Vec::new();
        while start.elapsed() < patience && !pty.is_closed() {
            keys.push(self.type_key(pty).ok()?);
            let mut found = None;
            pty.wait_until(self.interval(), |glyphs| {
                found = keys.iter().filter_map(|key| key.echo(glyphs)).min();
                found.is_some()
            });
            if let Some(at) = found {
                return Some(at.saturating_duration_since(start));
            }
        }
        None
    }

    /// Goes on typing at the usual pace after `last`, until the first key that is typed from now on is
    /// echoed; gives how long that took from its being typed. `None`: not within `patience`.
    pub(crate) fn next_echo(
        &mut self,
        pty: &mut Pty,
        last: Option<&Key>,
        patience: Duration,
    ) -> Option<Duration> {
        let start = Instant::now();
        let next = last.map_or(start, |last| last.at + self.interval());
        pause(next.saturating_duration_since(start));
        let first = self.type_key(pty).ok()?;
        let mut echo = None;
        while echo.is_none() && start.elapsed() < patience && !pty.is_closed() {
            pty.wait_until(self.interval(), |glyphs| {
                echo = first.echo(glyphs);
                echo.is_some()
            });
            if echo.is_none() {
                self.type_key(pty).ok()?;
            }
        }
        echo.map(|at| at.saturating_duration_since(first.at))
    }

    /// The same as [`Self::time_to_echo`], typed at one terminal and looked for at another.
    pub(crate) fn time_to_other(
        &mut self,
        typed_at: &mut Pty,
        seen_at: &Pty,
        patience: Duration,
    ) -> Option<Duration> {
        let start = Instant::now();
        let mut keys: Vec<Key> = Vec::new();
        while start.elapsed() < patience && !seen_at.is_closed() {
            keys.push(self.type_key(typed_at).ok()?);
            let mut found = None;
            seen_at.wait_until(self.interval(), |glyphs| {
                found = keys.iter().filter_map(|key| glyphs.first_seen(key.glyph)).min();
                found.is_some()
            });
            if let Some(at) = found {
                return Some(at.saturating_duration_since(start));
            }
        }
        None
    }

    /// Golden ratio: evenly spread, never in step with anything.
    fn interval(&self) -> Duration {
        let part = (f64::from(self.count) * 0.618_033_988_75).fract();
        INTERVAL - SPREAD + SPREAD.mul_f64(2.0 * part)
    }
}

/// What became of `keys`, at most `patience` from now; times are from `start`.
pub(crate) fn echoes(pty: &Pty, keys: &[Key], start: Instant, patience: Duration) -> Vec<Echo> {
    let mut all = vec![None; keys.len()];
    pty.wait_until(patience, |glyphs| {
        all = keys.iter().map(|key| key.echo(glyphs)).collect();
        all.iter().all(Option::is_some)
    });
    keys.iter()
        .zip(all)
        .map(|(key, seen)| {
            let delay = seen.map(|seen| seen.saturating_duration_since(key.at));
            Echo {
                at_s: key.at.saturating_duration_since(start).as_secs_f64(),
                delay_ms: delay.map(ms),
            }
        })
        .collect()
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
