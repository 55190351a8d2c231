//! SGR: colours and attributes.
//!
//! Alacritty's cells have no blink and no overline, but flags that carry along whatever is in
//! them. So all bits but those that say what is in a cell are ours to define:
//!
//! ```text
//! INVERSE BOLD ITALIC DIM HIDDEN STRIKEOUT      as alacritty has them
//! UNDERLINE, DOUBLE_UNDERLINE, UNDERCURL        bits 0, 1, 2 of the underline's number
//! DOTTED_UNDERLINE                              overline
//! bit 15 (free)                                 blink
//! ```

use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::vte::Params;
use alacritty_terminal::vte::ansi::{Color, NamedColor, Rgb};

use super::emulator::Emulator;
use crate::style::{Attrs, Underline};

const OVERLINE: Flags = Flags::DOTTED_UNDERLINE;
const BLINK: Flags = Flags::from_bits_retain(1 << 15);
const UNDERLINE_BITS: [Flags; 3] = [Flags::UNDERLINE, Flags::DOUBLE_UNDERLINE, Flags::UNDERCURL];

/// Which flag stands for which attribute.
const ATTRS: [(Flags, Attrs); 8] = [
    (Flags::BOLD, Attrs::BOLD),
    (Flags::DIM, Attrs::DIM),
    (Flags::ITALIC, Attrs::ITALIC),
    (BLINK, Attrs::BLINK),
    (Flags::INVERSE, Attrs::INVERSE),
    (Flags::HIDDEN, Attrs::HIDDEN),
    (Flags::STRIKEOUT, Attrs::STRIKE),
    (OVERLINE, Attrs::OVERLINE),
];

/// The attributes that a cell's flags stand for.
pub(super) fn attrs(flags: Flags) -> Attrs {
    if flags.is_empty() {
        return Attrs::default();
    }
    let mut attrs = Attrs::default();
    for (flag, attr) in ATTRS {
        attrs = attrs.with(attr, flags.contains(flag));
    }
    let mut number = 0;
    for (bit, flag) in UNDERLINE_BITS.into_iter().enumerate() {
        number |= usize::from(flags.contains(flag)) << bit;
    }
    attrs.with_underline(Underline::ALL.get(number).copied().unwrap_or_default())
}

impl Emulator {
    /// Changes what the next characters look like.
    pub(super) fn set_attributes(&mut self, params: &Params) {
        if params.is_empty() {
            return self.reset_attributes();
        }
        let mut params = params.iter();
        while let Some(param) = params.next() {
            match *param {
                [code @ (38 | 48 | 58)] => {
                    if let Some(color) = read_color(&mut params.by_ref().map(|param| param[0])) {
                        self.set_color(code, color);
                    }
                }
                [code @ (38 | 48 | 58), kind, ref rest @ ..] => {
                    // `38:2:space:r:g:b`, or without the colour space.
                    let rest = if kind == 2 && rest.len() > 3 { &rest[1..] } else { rest };
                    let mut numbers = std::iter::once(kind).chain(rest.iter().copied());
                    if let Some(color) = read_color(&mut numbers) {
                        self.set_color(code, color);
                    }
                }
                [4, number] => self.set_underline(number),
                [code, ..] => self.set_attribute(code),
                [] => {}
            }
        }
    }

    fn set_attribute(&mut self, code: u16) {
        match code {
            0 => self.reset_attributes(),
            1 => self.set_flags(Flags::BOLD, true),
            2 => self.set_flags(Flags::DIM, true),
            3 => self.set_flags(Flags::ITALIC, true),
            4 => self.set_underline(1),
            5 | 6 => self.set_flags(BLINK, true),
            7 => self.set_flags(Flags::INVERSE, true),
            8 => self.set_flags(Flags::HIDDEN, true),
            9 => self.set_flags(Flags::STRIKEOUT, true),
            21 => self.set_underline(2),
            22 => self.set_flags(Flags::BOLD | Flags::DIM, false),
            23 => self.set_flags(Flags::ITALIC, false),
            24 => self.set_underline(0),
            25 => self.set_flags(BLINK, false),
            27 => self.set_flags(Flags::INVERSE, false),
            28 => self.set_flags(Flags::HIDDEN, false),
            29 => self.set_flags(Flags::STRIKEOUT, false),
            30..=37 | 40..=47 | 90..=97 | 100..=107 | 39 | 49 | 59 => self.set_named_color(code),
            53 => self.set_flags(OVERLINE, true),
            55 => self.set_flags(OVERLINE, false),
            _ => {}
        }
    }

    fn set_named_color(&mut self, code: u16) {
        let template = &mut self.term.grid_mut().cursor.template;
        match code {
            30..=37 => template.fg = Color::Named(ANSI[usize::from(code - 30)]),
            40..=47 => template.bg = Color::Named(ANSI[usize::from(code - 40)]),
            90..=97 => template.fg = Color::Named(ANSI[usize::from(code - 90 + 8)]),
            100..=107 => template.bg = Color::Named(ANSI[usize::from(code - 100 + 8)]),
            39 => template.fg = Color::Named(NamedColor::Foreground),
            49 => template.bg = Color::Named(NamedColor::Background),
            _ => template.set_underline_color(None),
        }
    }

    fn set_color(&mut self, code: u16, color: Color) {
        let template = &mut self.term.grid_mut().cursor.template;
        match code {
            38 => template.fg = color,
            48 => template.bg = color,
            _ => template.set_underline_color(Some(color)),
        }
    }

    /// Everything plain; a hyperlink stays.
    pub(super) fn reset_attributes(&mut self) {
        let template = &mut self.term.grid_mut().cursor.template;
        template.fg = Color::Named(NamedColor::Foreground);
        template.bg = Color::Named(NamedColor::Background);
        template.flags = Flags::empty();
        template.set_underline_color(None);
    }

    fn set_flags(&mut self, flags: Flags, is_set: bool) {
        self.term.grid_mut().cursor.template.flags.set(flags, is_set);
    }

    /// `number` is that of `SGR 4:n`; an unknown one is a plain line.
    fn set_underline(&mut self, number: u16) {
        let number = if number <= 5 { number } else { 1 };
        for (bit, flag) in UNDERLINE_BITS.into_iter().enumerate() {
            self.set_flags(flag, number >> bit & 1 == 1);
        }
    }
}

/// Reads `5;n` or `2;r;g;b`.
fn read_color(numbers: &mut dyn Iterator<Item = u16>) -> Option<Color> {
    let mut byte = || numbers.next().and_then(|n| u8::try_from(n).ok());
    match byte()? {
        5 => Some(Color::Indexed(byte()?)),
        2 => Some(Color::Spec(Rgb { r: byte()?, g: byte()?, b: byte()? })),
        _ => None,
    }
}

/// The first sixteen colours.
const ANSI: [NamedColor; 16] = [
    NamedColor::Black,
    NamedColor::Red,
    NamedColor::Green,
    NamedColor::Yellow,
    NamedColor::Blue,
    NamedColor::Magenta,
    NamedColor::Cyan,
    NamedColor::White,
    NamedColor::BrightBlack,
    NamedColor::BrightRed,
    NamedColor::BrightGreen,
    NamedColor::BrightYellow,
    NamedColor::BrightBlue,
    NamedColor::BrightMagenta,
    NamedColor::BrightCyan,
    NamedColor::BrightWhite,
];
