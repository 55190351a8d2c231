//! Cuts what a terminal sends into whole keys: characters, escape sequences, reports. Two viewers'
//! keys may then be mixed in any order without one ending up inside another.

/// Longest sequence that is kept together. Reports of terminals are far shorter; whatever is
/// longer is passed on in pieces.
pub const KEY_SIZE_MAX: usize = 1024;
/// Longest CSI sequence (mouse reports and modified keys have under 24 bytes).
const CSI_SIZE_MAX: usize = 64;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// Begins a bracketed paste.
pub const PASTE_START: &[u8] = b"\x1b[200~";
/// Ends a bracketed paste.
pub const PASTE_END: &[u8] = b"\x1b[201~";

/// Whether a paste is open behind `bytes`, if one `was_open` before them. Brackets are looked for
/// within `bytes` only: whole keys are asked about.
pub fn is_paste_open(bytes: &[u8], was_open: bool) -> bool {
    let brackets = bytes.windows(PASTE_START.len());
    brackets.fold(was_open, |is_open, window| match window {
        PASTE_START => true,
        PASTE_END => false,
        _ => is_open,
    })
}

/// What `bytes` begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A whole key of so many bytes.
    Whole(usize),
    /// The beginning of a key; the rest has not arrived.
    Partial,
}

/// Looks at the front of `bytes`, which must not be empty. An ESC with nothing behind it is a
/// whole key (somebody pressed it; to wait would be felt in every editor).
pub fn cut(bytes: &[u8]) -> Cut {
    let cut = match bytes {
        [ESC, rest @ ..] => cut_escape(rest),
        _ => cut_char(bytes),
    };
    match cut {
        Cut::Partial if bytes.len() >= KEY_SIZE_MAX => Cut::Whole(KEY_SIZE_MAX),
        Cut::Whole(len) => Cut::Whole(len.min(KEY_SIZE_MAX)),
        Cut::Partial => Cut::Partial,
    }
}

/// `rest` follows an ESC.
fn cut_escape(rest: &[u8]) -> Cut {
    let inner = match rest {
        [] => return Cut::Whole(1),
        // Some terminals send Alt-arrow as ESC, then the arrow's sequence.
        [ESC, b'[' | b'O', ..] => cut_escape(&rest[1..]),
        [ESC, ..] => Cut::Whole(1),
        [b'[', rest @ ..] => cut_csi(rest).longer_by(1),
        [b'O', rest @ ..] => cut_ss3(rest).longer_by(1),
        [b']' | b'P' | b'_' | b'^' | b'X', rest @ ..] => cut_string(rest).longer_by(1),
        _ => cut_char(rest),
    };
    inner.longer_by(1)
}

impl Cut {
    fn longer_by(self, count: usize) -> Self {
        match self {
            Self::Whole(len) => Self::Whole(len + count),
            Self::Partial => Self::Partial,
        }
    }
}

/// Behind `ESC [` (ECMA-48, section 5.4), and two that break its rules: `ESC [ M` with three
/// bytes (X10 mouse), `ESC [ [ A` (function keys of the Linux console).
fn cut_csi(rest: &[u8]) -> Cut {
    match rest {
        [b'M', report @ ..] if report.len() >= 3 => return Cut::Whole(4),
        [b'M', ..] => return Cut::Partial,
        [b'[', _, ..] => return Cut::Whole(2),
        [b'['] => return Cut::Partial,
        _ => {}
    }
    for (index, byte) in rest.iter().enumerate().take(CSI_SIZE_MAX) {
        match byte {
            0x20..=0x3f => {}
            0x40..=0x7e => return Cut::Whole(index + 1),
            // Not a sequence after all: what follows begins anew.
            _ => return Cut::Whole(index),
        }
    }
    if rest.len() >= CSI_SIZE_MAX { Cut::Whole(CSI_SIZE_MAX) } else { Cut::Partial }
}

/// Behind `ESC O`: one character, some terminals put modifiers before it.
fn cut_ss3(rest: &[u8]) -> Cut {
    match rest {
        [b'0'..=b'9', byte, ..] if byte.is_ascii_graphic() => Cut::Whole(2),
        [b'0'..=b'9'] | [] => Cut::Partial,
        [byte, ..] if byte.is_ascii_graphic() => Cut::Whole(1),
        [_, ..] => Cut::Whole(0),
    }
}

/// Behind the introducer of a string (OSC, DCS, APC, PM, SOS): until BEL or `ESC \`.
fn cut_string(rest: &[u8]) -> Cut {
    for (index, byte) in rest.iter().enumerate().take(KEY_SIZE_MAX) {
        match (byte, rest.get(index + 1)) {
            (&BEL, _) => return Cut::Whole(index + 1),
            (&ESC, Some(b'\\')) => return Cut::Whole(index + 2),
            (&ESC, Some(_)) => return Cut::Whole(index),
            (&ESC, None) => return Cut::Partial,
            // Any other control character isn't part of a string: an Alt key was meant.
            (0..=0x1f, _) => return Cut::Whole(index),
            _ => {}
        }
    }
    Cut::Partial
}

/// One UTF-8 character; a byte that begins none is passed on alone.
fn cut_char(bytes: &[u8]) -> Cut {
    let Some(first) = bytes.first() else { return Cut::Partial };
    let len = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Cut::Whole(1),
    };
    let present = &bytes[..len.min(bytes.len())];
    match std::str::from_utf8(present) {
        Ok(_) => Cut::Whole(len),
        // `None`: what is there could still become a character.
        Err(error) if error.error_len().is_none() => Cut::Partial,
        Err(_) => Cut::Whole(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn last_bracket_decides_whether_a_paste_is_open() {
        assert!(!is_paste_open(b"keys", false));
        assert!(is_paste_open(b"keys", true));
        assert!(is_paste_open(b"a\x1b[200~b", false));
        assert!(!is_paste_open(b"\x1b[200~b\x1b[201~", true));
        assert!(is_paste_open(b"\x1b[201~\x1b[200~", false));
    }

    #[test]
    fn keys_are_cut_whole() {
        let keys: [&[u8]; 22] = [
            b"a",
            b"\r",
            b"\x03",
            "ö".as_bytes(),
            "界".as_bytes(),
            "🦀".as_bytes(),
            b"\x1b[A",
            b"\x1b[1;5C",
            b"\x1b[15~",
            b"\x1bOP",
            b"\x1bO5P",
            b"\x1b[[A",
            b"\x1bx",
            "\x1bö".as_bytes(),
            b"\x1b\x1b[A",
            b"\x1b\x03",
            b"\x1b[<0;10;20M",
            b"\x1b[M !!",
            b"\x1b]11;rgb:0/0/0\x07",
            b"\x1bP1$r0m\x1b\\",
            b"\x1b[?1;2c",
            PASTE_START,
        ];
        for key in keys {
            assert_eq!(cut(key), Cut::Whole(key.len()), "{key:?}");
            let followed = [key, b"z"].concat();
            assert_eq!(cut(&followed), Cut::Whole(key.len()), "{followed:?}");
            for end in 1..key.len() {
                let is_lone_escape = key[..end] == [ESC];
                // ESC ESC is two keys unless a sequence follows.
                let is_two_escapes = key[..end] == [ESC, ESC];
                let expected =
                    if is_lone_escape || is_two_escapes { Cut::Whole(1) } else { Cut::Partial };
                let got = cut(&key[..end]);
                let expected = if is_two_escapes { Cut::Whole(2) } else { expected };
                assert_eq!(got, expected, "{:?} of {key:?}", &key[..end]);
            }
        }
    }

    #[test]
    fn endless_sequence_is_passed_on_in_pieces() {
        let digits = [b"\x1b[".as_slice(), &[b'1'; 5000]].concat();
        assert!(matches!(cut(&digits), Cut::Whole(len) if len <= KEY_SIZE_MAX));
        let string = [b"\x1b]".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(cut(&string), Cut::Whole(KEY_SIZE_MAX));
    }

    fn typed() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            "\x1b\\[[0-9;<?]{0,8}[A-Za-z~]".prop_map(String::into_bytes),
            "\x1b[O\\]P_][ -~]{0,8}".prop_map(String::into_bytes),
            Just(vec![ESC]),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_a_cut_never_exceeds_what_is_there(bytes in typed()) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match cut(rest) {
                    Cut::Whole(len) => {
                        prop_assert!(len >= 1 && len <= rest.len() && len <= KEY_SIZE_MAX);
                        rest = &rest[len..];
                    }
                    Cut::Partial => {
                        prop_assert!(rest.len() < KEY_SIZE_MAX);
                        break;
                    }
                }
            }
        }

        #[test]
        fn more_bytes_never_change_a_whole_key(bytes in typed(), more in typed()) {
            prop_assume!(!bytes.is_empty());
            if let Cut::Whole(len) = cut(&bytes) {
                // Only an ESC at the very end may turn out to begin something.
                if !(bytes[..len].iter().all(|byte| *byte == ESC) && len == bytes.len()) {
                    prop_assert_eq!(cut(&[bytes.as_slice(), &more].concat()), Cut::Whole(len));
                }
            }
        }

        #[test]
        fn characters_are_never_split(text in "\\PC{1,40}", at in 0usize..160) {
            let bytes = text.as_bytes();
            let mut rest = &bytes[..at.min(bytes.len())];
            while let Some(Cut::Whole(len)) = (!rest.is_empty()).then(|| cut(rest)) {
                prop_assert!(std::str::from_utf8(&rest[..len]).is_ok());
                rest = &rest[len..];
            }
        }
    }
}
