//! Where keys were echoed before: the prompts of shells and programs, by what stands left of what is
//! typed.

use super::line::Line;
use std::collections::VecDeque;

/// Prompts that are remembered: those of the shells and programs of one session.
const PROMPTS_MAX: usize = 16;
/// Shortest prompt that is known again when text follows it (a line of the history).
const PROMPT_CHARS_MIN: usize = 2;

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prompt {
    /// Without blanks at its end.
    text: String,
    /// With them: where what is typed begins, in columns.
    width: usize,
}

/// The prompts that are known.
#[derive(Debug, Default)]
pub(super) struct Prompts(VecDeque<Prompt>);

impl Prompts {
    /// What is typed in this line is echoed.
    pub(super) fn remember(&mut self, line: &Line) {
        let text = line.prompt();
        // What continues a known one is that one, with text behind it.
        if text.is_empty() || self.width_in(line).is_some() {
            return;
        }
        if self.0.len() >= PROMPTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Prompt { text, width: line.prompt_width() });
    }

    /// What is typed in this line is not echoed.
    pub(super) fn forget(&mut self, line: &Line) {
        let text = line.prompt();
        self.0.retain(|prompt| !text.starts_with(prompt.text.as_str()));
    }

    /// The line, in which what is typed begins behind the prompt, if it is known.
    pub(super) fn begin(&self, line: Line) -> Line {
        match self.width_in(&line) {
            Some(width) => line.at_prompt(width),
            None => line,
        }
    }

    /// How wide the prompt is that the line begins with, if it is known.
    pub(super) fn width_in(&self, line: &Line) -> Option<usize> {
        let text = line.prompt();
        let is_known = |prompt: &&Prompt| {
            let is_long = prompt.text.chars().count() >= PROMPT_CHARS_MIN;
            text == prompt.text || is_long && text.starts_with(prompt.text.as_str())
        };
        let widths = self.0.iter().filter(is_known).map(|prompt| prompt.width);
        widths.filter(|width| *width <= line.prompt_width()).min()
    }
}
