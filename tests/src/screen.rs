//! A screen as cells with attributes, read from `capture-pane -e -p`.
//!
//! Two captures are equal when a person would see the same: colour 1 is the same written as `31` or
//! `38;5;1`, a line-drawing `q` is the same as `─`, and a blank's foreground is no difference.

use std::fmt;
use unicode_width::UnicodeWidthStr as _;

/// A colour of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// The terminal's own.
    #[default]
    Default,
    /// One of the palette of 256.
    Indexed(u8),
    /// 24 bits.
    Rgb(u8, u8, u8),
}

impl Color {
    /// tmux writes an underline's indexed colour as 24 bits on the way to another terminal.
    fn as_rgb(self) -> Self {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        match self {
            Self::Indexed(index @ 16..=231) => {
                let level = |step: u8| LEVELS[usize::from((index - 16) / step % 6)];
                Self::Rgb(level(36), level(6), level(1))
            }
            Self::Indexed(index @ 232..) => {
                let gray = 8 + 10 * (index - 232);
                Self::Rgb(gray, gray, gray)
            }
            Self::Default | Self::Indexed(_) | Self::Rgb(..) => self,
        }
    }
}

/// Attributes of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Style {
    /// Of the character.
    pub foreground: Color,
    /// Of the cell.
    pub background: Color,
    /// Of the underline; default: the foreground.
    pub underline_color: Color,
    /// 0: none, 1: single, 2: double, 3: curly, 4: dotted, 5: dashed.
    pub underline: u8,
    /// SGR codes of the other attributes that are on (1 bold ... 9 strikethrough, 53 overline).
    pub flags: Vec<u16>,
}

/// One character with what combines with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The character; a blank is a space.
    pub text: String,
    /// Its attributes.
    pub style: Style,
    /// Columns that it takes.
    pub width: usize,
}

/// What a terminal shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Screen {
    /// Columns and rows.
    pub size: (u16, u16),
    /// Rows of cells, default blanks at the end left out.
    pub rows: Vec<Vec<Cell>>,
    /// Column, row, and whether it is shown; zeros if not.
    pub cursor: (u16, u16, bool),
}

const INVERSE: u16 = 7;
const OVERLINE: u16 = 53;
const STRIKETHROUGH: u16 = 9;

impl Cell {
    /// An erased cell and a space look the same; of a blank only what can be seen counts.
    fn visible(mut self) -> Self {
        let lined = self.style.underline != 0
            || self
                .style
                .flags
                .iter()
                .any(|flag| [INVERSE, OVERLINE, STRIKETHROUGH].contains(flag));
        if self.text == " " && !lined {
            let background = self.style.background;
            self.style = Style { background, ..Style::default() };
        }
        self
    }

    fn is_default_blank(&self) -> bool {
        self.text == " " && self.style == Style::default()
    }
}

impl Screen {
    /// Reads a capture of a terminal of `size`; `cursor` is `x y flag`.
    pub fn parse(capture: &str, size: (u16, u16), cursor: &str) -> Self {
        let mut numbers = cursor.split_whitespace().map(|part| part.parse::<u16>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        // Where a hidden cursor is shows nobody.
        let cursor = match (next(), next(), next()) {
            (column, row, 1) => (column, row, true),
            _ => (0, 0, false),
        };
        let mut reader = Reader::default();
        let mut rows: Vec<Vec<Cell>> = capture.lines().map(|line| reader.read(line)).collect();
        rows.resize(size.1.into(), Vec::new());
        Self { size, rows, cursor }
    }

    /// A row's characters.
    pub fn row_text(&self, row: usize) -> String {
        self.rows[row].iter().map(|cell| cell.text.as_str()).collect()
    }

    /// All rows' characters.
    pub fn text(&self) -> String {
        (0..self.rows.len()).map(|row| self.row_text(row) + "\n").collect()
    }

    /// The part of the screen that begins at column `left` and row `top`.
    pub fn region(&self, left: usize, top: usize, cols: usize, rows: usize) -> Vec<Vec<Cell>> {
        self.rows
            .iter()
            .skip(top)
            .take(rows)
            .map(|row| {
                let mut column = 0;
                let mut part = Vec::new();
                for cell in row {
                    if (left..left + cols).contains(&column) {
                        part.push(cell.clone());
                    }
                    column += cell.width;
                }
                trim(part)
            })
            .collect()
    }

    /// The first differences between two screens; empty if they are the same.
    pub fn differences(&self, other: &Self) -> String {
        let mut report = String::new();
        if self.size != other.size {
            report += &format!("sizes {:?} and {:?}\n", self.size, other.size);
        }
        for (number, (left, right)) in self.rows.iter().zip(&other.rows).enumerate() {
            if left != right {
                let blank = || Cell { text: " ".into(), style: Style::default(), width: 1 };
                let at = (0..).find(|i| left.get(*i) != right.get(*i)).unwrap_or(0);
                report += &format!(
                    "row {number}, cell {at}:\n  {:?}\n  {:?}\n  |{}|\n  |{}|\n",
                    left.get(at).cloned().unwrap_or_else(blank),
                    right.get(at).cloned().unwrap_or_else(blank),
                    self.row_text(number),
                    other.row_text(number)
                );
            }
        }
        if self.cursor != other.cursor {
            report += &format!("cursors {:?} and {:?}\n", self.cursor, other.cursor);
        }
        report
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} cursor {:?}\n{}", self.size, self.cursor, self.text())
    }
}

/// Attributes go on from one line of a capture to the next.
#[derive(Default)]
struct Reader {
    style: Style,
    is_line_drawing: bool,
}

impl Reader {
    fn read(&mut self, line: &str) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\x1b' if chars.peek() == Some(&'[') => {
                    chars.next();
                    let mut sequence = String::new();
                    for c in chars.by_ref() {
                        if c == 'm' {
                            break;
                        }
                        sequence.push(c);
                    }
                    self.style.change(&sequence);
                }
                // A hyperlink (tmux 3.4 and later): up to its terminator.
                '\x1b' => while chars.next().is_some_and(|c| c != '\\' && c != '\x07') {},
                '\x0e' => self.is_line_drawing = true,
                '\x0f' => self.is_line_drawing = false,
                c => self.put(c, &mut cells),
            }
        }
        trim(cells.into_iter().map(Cell::visible).collect())
    }

    fn put(&self, c: char, cells: &mut Vec<Cell>) {
        let c = if self.is_line_drawing { line_drawing(c) } else { c };
        let width = c.to_string().width();
        match cells.last_mut() {
            Some(last) if width == 0 || last.text.ends_with('\u{200d}') => last.text.push(c),
            _ => cells.push(Cell { text: c.into(), style: self.style.clone(), width }),
        }
    }
}

fn trim(mut row: Vec<Cell>) -> Vec<Cell> {
    while row.last().is_some_and(Cell::is_default_blank) {
        row.pop();
    }
    row
}

impl Style {
    fn change(&mut self, sequence: &str) {
        let mut groups = sequence.split(';').map(|group| {
            group.split(':').map(|n| n.parse::<u16>().unwrap_or(0)).collect::<Vec<u16>>()
        });
        while let Some(group) = groups.next() {
            match group[0] {
                0 => *self = Self::default(),
                4 => self.underline = group.get(1).map_or(1, |style| *style as u8),
                21 => self.underline = 2,
                24 => self.underline = 0,
                30..=37 => self.foreground = Color::Indexed((group[0] - 30) as u8),
                40..=47 => self.background = Color::Indexed((group[0] - 40) as u8),
                90..=97 => self.foreground = Color::Indexed((group[0] - 90 + 8) as u8),
                100..=107 => self.background = Color::Indexed((group[0] - 100 + 8) as u8),
                39 => self.foreground = Color::Default,
                49 => self.background = Color::Default,
                59 => self.underline_color = Color::Default,
                38 => self.foreground = extended_color(&group, &mut groups),
                48 => self.background = extended_color(&group, &mut groups),
                58 => self.underline_color = extended_color(&group, &mut groups).as_rgb(),
                22 => self.flags.retain(|flag| ![1, 2].contains(flag)),
                23 | 25 | 27 | 28 | 29 => {
                    let off = group[0] - 20;
                    self.flags.retain(|flag| *flag != off);
                }
                55 => self.flags.retain(|flag| *flag != OVERLINE),
                flag => {
                    if !self.flags.contains(&flag) {
                        self.flags.push(flag);
                        self.flags.sort_unstable();
                    }
                }
            }
        }
    }
}

/// `38;5;N`, `38;2;R;G;B`, `38:5:N`, `38:2::R:G:B` and `38:2:R:G:B`.
fn extended_color(group: &[u16], rest: &mut impl Iterator<Item = Vec<u16>>) -> Color {
    let numbers: Vec<u16> = if group.len() > 1 {
        group[1..].to_vec()
    } else {
        let kind = rest.next().map_or(0, |group| group[0]);
        let count = if kind == 2 { 3 } else { 1 };
        std::iter::once(kind).chain(rest.take(count).map(|group| group[0])).collect()
    };
    match numbers.as_slice() {
        [5, index, ..] => Color::Indexed(*index as u8),
        [2, .., r, g, b] => Color::Rgb(*r as u8, *g as u8, *b as u8),
        _ => Color::Default,
    }
}

/// DEC special graphics, as far as programs draw with them.
fn line_drawing(c: char) -> char {
    match c {
        'j' => '┘',
        'k' => '┐',
        'l' => '┌',
        'm' => '└',
        'n' => '┼',
        'q' => '─',
        't' => '├',
        'u' => '┤',
        'v' => '┴',
        'w' => '┬',
        'x' => '│',
        'a' => '▒',
        '~' => '·',
        '`' => '◆',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_picture_in_other_words_is_equal() {
        let one =
            Screen::parse("\x1b[31;1mred\x1b[0m \x0eqx\x0f\n\x1b[38;2;1;2;3mx", (9, 2), "0 0 1");
        let two = Screen::parse(
            "\x1b[1m\x1b[38:5:1mred\x1b[m\x1b[37m \x1b[39m─│   \n\x1b[38:2::1:2:3mx",
            (9, 2),
            "0 0 1",
        );
        assert_eq!(one.differences(&two), "");
    }

    #[test]
    fn attributes_of_blanks_count_when_they_show() {
        let style = |capture| Screen::parse(capture, (9, 1), "0 0 1");
        assert_eq!(style("a\x1b[32m  \x1b[m"), style("a"));
        assert_ne!(style("a\x1b[42m  \x1b[m"), style("a"));
        assert_ne!(style("a\x1b[7m  \x1b[m"), style("a"));
        assert_ne!(style("a\x1b[4m  \x1b[m"), style("a\x1b[4:3m  \x1b[m"));
    }

    #[test]
    fn wide_and_combining_characters_keep_columns() {
        let screen = Screen::parse("日本e\u{301}x", (9, 1), "0 0 1");
        assert_eq!(screen.rows[0].iter().map(|cell| cell.width).collect::<Vec<_>>(), [2, 2, 1, 1]);
        assert_eq!(screen.region(4, 0, 2, 1)[0].len(), 2);
    }
}
