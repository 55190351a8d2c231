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
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tern_relay::core::input::{ViewerInput, is_leave_wish};
use tern_relay::core::keys::{PASTE_START, is_paste_open};
use tern_relay::core::text;
use tern_sync::session::{HostStanding, INPUT_SIZE_MAX, ViewerAction};
use tern_term::{Frame, Shown, Size, Viewport};

/// Silence of the relay after which the person is told: one that lives is heard every 6 s and a
/// round trip, and one that is asked answers in one.
const SILENCE_TOLD_AFTER: Duration = Duration::from_secs(2);
/// How long the hint and the help stay.
const HINT_TIME: Duration = Duration::from_secs(5);
/// How long news of the connection stay.
const NEWS_TIME: Duration = Duration::from_secs(5);
/// Bytes of keys that wait above which the terminal isn't read: a megabyte of paste.
const BACKLOG_MAX: usize = 1024 * 1024;

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
    /// What the relay is to be told, in order.
    actions: VecDeque<ViewerAction>,
    waiting_bytes: usize,
    paste: OutgoingPaste,
    standing: HostStanding,
    standing_at: Instant,
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
            actions: VecDeque::new(),
            waiting_bytes: 0,
            paste: OutgoingPaste::Closed,
            standing: HostStanding::Present,
            standing_at: now,
            silent_since: None,
            message: Some(message),
            is_changed: true,
            commands: VecDeque::new(),
        };
        viewing.tell_size();
        viewing
    }

    /// The terminal sent bytes.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.message.take_if(|message| message.is_hint).is_some() {
            self.is_changed = true;
        }
        for piece in self.escapes.handle_bytes(bytes) {
            match piece {
                Piece::Keys(keys) => self.on_keys(&keys, now),
                Piece::Leave => self.commands.push_back(Command::Leave),
                Piece::Suspend => self.commands.push_back(Command::Suspend),
                Piece::Help => self.show_message(HELP.into(), HINT_TIME, now),
            }
        }
    }

    fn on_keys(&mut self, keys: &[u8], now: Instant) {
        if !self.may_type {
            if is_leave_wish(keys) {
                self.commands.push_back(Command::Leave);
            }
            return;
        }
        let screen = self.shown.frame.size();
        self.input.handle_bytes(keys, 0, self.viewport.offset(), screen, now);
        self.take_keys(now);
    }

    fn take_keys(&mut self, now: Instant) {
        while let Some((keys, _)) = self.input.take() {
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

    /// What the terminal should show, if that changed since this was last asked.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let notice = self.notice(now);
        let frame = if self.is_shown { self.predictor.overlay() } else { Frame::blank(self.size) };
        Some(self.viewport.compose(&frame, self.size, notice.as_deref()))
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
                return text::standing(HostStanding::Silent { seconds });
            }
            HostStanding::Awaited if self.is_shown => return text::standing(self.standing),
            HostStanding::Awaited | HostStanding::Present => {}
        }
        self.message.as_ref().map(|message| message.text.clone())
    }

    fn silence_text(&self, silence: Duration) -> String {
        let seconds = silence.as_secs();
        let what = if self.is_shown { "relay last heard" } else { "connecting for" };
        let ago = if self.is_shown { " ago" } else { "" };
        let keys = if self.waiting_bytes > 0 { ", keys wait" } else { "" };
        format!("{what} {seconds} s{ago}{keys} - to leave: Enter ~ .")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_sync::session::ViewerId;
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
        assert_eq!(last_row(&mut viewing, later), "host last heard 12 s ago");
        viewing.handle_standing(HostStanding::Present, later);
        assert!(!last_row(&mut viewing, later).contains("host"));
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
