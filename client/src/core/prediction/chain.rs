//! The chain of foretold lines against the pictures that come: which of its keys were right, which
//! wrong, and where the next chain begins.

use super::habits::Origin;
use super::key::{Edit, Key};
use super::line::Line;
use super::motion::Motion;
use super::{Pending, Place, Predictor, form_text, is_barrier};
use std::time::Instant;
use tern_sync::session::ViewerId;

/// What programs show instead of a password's characters: such a character's echo proves nothing.
const MASKS: [&str; 3] = ["*", "•", "●"];
/// The part of an answer's time in the smoothed one (RFC 6298, section 2, has the same).
const ECHO_WEIGHT: u32 = 8;
/// Letters in a row that are no accident: fewer may be those of the line before, when Enter wasn't read.
const PROOF_LEN_MIN: usize = 3;
/// How fast the least time follows when answers take longer.
const ECHO_MIN_WEIGHT: u32 = 16;

/// Marks grow, and wrap.
fn is_reached(mark: u32, answered: u32) -> bool {
    answered.wrapping_sub(mark) < u32::MAX / 2
}

/// Where the newest key that may have a habit was typed, if nothing but a text follows it, and that.
fn note_origin(origin: &mut Option<(Origin, String)>, pending: &Pending) {
    match (&pending.origin, pending.key.text()) {
        (Some(new), _) => *origin = Some((new.clone(), String::new())),
        (None, Some(text)) => origin.iter_mut().for_each(|(_, typed)| typed.push_str(text)),
        (None, None) => *origin = None,
    }
}

impl Predictor {
    /// How many of the pending keys the host has answered.
    pub(super) fn answered_count(&self, mark: Option<u32>) -> usize {
        let Some(answered) = mark else { return 0 };
        self.pending.iter().take_while(|pending| is_reached(pending.mark, answered)).count()
    }

    /// Whether the newest picture shows the effect of what was typed with `mark`.
    pub(super) fn has_answered(&self, mark: u32) -> bool {
        self.shown.keys.mark(ViewerId(0)).is_some_and(|answered| is_reached(mark, answered))
    }

    /// Compares the chain with the newest picture, in which the first `answered` keys show.
    pub(super) fn judge(&mut self, answered: usize, now: Instant) {
        let chain = self.chain_len();
        if chain == 0 {
            return self.pass_unknown(answered, now);
        }
        self.unread_since = None;
        match self.find_in_chain(answered.min(chain), chain) {
            Some(0) if self.pass_read_motions() => self.place_anew(None, now),
            // The same prompt once more, after all that is pending was read and run.
            Some(0) if answered == 0 && self.may_have_read_enter(now) => {
                self.doubt_since.get_or_insert(now);
            }
            Some(count) => {
                self.doubt_since = None;
                self.confirm(count, now);
                if answered > count {
                    // What ended the chain was answered, too.
                    self.pass_unknown(answered - count, now);
                }
            }
            None if answered == 0 => {
                self.doubt_since.get_or_insert(now);
            }
            // What ended the chain was answered, too: the line it stood in may have gone by it.
            None if answered > chain => self.pass_unknown(answered, now),
            None => self.refute(answered, now),
        }
    }

    /// Whether the picture shows an effect of Enter that is pending, perhaps.
    fn may_have_read_enter(&self, now: Instant) -> bool {
        let is_enter = |p: &Pending| matches!(p.key, Key::Other { is_enter: true, .. });
        let mut enters = self.pending.iter().filter(|p| is_enter(p) && p.motion.is_none());
        let is_due = enters.any(|enter| enter.typed_at + self.soonest_echo() <= now);
        is_due && self.entered.as_ref().is_some_and(|entered| !entered.is_open(&self.shown.frame))
    }

    /// Keys at the front whose effect is foretold.
    pub(super) fn chain_len(&self) -> usize {
        let is_placed = |pending: &&Pending| matches!(pending.place, Place::After(_));
        self.pending.iter().take_while(is_placed).count()
    }

    /// The same, without what has to prove itself first.
    pub(super) fn shown_len(&self) -> usize {
        (0..self.chain_len()).take_while(|at| !self.is_tentative(*at)).count()
    }

    /// Whether what the pending key does has to be seen first. (At a shell's prompt these are as good as
    /// sure; of what a word is, shells have different notions if there are signs in it.)
    pub(super) fn is_tentative(&self, at: usize) -> bool {
        let Some(pending) = self.pending.get(at) else { return false };
        let Key::Edit(edit) = &pending.key else {
            return pending.is_new_line() && !self.form_text.is_known();
        };
        let is_shell = || self.base.as_ref().is_some_and(|base| self.prompts.is_certain(base));
        let is_usual = match edit {
            Edit::ToBegin | Edit::ToEnd | Edit::DeleteToBegin => true,
            Edit::DeleteWord => self.line_after(at).is_some_and(Line::ends_with_plain_word),
        };
        let is_likely = is_usual && !self.distrusted.contains(edit) && is_shell();
        !is_likely && !self.trusted.contains(edit)
    }

    /// After how many keys, `from` at least, the line is what the picture shows.
    fn find_in_chain(&self, from: usize, chain: usize) -> Option<usize> {
        let count = (from..=chain).find(|count| self.shows_line_after(*count))?;
        // The true line has no row of its own, for it may scroll. If nothing was typed in it, a later one
        // may look the same.
        if count == 0 && self.shown.frame.cursor().row != self.base_row {
            let is_own = |line: &Line| line.row.is_some() && !line.has_scrolled;
            let has_row = |at: &usize| self.line_after(*at).is_some_and(is_own);
            let later = (1..=chain).find(|at| has_row(at) && self.shows_line_after(*at));
            return later.or(Some(0));
        }
        Some(count)
    }

    /// Whether the picture shows the line after so many keys.
    pub(super) fn shows_line_after(&self, count: usize) -> bool {
        self.line_after(count).is_some_and(|line| line.is_shown_by(&self.shown.frame))
    }

    pub(super) fn line_after(&self, count: usize) -> Option<&Line> {
        match count.checked_sub(1) {
            None => self.base.as_ref(),
            Some(last) => match &self.pending.get(last)?.place {
                Place::After(line) => Some(line),
                Place::Unknown | Place::Behind => None,
            },
        }
    }

    /// The first `count` keys of the chain were right.
    fn confirm(&mut self, count: usize, now: Instant) {
        let Some(line) = self.line_after(count).cloned() else { return };
        let (mut is_proof, mut is_tentative) = (false, false);
        let mut before = self.base.take();
        let newest = self.pending.get(count.wrapping_sub(1)).map(|pending| pending.typed_at);
        if let Some(time) = newest.map(|at| now.saturating_duration_since(at)) {
            self.echo_time_min = Some(match self.echo_time_min {
                Some(least) if least < time => least + (time - least) / ECHO_MIN_WEIGHT,
                _ => time,
            });
        }
        for pending in self.pending.drain(..count) {
            self.statistics.right += 1;
            let is_masked = pending.key.text().is_some_and(|text| MASKS.contains(&text));
            self.form_text.confirm(&pending, is_masked);
            is_tentative = pending.is_new_line() && !self.form_text.is_known();
            // A motion has led to a line of its own.
            is_proof = pending.motion.is_none() && (is_proof || !is_masked);
            self.is_proven &= pending.motion.is_none() || pending.is_new_line() && !is_tentative;
            if let Place::After(after) = pending.place {
                // What changed nothing proves nothing.
                let has_effect = before.is_some_and(|before| before != after);
                if let (Key::Edit(edit), true) = (&pending.key, has_effect) {
                    self.trusted.insert(*edit);
                }
                before = Some(after);
            }
            let time = now.saturating_duration_since(pending.typed_at);
            self.display.handle_answer(time, now);
            self.echo_time = if self.echo_time.is_zero() {
                time
            } else {
                (self.echo_time * (ECHO_WEIGHT - 1) + time) / ECHO_WEIGHT
            };
        }
        self.update_rtt();
        self.proof_len += count;
        let is_open =
            self.entered.as_ref().is_some_and(|entered| entered.is_open(&self.shown.frame));
        if is_proof && (!is_open || self.proof_len >= PROOF_LEN_MIN) {
            self.is_proven = true;
            (self.is_confident, self.is_echo_known, self.is_mode_open) = (true, true, false);
            let is_other = |pending: &Pending| {
                is_barrier(&pending.key, pending.motion.as_ref()) || pending.is_new_line()
            };
            if !self.pending.iter().any(is_other) {
                (self.entered, self.unseen) = (None, None);
            }
            self.prompts.remember(&line);
            let text_of = self.habits.note_echo(&line, &self.shown.frame, true);
            if let Some(field) = text_of
                && self.pending.iter().all(|pending| form_text::stays(&pending.key, &pending.place))
            {
                self.form_text.begin(field);
            }
        }
        // Enter alone was right: what is typed behind it has to be echoed first.
        self.is_confident &= !is_tentative;
        self.begin_with(line.refreshed(&self.shown.frame));
        self.lay_chain();
    }

    /// The host has answered `answered` keys, and the picture shows nothing of the chain.
    fn refute(&mut self, answered: usize, now: Instant) {
        if (0..answered).any(|at| self.is_tentative(at)) {
            // It was only tried.
            if self.pending.iter().take(answered).any(Pending::is_new_line) {
                self.form_text.leave();
            }
            return self.pass_unknown(answered, now);
        }
        if let Some(base) = &self.base {
            self.prompts.forget(base);
            let is_text = |first: &Pending| first.key.text().is_some() && first.motion.is_none();
            if self.pending.front().is_some_and(is_text) {
                self.habits.note_echo(base, &self.shown.frame, false);
            }
        }
        self.is_mode_open = true;
        let mut origin = None;
        for pending in self.pending.drain(..answered) {
            note_origin(&mut origin, &pending);
            self.statistics.wrong += u64::from(pending.was_shown);
            if pending.is_new_line() {
                self.form_text.refute();
            }
            if let Some(motion) = &pending.motion {
                self.vi.refute(motion, &self.shown.frame);
                self.habits.refute(motion);
            }
            if let Key::Edit(edit) = pending.key {
                self.trusted.remove(&edit);
                self.distrusted.insert(edit);
            }
        }
        self.place_anew(origin, now);
    }

    /// The host has answered `answered` keys at the front, none of them foretold.
    fn pass_unknown(&mut self, answered: usize, now: Instant) {
        let mut has_passed = false;
        let mut origin = None;
        let passed = answered.min(self.pending.len()) - self.unread(answered, now);
        for pending in self.pending.drain(..passed) {
            has_passed = true;
            note_origin(&mut origin, &pending);
            if let Key::Other { changes_mode: true, .. } = pending.key {
                self.is_mode_open = true;
            }
        }
        if has_passed
            && !matches!(self.pending.front(), Some(Pending { place: Place::Unknown, .. }))
        {
            self.place_anew(origin, now);
        }
    }

    /// Where an editor says that it inserts, it has read the keys by which that began. Whether there were any.
    fn pass_read_motions(&mut self) -> bool {
        let begins_text = |pending: &Pending| {
            let motion = pending.motion.as_ref();
            motion.is_some_and(|motion| {
                matches!(
                    motion,
                    Motion::Here | Motion::Behind | Motion::ToEnd | Motion::Open { .. }
                )
            })
        };
        let is_inserting = self.is_inserting();
        let read = self.pending.iter().take_while(|p| is_inserting && begins_text(p)).count();
        self.pending.drain(..read);
        read > 0
    }

    /// What is pending begins a chain on the newest picture, which may show the first of it already.
    /// The newest key that was answered, but for a text behind it, was typed at `origin`, if it may have a
    /// habit.
    fn place_anew(&mut self, origin: Option<(Origin, String)>, now: Instant) {
        self.base = None;
        self.habits.leave();
        self.pass_read_motions();
        let echoed = self.echoed_count(now);
        let text: String = self.pending.iter().take(echoed).filter_map(|p| p.key.text()).collect();
        let line = Line::of(&self.shown.frame, 0);
        let answered = origin.as_ref().map_or("", |(_, text)| text);
        let columns = line.columns_of(&format!("{answered}{text}"));
        let origin = origin.filter(|_| columns.is_some()).map(|(origin, _)| origin);
        let columns = columns.or_else(|| line.columns_of(&text)).unwrap_or(0);
        self.pending.drain(..echoed);
        self.begin(columns);
        // The picture may be of a time when such a key was read, and what stands before it with it:
        // perhaps it was a password.
        let is_ambiguous = self.pending.iter().any(|p| is_barrier(&p.key, p.motion.as_ref()));
        self.is_confident &= !is_ambiguous;
        if let (Some(origin), Some(base)) = (origin, &self.base) {
            self.habits.learn(origin, base, &self.shown.frame);
        }
        self.lay_chain();
    }

    /// What the pending keys make of the true line as it is now.
    fn lay_chain(&mut self) {
        let mut line = self.base.clone();
        for number in 0..self.pending.len() {
            let pending = &self.pending[number];
            let (key, motion) = (&pending.key, pending.motion.as_ref());
            let place = match &line {
                Some(line) => self.after(line, key, motion),
                None if pending.is_new_line() || is_barrier(key, motion) => Place::Unknown,
                None => Place::Behind,
            };
            line = match &place {
                Place::After(line) => Some(line.clone()),
                Place::Unknown | Place::Behind => None,
            };
            self.pending[number].set_place(place);
        }
    }

    /// How many of the first pending characters the picture shows left of the cursor. If several
    /// counts are possible, the likeliest by the time at which they were typed.
    fn echoed_count(&self, now: Instant) -> usize {
        let line = Line::of(&self.shown.frame, 0);
        let soonest = self.soonest_echo();
        let is_due = |pending: &&Pending| pending.typed_at + soonest <= now;
        let expected = self.pending.iter().take_while(is_due).count();
        let mut text = String::new();
        let mut best: usize = 0;
        for (at, pending) in self.pending.iter().enumerate() {
            let Some(char) = pending.key.text() else { break };
            text += char;
            let count = at + 1;
            if line.columns_of(&text).is_some()
                && count.abs_diff(expected) <= best.abs_diff(expected)
            {
                best = count;
            }
        }
        best
    }
}
