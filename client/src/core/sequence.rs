//! Where in a terminal's byte stream something may be put in between: not inside of an escape
//! sequence, nor inside of a character (ECMA-48, sections 5.4 and 5.6).

/// Follows a program's output, byte by byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SequenceTracker {
    /// Between sequences and characters.
    #[default]
    Ground,
    /// After ESC, and intermediates.
    Escape,
    /// In a control sequence (CSI).
    Control,
    /// In a string (OSC, DCS, APC, PM, SOS), until BEL or ST.
    Text,
    /// After ESC in a string.
    TextEscape,
    /// In a UTF-8 character, so many bytes of which are to come.
    Character(u8),
}

impl SequenceTracker {
    /// The program wrote `bytes`.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            *self = self.after(byte);
        }
    }

    /// Whether something may be put here.
    pub fn is_between(self) -> bool {
        self == Self::Ground
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Text, 0x1b) => Self::TextEscape,
            // CAN and SUB end any sequence.
            (_, 0x18 | 0x1a) | (Self::Text, 0x07) => Self::Ground,
            (Self::Text, _) => Self::Text,
            (Self::TextEscape, b'\\') => Self::Ground,
            (Self::TextEscape, byte) => Self::Escape.after(byte),
            (_, 0x1b) => Self::Escape,
            (Self::Escape, b'[') => Self::Control,
            (Self::Escape, b']' | b'P' | b'X' | b'^' | b'_') => Self::Text,
            (Self::Escape, 0x00..=0x2f) => Self::Escape,
            (Self::Escape, _) => Self::Ground,
            (Self::Control, 0x40..=0x7e) => Self::Ground,
            (Self::Control, 0x00..=0x3f) => Self::Control,
            (Self::Character(left), 0x80..=0xbf) if left > 1 => Self::Character(left - 1),
            (_, 0xc2..=0xdf) => Self::Character(1),
            (_, 0xe0..=0xef) => Self::Character(2),
            (_, 0xf0..=0xf4) => Self::Character(3),
            (Self::Ground | Self::Control | Self::Character(_), _) => Self::Ground,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_between_after(bytes: &[u8]) -> bool {
        let mut tracker = SequenceTracker::default();
        tracker.handle_bytes(bytes);
        tracker.is_between()
    }

    #[test]
    fn nothing_is_put_inside_of_a_sequence_or_a_character() {
        for whole in [
            "text",
            "\x1b[1;31m",
            "\x1b(B",
            "\x1b]0;title\x07",
            "\x1b]8;;http://x\x1b\\",
            "\x1bP1$r0m\x1b\\",
            "é",
            "漢",
            "🎉",
            "\x1bM",
        ] {
            let bytes = whole.as_bytes();
            assert!(is_between_after(bytes), "{whole:?}");
            if whole != "text" {
                for end in 1..bytes.len() {
                    assert!(!is_between_after(&bytes[..end]), "{whole:?} cut at {end}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn stream_comes_to_ground_again(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut tracker = SequenceTracker::default();
            tracker.handle_bytes(&bytes);
            tracker.handle_bytes(b"\x1b\\x");
            prop_assert!(tracker.is_between());
        }
    }
}
