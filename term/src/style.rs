//! How a cell looks: colours, attributes, link.

use std::sync::Arc;

use crate::link::Link;

/// A colour as the program named it; never mapped on the way, for what "red" looks like is the
/// viewer's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Color {
    /// The terminal's own foreground or background.
    #[default]
    Default,
    /// One of the 16 colours by their own codes (SGR 30-37, 90-97), 0-15.
    Ansi(u8),
    /// One of the 256 colours by number (SGR 38;5). 0-15 are kept apart from [`Color::Ansi`]:
    /// terminals may draw bold text in an ANSI colour brighter.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// Shape of the line under a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Underline {
    /// No line.
    #[default]
    None,
    /// One straight line.
    Single,
    /// Two straight lines.
    Double,
    /// A wave.
    Curly,
    /// Dots.
    Dotted,
    /// Dashes.
    Dashed,
}

impl Underline {
    /// All of them; the index is the number in `SGR 4:n`.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Single, Self::Double, Self::Curly, Self::Dotted, Self::Dashed];
}

/// Set of attributes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attrs(u16);

impl Attrs {
    /// SGR 1.
    pub const BOLD: Self = Self(1);
    /// SGR 2.
    pub const DIM: Self = Self(1 << 1);
    /// SGR 3.
    pub const ITALIC: Self = Self(1 << 2);
    /// SGR 5 and 6.
    pub const BLINK: Self = Self(1 << 3);
    /// SGR 7.
    pub const INVERSE: Self = Self(1 << 4);
    /// SGR 8.
    pub const HIDDEN: Self = Self(1 << 5);
    /// SGR 9.
    pub const STRIKE: Self = Self(1 << 6);
    /// SGR 53.
    pub const OVERLINE: Self = Self(1 << 7);
    /// Where the underline's number (0-5) stands.
    const UNDERLINE_SHIFT: u16 = 8;
    const UNDERLINE_MASK: u16 = 0b111 << Self::UNDERLINE_SHIFT;

    /// The set as a number, for the wire.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// Back from [`Attrs::bits`]; `None` if no set has this number.
    pub(crate) fn from_bits(bits: u16) -> Option<Self> {
        let underline = (bits & Self::UNDERLINE_MASK) >> Self::UNDERLINE_SHIFT;
        (bits >> 11 == 0 && usize::from(underline) < Underline::ALL.len()).then_some(Self(bits))
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// With `other` set or not.
    pub fn with(self, other: Self, is_set: bool) -> Self {
        Self(if is_set { self.0 | other.0 } else { self.0 & !other.0 })
    }

    /// The line under the cell.
    pub fn underline(self) -> Underline {
        Underline::ALL[usize::from((self.0 & Self::UNDERLINE_MASK) >> Self::UNDERLINE_SHIFT)]
    }

    /// With this line under the cell.
    pub fn with_underline(self, underline: Underline) -> Self {
        Self(self.0 & !Self::UNDERLINE_MASK | (underline as u16) << Self::UNDERLINE_SHIFT)
    }
}

/// Everything about a cell's look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Style {
    /// Colour of the text.
    pub fg: Color,
    /// Colour behind it.
    pub bg: Color,
    /// Colour of the underline; default: the text's.
    pub underline_color: Color,
    /// Attributes and underline.
    pub attrs: Attrs,
    /// Where it leads to.
    pub link: Option<Arc<Link>>,
}

impl Style {
    /// No colour, no attribute, no link.
    pub const PLAIN: Self = Self {
        fg: Color::Default,
        bg: Color::Default,
        underline_color: Color::Default,
        attrs: Attrs(0),
        link: None,
    };

    /// Whether it is [`Style::PLAIN`].
    pub fn is_plain(&self) -> bool {
        *self == Self::PLAIN
    }

    /// Whether it is plain but for a link.
    pub(crate) fn looks_plain(&self) -> bool {
        self.fg == Color::Default
            && self.bg == Color::Default
            && self.underline_color == Color::Default
            && self.attrs.is_empty()
    }

    /// Whether a blank of this style is what a terminal leaves when it erases: nothing but,
    /// perhaps, a background.
    pub(crate) fn is_erased(&self) -> bool {
        self.fg == Color::Default
            && self.underline_color == Color::Default
            && self.attrs.is_empty()
            && self.link.is_none()
    }

    /// What an erased cell looks like.
    #[cfg(test)]
    pub(crate) fn erased(bg: Color) -> Self {
        Self { bg, ..Self::PLAIN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_the_way_through_their_number() {
        for underline in Underline::ALL {
            let attrs = Attrs::BOLD.with(Attrs::OVERLINE, true).with_underline(underline);
            assert_eq!(attrs.underline(), underline);
            assert_eq!(Attrs::from_bits(attrs.bits()), Some(attrs));
        }
    }

    #[test]
    fn numbers_of_no_attribute_set_are_refused() {
        assert_eq!(Attrs::from_bits(6 << 8), None);
        assert_eq!(Attrs::from_bits(1 << 11), None);
    }

    #[test]
    fn style_stays_small() {
        assert!(size_of::<Style>() <= 24);
    }
}
