//! Where a chain of foretold lines begins, and whether what is typed there is believed to be echoed before
//! it was seen.

use super::key::Key;
use super::line::Line;
use super::margin::Margin;
use super::motion::Motion;
use super::{Place, Predictor};
use tern_term::KeyTarget;

impl Predictor {
    /// The first key of a chain.
    pub(super) fn after_base(&mut self, key: &Key, motion: Option<&Motion>) -> Place {
        let is_same = self.base.as_ref().is_some_and(|base| base.is_shown_by(&self.shown.frame));
        match &mut self.base {
            Some(base) if is_same => {
                *base = base.refreshed(&self.shown.frame);
                self.base_row = self.shown.frame.cursor().row;
            }
            _ => self.begin(0),
        }
        let base = self.base.as_ref();
        let place = base.map_or(Place::Unknown, |base| self.after(base, key, motion));
        let is_sure = |motion| base.is_some_and(|base| self.is_known_to_echo(motion, base));
        self.is_confident |= motion.is_some_and(is_sure) && matches!(place, Place::After(_));
        place
    }

    /// Whether what is typed behind the motion from this line is known to be echoed: all of them lead to a text, but
    /// Enter in a form has to have been seen.
    fn is_known_to_echo(&self, motion: &Motion, line: &Line) -> bool {
        let is_enter = matches!(motion, Motion::NewLine { .. });
        let is_text = || self.form_text.enter(line, &self.shown.frame).is_some();
        !is_enter || self.form_text.is_known() && is_text()
    }

    /// A chain begins where the cursor is; so many columns left of it were typed.
    pub(super) fn begin(&mut self, typed: usize) {
        let line = Line::of(&self.shown.frame, typed);
        let is_known = self.is_known(&line, typed);
        let is_inserting = self.is_inserting();
        let first = self.pending.front().and_then(|first| first.motion.as_ref());
        self.is_confident = match self.shown.keys.target {
            KeyTarget::Echoed => self.is_echo_known,
            KeyTarget::Raw | KeyTarget::Unknown => {
                is_inserting
                    || first.is_some_and(|motion| self.is_known_to_echo(motion, &line))
                    || self.have_commands_led_to_text()
                    || !self.is_mode_open && is_known
            }
            KeyTarget::Hidden | KeyTarget::Multiplexer => false,
        };
        self.begin_with(line);
        (self.doubt_since, self.proof_len) = (None, 0);
        // Letters are shown there, sooner or later.
        self.is_proven = is_inserting && self.may_foretell();
    }

    /// The true line, from which the chain goes on.
    pub(super) fn begin_with(&mut self, line: Line) {
        let base = self.prompts.begin(line);
        if base.is_at_prompt && self.margin == Margin::Unknown {
            self.margin = self.prompts.margin_of(&base);
        }
        self.base = Some(base);
        self.base_row = self.shown.frame.cursor().row;
    }

    /// Whether this is a line in which keys were echoed before: a known prompt's, or, after Enter, the next
    /// line of a text. So many columns of it were typed.
    fn is_known(&mut self, line: &Line, typed: usize) -> bool {
        let prompted = self.prompts.begin(line.clone());
        let Some(entered) = self.entered.take() else { return prompted.is_at_prompt };
        let is_bare = prompted.is_at_prompt
            && prompted.cursor - prompted.start == typed
            && prompted.end == prompted.cursor;
        if !entered.has_led_to(line, is_bare, &self.shown.frame) {
            self.entered = Some(entered);
            return false;
        }
        if is_bare {
            self.prompts.note_return(&prompted);
        }
        true
    }

    /// Whether an editor says that letters are inserted, and no key was typed by which it may leave that.
    pub(super) fn is_inserting(&self) -> bool {
        self.leaving_mark.is_none() && self.inserting_row.is_some()
    }
}
