//! A key is typed: where it leads from the newest line that is foretold.

use super::commands::{At, COMMANDS, Unseen, is_command};
use super::entered::Entered;
use super::habits::Origin;
use super::key::Key;
use super::line::Line;
use super::motion::Motion;
use super::{PENDING_MAX, Pending, Place, Predictor, form_text, is_barrier};
use std::time::Instant;
use tern_term::KeyTarget;

impl Predictor {
    /// One key as a terminal sends it.
    pub(super) fn type_key(&mut self, bytes: &[u8], mark: u32, now: Instant) {
        if self.pending.len() >= PENDING_MAX {
            self.give_up();
            return self.push_unknown(mark, now);
        }
        let is_own = std::mem::take(&mut self.is_prefixed);
        self.is_prefixed = !is_own && self.shown.keys.prefixes.iter().any(|key| key == bytes);
        if is_own || self.is_prefixed || self.shown.keys.target == KeyTarget::Multiplexer {
            return self.push_unknown(mark, now);
        }
        let key = Key::of(bytes);
        if self.shown.keys.target == KeyTarget::Hidden {
            // What reads a password reads lines.
            return self.push_unseen(mark, now, false);
        }
        self.trust_echo(now);
        self.statistics.keys += u64::from(key.text().is_some());
        if key.text().is_none() {
            if self.others.len() >= PENDING_MAX {
                self.others.pop_front();
            }
            self.others.push_back((mark, now));
        }
        if matches!(key, Key::Other { changes_mode: true, .. }) {
            self.leaving_mark = Some(mark);
        }
        let (origin, follows_commands) = self.origin_of(bytes, &key);
        let habit = origin.as_ref().and_then(|origin| self.habits.find(origin)).map(Motion::To);
        let motion = self.vi.handle_key(bytes, &self.shown.frame).or_else(|| habit.clone());
        let is_enter = matches!(key, Key::Other { is_enter: true, .. });
        let motion = motion.or_else(|| if is_enter { self.enter_in_form() } else { None });
        let row = self.shown.frame.cursor().row;
        let hides_commands =
            follows_commands && motion == habit && habit.is_some_and(|habit| habit.stays_in(row));
        let place = match self.pending.back() {
            None => self.after_base(&key, motion.as_ref()),
            Some(Pending { place: Place::After(line), .. }) => {
                self.after(line, &key, motion.as_ref())
            }
            Some(_) if is_barrier(&key, motion.as_ref()) => Place::Unknown,
            Some(_) => Place::Behind,
        };
        self.is_confident |= hides_commands && matches!(place, Place::After(_));
        let is_other = matches!(key, Key::Other { is_enter: false, .. } | Key::Edit(_));
        if is_other && motion.is_none() {
            self.unseen = Some(Unseen::new(&key, &self.shown.frame, self.unseen.as_ref()));
        }
        if is_enter && matches!(motion, None | Some(Motion::NewLine { .. })) {
            self.note_enter();
        }
        self.follow_form_text(&key, origin.as_ref(), motion.as_ref(), &place);
        let mut pending = Pending {
            is_inserted: key.text().is_some() && motion.is_none() && self.is_inserting(),
            key,
            motion,
            origin,
            mark,
            typed_at: now,
            place: Place::Unknown,
            was_shown: false,
        };
        pending.set_place(place);
        self.pending.push_back(pending);
    }

    /// Where Enter leads in the text of a form, typed in a line of which all is known.
    fn enter_in_form(&self) -> Option<Motion> {
        let frame = &self.shown.frame;
        let is_echoed = self.is_confident
            && (!self.pending.is_empty()
                || self.base.as_ref().is_some_and(|b| b.is_shown_by(frame)));
        let line = self.newest_line().filter(|_| is_echoed)?;
        let is_text = line.prompt_width() == 0 && !self.is_wrapped(&line);
        is_text.then(|| self.form_text.enter(&line, frame)).flatten()
    }

    /// Whether what is typed after the key goes to the text of a form.
    fn follow_form_text(
        &mut self,
        key: &Key,
        origin: Option<&Origin>,
        motion: Option<&Motion>,
        place: &Place,
    ) {
        match (origin, motion, place) {
            (Some(origin), Some(Motion::To(spot)), Place::After(_))
                if origin.leads_to_a_text(spot) =>
            {
                self.form_text.begin(origin.clone());
            }
            _ if !form_text::stays(key, place) => self.form_text.leave(),
            _ => {}
        }
    }

    /// From where a key leads that may have a habit, and whether that is behind commands which don't show.
    fn origin_of(&mut self, bytes: &[u8], key: &Key) -> (Option<Origin>, bool) {
        let frame = &self.shown.frame;
        if !Origin::may_be(bytes) {
            let is_command = match key {
                Key::Char { text, .. } => COMMANDS.contains(text.as_str()),
                // Control-C and -D.
                Key::Other { changes_mode, .. } => !changes_mode && !matches!(bytes, [3 | 4]),
                Key::Backspace | Key::Left | Key::Right | Key::Edit(_) => true,
            };
            let newest = self.pending.back().map(|pending| &pending.place);
            let is_text = self.is_confident && matches!(newest, None | Some(Place::After(_)));
            if !is_text && !is_command {
                self.left = Some(At::of(frame));
            }
            return (None, false);
        }
        // A letter that is echoed moves nothing.
        if key.text().is_some() && (self.is_confident || self.left.is_some()) {
            return (None, false);
        }
        let are_commands = !self.is_confident && self.pending.iter().all(is_command);
        let line = if are_commands { Some(self.true_line()) } else { self.newest_line() };
        (line.map(|line| Origin::of(bytes, &line, frame)), are_commands)
    }

    /// Enter is going to be pending.
    fn note_enter(&mut self) {
        let frame = &self.shown.frame;
        let is_text = |line: Line| line.prompt_width() == 0 && !self.is_wrapped(&line);
        let is_text = self.is_confident && self.newest_line().is_some_and(is_text);
        let pending = self.pending.iter().map(|pending| &pending.key);
        let is_open = self.entered.as_ref().is_some_and(|entered| entered.is_open(frame));
        let entered = Entered::new(frame, is_text, pending);
        self.entered = Some(entered.behind(self.unseen.as_ref(), is_open));
    }

    /// Whether the line is the second row of one that began with a prompt, or may be.
    fn is_wrapped(&self, line: &Line) -> bool {
        let frame = &self.shown.frame;
        let has_prompt = |row: u16| {
            let above = Line::of_row(frame, row, line.left_edge());
            let end = above.right_edge();
            self.prompts.width_in(&Line::of_row(frame, row, end.saturating_sub(1))).is_some()
        };
        match &line.before {
            Some(before) => before.is_full() || before.is_at_prompt,
            None => {
                let above = line.row_in(frame).checked_sub(1);
                line.is_below_a_full_one(frame) || above.is_some_and(has_prompt)
            }
        }
    }

    /// The line that the next key is typed in, as far as is known.
    fn newest_line(&self) -> Option<Line> {
        match self.pending.back().map(|pending| &pending.place) {
            Some(Place::After(line)) => Some(line.clone()),
            Some(Place::Unknown | Place::Behind) => None,
            None => Some(self.true_line()),
        }
    }

    /// The line of the newest picture.
    fn true_line(&self) -> Line {
        let frame = &self.shown.frame;
        let base = self.base.as_ref().filter(|base| base.is_shown_by(frame));
        base.map_or_else(|| Line::of(frame, 0), |base| base.refreshed(frame))
    }

    /// What the key makes of a line.
    pub(super) fn after(&self, line: &Line, key: &Key, motion: Option<&Motion>) -> Place {
        if let Some(motion) = motion {
            let is_new_line = matches!(motion, Motion::NewLine { .. });
            if is_new_line && !self.form_text.stands_above(line, &self.shown.frame) {
                return Place::Unknown;
            }
            let line = line.moved_by(motion, &self.shown.frame);
            return line.map_or(Place::Unknown, Place::After);
        }
        let target = self.shown.keys.target;
        let text = key.text();
        if text.is_some() && line.may_be_the_next(&self.shown.frame) {
            return Place::Unknown;
        }
        let is_prompted = self.prompts.is_certain(line);
        let next = if text.is_none() || self.margin.has_room(line, is_prompted, target) {
            let in_row = line.after(key);
            in_row.or_else(|| self.margin.at_the_edge(line, text?, &self.shown.frame))
        } else {
            text.and_then(|text| self.margin.with_wrapped_word(line, text, &self.shown.frame))
        };
        next.map_or(Place::Unknown, Place::After)
    }
}
