//! From text to statements and words.

/// A word and its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    /// All of the line from this word on, comments included.
    rest: &'a str,
}

/// A line and the indented lines after it.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) line: usize,
    words: Vec<Word<'a>>,
}

/// Cuts a text into statements.
pub(super) fn statements(text: &str) -> Result<Vec<Statement<'_>>, (usize, String)> {
    let mut statements: Vec<Statement<'_>> = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        let line = at + 1;
        let words = words(raw, line);
        if words.is_empty() {
            continue;
        }
        if !raw.starts_with(char::is_whitespace) {
            statements.push(Statement { line, words });
        } else if let Some(statement) = statements.last_mut() {
            statement.words.extend(words);
        } else {
            return Err((
                line,
                "an indented line continues a statement; there is none yet".to_owned(),
            ));
        }
    }
    Ok(statements)
}

fn words(raw: &str, line: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = raw.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        words.push(Word { text: &rest[..end], line, rest });
        rest = rest[end..].trim_start();
    }
    words
}

/// A place in a statement.
pub(super) struct Cursor<'a> {
    words: &'a [Word<'a>],
    /// Where an error is that is found at the end.
    line: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(statement: &'a Statement<'a>) -> Self {
        Self { words: &statement.words, line: statement.line }
    }

    /// The next word; an error that `expected` was missing where there is none.
    pub(super) fn next(&mut self, expected: &str) -> Result<Word<'a>, (usize, String)> {
        let (first, rest) = self
            .words
            .split_first()
            .ok_or_else(|| (self.line, format!("something is missing here: {expected}")))?;
        self.words = rest;
        self.line = first.line;
        Ok(*first)
    }

    /// The next word, read by `read`.
    pub(super) fn value<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, (usize, String)> {
        let word = self.next(expected)?;
        read(word.text).map_err(|message| (word.line, message))
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.first().map(|word| word.text)
    }

    /// Takes the next word if it is `keyword`.
    pub(super) fn take(&mut self, keyword: &str) -> bool {
        let is_next = self.peek() == Some(keyword);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    /// The rest of the line, as it is written.
    pub(super) fn rest_of_line(&mut self, expected: &str) -> Result<&'a str, (usize, String)> {
        let word = self.next(expected)?;
        let after = self.words.iter().position(|next| next.line != word.line);
        self.words = &self.words[after.unwrap_or(self.words.len())..];
        Ok(word.rest.trim_end())
    }

    /// As many of the next words as `read` understands.
    pub(super) fn while_some<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let values: Vec<T> = self.words.iter().map_while(|word| read(word.text)).collect();
        self.words = &self.words[values.len()..];
        values
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn line(&self) -> usize {
        self.words.first().map_or(self.line, |word| word.line)
    }

    /// An error unless all words were taken.
    pub(super) fn end(&self) -> Result<(), (usize, String)> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => {
                Err((word.line, format!("\"{}\" is more than is allowed here", word.text)))
            }
        }
    }
}
