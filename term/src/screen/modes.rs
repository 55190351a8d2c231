//! Modes: set, reset, asked for.

use alacritty_terminal::term::TermMode;
use alacritty_terminal::vte::ansi::{Handler as _, Mode, NamedMode, NamedPrivateMode, PrivateMode};

use super::emulator::Emulator;
use crate::frame::Modes;

impl Emulator {
    /// DECSET and DECRST.
    pub(super) fn set_private_mode(&mut self, mode: u16, is_set: bool) {
        if let Some((_, flag)) = Modes::NUMBERS.iter().find(|(number, _)| *number == mode) {
            self.set_flag(*flag, is_set);
            return;
        }
        match mode {
            3 => self.pass_on(NamedPrivateMode::ColumnMode, is_set),
            6 => self.pass_on(NamedPrivateMode::Origin, is_set),
            7 => self.pass_on(NamedPrivateMode::LineWrap, is_set),
            12 => self.cursor.is_blinking = is_set,
            25 => self.cursor.is_visible = is_set,
            47 | 1047 => self.set_alt_screen(is_set),
            1048 if is_set => self.term.save_cursor_position(),
            1048 => self.term.restore_cursor_position(),
            1049 => self.pass_on(NamedPrivateMode::SwapScreenAndSetRestoreCursor, is_set),
            2026 if is_set => self.begin_sync(),
            2026 => self.end_sync(),
            _ => {}
        }
    }

    /// SM and RM.
    pub(super) fn set_mode(&mut self, mode: u16, is_set: bool) {
        let mode = Mode::Named(match mode {
            4 => NamedMode::Insert,
            20 => NamedMode::LineFeedNewLine,
            _ => return,
        });
        if is_set { self.term.set_mode(mode) } else { self.term.unset_mode(mode) }
    }

    /// Kinds of mouse reports exclude each other, so do their encodings.
    fn set_flag(&mut self, flag: Modes, is_set: bool) {
        let encodings = Modes::MOUSE_SGR.with(Modes::MOUSE_UTF8, true);
        let rivals = if Modes::MOUSE.contains(flag) {
            Modes::MOUSE
        } else if encodings.contains(flag) {
            encodings
        } else {
            flag
        };
        if is_set {
            self.modes = self.modes.with(rivals, false);
        }
        self.modes = self.modes.with(flag, is_set);
    }

    fn pass_on(&mut self, mode: NamedPrivateMode, is_set: bool) {
        let mode = PrivateMode::Named(mode);
        if is_set { self.term.set_private_mode(mode) } else { self.term.unset_private_mode(mode) }
    }

    /// The alternate screen without saving the cursor: it stays where it is.
    fn set_alt_screen(&mut self, is_set: bool) {
        if self.term.mode().contains(TermMode::ALT_SCREEN) == is_set {
            return;
        }
        let cursor = self.term.grid().cursor.clone();
        self.term.swap_alt();
        self.term.grid_mut().cursor = cursor;
    }

    /// DECRQM for a private mode.
    pub(super) fn report_private_mode(&mut self, mode: u16) {
        let term = *self.term.mode();
        let is_set = match mode {
            6 => Some(term.contains(TermMode::ORIGIN)),
            7 => Some(term.contains(TermMode::LINE_WRAP)),
            12 => Some(self.cursor.is_blinking),
            25 => Some(self.cursor.is_visible),
            47 | 1047 | 1049 => Some(term.contains(TermMode::ALT_SCREEN)),
            2026 => Some(self.is_syncing()),
            _ => Modes::NUMBERS
                .iter()
                .find(|(n, _)| *n == mode)
                .map(|(_, flag)| self.modes.contains(*flag)),
        };
        self.reply(&format!("\x1b[?{mode};{}$y", state(is_set)));
    }

    /// DECRQM.
    pub(super) fn report_mode(&mut self, mode: u16) {
        let is_set = match mode {
            4 => Some(self.term.mode().contains(TermMode::INSERT)),
            20 => Some(self.term.mode().contains(TermMode::LINE_FEED_NEW_LINE)),
            _ => None,
        };
        self.reply(&format!("\x1b[{mode};{}$y", state(is_set)));
    }
}

/// DECRPM's number: not known, set, reset.
fn state(is_set: Option<bool>) -> u8 {
    match is_set {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    }
}
