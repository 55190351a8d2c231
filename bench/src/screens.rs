//! The program behind the row of full screens: at each key it paints a whole new coloured screen in
//! one write, and notes when.

use crate::chance::Chance;
use crate::glyphs::glyph;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Columns and rows of the terminal.
pub(crate) const SIZE: (u16, u16) = (200, 60);
/// Rows that are painted: tmux has the last one for itself.
pub(crate) const ROWS: u32 = SIZE.1 as u32 - 1;
/// An ideograph ends each part of this many columns: together they show that a screen is complete.
const PART_COLUMNS: usize = 40;
/// Ideographs on a screen.
pub(crate) const GLYPHS: u32 = ROWS * (SIZE.0 as u32 / PART_COLUMNS as u32);

/// Reads keys in a raw terminal and paints; times go to `log`, in nanoseconds of the wall clock.
pub(crate) fn run(log: &Path) -> anyhow::Result<()> {
    let mut log = File::create(log)?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    output.write_all(b"ready-")?;
    output.flush()?;
    let (mut key, mut number) = ([0; 1], 0);
    while input.read(&mut key)? > 0 {
        let screen = screen(number);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        output.write_all(screen.as_bytes())?;
        output.flush()?;
        writeln!(log, "{now}")?;
        number += 1;
    }
    Ok(())
}

/// Screen `number`: words in colours, every cell other than on the screen before, its ideographs
/// from `number * GLYPHS` on.
pub(crate) fn screen(number: u32) -> String {
    let mut chance = Chance::new(u64::from(number) + 1);
    let mut text = String::from("\x1b[H");
    for row in 0..ROWS {
        text.push_str(&format!("\x1b[{};1H", row + 1));
        for part in 0..GLYPHS / ROWS {
            words(&mut text, PART_COLUMNS - 2, &mut chance);
            text.push(glyph(number * GLYPHS + row * (GLYPHS / ROWS) + part));
        }
    }
    text.push_str("\x1b[0m\x1b[H");
    text
}

/// Words of 2 to 9 letters, each in another colour, `columns` wide in all.
fn words(text: &mut String, columns: usize, chance: &mut Chance) {
    let mut left = columns;
    while left > 0 {
        let length = (2 + chance.below(8) as usize).min(left);
        text.push_str(&format!("\x1b[{};{}m", chance.below(2), 31 + chance.below(7)));
        for _ in 1..length {
            text.push(char::from(b'a' + chance.below(26) as u8));
        }
        text.push(' ');
        left -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_fill_every_column_and_share_no_ideograph() {
        let (first, second) = (screen(0), screen(1));
        assert_ne!(first, second);
        let glyphs = |text: &str| -> Vec<char> {
            text.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)).collect()
        };
        let (first, second) = (glyphs(&first), glyphs(&second));
        assert_eq!((first.len(), second.len()), (GLYPHS as usize, GLYPHS as usize));
        assert!(first.iter().all(|glyph| !second.contains(glyph)));
    }

    #[test]
    fn a_part_is_as_wide_as_it_should_be() {
        let mut text = String::new();
        words(&mut text, 38, &mut Chance::new(5));
        let mut is_code = false;
        let width = text.chars().filter(|c| {
            is_code |= *c == '\x1b';
            let is_shown = !is_code;
            is_code &= *c != 'm';
            is_shown
        });
        assert_eq!(width.count(), 38);
    }
}
