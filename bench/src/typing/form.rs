//! A form like pine's: fields for whom and about what, and a text whose lines wrap by themselves (most
//! of the wrong predictions in the mosh paper were word wrap).

use super::entry::Entry;
use super::programs::{Interactive, SIZE};

/// Where lines wrap: pine's default.
const WRAP_COLUMN: usize = 74;
/// First row of the text, from 1.
const TEXT_ROW: usize = 5;
/// Rows of the text: a longer one scrolls.
const TEXT_ROWS: usize = SIZE.1 as usize - TEXT_ROW;
const FIELDS: [&str; 2] = ["To      : ", "Subject : "];

/// The program.
#[derive(Debug, Default)]
pub(crate) struct Form {
    fields: [Entry; 2],
    /// Lines of the text before the one with the cursor.
    lines: Vec<String>,
    line: Entry,
    /// Which field has the cursor; 2 is the text.
    place: usize,
}

impl Form {
    fn draw(&self) -> String {
        let mut output = String::from("\x1b[H\x1b[2J\x1b[7m  COMPOSE MESSAGE");
        output += &" ".repeat(usize::from(SIZE.0) - 17);
        output += "\x1b[0m";
        for (number, name) in FIELDS.iter().enumerate() {
            output += &format!("\x1b[{};1H{name}{}", number + 2, self.fields[number].text());
        }
        output += "\x1b[4;1H----- Message Text -----";
        output + &self.draw_cursor()
    }

    fn draw_text(&self) -> String {
        let from = (self.lines.len() + 1).saturating_sub(TEXT_ROWS);
        let mut output = format!("\x1b[{TEXT_ROW};1H");
        for line in &self.lines[from..] {
            output += &format!("{line}\x1b[K\r\n");
        }
        output + &self.draw_line() + "\x1b[J" + &self.draw_cursor()
    }

    /// The row of the cursor, from 1.
    fn row(&self) -> usize {
        if self.place < 2 { self.place + 2 } else { TEXT_ROW + self.lines.len().min(TEXT_ROWS - 1) }
    }

    fn entry(&mut self) -> &mut Entry {
        if self.place < 2 { &mut self.fields[self.place] } else { &mut self.line }
    }

    fn draw_line(&self) -> String {
        let (name, entry) = match self.place {
            place @ 0..2 => (FIELDS[place], &self.fields[place]),
            _ => ("", &self.line),
        };
        format!("\x1b[{};1H{name}{}\x1b[K", self.row(), entry.text())
    }

    fn draw_cursor(&self) -> String {
        let before = match self.place {
            place @ 0..2 => FIELDS[place].len() + self.fields[place].cursor(),
            _ => self.line.cursor(),
        };
        format!("\x1b[{};{}H", self.row(), before + 1)
    }

    /// The last word of a line that became too long begins the next one.
    fn wrap(&mut self) -> bool {
        let text = self.line.text();
        let is_at_end = self.line.cursor() == text.chars().count();
        if text.trim_end().chars().count() <= WRAP_COLUMN || !is_at_end {
            return false;
        }
        let Some(space) = text.trim_end().rfind(' ') else { return false };
        self.lines.push(text[..space].to_owned());
        self.line = Entry::default();
        text[space + 1..].chars().for_each(|c| self.line.insert(c));
        true
    }
}

impl Interactive for Form {
    fn begin(&mut self) -> String {
        self.draw()
    }

    fn handle_key(&mut self, key: &[u8]) -> String {
        match key {
            b"\x18" => {
                *self = Self::default();
                return self.draw();
            }
            b"\t" | b"\r" if self.place < 2 => self.place += 1,
            b"\r" => {
                let line = std::mem::take(&mut self.line).text();
                self.lines.push(line);
                return self.draw_text();
            }
            // At the begin of a line the one before it is joined.
            b"\x7f" if self.place == 2 && self.line.cursor() == 0 && !self.lines.is_empty() => {
                let rest = self.line.text();
                let before = self.lines.pop().unwrap_or_default();
                self.line = Entry::default();
                before.chars().for_each(|c| self.line.insert(c));
                let end = self.line.cursor();
                rest.chars().for_each(|c| self.line.insert(c));
                while self.line.cursor() > end {
                    self.line.handle_key(b"\x1b[D");
                }
                return self.draw_text();
            }
            _ => {
                self.entry().handle_key(key);
                if self.place == 2 && self.wrap() {
                    return self.draw_text();
                }
                return self.draw_line() + &self.draw_cursor();
            }
        }
        self.draw_cursor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_that_does_not_fit_begins_the_next_line() {
        let mut form = Form { place: 2, ..Form::default() };
        for c in "word ".repeat(16).chars() {
            form.handle_key(c.to_string().as_bytes());
        }
        assert_eq!(form.lines, ["word ".repeat(15).trim_end()]);
        assert_eq!(form.line.text(), "word ");
        assert_eq!(form.row(), TEXT_ROW + 1);
    }

    #[test]
    fn backspace_at_the_begin_of_a_line_joins_it_with_the_one_before() {
        let mut form = Form { place: 2, ..Form::default() };
        for key in ["a", "\r", "b", "\x01", "\x7f"] {
            form.handle_key(key.as_bytes());
        }
        assert_eq!((form.line.text().as_str(), form.line.cursor()), ("ab", 1));
    }
}
