//! Changes the pen with few bytes.

use std::fmt::Write as _;

use super::Capabilities;
use crate::link::Link;
use crate::style::{Attrs, Color, Style, Underline};

/// Attribute, code to set it, code to reset it.
const ATTRS: [(Attrs, u8, u8); 8] = [
    (Attrs::BOLD, 1, 22),
    (Attrs::DIM, 2, 22),
    (Attrs::ITALIC, 3, 23),
    (Attrs::BLINK, 5, 25),
    (Attrs::INVERSE, 7, 27),
    (Attrs::HIDDEN, 8, 28),
    (Attrs::STRIKE, 9, 29),
    (Attrs::OVERLINE, 53, 55),
];

/// Writes what turns the pen from one reduced style to another, links aside: the shorter of the
/// changes and a new start.
pub(super) fn change(out: &mut Vec<u8>, from: &Style, to: &Style, capabilities: &Capabilities) {
    if to.looks_plain() && !from.looks_plain() {
        return out.extend(b"\x1b[m");
    }
    let mut codes = Codes::default();
    codes.change(from, to, capabilities);
    if codes.0.is_empty() {
        return;
    }
    // A new start takes two bytes, and two at least for something to set.
    if codes.0.len() > 4 {
        let mut anew = Codes::default();
        anew.push(0);
        anew.change(&Style::PLAIN, to, capabilities);
        if anew.0.len() < codes.0.len() {
            codes = anew;
        }
    }
    out.extend(b"\x1b[");
    out.extend(codes.0.as_bytes());
    out.push(b'm');
}

/// Parameters of an SGR sequence.
#[derive(Default)]
struct Codes(String);

impl Codes {
    fn push(&mut self, code: impl std::fmt::Display) {
        let separator = if self.0.is_empty() { "" } else { ";" };
        write!(self.0, "{separator}{code}").expect("writing to a string cannot fail");
    }

    fn change(&mut self, from: &Style, to: &Style, capabilities: &Capabilities) {
        self.change_attrs(from.attrs, to.attrs);
        if from.fg != to.fg {
            self.push_color(to.fg, 30);
        }
        if from.bg != to.bg {
            self.push_color(to.bg, 40);
        }
        if from.underline_color != to.underline_color && capabilities.has_styled_underline {
            // With colons: who doesn't know it cannot take its parts for other codes.
            match to.underline_color {
                Color::Default => self.push(59),
                Color::Ansi(n) | Color::Indexed(n) => self.push(format_args!("58:5:{n}")),
                Color::Rgb(r, g, b) => self.push(format_args!("58:2::{r}:{g}:{b}")),
            }
        }
    }

    fn change_attrs(&mut self, from: Attrs, to: Attrs) {
        if from == to {
            return;
        }
        let lost = |attr| from.contains(attr) && !to.contains(attr);
        // One code resets both.
        let is_weight_reset = lost(Attrs::BOLD) || lost(Attrs::DIM);
        let mut reset_last = 0;
        for (attr, _, reset) in ATTRS {
            if lost(attr) && reset != reset_last {
                self.push(reset);
                reset_last = reset;
            }
        }
        for (attr, set, reset) in ATTRS {
            let was_reset = is_weight_reset && reset == 22;
            if to.contains(attr) && (!from.contains(attr) || was_reset) {
                self.push(set);
            }
        }
        if from.underline() != to.underline() {
            match to.underline() {
                Underline::None => self.push(24),
                Underline::Single => self.push(4),
                shape => self.push(format_args!("4:{}", shape as u8)),
            }
        }
    }

    /// `base` is 30 for the text's colour, 40 for the background's.
    fn push_color(&mut self, color: Color, base: u8) {
        match color {
            Color::Default => self.push(base + 9),
            Color::Ansi(n @ 0..8) => self.push(base + n),
            Color::Ansi(n) => self.push(base + 60 + n - 8),
            Color::Indexed(n) => self.push(format_args!("{};5;{n}", base + 8)),
            Color::Rgb(r, g, b) => self.push(format_args!("{};2;{r};{g};{b}", base + 8)),
        }
    }
}

/// Writes the start of a link, or its end.
pub(super) fn change_link(out: &mut Vec<u8>, to: Option<&Link>) {
    let Some(link) = to else {
        return out.extend(b"\x1b]8;;\x07");
    };
    out.extend(b"\x1b]8;");
    if !link.id().is_empty() {
        out.extend(b"id=");
        out.extend(link.id().as_bytes());
    }
    out.push(b';');
    out.extend(link.uri().as_bytes());
    out.push(0x07);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: &Style, to: &Style) -> String {
        let mut out = Vec::new();
        change(&mut out, from, to, &Capabilities::full());
        String::from_utf8(out).expect("SGR is ASCII").replace('\x1b', "ESC")
    }

    #[test]
    fn pen_changes_by_the_shorter_way() {
        let red = Style { fg: Color::Ansi(1), ..Style::PLAIN };
        let bold = Style { attrs: Attrs::BOLD, ..red.clone() };
        let both = Style { attrs: Attrs::BOLD.with(Attrs::DIM, true), ..red.clone() };
        assert_eq!(written(&Style::PLAIN, &red), "ESC[31m");
        assert_eq!(written(&red, &bold), "ESC[1m");
        assert_eq!(written(&bold, &red), "ESC[22m");
        assert_eq!(written(&both, &bold), "ESC[22;1m");
        assert_eq!(written(&bold, &Style::PLAIN), "ESC[m");
        assert_eq!(written(&bold, &bold), "");
    }

    #[test]
    fn underlines_have_shapes_and_colours() {
        let curly = Style {
            attrs: Attrs::default().with_underline(Underline::Curly),
            underline_color: Color::Rgb(1, 2, 3),
            ..Style::PLAIN
        };
        assert_eq!(written(&Style::PLAIN, &curly), "ESC[4:3;58:2::1:2:3m");
    }
}
