//! When each ideograph came out of a terminal first.
//!
//! A key that is measured is one of 20,000 ideographs, each typed once: its first appearance in what
//! the terminal gets is its echo, whatever escape sequences are around it, and however a program
//! that sends differences redraws its line.

use std::collections::BTreeMap;
use std::time::Instant;

/// The first and the last ideograph.
pub(crate) const FIRST: char = '\u{4e00}';
pub(crate) const LAST: char = '\u{9fff}';
/// Bytes of each in UTF-8.
const SIZE: usize = 3;

/// The ideograph with this number.
pub(crate) fn glyph(number: u32) -> char {
    let count = LAST as u32 - FIRST as u32 + 1;
    char::from_u32(FIRST as u32 + number % count).expect("no surrogates are between them")
}

/// First appearances so far.
#[derive(Debug, Default)]
pub(crate) struct Glyphs {
    seen: BTreeMap<char, Instant>,
    /// The begin of an ideograph whose end has not come yet.
    tail: Vec<u8>,
}

impl Glyphs {
    /// Bytes came out, at `now`, wherever they were cut.
    pub(crate) fn handle_output(&mut self, bytes: &[u8], now: Instant) {
        let whole = [std::mem::take(&mut self.tail).as_slice(), bytes].concat();
        let mut at = 0;
        while at < whole.len() {
            if !(0xe4..=0xe9).contains(&whole[at]) {
                at += 1;
                continue;
            }
            let Some(encoded) = whole.get(at..at + SIZE) else {
                self.tail = whole[at..].to_vec();
                return;
            };
            let found = std::str::from_utf8(encoded).ok().and_then(|text| text.chars().next());
            if let Some(glyph) = found.filter(|glyph| (FIRST..=LAST).contains(glyph)) {
                self.seen.entry(glyph).or_insert(now);
                at += SIZE;
            } else {
                at += 1;
            }
        }
    }

    /// When `glyph` came out first.
    pub(crate) fn first_seen(&self, glyph: char) -> Option<Instant> {
        self.seen.get(&glyph).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn glyphs_are_found_however_output_is_cut() {
        let start = Instant::now();
        let text = format!("\x1b[2J{}\x1b[1m\u{e9}{}", glyph(0), glyph(20_991));
        for cut in 0..text.len() {
            let mut glyphs = Glyphs::default();
            glyphs.handle_output(&text.as_bytes()[..cut], start);
            glyphs.handle_output(&text.as_bytes()[cut..], start + Duration::from_secs(1));
            assert!(glyphs.first_seen(glyph(0)).is_some(), "cut at {cut}");
            assert!(glyphs.first_seen(glyph(20_991)).is_some(), "cut at {cut}");
            assert_eq!(glyphs.first_seen(glyph(1)), None);
        }
    }

    #[test]
    fn only_the_first_appearance_counts() {
        let start = Instant::now();
        let mut glyphs = Glyphs::default();
        for second in 0..3 {
            let text = glyph(7).to_string();
            glyphs.handle_output(text.as_bytes(), start + Duration::from_secs(second));
        }
        assert_eq!(glyphs.first_seen(glyph(7)), Some(start));
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_over() {
        let mut glyphs = Glyphs::default();
        let mut bytes = vec![0xe4, 0x41, 0xe9, 0xe4, 0xff];
        bytes.extend(glyph(3).to_string().bytes());
        glyphs.handle_output(&bytes, Instant::now());
        assert!(glyphs.first_seen(glyph(3)).is_some());
    }
}
