//! How a person types: when keys follow each other, and what goes wrong.
//!
//! Synthetic, all of it: nobody was recorded. The shape is what studies of typing report, the numbers
//! are round. Dhakal et al., "Observations on Typing from 136 Million Keystrokes" (CHI 2018), have a
//! mean of 52 words a minute, 239 ms from key to key, and six backspaces in a hundred keys:
//!
//! - within a word, log-normal around a median of 130 ms; in a burst (a word that fingers know)
//!   around 75 ms, where two keys may fall within 30 ms;
//! - the first key of a word after 190 ms, of a sentence, a field or a line after 450 ms;
//! - a thinking pause before a command or after a look at the result: 900 ms, with a long tail;
//! - one key in 35 is a wrong one. It is noticed after none to three keys more and 280 ms, and taken
//!   back by as many backspaces, 110 ms each.

use super::session::Key;
use crate::chance::Chance;
use std::time::Duration;

/// Medians of the intervals before a key, in milliseconds.
const IN_WORD: f64 = 130.0;
const IN_BURST: f64 = 75.0;
const WORD: f64 = 190.0;
const SENTENCE: f64 = 450.0;
const THINKING: f64 = 900.0;
const NOTICING: f64 = 280.0;
const REPEATING: f64 = 110.0;
/// Standard deviations of the logarithms: of keys, and of pauses.
const KEY_SIGMA: f64 = 0.4;
const PAUSE_SIGMA: f64 = 0.7;
/// No interval is shorter: two fingers at once.
const INTERVAL_MS_MIN: f64 = 12.0;
/// No pause is longer: what comes after a longer one meets a line just as quiet.
const INTERVAL_MS_MAX: f64 = 4_000.0;
/// Shares of words that are typed in a burst, and of keys that are wrong.
const BURST_SHARE: f64 = 0.2;
const SLIP_SHARE: f64 = 1.0 / 35.0;
/// Keys after a wrong one until it is noticed, at most.
const SLIP_KEYS_MAX: u64 = 3;

/// What a key is preceded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The hand goes on.
    Flow,
    /// The same key again, or one that belongs to it.
    Repeat,
    /// A new sentence, field or line.
    Breath,
    /// A thought.
    Thought,
}

/// Somebody who types.
pub(crate) struct Human {
    chance: Chance,
    keys: Vec<Key>,
    is_burst: bool,
    looks: bool,
}

impl Human {
    /// What they do is drawn from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), keys: Vec::new(), is_burst: false, looks: false }
    }

    /// What they choose is drawn from.
    pub(crate) fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.chance.below(limit)
    }

    /// Keys so far.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    /// All that was typed.
    pub(crate) fn into_keys(self) -> Vec<Key> {
        self.keys
    }

    /// One key as a terminal sends it.
    pub(crate) fn key(&mut self, bytes: &str, before: Before) {
        let (median, sigma) = match before {
            Before::Flow if self.is_burst => (IN_BURST, KEY_SIGMA),
            Before::Flow => (IN_WORD, KEY_SIGMA),
            Before::Repeat => (REPEATING, KEY_SIGMA),
            Before::Breath => (SENTENCE, PAUSE_SIGMA),
            Before::Thought => (THINKING, PAUSE_SIGMA),
        };
        self.push(bytes, median, sigma);
    }

    /// Before the next key, what the keys so far have brought onto the screen is looked at.
    pub(crate) fn look(&mut self) {
        self.looks = true;
    }

    fn push(&mut self, bytes: &str, median: f64, sigma: f64) {
        let looks = std::mem::take(&mut self.looks);
        let ms = self.chance.log_normal(median, sigma).clamp(INTERVAL_MS_MIN, INTERVAL_MS_MAX);
        let pause = Duration::from_micros((ms * 1000.0) as u64);
        self.keys.push(Key { bytes: bytes.as_bytes().to_vec(), pause, looks });
    }

    /// `count` times the same key.
    pub(crate) fn repeat(&mut self, bytes: &str, count: u64) {
        for number in 0..count {
            self.key(bytes, if number == 0 { Before::Breath } else { Before::Repeat });
        }
    }

    /// The same key again and again: `least` times, and fewer than `spread` more.
    pub(crate) fn repeat_some(&mut self, bytes: &str, least: u64, spread: u64) {
        let count = least + self.below(spread);
        self.repeat(bytes, count);
    }

    /// A text, with the slips of a person, all of them taken back.
    pub(crate) fn text(&mut self, text: &str, before: Before) {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            if self.chance.happens(SLIP_SHARE) && chars[at].is_ascii_lowercase() {
                self.slip(&chars[at..]);
            }
            self.char(&chars, at, before);
            at += 1;
        }
        self.is_burst = false;
    }

    /// The same without a slip.
    pub(crate) fn sure_text(&mut self, text: &str, before: Before) {
        let chars: Vec<char> = text.chars().collect();
        for at in 0..chars.len() {
            self.char(&chars, at, before);
        }
        self.is_burst = false;
    }

    fn char(&mut self, chars: &[char], at: usize, before: Before) {
        let key = chars[at].to_string();
        let last = at.checked_sub(1).map(|last| chars[last]);
        match last {
            None => {
                self.is_burst = self.chance.happens(BURST_SHARE);
                self.key(&key, before);
            }
            Some(' ') => {
                self.is_burst = self.chance.happens(BURST_SHARE);
                let is_sentence = at > 1 && matches!(chars[at - 2], '.' | ',' | '?');
                let median = if is_sentence { SENTENCE } else { WORD };
                self.push(&key, median, KEY_SIGMA);
            }
            Some(_) => self.key(&key, Before::Flow),
        }
    }

    /// A wrong key, perhaps some right ones behind it, and as many backspaces.
    fn slip(&mut self, rest: &[char]) {
        let wrong = char::from(b'a' + self.chance.below(26) as u8);
        self.key(&wrong.to_string(), Before::Flow);
        let more = self.chance.below(SLIP_KEYS_MAX + 1) as usize;
        let more = rest.iter().take(more).take_while(|c| c.is_ascii_lowercase()).count();
        for c in &rest[..more] {
            self.key(&c.to_string(), Before::Flow);
        }
        self.push("\x7f", NOTICING, KEY_SIGMA);
        for _ in 0..more {
            self.key("\x7f", Before::Repeat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "the quick brown fox jumps over the lazy dog, and does it again. ";

    fn typed(seed: u64) -> Vec<Key> {
        let mut human = Human::new(seed);
        for _ in 0..40 {
            human.text(TEXT, Before::Breath);
        }
        human.into_keys()
    }

    #[test]
    fn same_seed_types_the_same() {
        assert_eq!(typed(3), typed(3));
        assert_ne!(typed(3), typed(4));
    }

    #[test]
    fn slips_are_taken_back() {
        let mut text = Vec::new();
        for key in typed(5) {
            match key.bytes.as_slice() {
                b"\x7f" => drop(text.pop().expect("there is something to take back")),
                bytes => text.extend(bytes),
            }
        }
        assert_eq!(String::from_utf8(text).expect("text"), TEXT.repeat(40));
    }

    #[test]
    fn pace_is_that_of_the_study() {
        let keys = typed(6);
        let total: Duration = keys.iter().map(|key| key.pause).sum();
        let mean = total.as_secs_f64() * 1000.0 / keys.len() as f64;
        assert!((130.0..260.0).contains(&mean), "{mean} ms from key to key");
        let backspaces = keys.iter().filter(|key| key.bytes == b"\x7f").count();
        let share = backspaces as f64 / keys.len() as f64;
        assert!((0.03..0.1).contains(&share), "{share} of the keys are backspaces");
    }
}
