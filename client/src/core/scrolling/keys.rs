//! Which keys and which turns of the wheel scroll a viewer's own view.

use tern_relay::core::keys::{PASTE_END, PASTE_START};

/// Lines that one notch of the wheel scrolls, as terminals do.
const WHEEL_LINES: u16 = 3;
/// Wheel up in a mouse report's first number; the wheel's other way is the next.
const WHEEL_UP: u16 = 64;
const WHEEL_DOWN: u16 = 65;
/// Bits of modifiers (shift, meta, control) there.
const MODIFIERS: u16 = 0b11100;
const SHIFT: u16 = 0b100;

/// A way to scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// So many lines towards older ones.
    Up(u16),
    /// So many lines towards newer ones.
    Down(u16),
    /// A page towards older ones.
    PageUp,
    /// A page towards newer ones.
    PageDown,
    /// To the oldest line.
    Oldest,
    /// Back to the live screen.
    Live,
}

/// What a whole key is for who may scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Scrolls, by the keyboard.
    Key(Motion),
    /// Scrolls, if the mouse is the viewer's.
    Wheel {
        /// Which way.
        motion: Motion,
        /// Shift is held: it is the viewer's in any case.
        is_shifted: bool,
    },
    /// A button, or a motion.
    Mouse,
    /// What a terminal tells by itself: its focus, an answer.
    Report,
    /// Pasted text begins or ends.
    Paste(bool),
    /// Anything else.
    Other,
}

/// What this whole key (as [`tern_relay::core::keys::cut`] gives it) is.
pub fn kind(key: &[u8]) -> Kind {
    match key {
        // xterm and what follows it; rxvt.
        b"\x1b[5;2~" | b"\x1b[5$" => Kind::Key(Motion::PageUp),
        b"\x1b[6;2~" | b"\x1b[6$" => Kind::Key(Motion::PageDown),
        b"\x1b[1;2H" | b"\x1b[7$" => Kind::Key(Motion::Oldest),
        b"\x1b[1;2F" | b"\x1b[8$" => Kind::Key(Motion::Live),
        _ if key == PASTE_START => Kind::Paste(true),
        _ if key == PASTE_END => Kind::Paste(false),
        b"\x1b[I" | b"\x1b[O" | [0x1b, b'[', b'?', ..] | [0x1b, b']' | b'P', _, ..] => Kind::Report,
        [0x1b, b'[', b'<', report @ ..] => {
            let digits = report.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let button = std::str::from_utf8(&report[..digits]).ok().and_then(|n| n.parse().ok());
            button.map_or(Kind::Mouse, of_button)
        }
        [0x1b, b'[', b'M', button, _, _, ..] => of_button(u16::from(button.saturating_sub(32))),
        _ => Kind::Other,
    }
}

fn of_button(button: u16) -> Kind {
    let is_shifted = button & SHIFT != 0;
    match button & !MODIFIERS {
        WHEEL_UP => Kind::Wheel { motion: Motion::Up(WHEEL_LINES), is_shifted },
        WHEEL_DOWN => Kind::Wheel { motion: Motion::Down(WHEEL_LINES), is_shifted },
        _ => Kind::Mouse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_and_wheel_are_told_from_what_goes_to_the_session() {
        let wheel = |motion, is_shifted| Kind::Wheel { motion, is_shifted };
        for (key, expected) in [
            (b"\x1b[5;2~".as_slice(), Kind::Key(Motion::PageUp)),
            (b"\x1b[5~", Kind::Other),
            (b"\x1b[5;5~", Kind::Other),
            (b"\x1b[1;2F", Kind::Key(Motion::Live)),
            (b"\x1b[<64;5;5M", wheel(Motion::Up(3), false)),
            (b"\x1b[<69;5;5M", wheel(Motion::Down(3), true)),
            (b"\x1b[<0;5;5m", Kind::Mouse),
            (b"\x1b[M`!!", wheel(Motion::Up(3), false)),
            (b"\x1b[M !!", Kind::Mouse),
            (b"\x1b[I", Kind::Report),
            (b"\x1bP", Kind::Other),
            (PASTE_START, Kind::Paste(true)),
            (b"a", Kind::Other),
        ] {
            assert_eq!(kind(key), expected, "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn any_key_is_of_some_kind(key in prop::collection::vec(any::<u8>(), 0..30)) {
            kind(&key);
            kind(&[b"\x1b[<".as_slice(), &key].concat());
        }
    }
}
