//! Which characters share a cell.

use alacritty_terminal::index::Column;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::Handler as _;
use unicode_width::UnicodeWidthChar as _;

use super::emulator::Emulator;
use crate::row::CLUSTER_BYTES_MAX;
use crate::width;

/// Whether characters that have a width of their own are joined to the one before. The authority
/// is whoever wrote the output, for it placed what follows by its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Clusters {
    /// Only characters without width (accents) are joined. For programs that count by `wcwidth`.
    ByWidth,
    /// What follows a joiner is joined too, as in tmux before 3.5.
    #[default]
    Joined,
    /// Besides, skin tones are joined, and an emoji presentation selector makes a narrow character
    /// wide, as in tmux since 3.5.
    Emoji,
}

impl Clusters {
    /// What this version of tmux does.
    pub fn of_tmux(major: u16, minor: u16) -> Self {
        if (major, minor) < (3, 5) { Self::Joined } else { Self::Emoji }
    }
}

const SOFT_HYPHEN: char = '\u{ad}';
const JOINER: char = '\u{200d}';
const EMOJI_SELECTOR: char = '\u{fe0f}';

impl Emulator {
    /// Prints a character that isn't ASCII.
    pub(super) fn print_wide_aware(&mut self, c: char) {
        if c == SOFT_HYPHEN {
            return self.print_soft_hyphen();
        }
        let is_zero_width = c.width() == Some(0);
        let is_joined = match self.clusters {
            Clusters::ByWidth => false,
            Clusters::Joined => self.is_joined(false),
            Clusters::Emoji => self.is_joined(width::is_skin_tone(c)),
        };
        if !is_zero_width && !is_joined {
            self.term.input(c);
            return;
        }
        if c == EMOJI_SELECTOR && self.clusters == Clusters::Emoji && !self.widen() {
            return;
        }
        if let Some((cell, _)) = self.previous_cell() {
            let bytes = cell.c.len_utf8() + cell.zerowidth().unwrap_or_default().len() * 4;
            if bytes < CLUSTER_BYTES_MAX * 2 {
                cell.push_zerowidth(c);
            }
        }
    }

    /// Terminals, and the C library that tmux asks, give it a cell; Unicode's table doesn't.
    fn print_soft_hyphen(&mut self) {
        self.term.input(' ');
        if let Some((cell, _)) = self.previous_cell() {
            cell.c = SOFT_HYPHEN;
        }
    }

    /// Whether a character with a width belongs to the one before. Only if nothing came between,
    /// so that whoever draws them apart can do so by moving the cursor there.
    fn is_joined(&mut self, is_tone: bool) -> bool {
        if !self.is_printing {
            return false;
        }
        self.previous_cell().is_some_and(|(cell, _)| {
            let last = cell.zerowidth().and_then(<[char]>::last);
            last == Some(&JOINER) || is_tone && !cell.c.is_ascii()
        })
    }

    /// The cell that was printed last, or would have been; `None` at the start of a row.
    fn previous_cell(&mut self) -> Option<(&mut Cell, Column)> {
        let cursor = &self.term.grid().cursor;
        let (line, col) = (cursor.point.line, cursor.point.column);
        let mut col = if cursor.input_needs_wrap { col.0 } else { col.0.checked_sub(1)? };
        let row = &self.term.grid()[line];
        if row[Column(col)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            col = col.checked_sub(1)?;
        }
        Some((&mut self.term.grid_mut()[line][Column(col)], Column(col)))
    }

    /// Makes the character left of the cursor wide; returns whether it is then. Without room for
    /// it, it stays narrow, and must not look as if it could be wide elsewhere.
    fn widen(&mut self) -> bool {
        let Some((cell, col)) = self.previous_cell() else {
            return false;
        };
        if cell.flags.contains(Flags::WIDE_CHAR) {
            return true;
        }
        let mut cell = cell.clone();
        let cursor = &self.term.grid().cursor;
        let line = cursor.point.line;
        if cursor.input_needs_wrap || cursor.point.column != col + 1 {
            return false;
        }
        // Printing the right half takes care of what it overwrites, and of the cursor.
        self.term.input(' ');
        cell.flags.insert(Flags::WIDE_CHAR);
        let spacer = &mut self.term.grid_mut()[line][col + 1];
        *spacer = cell.clone();
        spacer.c = ' ';
        spacer.extra = None;
        spacer.flags.remove(Flags::WIDE_CHAR);
        spacer.flags.insert(Flags::WIDE_CHAR_SPACER);
        self.term.grid_mut()[line][col] = cell;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Screen, Size};

    /// Columns that `text` takes.
    fn width(clusters: Clusters, text: &str) -> u16 {
        let mut screen = Screen::new(Size { cols: 80, rows: 2 });
        screen.set_clusters(clusters);
        screen.handle_output(text.as_bytes(), std::time::Instant::now());
        screen.frame().cursor().col
    }

    #[test]
    fn joined_emoji_take_what_tmux_gives_them() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let widths = |text| {
            [Clusters::ByWidth, Clusters::Joined, Clusters::Emoji].map(|rule| width(rule, text))
        };
        assert_eq!(widths(family), [6, 2, 2]);
        assert_eq!(widths("\u{1f44d}\u{1f3fd}"), [4, 4, 2]);
        assert_eq!(widths("\u{2764}\u{fe0f}"), [1, 1, 2]);
        assert_eq!(widths("e\u{301}"), [1, 1, 1]);
        assert_eq!(widths("\u{ad}"), [1, 1, 1]);
    }

    #[test]
    fn cluster_of_many_characters_is_cut() {
        let mut screen = Screen::new(Size { cols: 80, rows: 2 });
        let text = format!("e{}", "\u{301}".repeat(10_000));
        screen.handle_output(text.as_bytes(), std::time::Instant::now());
        match screen.frame().cell(0, 0).content {
            Content::Cluster { text, is_wide: false } => assert!(text.len() <= CLUSTER_BYTES_MAX),
            other => panic!("not a cluster: {other:?}"),
        }
    }

    #[test]
    fn accent_without_a_character_is_dropped() {
        let mut screen = Screen::new(Size { cols: 80, rows: 2 });
        screen.handle_output("\u{301}a".as_bytes(), std::time::Instant::now());
        assert_eq!(screen.frame().cell(0, 0).content, Content::Narrow('a'));
    }
}
