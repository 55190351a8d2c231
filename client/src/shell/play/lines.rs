//! Lines of a file, numbered, none longer than a recording's may be.

use crate::core::cast::LINE_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};

/// Why no line can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The system says so.
    #[error("it can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// It has no end within the bound.
    #[error("line {0} is longer than {max} bytes: this is no recording", max = LINE_BYTES_MAX)]
    TooLong(usize),
    /// It has bytes that are no UTF-8.
    #[error("line {0} is no text: this is no recording")]
    NotText(usize),
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Without what ends it.
    pub(super) text: String,
    /// From 1.
    pub(super) number: usize,
    /// It has an end: the file wasn't cut within it.
    pub(super) is_whole: bool,
}

/// Reads them.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    number: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(file: R) -> Self {
        Self { reader: BufReader::new(file), number: 0 }
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Unreadable> {
        self.number += 1;
        let number = self.number;
        let mut bytes = Vec::new();
        let limit = u64::try_from(LINE_BYTES_MAX).expect("it fits");
        let size = (&mut self.reader).take(limit + 1).read_until(b'\n', &mut bytes)?;
        if size > LINE_BYTES_MAX {
            return Err(Unreadable::TooLong(number));
        }
        if size == 0 {
            return Ok(None);
        }
        let is_whole = bytes.last() == Some(&b'\n');
        if is_whole {
            bytes.pop();
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Line { text, number, is_whole })),
            // Cut within a character.
            Err(error) if !is_whole => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Ok(Some(Line { text, number, is_whole }))
            }
            Err(_) => Err(Unreadable::NotText(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_the_last_may_be_cut() {
        let mut lines = Lines::new("one\n\nthr".as_bytes());
        let mut next = || lines.next().expect("it is text");
        let line =
            |text: &str, number, is_whole| Some(Line { text: text.into(), number, is_whole });
        assert_eq!(next(), line("one", 1, true));
        assert_eq!(next(), line("", 2, true));
        assert_eq!(next(), line("thr", 3, false));
        assert_eq!(next(), None);
    }

    #[test]
    fn line_without_end_is_not_collected() {
        let mut lines = Lines::new(std::io::repeat(b'x'));
        assert!(matches!(lines.next(), Err(Unreadable::TooLong(1))));
    }

    #[test]
    fn bytes_that_are_no_text_are_told_by_line() {
        let mut lines = Lines::new(b"one\n\xff\xfe\n".as_slice());
        assert!(lines.next().is_ok());
        assert!(matches!(lines.next(), Err(Unreadable::NotText(2))));
    }
}
