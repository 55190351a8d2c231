//! Widths of characters that are not decided by a program's output: texts of our own, and what
//! other terminals may think of a character.

use unicode_width::UnicodeWidthChar;

use crate::row::{Cell, Content, RowBuilder};
use crate::style::Style;

/// Appends `text` in one style until the row is full; control characters are left out, combining
/// ones joined to the one before. Returns whether all of it fit.
pub(crate) fn push_text(row: &mut RowBuilder, text: &str, style: &Style) -> bool {
    let mut rest = text;
    while let Some((cluster, width)) = split_cluster(&mut rest) {
        if width == 0 {
            continue;
        }
        if width > row.room() {
            return false;
        }
        row.push(cell(cluster, width == 2, style));
    }
    true
}

/// A cell of this text, which is not empty.
pub(crate) fn cell<'a>(text: &'a str, is_wide: bool, style: &'a Style) -> Cell<'a> {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or(' ');
    let content = match (chars.next(), is_wide) {
        (Some(_), is_wide) => Content::Cluster { text, is_wide },
        (None, true) => Content::Wide(first),
        (None, false) => Content::Narrow(first),
    };
    Cell { content, style }
}

/// Takes a character and the combining ones after it; width 0 if it can't be shown.
fn split_cluster<'a>(rest: &mut &'a str) -> Option<(&'a str, u16)> {
    let first = rest.chars().next()?;
    let width = first.width().unwrap_or(0) as u16;
    let mut len = first.len_utf8();
    if width > 0 {
        len += rest[len..]
            .chars()
            .take_while(|c| c.width() == Some(0))
            .map(char::len_utf8)
            .sum::<usize>();
    }
    let (cluster, tail) = rest.split_at(len);
    *rest = tail;
    Some((cluster, width))
}

/// Whether terminals may draw this character as part of the emoji before.
pub(crate) fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether every terminal takes this text for one character, as wide as we do, and what combines
/// with it.
pub(crate) fn is_marked(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_agreed) && !chars.as_str().is_empty() && chars.all(is_mark)
}

/// Marks of the scripts that every terminal with combining characters knows.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' // Latin, Greek
        | '\u{483}'..='\u{487}' // Cyrillic
        | '\u{591}'..='\u{5bd}' // Hebrew
        | '\u{64b}'..='\u{65f}' // Arabic
        | '\u{20d0}'..='\u{20dc}' // symbols
    )
}

/// Whether every terminal takes this character for as wide as we do. Others (emoji, symbols, what
/// is new in Unicode, private use) are followed by an absolute cursor position, so that a
/// disagreement spoils one cell, not the rest of the row.
///
/// Greek, Cyrillic and lines are "ambiguous" in East Asian width, too, but taken for wide only by
/// those who configure it and live with the same in every program.
pub(crate) fn is_agreed(c: char) -> bool {
    matches!(c,
        ' '..='\u{7e}'
        | '\u{a0}'..='\u{ac}' // soft hyphen left out
        | '\u{ae}'..='\u{2ff}' // Latin, phonetic
        | '\u{370}'..='\u{377}' | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{482}' | '\u{48a}'..='\u{52f}'
        | '\u{531}'..='\u{556}' | '\u{561}'..='\u{587}' // Armenian
        | '\u{5d0}'..='\u{5ea}' // Hebrew
        | '\u{621}'..='\u{64a}' // Arabic
        | '\u{1e00}'..='\u{1fff}' // Latin and Greek extended
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' // punctuation
        | '\u{20a0}'..='\u{20c0}' // currencies
        | '\u{2190}'..='\u{2193}' // plain arrows
        | '\u{2200}'..='\u{22ff}' // mathematics
        | '\u{2500}'..='\u{259f}' // lines and blocks
        | '\u{2800}'..='\u{28ff}' // Braille
        | '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{309b}'..='\u{30ff}' // kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Han
        | '\u{ac00}'..='\u{d7a3}' // Hangul
        | '\u{ff01}'..='\u{ff60}' // full width
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreed_characters_have_the_width_of_the_table() {
        for c in ('\0'..=char::MAX).filter(|c| is_agreed(*c)) {
            let width = c.width();
            assert!(matches!(width, Some(1 | 2)), "{c:?} {width:?}");
        }
        for c in ('\0'..=char::MAX).filter(|c| is_mark(*c)) {
            assert_eq!(c.width(), Some(0), "{c:?}");
        }
        assert!(is_marked("e\u{301}") && !is_marked("e") && !is_marked("\u{301}"));
        assert!(!is_marked("❤\u{fe0f}") && !is_marked("e\u{301}x"));
    }

    #[test]
    fn text_is_cut_before_a_wide_character_that_does_not_fit() {
        let mut row = RowBuilder::new(4);
        assert!(!push_text(&mut row, "a\x1bb日e\u{301}", &Style::PLAIN));
        assert_eq!(row.len(), 4);
    }
}
