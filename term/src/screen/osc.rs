//! OSC: title, hyperlinks, clipboard. Colour queries are not answered: whose terminal's colours
//! would they be? Neither are those for the clipboard: a viewer's is nobody's business.

use alacritty_terminal::vte::ansi::{Handler as _, Hyperlink};

use super::emulator::Emulator;
use super::{CLIPBOARD_BYTES_MAX, TITLE_CHARS_MAX};
use crate::frame::CursorShape;
use crate::link::Link;

impl Emulator {
    /// An operating system command with these parts came.
    pub(super) fn handle_osc(&mut self, params: &[&[u8]]) {
        match params {
            [b"0" | b"2", title @ ..] if !title.is_empty() => {
                let title = String::from_utf8_lossy(&title.join(&b';')).into_owned();
                let shown = title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS_MAX);
                let title: String = shown.collect();
                self.set_title(title.trim());
            }
            [b"8", attributes, uri @ ..] if !uri.is_empty() => {
                self.set_link(attributes, &uri.join(&b';'));
            }
            [b"50", shape] => match shape.strip_prefix(b"CursorShape=") {
                Some(b"0") => self.cursor.shape = CursorShape::Block,
                Some(b"1") => self.cursor.shape = CursorShape::Beam,
                Some(b"2") => self.cursor.shape = CursorShape::Underline,
                Some(_) | None => {}
            },
            [b"52", selection, base64] if *base64 != b"?" => {
                // Without a selection, terminals take the clipboard.
                let selection = selection.first().copied().unwrap_or(b'c');
                let is_short = base64.len() <= CLIPBOARD_BYTES_MAX;
                if is_short && is_selection(selection) && is_base64(base64) {
                    let base64 = String::from_utf8_lossy(base64);
                    self.set_clipboard(selection, &base64);
                }
            }
            _ => {}
        }
    }

    fn set_link(&mut self, attributes: &[u8], uri: &[u8]) {
        let id = attributes.split(|b| *b == b':').find_map(|part| part.strip_prefix(b"id="));
        let parts = (str::from_utf8(id.unwrap_or_default()), str::from_utf8(uri));
        let link = match parts {
            (Ok(""), Ok(uri)) => Link::new(&id_of(uri), uri),
            (Ok(id), Ok(uri)) => Link::new(id, uri),
            (Err(_), _) | (_, Err(_)) => None,
        };
        let link =
            link.map(|link| Hyperlink { id: Some(link.id().into()), uri: link.uri().into() });
        self.term.set_hyperlink(link);
    }
}

/// An id for a link that came without: its parts in several rows are drawn one by one later, and
/// belong together still.
fn id_of(uri: &str) -> String {
    let sum = uri.bytes().fold(5381u32, |sum, b| sum.wrapping_mul(33) ^ u32::from(b));
    format!("{sum:x}")
}

/// Whether OSC 52 knows this selection.
pub(crate) fn is_selection(selection: u8) -> bool {
    matches!(selection, b'c' | b'p' | b'q' | b's' | b'0'..=b'7')
}

/// Whether nothing but base64 is in it, so that nothing can escape from the sequence that will
/// carry it on.
pub(crate) fn is_base64(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}
