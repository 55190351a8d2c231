//! The nearest of few colours.

use super::{Capabilities, ColorDepth};
use crate::style::{Attrs, Color, Style, Underline};

impl Capabilities {
    /// `style` as far as the terminal can show it.
    pub(super) fn reduce(&self, style: &Style) -> Style {
        let underline = match style.attrs.underline() {
            Underline::None => Underline::None,
            shape if self.has_styled_underline => shape,
            _ => Underline::Single,
        };
        let color = if self.has_styled_underline { style.underline_color } else { Color::Default };
        Style {
            fg: nearest(style.fg, self.colors),
            bg: nearest(style.bg, self.colors),
            underline_color: nearest(color, self.colors),
            attrs: style
                .attrs
                .with_underline(underline)
                .with(Attrs::OVERLINE, self.has_ecma && style.attrs.contains(Attrs::OVERLINE)),
            link: style.link.clone().filter(|_| self.has_osc),
        }
    }
}

/// The nearest colour that a terminal of this depth shows.
fn nearest(color: Color, depth: ColorDepth) -> Color {
    match (color, depth) {
        (Color::Default, _) | (_, ColorDepth::True) => color,
        (_, ColorDepth::Mono) => Color::Default,
        (Color::Rgb(r, g, b), ColorDepth::Indexed) => Color::Indexed(indexed([r, g, b])),
        (Color::Ansi(_) | Color::Indexed(_), ColorDepth::Indexed) => color,
        (Color::Ansi(n), ColorDepth::Ansi16) => Color::Ansi(n),
        (Color::Ansi(n), ColorDepth::Ansi8) => Color::Ansi(n & 7),
        (Color::Indexed(n), _) => ansi(rgb(n), depth),
        (Color::Rgb(r, g, b), _) => ansi([r, g, b], depth),
    }
}

/// Steps of the 6x6x6 colour cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// xterm's default values of the first sixteen.
const ANSI: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// What a colour of the 256 looks like by default.
fn rgb(n: u8) -> [u8; 3] {
    match n {
        0..16 => ANSI[usize::from(n)],
        16..232 => {
            let n = usize::from(n - 16);
            [CUBE[n / 36], CUBE[n / 6 % 6], CUBE[n % 6]]
        }
        232.. => [8 + 10 * (n - 232); 3],
    }
}

/// The nearest of the 240 that no one configures.
fn indexed(color: [u8; 3]) -> u8 {
    let step = |value: u8| {
        let nearest = CUBE.iter().enumerate().min_by_key(|(_, step)| step.abs_diff(value));
        nearest.map_or(0, |(index, _)| index as u8)
    };
    let [r, g, b] = color.map(step);
    let cube = 16 + 36 * r + 6 * g + b;
    let average = color.iter().map(|c| u32::from(*c)).sum::<u32>() / 3;
    let grey = 232 + (average.saturating_sub(3) / 10).min(23) as u8;
    if distance(rgb(grey), color) < distance(rgb(cube), color) { grey } else { cube }
}

fn ansi(color: [u8; 3], depth: ColorDepth) -> Color {
    let count = if depth == ColorDepth::Ansi8 { 8 } else { 16 };
    let nearest = (0..count).min_by_key(|n| distance(rgb(*n), color));
    Color::Ansi(nearest.unwrap_or(7))
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_that_exist_stay() {
        for n in 16..=255 {
            assert_eq!(rgb(indexed(rgb(n))), rgb(n));
        }
        assert_eq!(nearest(Color::Rgb(255, 0, 0), ColorDepth::Indexed), Color::Indexed(196));
        assert_eq!(nearest(Color::Rgb(250, 10, 0), ColorDepth::Ansi16), Color::Ansi(9));
        assert_eq!(nearest(Color::Indexed(196), ColorDepth::Ansi8), Color::Ansi(1));
        assert_eq!(nearest(Color::Rgb(1, 2, 3), ColorDepth::Mono), Color::Default);
    }
}
