//! What a viewer's terminal shows and what it types: the machine of `tern join`.
//!
//! ```text
//!  terminal ── keys, size ──►┌─────────┐──► actions for the relay
//!  relay ──── screen, host ─►│ Viewing │──► frames for the terminal
//!  link ──────── silence ───►└─────────┘──► leave, suspend
//! ```

use crate::core::escape::{Escapes, HELP, Piece};
use crate::core::prediction::Predictor;
use crate::core::prediction::display::Mode;
use crate::core::scrolling::Scrolling;
use crate::core::scrolling::keys::{self, Kind, Motion};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tern_relay::core::first_sight::FirstSight;
use tern_relay::core::input::{ViewerInput, is_leave_wish};
use tern_relay::core::keys::{Cut, PASTE_START, cut, is_paste_open};
use tern_relay::core::text;
use tern_sync::scrollback::ScrollbackEntry;
use tern_sync::session::{HostStanding, INPUT_SIZE_MAX, ViewerAction};
use tern_term::{Frame, Modes, Shown, Size, Viewport};

/// Silence of the relay after which the person is told: one that lives is heard every 6 s and a
/// round trip, and one that is asked answers in one.
const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(2);
/// How long the hint and the help stay.
const HINT_TIME: Duration = Duration::from_secs(5);
/// How long news of the connection stay.
const NEWS_TIME: Duration = Duration::from_secs(5);
/// Bytes of keys that wait above which the terminal isn't read: a megabyte of paste.
const BACKLOG_MAX: usize = 1024 * 1024;
/// Behind what tells that nothing goes on.
const TO_LEAVE: &str = " - to leave: Enter ~ .";
/// What is told who wants to scroll where there is nothing.
const NOTHING_ABOVE: &str = "nothing has scrolled off yet";

/// What happened that the shell has to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Leave the session.
    Leave,
    /// Give the terminal back and stop, until somebody continues this process.
    Suspend,
}

/// The machine.
#[derive(Debug)]
pub struct Viewing {
    may_type: bool,
    size: Size,
    shown: Shown,
    /// Something of the screen has come.
    is_shown: bool,
    viewport: Viewport,
    escapes: Escapes,
    input: ViewerInput,
    /// The number of the newest input.
    mark: u32,
    predictor: Predictor,
    scrolling: Scrolling,
    /// The terminal may be asked for its mouse, for the wheel's sake.
    has_wheel: bool,
    is_pasting: bool,
    /// What the relay is to be told, in order.
    actions: VecDeque<ViewerAction>,
    waiting_bytes: usize,
    paste: OutgoingPaste,
    standing: HostStanding,
    standing_at: Instant,
    /// Of who had to wait until they were let in.
    first_sight: Option<FirstSight>,
    silent_since: Option<Instant>,
    message: Option<Message>,
    is_changed: bool,
    commands: VecDeque<Command>,
}

/// The paste that the relay was told of so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutgoingPaste {
    Closed,
    Open,
    /// It was open when the relay forgot this viewer. The session has closed it, so that the rest
    /// needs a beginning of its own: without, each of its lines would be a command.
    Broken,
}

/// Lies over the last row for a while.
#[derive(Debug)]
struct Message {
    text: String,
    until: Instant,
    /// The first key takes it away.
    is_hint: bool,
}

impl Viewing {
    /// On a terminal of this size; keys are foretold as `mode` says.
    pub fn new(may_type: bool, size: Size, mode: Mode, now: Instant) -> Self {
        let hint = if may_type { text::READ_WRITE_HINT } else { text::READ_ONLY_HINT };
        let message = Message { text: hint.into(), until: now + HINT_TIME, is_hint: true };
        let mut viewing = Self {
            may_type,
            size,
            shown: Shown::default(),
            is_shown: false,
            viewport: Viewport::default(),
            escapes: Escapes::default(),
            input: ViewerInput::default(),
            mark: 0,
            predictor: Predictor::new(if may_type { mode } else { Mode::Never }),
            scrolling: Scrolling::default(),
            has_wheel: true,
            is_pasting: false,
            actions: VecDeque::new(),
            waiting_bytes: 0,
            paste: OutgoingPaste::Closed,
            standing: HostStanding::Present,
            standing_at: now,
            first_sight: None,
            silent_since: None,
            message: Some(message),
            is_changed: true,
            commands: VecDeque::new(),
        };
        viewing.tell_size();
        viewing
    }

    /// Whether the wheel scrolls: the terminal is then asked for its mouse while the session isn't.
    #[must_use]
    pub fn with_wheel(self, has_wheel: bool) -> Self {
        Self { has_wheel, ..self }
    }

    /// The terminal sent bytes.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.message.take_if(|message| message.is_hint).is_some() {
            self.is_changed = true;
        }
        for piece in self.escapes.handle_bytes(bytes) {
            match piece {
                Piece::Keys(keys) => {
                    let keys = match &mut self.first_sight {
                        Some(first_sight) => first_sight.pass(keys, now),
                        None => keys,
                    };
                    self.on_keys(&keys, now);
                }
                Piece::Leave => self.commands.push_back(Command::Leave),
                Piece::Suspend => self.commands.push_back(Command::Suspend),
                Piece::Help => self.show_message(HELP.into(), HINT_TIME, now),
            }
        }
    }

    fn on_keys(&mut self, keys: &[u8], now: Instant) {
        let screen = self.shown.frame.size();
        self.input.handle_bytes(keys, 0, self.viewport.offset(), screen, now);
        self.take_keys(now);
    }

    fn take_keys(&mut self, now: Instant) {
        while let Some((keys, _)) = self.input.take() {
            let keys = self.scroll_by(keys, now);
            if !self.may_type {
                if is_leave_wish(&keys) {
                    self.commands.push_back(Command::Leave);
                }
                continue;
            }
            for bytes in keys.chunks(INPUT_SIZE_MAX) {
                self.mark = self.mark.checked_add(1).unwrap_or(1);
                self.waiting_bytes += bytes.len();
                self.predictor.handle_keys(bytes, self.mark, now);
                self.is_changed = true;
                let (bytes, mark) = (bytes.to_vec(), self.mark);
                self.actions.push_back(ViewerAction::Input { bytes, mark });
            }
        }
    }

    /// Scrolls by those of these keys that do; gives the others.
    fn scroll_by(&mut self, keys: Vec<u8>, now: Instant) -> Vec<u8> {
        let mut others = Vec::with_capacity(keys.len());
        let mut rest = keys.as_slice();
        while !rest.is_empty() {
            let size = match cut(rest) {
                Cut::Whole(size) => size,
                Cut::Partial => rest.len(),
            };
            let (key, after) = rest.split_at(size);
            if self.is_for_session(key, now) {
                others.extend_from_slice(key);
            }
            rest = after;
        }
        others
    }

    /// Scrolls, if this key does, or returns from there. Whether it means the session.
    fn is_for_session(&mut self, key: &[u8], now: Instant) -> bool {
        match keys::kind(key) {
            Kind::Paste(is_begin) => self.is_pasting = is_begin,
            Kind::Report => return true,
            _ if self.is_pasting => {}
            Kind::Key(motion) if self.has_scrolling_keys() => {
                self.scroll(motion, now);
                return false;
            }
            Kind::Wheel { motion, is_shifted } if is_shifted || self.is_mouse_own() => {
                self.scroll(motion, now);
                return false;
            }
            Kind::Wheel { .. } | Kind::Mouse if self.is_mouse_own() => return false,
            Kind::Key(_) | Kind::Wheel { .. } | Kind::Mouse | Kind::Other => {}
        }
        let was_scrolled = self.scrolling.leave();
        self.is_changed |= was_scrolled;
        // Who can only look means no more than that by a key.
        self.may_type || !was_scrolled
    }

    fn scroll(&mut self, motion: Motion, now: Instant) {
        self.is_changed |= self.scrolling.handle_motion(motion, &self.shown.frame);
        let is_upwards = matches!(motion, Motion::PageUp | Motion::Oldest);
        if is_upwards && !self.scrolling.has_lines() && !self.scrolling.is_scrolled() {
            self.show_message(NOTHING_ABOVE.into(), HINT_TIME, now);
        }
    }

    /// Whether the keys that scroll are the viewer's: a full-screen program's are its own. On the live
    /// screen those towards what is newer do nothing, as in terminals: who presses one too many, or
    /// just as the view ended by itself, means no program by it.
    fn has_scrolling_keys(&self) -> bool {
        self.scrolling.is_scrolled() || !self.may_type || !self.scrolling.is_alternate()
    }

    /// Whether the mouse is the viewer's, not the session's.
    fn is_mouse_own(&self) -> bool {
        self.scrolling.is_scrolled() || self.wants_mouse()
    }

    /// Whether the terminal is asked for its mouse though the session doesn't, or may not.
    fn wants_mouse(&self) -> bool {
        let is_free = !self.may_type
            || !self.shown.frame.modes().intersects(Modes::MOUSE) && !self.scrolling.is_alternate();
        self.has_wheel && is_free && self.scrolling.has_lines()
    }

    /// What the terminal is asked for: what the session wants of those who type, and the wheel.
    fn modes(&self, session: Modes) -> Modes {
        let modes = if self.may_type {
            session
        } else {
            let alike = |modes: Modes, one| modes.with(one, session.contains(one));
            alike(alike(Modes::default(), Modes::ALT_SCREEN), Modes::ALT_SCROLL)
        };
        if self.wants_mouse() {
            let modes = modes.with(Modes::MOUSE_CLICK, true).with(Modes::MOUSE_SGR, true);
            modes.with(Modes::MOUSE_UTF8, false)
        } else {
            modes
        }
    }

    /// Lines scrolled off.
    pub fn handle_scrollback(&mut self, entry: ScrollbackEntry) {
        let had_mouse = self.wants_mouse();
        let is_seen = self.scrolling.handle_entry(entry);
        self.is_changed |= is_seen || had_mouse != self.wants_mouse();
    }

    /// The terminal has another size.
    pub fn handle_resize(&mut self, size: Size) {
        if self.size != size {
            self.size = size;
            self.is_changed = true;
            self.tell_size();
        }
    }

    fn tell_size(&mut self) {
        let Size { cols, rows } = self.size;
        self.actions.push_back(ViewerAction::Resized { cols, rows });
    }

    /// The shared screen looks like this.
    pub fn handle_shown(&mut self, shown: Shown, now: Instant) {
        self.predictor.handle_shown(&shown, now);
        self.shown = shown;
        self.is_shown = true;
        self.is_changed = true;
    }

    /// The round trip to the relay takes so long.
    pub fn handle_rtt(&mut self, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.predictor.handle_rtt(rtt);
        }
    }

    /// How it is with the host.
    pub fn handle_standing(&mut self, standing: HostStanding, now: Instant) {
        // Their keys go nowhere while they wait; those of readers never do.
        if standing == HostStanding::Asked && self.may_type {
            self.first_sight = Some(FirstSight::default());
        }
        (self.standing, self.standing_at) = (standing, now);
        self.is_changed = true;
    }

    /// Since when the relay is not heard, if so.
    pub fn handle_silence(&mut self, since: Option<Instant>) {
        if self.silent_since != since {
            self.silent_since = since;
            self.is_changed = true;
        }
    }

    /// The relay knows nothing of this viewer any more: it is told anew.
    pub fn handle_forgotten(&mut self) {
        self.scrolling.handle_forgotten();
        self.predictor.handle_forgotten();
        self.is_changed = true;
        self.actions.retain(|action| !matches!(action, ViewerAction::Resized { .. }));
        let Size { cols, rows } = self.size;
        self.actions.push_front(ViewerAction::Resized { cols, rows });
        if self.paste == OutgoingPaste::Open {
            self.paste = OutgoingPaste::Broken;
        }
    }

    /// The person should know this.
    pub fn handle_news(&mut self, text: String, now: Instant) {
        self.show_message(text, NEWS_TIME, now);
    }

    fn show_message(&mut self, text: String, time: Duration, now: Instant) {
        self.message = Some(Message { text, until: now + time, is_hint: false });
        self.is_changed = true;
    }

    /// The terminal shows something else than was drawn (it was used by another program).
    pub fn handle_redraw(&mut self) {
        self.is_changed = true;
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.input.handle_timeout(now);
        self.take_keys(now);
        if self.predictor.poll_timeout().is_some_and(|due| due <= now) {
            self.predictor.handle_timeout(now);
            self.is_changed = true;
        }
        if self.message.take_if(|message| message.until <= now).is_some() {
            self.is_changed = true;
        }
        // The seconds go on.
        self.is_changed |= self.counts_seconds();
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let message = self.message.as_ref().map(|message| message.until);
        let second = self.counts_seconds().then(|| {
            let since = self.silent_since.unwrap_or(self.standing_at);
            let passed = now.saturating_duration_since(since);
            since + Duration::from_secs(passed.as_secs() + 1)
        });
        let own = [self.input.poll_timeout(), self.predictor.poll_timeout()];
        own.into_iter().chain([message, second]).flatten().min()
    }

    fn counts_seconds(&self) -> bool {
        self.silent_since.is_some() || matches!(self.standing, HostStanding::Silent { .. })
    }

    /// The next thing to carry out.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing that the relay is told.
    pub fn poll_action(&mut self) -> Option<ViewerAction> {
        if let (OutgoingPaste::Broken, Some(ViewerAction::Input { mark, .. })) =
            (self.paste, self.actions.front())
        {
            self.paste = OutgoingPaste::Open;
            // A mark that was given before: nothing new is answered by it.
            let mark = mark.saturating_sub(1).max(1);
            return Some(ViewerAction::Input { bytes: PASTE_START.to_vec(), mark });
        }
        let action = self.actions.pop_front()?;
        if let ViewerAction::Input { bytes, .. } = &action {
            self.waiting_bytes -= bytes.len();
            let is_open = is_paste_open(bytes, self.paste == OutgoingPaste::Open);
            self.paste = if is_open { OutgoingPaste::Open } else { OutgoingPaste::Closed };
        }
        Some(action)
    }

    /// Whether the terminal should not be read now: enough keys wait.
    pub fn is_deaf(&self) -> bool {
        self.waiting_bytes > BACKLOG_MAX
    }

    /// What the terminal is to be told before it shows the next frame, if anything.
    pub fn poll_question(&mut self, now: Instant) -> Option<&'static [u8]> {
        let is_let_in = self.standing != HostStanding::Asked;
        self.first_sight.as_mut().filter(|_| is_let_in)?.poll_question(now)
    }

    /// What the terminal should show, if that changed since this was last asked.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let notice = self.notice(now);
        let frame = if self.is_shown { self.predictor.overlay() } else { Frame::blank(self.size) };
        let frame = self.scrolling.overlay(frame);
        let composed = self.viewport.compose(&frame, self.size, notice.as_deref());
        Some(composed.with_modes(self.modes(composed.modes())))
    }

    fn notice(&self, now: Instant) -> Option<String> {
        if let Some(Message { text, is_hint: false, .. }) = &self.message {
            return Some(text.clone());
        }
        if let Some(since) = self.silent_since {
            let silence = now.saturating_duration_since(since);
            if silence >= SILENCE_TOLD_AFTER {
                return Some(self.silence_text(silence));
            }
        }
        match self.standing {
            HostStanding::Silent { seconds } => {
                let since = now.saturating_duration_since(self.standing_at).as_secs();
                let seconds = seconds.saturating_add(u32::try_from(since).unwrap_or(u32::MAX));
                return standing_text(HostStanding::Silent { seconds });
            }
            HostStanding::Awaited if self.is_shown => return text::standing(self.standing),
            HostStanding::Asked => return standing_text(self.standing),
            HostStanding::Awaited | HostStanding::Present => {}
        }
        self.message.as_ref().map(|message| message.text.clone())
    }

    fn silence_text(&self, silence: Duration) -> String {
        let seconds = silence.as_secs();
        let what = if self.is_shown { "relay last heard" } else { "connecting for" };
        let ago = if self.is_shown { " ago" } else { "" };
        let keys = if self.waiting_bytes > 0 { ", keys wait" } else { "" };
        format!("{what} {seconds} s{ago}{keys}{TO_LEAVE}")
    }
}

/// What is told while nothing comes from the host, and how to leave.
fn standing_text(standing: HostStanding) -> Option<String> {
    text::standing(standing).map(|text| format!("{text}{TO_LEAVE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_sync::scrollback::Place;
    use tern_sync::session::ViewerId;
    use tern_term::scrollback::blocks_of;
    use tern_term::{KeyReport, KeyTarget};

    const SIZE: Size = Size { cols: 60, rows: 5 };

    fn viewing(now: Instant) -> Viewing {
        let mut viewing = Viewing::new(true, SIZE, Mode::Never, now);
        let first = viewing.poll_action();
        assert_eq!(first, Some(ViewerAction::Resized { cols: 60, rows: 5 }));
        viewing.handle_shown(Frame::from_lines(SIZE, ["hello"]).into(), now);
        viewing
    }

    fn last_row(viewing: &mut Viewing, now: Instant) -> String {
        let frame = viewing.poll_frame(now).expect("something changed");
        frame.to_text().lines().last().unwrap_or_default().trim_end().to_owned()
    }

    fn input(bytes: &[u8], mark: u32) -> Option<ViewerAction> {
        Some(ViewerAction::Input { bytes: bytes.to_vec(), mark })
    }

    #[test]
    fn keys_go_out_numbered_and_the_first_takes_the_hint_away() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        assert!(last_row(&mut viewing, now).contains("to leave: Enter ~ ."));
        viewing.handle_bytes(b"a", now);
        viewing.handle_bytes(b"b\x1b[A", now);
        assert_eq!(viewing.poll_action(), input(b"a", 1));
        assert_eq!(viewing.poll_action(), input(b"b\x1b[A", 2));
        assert_eq!(viewing.poll_action(), None);
        assert_eq!(last_row(&mut viewing, now), "");
        assert_eq!(viewing.poll_timeout(now), None, "nothing happens until something happens");
    }

    #[test]
    fn what_is_typed_is_shown_before_it_is_echoed_and_goes_if_it_is_not() {
        let now = Instant::now();
        let mut viewing = Viewing::new(true, SIZE, Mode::Always, now);
        let mut shown: Shown = Frame::from_lines(SIZE, ["hello"]).into();
        let target = KeyTarget::Echoed;
        shown.keys = KeyReport { target, ..KeyReport::default() }.into();
        viewing.handle_shown(shown.clone(), now);
        viewing.handle_bytes(b"J", now);
        let first_row = |viewing: &mut Viewing| {
            let frame = viewing.poll_frame(now).expect("something changed");
            frame.to_text().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(first_row(&mut viewing), "Jhello");
        let marks = vec![(ViewerId(0), 1)];
        shown.keys = KeyReport { target, marks, ..KeyReport::default() }.into();
        viewing.handle_shown(shown, now);
        assert_eq!(first_row(&mut viewing), "hello");
    }

    #[test]
    fn reader_sends_nothing_but_its_size() {
        let now = Instant::now();
        let mut viewing = Viewing::new(false, SIZE, Mode::Adaptive, now);
        assert!(viewing.poll_action().is_some());
        viewing.handle_bytes(b"rm -rf\r", now);
        assert_eq!((viewing.poll_action(), viewing.poll_command()), (None, None));
        viewing.handle_bytes(b"q", now);
        assert_eq!(viewing.poll_command(), Some(Command::Leave));
    }

    #[test]
    fn silence_is_counted_and_goes() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        viewing.handle_bytes(b"x", now);
        viewing.handle_silence(Some(now));
        assert_eq!(last_row(&mut viewing, now), "");
        let later = now + Duration::from_millis(12_300);
        viewing.handle_timeout(later);
        let row = last_row(&mut viewing, later);
        assert_eq!(row, "relay last heard 12 s ago, keys wait - to leave: Enter ~ .");
        assert_eq!(viewing.poll_timeout(later), Some(now + Duration::from_secs(13)));
        viewing.handle_silence(None);
        assert_eq!(last_row(&mut viewing, later), "");
    }

    #[test]
    fn silence_of_the_host_is_counted_on_from_what_was_told() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        viewing.handle_standing(HostStanding::Silent { seconds: 8 }, now);
        let later = now + Duration::from_secs(4);
        assert_eq!(last_row(&mut viewing, later), "host last heard 12 s ago - to leave: Enter ~ .");
        viewing.handle_standing(HostStanding::Present, later);
        assert!(!last_row(&mut viewing, later).contains("host"));
    }

    #[test]
    fn who_had_to_wait_types_nothing_before_they_see_the_session() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        assert_eq!(viewing.poll_question(now), None, "nobody has to wait");
        viewing.handle_standing(HostStanding::Asked, now);
        viewing.handle_bytes(b"rm", now);
        assert_eq!(viewing.poll_question(now), None);
        viewing.handle_standing(HostStanding::Present, now);
        viewing.handle_bytes(b" -r", now);
        assert_eq!(viewing.poll_question(now), Some(&b"\x1b[5n"[..]));
        viewing.handle_bytes(b" x\r\x1b[0nls", now);
        viewing.handle_bytes(b"\r~.", now);
        assert_eq!(viewing.poll_action(), input(b"ls", 1));
        assert_eq!(viewing.poll_command(), Some(Command::Leave));
    }

    #[test]
    fn relay_that_forgot_is_told_the_size_first() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        viewing.handle_bytes(b"x", now);
        viewing.handle_resize(Size { cols: 70, rows: 6 });
        viewing.handle_forgotten();
        let size = ViewerAction::Resized { cols: 70, rows: 6 };
        assert_eq!(viewing.poll_action(), Some(size));
        assert_eq!(viewing.poll_action(), input(b"x", 1));
        assert_eq!(viewing.poll_action(), None);
    }

    #[test]
    fn rest_of_a_paste_has_a_beginning_when_the_relay_has_forgotten_the_first_part() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        viewing.handle_bytes(b"\x1b[200~one\r", now);
        let first = viewing.poll_action();
        assert!(matches!(first, Some(ViewerAction::Input { .. })), "{first:?}");
        viewing.handle_forgotten();
        let size = ViewerAction::Resized { cols: 60, rows: 5 };
        assert_eq!(viewing.poll_action(), Some(size));
        assert_eq!(viewing.poll_action(), None, "the rest has not come");
        viewing.handle_bytes(b"two\r\x1b[201~", now);
        assert_eq!(viewing.poll_action(), input(PASTE_START, 1));
        assert_eq!(viewing.poll_action(), input(b"two\r\x1b[201~", 2));
        viewing.handle_forgotten();
        viewing.poll_action();
        viewing.handle_bytes(b"ls\r", now);
        assert_eq!(viewing.poll_action(), input(b"ls\r", 3), "no paste was open");
    }

    #[test]
    fn mouse_speaks_of_the_shared_screen() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        let large = Size { cols: 100, rows: 50 };
        let lines: Vec<String> = (0..50).map(|line| line.to_string()).collect();
        let mut frame = Frame::from_lines(large, lines.iter().map(String::as_str));
        assert_eq!(frame.size(), large);
        frame = Frame::from_lines(large, frame.to_text().lines());
        viewing.handle_shown(frame.into(), now);
        viewing.poll_frame(now);
        viewing.handle_bytes(b"\x1b[<0;1;1M", now);
        let (left, top) = viewing.viewport.offset();
        let expected = format!("\x1b[<0;{};{}M", left + 1, top + 1);
        assert_eq!(viewing.poll_action(), input(expected.as_bytes(), 1));
    }

    /// A viewer whose pane has so many lines above.
    fn with_lines(may_type: bool, count: u64, now: Instant) -> Viewing {
        let mut viewing = Viewing::new(may_type, SIZE, Mode::Never, now);
        assert!(viewing.poll_action().is_some());
        let live = Frame::from_lines(SIZE, ["live 1", "live 2", "live 3", "live 4", "status"]);
        viewing.handle_shown(live.into(), now);
        let place = Place { left: 0, top: 0, cols: 60, rows: 4, is_alternate: false };
        viewing.handle_scrollback(ScrollbackEntry::Place(place));
        let lines: Vec<String> = (0..count).map(|n| format!("line {n}")).collect();
        let size = Size { cols: 60, rows: 100 };
        let frame = Frame::from_lines(size, lines.iter().map(String::as_str));
        for block in blocks_of(&frame.rows()[..lines.len()], 60, 0) {
            viewing.handle_scrollback(ScrollbackEntry::Lines(block));
        }
        viewing
    }

    fn first_row(viewing: &mut Viewing, now: Instant) -> String {
        let frame = viewing.poll_frame(now).expect("something changed");
        frame.to_text().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn wheel_and_page_keys_scroll_and_the_relay_is_told_nothing() {
        let now = Instant::now();
        let mut viewing = with_lines(true, 30, now);
        let modes = viewing.poll_frame(now).expect("a frame").modes();
        assert!(modes.contains(Modes::MOUSE_CLICK) && modes.contains(Modes::MOUSE_SGR));
        viewing.handle_bytes(b"\x1b[<64;5;2M", now);
        assert!(first_row(&mut viewing, now).starts_with("line 27 "));
        viewing.handle_bytes(b"\x1b[5;2~\x1b[5;", now);
        viewing.handle_bytes(b"2~\x1b[<0;5;2M\x1b[<0;5;2m", now);
        assert!(first_row(&mut viewing, now).starts_with("line 21 "));
        viewing.handle_bytes(b"\x1b[6;2~\x1b[1;2H", now);
        assert!(first_row(&mut viewing, now).starts_with("line 0 "));
        assert_eq!(viewing.poll_action(), None, "nothing is sent");
        // A terminal's own report means nobody.
        viewing.handle_bytes(b"\x1b[I", now);
        assert_eq!(viewing.poll_action(), input(b"\x1b[I", 1));
        assert!(viewing.poll_frame(now).is_some_and(|frame| frame.to_text().starts_with("line 0")));
        viewing.handle_bytes(b"ls", now);
        assert_eq!(first_row(&mut viewing, now), "live 1");
        assert_eq!(viewing.poll_action(), input(b"ls", 2));
        viewing.handle_bytes(b"\x1b[6;2~\x1b[1;2F", now);
        assert_eq!(viewing.poll_action(), None, "nothing is below, and it is no program's key");
    }

    #[test]
    fn pasted_sequences_scroll_nothing() {
        let now = Instant::now();
        let mut viewing = with_lines(true, 30, now);
        let paste = b"\x1b[200~\x1b[5;2~\x1b[<64;5;2M\x1b[201~";
        viewing.handle_bytes(paste, now);
        assert_eq!(viewing.poll_action(), input(paste, 1));
        viewing.handle_bytes(b"\x1b[5;2~", now);
        assert_eq!(viewing.poll_action(), None);
    }

    #[test]
    fn mouse_is_the_sessions_if_it_wants_it_and_the_terminals_if_told_so() {
        let now = Instant::now();
        let mut viewing = with_lines(true, 30, now);
        let wanted = Modes::default().with(Modes::MOUSE_DRAG, true).with(Modes::MOUSE_SGR, true);
        let live = Frame::from_lines(SIZE, ["live"]).with_modes(wanted);
        viewing.handle_shown(live.into(), now);
        assert_eq!(viewing.poll_frame(now).map(|frame| frame.modes()), Some(wanted));
        viewing.handle_bytes(b"\x1b[<64;5;2M", now);
        assert_eq!(viewing.poll_action(), input(b"\x1b[<64;5;2M", 1));
        viewing.handle_bytes(b"\x1b[<68;5;2M", now);
        assert!(first_row(&mut viewing, now).starts_with("line 27 "), "with Shift it is one's own");
        viewing.handle_bytes(b"\x1b[<0;5;2M\x1b[<65;5;2M", now);
        assert_eq!((viewing.poll_action(), first_row(&mut viewing, now)), (None, "live".into()));
        let mut viewing = with_lines(true, 30, now).with_wheel(false);
        let modes = viewing.poll_frame(now).expect("a frame").modes();
        assert!(!modes.intersects(Modes::MOUSE));
    }

    #[test]
    fn full_screen_program_keeps_its_keys_and_its_mouse() {
        let now = Instant::now();
        let mut viewing = with_lines(true, 30, now);
        let place = Place { left: 0, top: 0, cols: 60, rows: 4, is_alternate: true };
        viewing.handle_scrollback(ScrollbackEntry::Place(place));
        let modes = viewing.poll_frame(now).expect("a frame").modes();
        assert!(!modes.intersects(Modes::MOUSE));
        viewing.handle_bytes(b"\x1b[5;2~\x1b[1;2F", now);
        assert_eq!(viewing.poll_action(), input(b"\x1b[5;2~\x1b[1;2F", 1));
    }

    #[test]
    fn key_that_returns_from_a_view_that_ended_by_itself_types_nothing() {
        let now = Instant::now();
        let mut viewing = with_lines(true, 30, now);
        viewing.handle_bytes(b"\x1b[5;2~", now);
        assert!(first_row(&mut viewing, now).starts_with("line 27 "));
        viewing.handle_scrollback(ScrollbackEntry::Start { source: 9 });
        assert_eq!(first_row(&mut viewing, now), "live 1");
        viewing.handle_bytes(b"\x1b[1;2F", now);
        assert_eq!(viewing.poll_action(), None);
    }

    #[test]
    fn reader_scrolls_too_and_the_key_that_ends_it_does_no_more() {
        let now = Instant::now();
        let mut viewing = with_lines(false, 30, now);
        viewing.handle_bytes(b"\x1b[<64;5;2M", now);
        assert!(first_row(&mut viewing, now).starts_with("line 27 "));
        viewing.handle_bytes(b"q", now);
        assert_eq!((viewing.poll_command(), first_row(&mut viewing, now)), (None, "live 1".into()));
        viewing.handle_bytes(b"q", now);
        assert_eq!((viewing.poll_action(), viewing.poll_command()), (None, Some(Command::Leave)));
        let mut viewing = with_lines(false, 0, now);
        viewing.handle_bytes(b"\x1b[5;2~", now);
        assert_eq!(last_row(&mut viewing, now), NOTHING_ABOVE);
    }

    #[test]
    fn paste_beyond_measure_waits_in_the_terminal() {
        let now = Instant::now();
        let mut viewing = viewing(now);
        while !viewing.is_deaf() {
            viewing.handle_bytes(&[b'x'; 60_000], now);
        }
        let mut count = 0;
        while let Some(ViewerAction::Input { bytes, .. }) = viewing.poll_action() {
            assert!(bytes.len() <= INPUT_SIZE_MAX);
            count += bytes.len();
        }
        assert!(count > BACKLOG_MAX && !viewing.is_deaf());
    }
}
