//! Local echo: what a viewer's keys will show, before the host says so.
//!
//! What a key makes of the line it is typed in is foretold from what the keys before it made of it
//! ([`mod@line`]). So there is a chain of lines, from the true one to the one that is shown, and each
//! picture that comes is looked for in the chain: the keys up to there were right, and those behind
//! it still stand.
//!
//! ```text
//!   true line ─'l'─► line ─'s'─► line   shown     keys whose effect nobody can know (Enter, Tab, ...)
//!        ▲            ▲                           end the chain; those behind them wait until the
//!        └────────────┴── a picture shows one     host has answered them
//! ```
//!
//! Whether the chain is shown depends on what is known of the program. Where the kernel echoes, it is
//! (but for a program that has just been started: it may be about to ask for a password). Elsewhere a
//! chain is shown once one of its keys was right, as in mosh ("epochs"), or if the line begins with a
//! prompt at which keys were right before. Nothing is foretold where the host says that
//! a password is read, or that keys go to the multiplexer; and since the host only says so with the
//! next picture, nothing that follows Enter or a control key is shown before that key was answered. Four
//! are known better: what begins a text in vi ([`vi`]), Enter in such a text while the mode line stands,
//! Tab in a form, where it has led to a field that echoes ([`habits`]), and Enter in the text of such a
//! form ([`form_text`]).
//!
//! A key counts as answered when the host's report names its mark (mosh: "echo ack"): if no line of
//! the chain is there then, the chain was wrong. But counted isn't read: a slow program, or one on another
//! machine, answers later. So a line in which letters were echoed is waited for ([`lag`]), and behind Enter a
//! prompt is believed only in a picture that shows where it led ([`entered`]).

mod begin;
mod chain;
mod commands;
pub mod display;
mod entered;
mod form_text;
mod habits;
mod key;
mod lag;
mod line;
mod margin;
mod mode_line;
mod motion;
mod overlay;
mod prompts;
mod statistics;
mod typed;
mod vi;

use commands::{At, Unseen};
use display::{Display, Mode};
use entered::Entered;
use form_text::FormText;
use habits::{Habits, Origin};
use key::{Edit, Key};
use line::Line;
use margin::Margin;
use mode_line::inserting_row;
use motion::Motion;
use prompts::Prompts;
pub use statistics::Statistics;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use tern_relay::core::keys::{Cut, cut};
use tern_sync::session::ViewerId;
use tern_term::{Frame, KeyTarget, Shown};
use vi::Vi;

/// Most keys without an answer that are foretold: a minute of fast typing into an outage.
const PENDING_MAX: usize = 512;
/// Several keys at once, in bytes, above which it is a paste (mosh: `stmclient.cc`, 331).
const TYPED_SIZE_MAX: usize = 100;
/// How long a picture may show something else than the chain, without the host's having answered,
/// before the chain is given up, beside some round trips.
const DOUBT_TIME_MAX: Duration = Duration::from_secs(1);
/// How long the kernel has to have echoed, with all keys answered, until nobody has to prove it: sudo and
/// its kin turn the echo off within milliseconds of their start.
const ECHO_SETTLE_TIME: Duration = Duration::from_millis(500);
/// Round trip that is assumed before one was measured.
const RTT_ASSUMED: Duration = Duration::from_millis(100);

/// A key without an answer.
#[derive(Debug)]
struct Pending {
    key: Key,
    /// It only moves the cursor, if what is known of the program is right.
    motion: Option<Motion>,
    /// It may be a habit that it moves the cursor from here.
    origin: Option<Origin>,
    /// It was typed into an editor that said that it inserts.
    is_inserted: bool,
    mark: u32,
    typed_at: Instant,
    place: Place,
    was_shown: bool,
}

impl Pending {
    /// Whether it is Enter in the text of a form.
    fn is_new_line(&self) -> bool {
        matches!(self.motion, Some(Motion::NewLine { .. }))
    }

    /// It is found to lead there. Enter in a form that can't be followed is one as any other from then on.
    fn set_place(&mut self, place: Place) {
        if self.is_new_line() && !matches!(place, Place::After(_)) {
            self.motion = None;
        }
        self.place = place;
    }
}

#[derive(Debug)]
enum Place {
    /// It makes this of the line.
    After(Line),
    /// Nobody can know what it does.
    Unknown,
    /// What is before it is unknown.
    Behind,
}

/// The machine.
#[derive(Debug)]
pub struct Predictor {
    display: Display,
    /// How long an answer takes: the round trip to the relay, or, if that is more, how long answers
    /// took (the host may be far from the relay).
    rtt: Duration,
    link_rtt: Duration,
    echo_time: Duration,
    /// About the least that an echo took lately.
    echo_time_min: Option<Duration>,
    shown: Shown,
    /// The row in it in which an editor says that letters are inserted.
    inserting_row: Option<u16>,
    /// The true line that the chain begins with.
    base: Option<Line>,
    /// The row in which it was found.
    base_row: u16,
    pending: VecDeque<Pending>,
    /// What is typed here is echoed.
    is_confident: bool,
    /// In the true line something was echoed that was typed there.
    is_proven: bool,
    /// Keys that were right since the chain began.
    proof_len: usize,
    /// Since when the picture shows less than what the host counts as answered: of the chain, and of a text
    /// behind what ended it.
    lag_since: Option<Instant>,
    unread_since: Option<Instant>,
    /// The program for which the kernel echoes has been typed to, or was there from the beginning.
    is_echo_known: bool,
    /// Since when the kernel echoes, and no key waits for an answer.
    echoed_since: Option<Instant>,
    /// A key may have changed how the program reads keys: a prompt proves nothing now.
    is_mode_open: bool,
    /// Enter that was typed, until a picture shows where it led.
    entered: Option<Entered>,
    /// A key was typed by which a pager may have been left, and the picture still shows it.
    left: Option<At>,
    /// A key that may have changed the line otherwise than by a letter.
    unseen: Option<Unseen>,
    /// The newest picture shows nothing of the chain, since then.
    doubt_since: Option<Instant>,
    /// The newest key was a prefix of the multiplexer's.
    is_prefixed: bool,
    prompts: Prompts,
    margin: Margin,
    /// The mark of a key by which an editor leaves its insert mode, as long as its mode line still stands.
    leaving_mark: Option<u32>,
    vi: Vi,
    habits: Habits,
    form_text: FormText,
    /// Edits that did here what they do in readline, and those that did not.
    trusted: BTreeSet<Edit>,
    distrusted: BTreeSet<Edit>,
    /// The newest keys that are no characters, and when they were typed.
    others: VecDeque<(u32, Instant)>,
    statistics: Statistics,
}

impl Predictor {
    /// Nothing is known.
    pub fn new(mode: Mode) -> Self {
        Self {
            display: Display::new(mode),
            rtt: RTT_ASSUMED,
            link_rtt: RTT_ASSUMED,
            echo_time: Duration::ZERO,
            echo_time_min: None,
            shown: Shown::default(),
            inserting_row: None,
            base: None,
            base_row: 0,
            pending: VecDeque::new(),
            is_confident: false,
            is_proven: false,
            proof_len: 0,
            lag_since: None,
            unread_since: None,
            is_echo_known: true,
            echoed_since: None,
            is_mode_open: false,
            entered: None,
            left: None,
            unseen: None,
            doubt_since: None,
            is_prefixed: false,
            prompts: Prompts::default(),
            margin: Margin::default(),
            leaving_mark: None,
            vi: Vi::default(),
            habits: Habits::default(),
            form_text: FormText::default(),
            trusted: BTreeSet::new(),
            distrusted: BTreeSet::new(),
            others: VecDeque::new(),
            statistics: Statistics::default(),
        }
    }

    /// Whole keys were typed; the host will answer them with `mark`.
    pub fn handle_keys(&mut self, bytes: &[u8], mark: u32, now: Instant) {
        if self.display.mode() == Mode::Never {
            return;
        }
        if bytes.len() > TYPED_SIZE_MAX {
            return self.push_unknown(mark, now);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match cut(rest) {
                Cut::Whole(size) => size.clamp(1, rest.len()),
                Cut::Partial => rest.len(),
            };
            let (key, behind) = rest.split_at(size);
            self.type_key(key, mark, now);
            rest = behind;
        }
        self.note_shown();
    }

    /// What goes to the multiplexer, or is too much.
    fn push_unknown(&mut self, mark: u32, now: Instant) {
        self.vi.reset();
        self.form_text.leave();
        self.push_unseen(mark, now, true);
    }

    fn push_unseen(&mut self, mark: u32, typed_at: Instant, changes_mode: bool) {
        self.pending.push_back(Pending {
            key: Key::Other { changes_mode, is_enter: false, may_leave_line: true },
            motion: None,
            origin: None,
            is_inserted: false,
            mark,
            typed_at,
            place: Place::Unknown,
            was_shown: false,
        });
    }

    /// Where the kernel has echoed for a while, it goes on to: what reads a password says so as soon as
    /// it runs.
    fn trust_echo(&mut self, now: Instant) {
        let is_old = self.echoed_since.is_some_and(|since| since + ECHO_SETTLE_TIME <= now);
        if is_old && self.pending.is_empty() && !self.is_echo_known {
            (self.is_echo_known, self.is_confident) = (true, true);
        }
    }

    fn may_foretell(&self) -> bool {
        !matches!(self.shown.keys.target, KeyTarget::Hidden | KeyTarget::Multiplexer)
    }

    /// The host's newest picture, with its report.
    pub fn handle_shown(&mut self, shown: &Shown, now: Instant) {
        if self.display.mode() == Mode::Never {
            self.shown = shown.clone();
            return;
        }
        let is_resized = self.shown.frame.size() != shown.frame.size();
        let is_other = self.shown.keys.target != shown.keys.target;
        if is_other && self.shown.keys.target != KeyTarget::Unknown {
            self.is_echo_known = false;
            self.vi.reset();
            self.habits.clear();
            self.form_text.clear();
            self.margin = Margin::Unknown;
        } else if !is_resized && !self.pending.is_empty() && !self.may_show_others(now) {
            self.margin.learn(&self.shown.frame, &shown.frame);
            let is_here = |base: &&Line| base.is_at_prompt && base.is_shown_by(&self.shown.frame);
            if let Some(base) = self.base.as_ref().filter(is_here)
                && self.margin != Margin::Unknown
            {
                self.prompts.note_margin(base, self.margin);
            }
        }
        self.shown = shown.clone();
        self.inserting_row = inserting_row(&shown.frame);
        let has_left = |mark: &u32| self.inserting_row.is_none() && self.has_answered(*mark);
        self.leaving_mark = self.leaving_mark.filter(|mark| !has_left(mark));
        if self.left.is_some() || self.unseen.is_some() {
            let at = At::of(&shown.frame);
            self.left.take_if(|key| *key != at);
            self.unseen.take_if(|key| !key.is_at(&at));
        }
        if is_resized || !self.may_foretell() {
            self.give_up();
        }
        self.judge_shown(now);
        self.note_shown();
    }

    fn judge_shown(&mut self, now: Instant) {
        let counted = self.answered_count(self.shown.keys.mark(ViewerId(0)));
        let answered = self.without_lag(counted, now);
        self.judge(answered.max(usize::from(self.is_at_prompt_again())), now);
        if self.pending.is_empty() && self.base.is_none() {
            // A prompt is looked at when a key is typed at it.
            self.is_confident = false;
        }
        let is_echoed = self.shown.keys.target == KeyTarget::Echoed && self.pending.is_empty();
        self.echoed_since = is_echoed.then(|| self.echoed_since.unwrap_or(now));
        if self.pending.is_empty() || self.is_inserting() {
            self.vi.handle_settled(self.inserting_row);
        }
    }

    /// Whether Enter, the next key to be answered, has led back to the prompt at which it was typed.
    /// (The host tells so only some time later, lest a slow program be taken for a silent one.)
    fn is_at_prompt_again(&self) -> bool {
        let Some(base) = &self.base else { return false };
        let is_enter = |pending: &Pending| matches!(pending.key, Key::Other { is_enter: true, .. });
        let is_next = self.pending.front().is_some_and(|next| {
            is_enter(next) && matches!(next.place, Place::Unknown) && next.motion.is_none()
        });
        let is_only = self.pending.iter().skip(1).all(|p| !is_barrier(&p.key, p.motion.as_ref()));
        if !is_next || !is_only || !base.has_text_at_prompt() {
            return false;
        }
        let line = Line::of(&self.shown.frame, 0);
        self.prompts.width_in(&line) == Some(line.prompt_width())
            && line.prompt() == base.prompt()
            && line.text() == line.prompt()
    }

    /// Whether the picture that comes may show what a key did that is no character, beside what the newest
    /// one shows.
    fn may_show_others(&mut self, now: Instant) -> bool {
        while self.others.front().is_some_and(|(mark, _)| self.has_answered(*mark)) {
            self.others.pop_front();
        }
        self.others.iter().any(|(_, typed_at)| *typed_at + self.soonest_echo() <= now)
    }

    /// The least that an echo takes, about.
    fn soonest_echo(&self) -> Duration {
        self.echo_time_min.unwrap_or_default().max(self.link_rtt) * 7 / 8
    }

    /// Nothing is foretold any more of what is pending.
    fn give_up(&mut self) {
        self.base = None;
        self.is_confident = false;
        self.is_proven = false;
        (self.doubt_since, self.lag_since, self.unread_since) = (None, None, None);
        self.vi.reset();
        self.form_text.leave();
        for pending in &mut self.pending {
            self.statistics.wrong += u64::from(std::mem::take(&mut pending.was_shown));
            pending.set_place(Place::Unknown);
        }
    }

    /// What was typed and isn't answered may never come to the session.
    pub fn handle_forgotten(&mut self) {
        self.give_up();
        self.pending.clear();
    }

    /// The round trip to the relay takes so long.
    pub fn handle_rtt(&mut self, rtt: Duration) {
        self.link_rtt = rtt;
        self.update_rtt();
    }

    fn update_rtt(&mut self) {
        self.rtt = self.link_rtt.max(self.echo_time);
        self.display.handle_rtt(self.rtt, self.chain_len() > 0);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.doubt_end().is_some_and(|end| end <= now) {
            self.give_up();
        }
        if self.lag_end().is_some_and(|end| end <= now) {
            self.judge_shown(now);
        }
        if self.chain_len() > 0
            && let Some(oldest) = self.pending.front()
        {
            self.display.handle_waiting(oldest.typed_at, now);
        }
        self.note_shown();
    }

    /// When [`Self::handle_timeout`] is due; never while nothing is pending.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let oldest = self.pending.front().filter(|_| self.chain_len() > 0);
        let glitch = oldest.and_then(|oldest| self.display.poll_timeout(oldest.typed_at));
        [glitch, self.doubt_end(), self.lag_end()].into_iter().flatten().min()
    }

    fn doubt_end(&self) -> Option<Instant> {
        self.doubt_since.map(|since| since + DOUBT_TIME_MAX + 3 * self.rtt)
    }

    /// How many keys of the chain are shown.
    fn visible_len(&self) -> usize {
        let is_shown = self.display.is_on() && self.is_confident && self.doubt_since.is_none();
        if is_shown { self.shown_len() } else { 0 }
    }

    fn note_shown(&mut self) {
        let newest = self.pending.back().map(|pending| pending.typed_at);
        let count = self.visible_len();
        for pending in self.pending.iter_mut().take(count) {
            let is_new = !std::mem::replace(&mut pending.was_shown, true);
            self.statistics.shown_at_once += u64::from(is_new && Some(pending.typed_at) == newest);
        }
    }

    /// What is to be shown: the newest picture, with what the pending keys make of it.
    pub fn overlay(&self) -> Frame {
        let count = Some(self.visible_len()).filter(|count| *count > 0);
        match count.and_then(|count| self.line_after(count)) {
            Some(line) => line.laid_over(&self.shown.frame, self.display.is_flagged()),
            None => self.shown.frame.clone(),
        }
    }

    /// What came of predictions so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }
}

/// Whether nobody can know what comes after it.
fn is_barrier(key: &Key, motion: Option<&Motion>) -> bool {
    motion.is_none() && matches!(key, Key::Other { .. })
}

#[cfg(test)]
mod tests;
