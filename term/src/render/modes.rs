//! Everything about a viewer's terminal that isn't in a cell.

use std::sync::Arc;

use super::Capabilities;
use crate::frame::{Clipboard, Cursor, CursorShape, Frame, Modes};

/// What a viewer's terminal was told.
#[derive(Debug)]
pub(super) struct ShownModes {
    capabilities: Capabilities,
    modes: Modes,
    cursor: Cursor,
    title: Arc<str>,
    /// `None` before the first frame: what happened before the viewer came isn't repeated.
    past: Option<Past>,
}

/// What happened once and must not happen again.
#[derive(Debug)]
struct Past {
    bell_count: u32,
    clipboard: Option<Arc<Clipboard>>,
}

impl ShownModes {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            modes: Modes::default().with(Modes::ALT_SCROLL, true),
            cursor: Cursor::HOME,
            title: "".into(),
            past: None,
        }
    }

    pub(super) fn is_cursor_visible(&self) -> bool {
        self.cursor.is_visible
    }

    /// Bytes that bring the terminal to what `frame` asks for.
    pub(super) fn change(&mut self, frame: &Frame) -> Vec<u8> {
        let mut out = Vec::new();
        self.change_modes(&mut out, self.wanted(frame.modes));
        self.change_cursor(&mut out, frame.cursor);
        if self.capabilities.has_osc && self.title != frame.title {
            out.extend(b"\x1b]2;");
            out.extend(frame.title.as_bytes());
            out.push(0x07);
            self.title = Arc::clone(&frame.title);
        }
        if let Some(past) = &self.past {
            // A count that fell belongs to another screen.
            if frame.bell_count > past.bell_count {
                out.push(0x07);
            }
            let may_copy = self.capabilities.has_osc && self.capabilities.is_clipboard_allowed;
            if let Some(clipboard) = &frame.clipboard
                && may_copy
                && frame.clipboard != past.clipboard
            {
                out.extend([b"\x1b]52;".as_slice(), &[clipboard.selection, b';']].concat());
                out.extend(clipboard.base64.as_bytes());
                out.push(0x07);
            }
        }
        let clipboard = frame.clipboard.clone();
        self.past = Some(Past { bell_count: frame.bell_count, clipboard });
        out
    }

    /// Bytes that undo everything but the title, which is on the terminal's stack.
    pub(super) fn reset(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let initial = Self::new(self.capabilities.clone());
        self.change_modes(&mut out, initial.modes);
        self.change_cursor(&mut out, initial.cursor);
        *self = initial;
        out
    }

    /// The modes of the frame as they concern this viewer, who always is on the alternate screen.
    fn wanted(&self, modes: Modes) -> Modes {
        let is_scroll = modes.contains(Modes::ALT_SCREEN) && modes.contains(Modes::ALT_SCROLL);
        let modes = if self.capabilities.is_input_wanted { modes } else { Modes::default() };
        modes.with(Modes::ALT_SCREEN, false).with(Modes::ALT_SCROLL, is_scroll)
    }

    fn change_modes(&mut self, out: &mut Vec<u8>, wanted: Modes) {
        // Resetting first: kinds of mouse reports exclude each other.
        for (is_set, action) in [(false, b'l'), (true, b'h')] {
            let changed = Modes::NUMBERS.iter().filter(|(_, mode)| {
                wanted.contains(*mode) == is_set && self.modes.contains(*mode) != is_set
            });
            let numbers: Vec<String> = changed.map(|(number, _)| number.to_string()).collect();
            if !numbers.is_empty() {
                out.extend(b"\x1b[?");
                out.extend(numbers.join(";").bytes());
                out.push(action);
            }
        }
        let is_keypad = wanted.contains(Modes::APP_KEYPAD);
        if is_keypad != self.modes.contains(Modes::APP_KEYPAD) {
            out.extend(if is_keypad { b"\x1b=" } else { b"\x1b>" });
        }
        self.modes = wanted;
    }

    fn change_cursor(&mut self, out: &mut Vec<u8>, wanted: Cursor) {
        let look = |cursor: Cursor| (cursor.shape, cursor.is_blinking);
        if look(self.cursor) != look(wanted) {
            let number = match wanted.shape {
                CursorShape::Default => 0,
                CursorShape::Block => 2 - u8::from(wanted.is_blinking),
                CursorShape::Underline => 4 - u8::from(wanted.is_blinking),
                CursorShape::Beam => 6 - u8::from(wanted.is_blinking),
            };
            if (self.cursor.shape, wanted.shape) != (CursorShape::Default, CursorShape::Default) {
                out.extend(format!("\x1b[{number} q").bytes());
            }
            let was_default_blinking =
                self.cursor.shape == CursorShape::Default && self.cursor.is_blinking;
            match (wanted.shape, wanted.is_blinking) {
                (CursorShape::Default, true) => out.extend(b"\x1b[?12h"),
                (CursorShape::Default, false) if was_default_blinking => {
                    out.extend(b"\x1b[?12l");
                }
                _ => {}
            }
        }
        if self.cursor.is_visible != wanted.is_visible {
            out.extend(if wanted.is_visible { b"\x1b[?25h" } else { b"\x1b[?25l" });
        }
        self.cursor = wanted;
    }
}
