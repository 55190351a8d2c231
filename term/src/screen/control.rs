//! What the control functions in a program's output do.

use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::vte::ansi::{
    CharsetIndex, ClearMode, Handler as _, LineClearMode, StandardCharset, TabulationClearMode,
};
use alacritty_terminal::vte::{Params, Perform};

use super::emulator::Emulator;
use crate::frame::{Cursor, CursorShape, Modes};

impl Perform for Emulator {
    #[inline]
    fn print(&mut self, c: char) {
        self.has_dispatched = true;
        self.last_char = Some(c);
        if c.is_ascii() {
            self.term.input(c)
        } else {
            self.print_wide_aware(c)
        }
        self.is_printing = true;
    }

    #[inline]
    fn execute(&mut self, byte: u8) {
        self.has_dispatched = true;
        self.is_printing = false;
        match byte {
            0x07 => self.bell_count = self.bell_count.wrapping_add(1),
            0x08 => self.term.backspace(),
            0x09 => self.term.move_forward_tabs(1),
            0x0a..=0x0c => self.term.newline(),
            0x0d => self.term.carriage_return(),
            0x0e => self.term.set_active_charset(CharsetIndex::G1),
            0x0f => self.term.set_active_charset(CharsetIndex::G0),
            0x84 => self.term.linefeed(),
            0x85 => self.next_line(),
            0x88 => self.term.set_horizontal_tabstop(),
            0x8d => self.term.reverse_index(),
            _ => {}
        }
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, _: char) {
        self.has_dispatched = true;
    }

    fn put(&mut self, _: u8) {
        self.has_dispatched = true;
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        self.has_dispatched = true;
        self.handle_osc(params);
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.has_dispatched = true;
        self.is_printing = false;
        if ignore {
            return;
        }
        match intermediates {
            [] => self.handle_csi(params, action),
            [b'?'] => self.handle_private_csi(params, action),
            _ => self.handle_other_csi(params, intermediates, action),
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        self.has_dispatched = true;
        self.is_printing = false;
        match (intermediates, byte) {
            ([], b'D') => self.term.linefeed(),
            ([], b'E') => self.next_line(),
            ([], b'H') => self.term.set_horizontal_tabstop(),
            ([], b'M') => self.term.reverse_index(),
            ([], b'Z') => self.report_device_attributes(),
            ([], b'c') => self.reset(),
            ([], b'7') => self.term.save_cursor_position(),
            ([], b'8') => self.term.restore_cursor_position(),
            ([], b'=') => self.modes = self.modes.with(Modes::APP_KEYPAD, true),
            ([], b'>') => self.modes = self.modes.with(Modes::APP_KEYPAD, false),
            ([b'#'], b'8') => self.term.decaln(),
            ([set @ (b'(' | b')' | b'*' | b'+')], charset) => self.set_charset(*set, charset),
            _ => {}
        }
    }
}

/// The number at this place; `default` if it is absent or 0.
fn number(params: &Params, index: usize, default: u16) -> usize {
    let number = params.iter().nth(index).map_or(0, |param| param[0]);
    usize::from(if number == 0 { default } else { number })
}

impl Emulator {
    fn handle_csi(&mut self, params: &Params, action: char) {
        let count = number(params, 0, 1);
        match action {
            '@' => self.term.insert_blank(count),
            'A' => self.term.move_up(count),
            'B' | 'e' => self.term.move_down(count),
            'C' | 'a' => self.term.move_forward(count),
            'D' => self.term.move_backward(count),
            'E' => self.term.move_down_and_cr(count),
            'F' => self.term.move_up_and_cr(count),
            'G' | '`' => self.term.goto_col(count - 1),
            'H' | 'f' => self.term.goto(count as i32 - 1, number(params, 1, 1) - 1),
            'I' => self.term.move_forward_tabs(count as u16),
            'J' => self.erase_screen(number(params, 0, 0)),
            'K' => self.erase_line(number(params, 0, 0)),
            'L' => self.term.insert_blank_lines(count),
            'M' => self.term.delete_lines(count),
            'P' => self.term.delete_chars(count),
            'S' => self.term.scroll_up(count),
            'T' => self.term.scroll_down(count),
            'X' => self.term.erase_chars(count),
            'Z' => self.term.move_backward_tabs(count as u16),
            'b' => self.repeat(count),
            'c' if number(params, 0, 0) == 0 => self.report_device_attributes(),
            'd' => self.term.goto_line(count as i32 - 1),
            'g' if number(params, 0, 0) == 0 => self.term.clear_tabs(TabulationClearMode::Current),
            'g' if count == 3 => self.term.clear_tabs(TabulationClearMode::All),
            'h' => params.iter().for_each(|mode| self.set_mode(mode[0], true)),
            'l' => params.iter().for_each(|mode| self.set_mode(mode[0], false)),
            'm' => self.set_attributes(params),
            'n' => self.report_status(number(params, 0, 0), ""),
            'r' => self.set_scroll_region(count, number(params, 1, u16::MAX)),
            's' => self.term.save_cursor_position(),
            't' => self.handle_window(params),
            'u' => self.term.restore_cursor_position(),
            _ => {}
        }
    }

    fn handle_private_csi(&mut self, params: &Params, action: char) {
        match action {
            'J' => self.erase_screen(number(params, 0, 0)),
            'K' => self.erase_line(number(params, 0, 0)),
            'h' => params.iter().for_each(|mode| self.set_private_mode(mode[0], true)),
            'l' => params.iter().for_each(|mode| self.set_private_mode(mode[0], false)),
            'n' => self.report_status(number(params, 0, 0), "?"),
            _ => {}
        }
    }

    fn handle_other_csi(&mut self, params: &Params, intermediates: &[u8], action: char) {
        match (intermediates, action) {
            ([b'>'], 'c') if number(params, 0, 0) == 0 => self.reply("\x1b[>0;10;0c"),
            ([b'='], 'c') if number(params, 0, 0) == 0 => self.reply("\x1bP!|00000000\x1b\\"),
            ([b'>'], 'q') if number(params, 0, 0) == 0 => {
                self.reply(concat!("\x1bP>|tern ", env!("CARGO_PKG_VERSION"), "\x1b\\"));
            }
            ([b' '], 'q') => self.set_cursor_shape(number(params, 0, 0)),
            ([b'!'], 'p') => self.soft_reset(),
            ([b'$'], 'p') => self.report_mode(number(params, 0, 0) as u16),
            ([b'?', b'$'], 'p') => self.report_private_mode(number(params, 0, 0) as u16),
            _ => {}
        }
    }

    fn next_line(&mut self) {
        self.term.linefeed();
        self.term.carriage_return();
    }

    /// REP. More than a screen full only repeats what it did.
    fn repeat(&mut self, count: usize) {
        let size = self.size();
        if let Some(c) = self.last_char {
            for _ in 0..count.min(usize::from(size.cols) * usize::from(size.rows)) {
                self.print(c);
            }
        }
    }

    fn erase_line(&mut self, mode: usize) {
        match mode {
            0 => self.term.clear_line(LineClearMode::Right),
            1 => self.term.clear_line(LineClearMode::Left),
            2 => self.term.clear_line(LineClearMode::All),
            _ => {}
        }
    }

    fn erase_screen(&mut self, mode: usize) {
        match mode {
            0 => self.term.clear_screen(ClearMode::Below),
            1 => {
                // Alacritty's own leaves the first row when the cursor is in the second.
                let line = self.term.grid().cursor.point.line;
                self.term.clear_line(LineClearMode::Left);
                self.term.grid_mut().reset_region(..line);
                self.is_damaged = true;
            }
            2 => {
                self.term.grid_mut().reset_region(..);
                self.is_damaged = true;
            }
            3 => self.clear_scrolled_off(),
            _ => {}
        }
    }

    /// DECSTBM, both from 1. A region of less than two rows is none.
    fn set_scroll_region(&mut self, top: usize, bottom: usize) {
        let bottom = bottom.min(self.size().rows.into());
        if top < bottom {
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    fn set_charset(&mut self, set: u8, charset: u8) {
        let index = match set {
            b'(' => CharsetIndex::G0,
            b')' => CharsetIndex::G1,
            b'*' => CharsetIndex::G2,
            _ => CharsetIndex::G3,
        };
        let charset = match charset {
            b'0' => StandardCharset::SpecialCharacterAndLineDrawing,
            _ => StandardCharset::Ascii,
        };
        self.term.configure_charset(index, charset);
    }

    /// DECSCUSR.
    fn set_cursor_shape(&mut self, number: usize) {
        let (shape, is_blinking) = match number {
            0 => (CursorShape::Default, false),
            1 | 2 => (CursorShape::Block, number == 1),
            3 | 4 => (CursorShape::Underline, number == 3),
            5 | 6 => (CursorShape::Beam, number == 5),
            _ => return,
        };
        self.cursor = Cursor { shape, is_blinking, ..self.cursor };
    }

    /// XTWINOPS: title stack and size; pixels are nobody's.
    fn handle_window(&mut self, params: &Params) {
        let is_title = matches!(number(params, 1, 0), 0 | 2);
        match number(params, 0, 0) {
            18 => {
                let size = self.size();
                self.reply(&format!("\x1b[8;{};{}t", size.rows, size.cols));
            }
            22 if is_title => self.push_title(),
            23 if is_title => self.pop_title(),
            _ => {}
        }
    }

    /// DA1: a VT220 with colours.
    fn report_device_attributes(&mut self) {
        self.reply("\x1b[?62;22c");
    }

    /// DSR and CPR; `private` is `?` for DEC's own form.
    fn report_status(&mut self, what: usize, private: &str) {
        match what {
            5 => self.reply("\x1b[0n"),
            6 => {
                let point = self.term.grid().cursor.point;
                // The origin may be that of the scroll region, but nobody tells which that is.
                let (row, col) = (point.line.0 + 1, point.column.0 + 1);
                self.reply(&format!("\x1b[{private}{row};{col}R"));
            }
            _ => {}
        }
    }

    /// DECSTR.
    fn soft_reset(&mut self) {
        let point = self.term.grid().cursor.point;
        self.cursor.is_visible = true;
        self.modes = self.modes.with(Modes::APP_CURSOR, false).with(Modes::APP_KEYPAD, false);
        self.set_mode(4, false);
        self.set_private_mode(6, false);
        self.set_private_mode(7, true);
        self.set_scroll_region(1, usize::MAX);
        self.reset_attributes();
        self.term.set_active_charset(CharsetIndex::G0);
        self.term.configure_charset(CharsetIndex::G0, StandardCharset::Ascii);
        debug_assert!(!self.term.mode().contains(TermMode::ORIGIN));
        self.term.goto(point.line.0.max(Line(0).0), point.column.0);
    }
}
