//! Where keys were echoed before: the prompts of shells and programs, by what stands left of what is
//! typed.

use super::line::Line;
use super::margin::Margin;
use std::collections::VecDeque;

/// Prompts that are remembered: those of the shells and programs of one session.
const PROMPTS_MAX: usize = 16;
/// Shortest prompt that is known again when text follows it (a line of the history).
const PROMPT_CHARS_MIN: usize = 2;
/// How often Enter has to have led back to a prompt that is one for sure.
const RETURNS_MIN: u32 = 1;

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prompt {
    /// Without blanks at its end.
    text: String,
    /// With them: where what is typed begins, in columns.
    width: usize,
    /// Where what is typed behind it wraps: a shell's is the same after each command.
    margin: Margin,
    /// How often Enter has led back to it.
    returns: u32,
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
        let width = line.prompt_width();
        self.0.push_back(Prompt { text, width, margin: Margin::Unknown, returns: 0 });
    }

    /// Enter has led back to this line's prompt.
    pub(super) fn note_return(&mut self, line: &Line) {
        let text = line.prompt();
        let known = self.0.iter_mut().find(|prompt| prompt.text == text);
        known.into_iter().for_each(|prompt| prompt.returns += 1);
    }

    /// Whether the line's prompt is one for sure, and no begin of a text.
    pub(super) fn is_certain(&self, line: &Line) -> bool {
        let text = line.prompt();
        let is_text = text.chars().last().is_none_or(char::is_alphanumeric);
        let is_often = |prompt: &Prompt| prompt.text == text && prompt.returns >= RETURNS_MIN;
        line.is_at_prompt && !is_text && self.0.iter().any(is_often)
    }

    /// What is typed behind the line's prompt wraps so.
    pub(super) fn note_margin(&mut self, line: &Line, margin: Margin) {
        let text = line.prompt();
        if let Some(prompt) = self.0.iter_mut().find(|prompt| prompt.text == text) {
            prompt.margin = margin;
        }
    }

    /// Where what is typed behind the line's prompt wraps.
    pub(super) fn margin_of(&self, line: &Line) -> Margin {
        let text = line.prompt();
        let known = self.0.iter().find(|prompt| prompt.text == text);
        known.map_or(Margin::Unknown, |prompt| prompt.margin)
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
