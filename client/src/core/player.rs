//! Plays a recording: which of its events are due, and what the terminal shows. The machine of
//! `tern play`.
//!
//! Events pass through a terminal without a window, and what that shows is drawn: a recording can
//! show anything, but does nothing to the terminal that it's played on. It answers no query, sets
//! no clipboard, and leaves no mode behind.
//!
//! ```text
//!  file ─── events ───►┌────────┐
//!  terminal ── keys ──►│ Player │──► frames for the terminal, the end
//!  time ──────────────►└────────┘
//! ```

use crate::core::cast::{Event, What};
use std::time::{Duration, Instant};
use tern_term::{Frame, Screen, Size, Viewport};

/// How long it is told what keys do.
const HINT_TIME: Duration = Duration::from_secs(3);
/// Told when it pauses.
const HINT: &str = "paused - Space: go on, . step, ] next marker, q leave";
/// Rests are no longer than this after the speed: a day. Instants can be added to.
const REST_MAX: Duration = Duration::from_secs(24 * 3600);

/// How it is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manner {
    /// Times as fast; above zero.
    pub speed: f64,
    /// Longest rest between two events, before the speed counts.
    pub idle_time_limit: Option<Duration>,
    /// Pause at markers.
    pub pauses_on_markers: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Player {
    manner: Manner,
    screen: Screen,
    viewport: Viewport,
    /// Of the terminal.
    size: Size,
    /// The next event, and how long after the one before it is due.
    next: Option<(Event, Duration)>,
    /// The time of the last event in the recording.
    at: Duration,
    clock: Clock,
    /// Steps that wait for their event: a key, and what ends it.
    wish: Option<Wish>,
    hint_until: Option<Instant>,
    /// All was read.
    has_ended: bool,
    /// The person has seen enough.
    has_left: bool,
    is_changed: bool,
}

/// Where the time between two events is.
#[derive(Debug, Clone, Copy)]
enum Clock {
    /// The last event was, or would have been, at this moment.
    Running { since: Instant },
    /// So much of the rest had passed.
    Paused { passed: Duration },
}

/// Where to go while it's paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To the next thing that shows.
    Step,
    /// To the next marker.
    Marker,
}

impl Player {
    /// Of a recording of a terminal of size `recorded`, on a terminal of size `size`.
    pub fn new(manner: Manner, recorded: Size, size: Size, now: Instant) -> Self {
        Self {
            manner,
            screen: Screen::new(recorded),
            viewport: Viewport::default(),
            size,
            next: None,
            at: Duration::ZERO,
            clock: Clock::Running { since: now },
            wish: None,
            hint_until: None,
            has_ended: false,
            has_left: false,
            is_changed: true,
        }
    }

    /// Whether it needs the next event of the recording, or to know that there is none.
    pub fn needs_event(&self) -> bool {
        self.next.is_none() && !self.has_ended
    }

    /// The next event.
    pub fn handle_event(&mut self, event: Event, now: Instant) {
        let rest = event.at.saturating_sub(self.at);
        let rest = self.manner.idle_time_limit.map_or(rest, |limit| rest.min(limit));
        let rest = Duration::try_from_secs_f64(rest.as_secs_f64() / self.manner.speed);
        self.next = Some((event, rest.unwrap_or(REST_MAX).min(REST_MAX)));
        self.handle_timeout(now);
    }

    /// There are no more events.
    pub fn handle_end(&mut self) {
        self.has_ended = true;
    }

    /// Bytes that the terminal sent.
    pub fn handle_keys(&mut self, keys: &[u8], now: Instant) {
        // Arrow and function keys, and what the mouse sends, mean nothing here.
        if keys.first() == Some(&0x1b) {
            return;
        }
        for key in keys {
            match key {
                b' ' => self.toggle(now),
                b'.' => self.go(Wish::Step, now),
                b']' => self.go(Wish::Marker, now),
                b'q' | b'Q' | 0x03 | 0x04 => self.has_left = true,
                _ => {}
            }
        }
    }

    fn toggle(&mut self, now: Instant) {
        match self.clock {
            Clock::Running { .. } => self.pause(now),
            Clock::Paused { passed } => {
                let since = now.checked_sub(passed).unwrap_or(now);
                self.clock = Clock::Running { since };
                self.wish = None;
                self.is_changed |= self.hint_until.take().is_some();
            }
        }
    }

    fn pause(&mut self, now: Instant) {
        if let Clock::Running { since } = self.clock {
            self.clock = Clock::Paused { passed: now.saturating_duration_since(since) };
            self.hint_until = Some(now + HINT_TIME);
            self.is_changed = true;
        }
    }

    fn go(&mut self, wish: Wish, now: Instant) {
        self.pause(now);
        self.wish = Some(wish);
        self.handle_timeout(now);
    }

    /// The terminal has another size.
    pub fn handle_resize(&mut self, size: Size) {
        self.size = size;
        self.is_changed = true;
    }

    /// The terminal shows something else than was drawn.
    pub fn handle_redraw(&mut self) {
        self.is_changed = true;
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.screen.poll_timeout().is_some_and(|due| due <= now) {
            self.screen.handle_timeout(now);
            self.is_changed = true;
        }
        if self.hint_until.take_if(|until| *until <= now).is_some() {
            self.is_changed = true;
        }
        let is_due = self.wish.is_some() || self.due().is_some_and(|due| due <= now);
        if is_due && let Some((event, rest)) = self.next.take() {
            self.apply(event, rest, now);
        }
    }

    fn apply(&mut self, Event { at, what }: Event, rest: Duration, now: Instant) {
        self.at = at;
        match &mut self.clock {
            // From when it was due, not from now: what is late isn't later for it.
            Clock::Running { since } => *since += rest,
            Clock::Paused { passed } => *passed = Duration::ZERO,
        }
        match (&what, self.wish) {
            (What::Marker(_), Some(Wish::Marker))
            | (What::Output(_) | What::Resized(_), Some(Wish::Step)) => self.wish = None,
            (What::Marker(_), _) if self.manner.pauses_on_markers => {
                self.pause(now);
                self.clock = Clock::Paused { passed: Duration::ZERO };
            }
            (_, _) => {}
        }
        match what {
            What::Output(text) => {
                self.screen.handle_output(text.as_bytes(), now);
                // Nobody is there who asked.
                let _ = self.screen.poll_reply();
            }
            What::Resized(size) => self.screen.resize(size),
            What::Marker(_) | What::Unseen => return,
        }
        self.is_changed = true;
    }

    fn due(&self) -> Option<Instant> {
        match (self.clock, &self.next) {
            (Clock::Running { since }, Some((_, rest))) => Some(since + *rest),
            (Clock::Running { .. }, None) | (Clock::Paused { .. }, _) => None,
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.due(), self.screen.poll_timeout(), self.hint_until].into_iter().flatten().min()
    }

    /// Whether it is over: everything was shown, or the person left. A paused one stays.
    pub fn is_over(&self) -> bool {
        let is_paused = matches!(self.clock, Clock::Paused { .. });
        self.has_left || self.has_ended && self.next.is_none() && !is_paused
    }

    /// What the terminal should show, if that changed since this was last asked.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let notice = self.hint_until.map(|_| HINT);
        Some(self.viewport.compose(&self.screen.frame(), self.size, notice))
    }

    /// What it shows, without border and notice.
    pub fn last_frame(&mut self) -> Frame {
        self.screen.frame()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { cols: 60, rows: 3 };
    const MANNER: Manner = Manner { speed: 1.0, idle_time_limit: None, pauses_on_markers: false };

    /// A file that writes `texts` at these milliseconds; an empty one is a marker.
    struct File(Vec<(u64, &'static str)>);

    const LETTERS: [(u64, &str); 4] = [(1000, "a"), (3000, ""), (3000, "b"), (10_000, "c")];

    /// Plays until nothing is due before `now`; gives what the first row shows.
    fn play_until(player: &mut Player, file: &mut File, now: Instant) -> String {
        loop {
            while player.needs_event() && !player.is_over() {
                match file.0.first() {
                    None => player.handle_end(),
                    Some((millis, text)) => {
                        let what = match *text {
                            "" => What::Marker("here".into()),
                            text => What::Output(text.into()),
                        };
                        let at = Duration::from_millis(*millis);
                        player.handle_event(Event { at, what }, now);
                        file.0.remove(0);
                    }
                }
            }
            match player.poll_timeout() {
                Some(due) if due <= now => player.handle_timeout(now),
                Some(_) | None => return first_row(player),
            }
        }
    }

    fn first_row(player: &mut Player) -> String {
        player.last_frame().to_text().lines().next().unwrap_or_default().to_owned()
    }

    fn start(manner: Manner) -> (Player, File, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let player = Player::new(manner, SIZE, SIZE, start);
        (player, File(LETTERS.into()), move |millis| start + Duration::from_millis(millis))
    }

    #[test]
    fn events_come_when_they_came() {
        let (mut player, mut file, at) = start(MANNER);
        for (millis, row) in [(999, ""), (1000, "a"), (2999, "a"), (3000, "ab"), (9999, "ab")] {
            assert_eq!(play_until(&mut player, &mut file, at(millis)), row, "{millis}");
        }
        assert!(!player.is_over());
        assert_eq!(play_until(&mut player, &mut file, at(10_000)), "abc");
        assert!(player.is_over());
    }

    #[test]
    fn speed_and_limit_shorten_the_rests() {
        let limit = Some(Duration::from_millis(1500));
        let manner = Manner { speed: 2.0, idle_time_limit: limit, ..MANNER };
        let (mut player, mut file, at) = start(manner);
        // Rests of 1000, 1500, 0 and 1500 ms at double speed.
        for (millis, row) in [(499, ""), (500, "a"), (1249, "a"), (1250, "ab"), (1999, "ab")] {
            assert_eq!(play_until(&mut player, &mut file, at(millis)), row, "{millis}");
        }
        assert_eq!(play_until(&mut player, &mut file, at(2000)), "abc");
    }

    #[test]
    fn late_event_does_not_delay_the_next() {
        let (mut player, mut file, at) = start(MANNER);
        assert_eq!(play_until(&mut player, &mut file, at(9000)), "ab");
        assert_eq!(player.poll_timeout(), Some(at(10_000)));
    }

    #[test]
    fn pause_keeps_what_is_left_of_a_rest() {
        let (mut player, mut file, at) = start(MANNER);
        play_until(&mut player, &mut file, at(9000));
        player.handle_keys(b" ", at(9000));
        let frame = player.poll_frame().expect("it changed").to_text();
        assert!(frame.contains("paused"), "{frame}");
        assert_eq!(play_until(&mut player, &mut file, at(60_000)), "ab");
        assert_eq!(player.poll_timeout(), None, "it waits for a key only");
        assert!(!player.poll_frame().expect("the hint went").to_text().contains("paused"));
        player.handle_keys(b" ", at(60_000));
        assert_eq!(play_until(&mut player, &mut file, at(60_999)), "ab");
        assert_eq!(play_until(&mut player, &mut file, at(61_000)), "abc");
        assert!(player.is_over());
    }

    #[test]
    fn steps_go_from_one_picture_to_the_next_and_stay_at_the_last() {
        let (mut player, mut file, at) = start(MANNER);
        play_until(&mut player, &mut file, at(0));
        for row in ["a", "ab", "abc", "abc"] {
            player.handle_keys(b".", at(10));
            assert_eq!(play_until(&mut player, &mut file, at(10)), row);
        }
        assert!(!player.is_over(), "the last picture can be looked at");
        player.handle_keys(b" ", at(20));
        assert!(player.is_over());
    }

    #[test]
    fn markers_are_found_and_paused_at() {
        let (mut player, mut file, at) = start(MANNER);
        play_until(&mut player, &mut file, at(0));
        player.handle_keys(b"]", at(10));
        assert_eq!(play_until(&mut player, &mut file, at(10)), "a");
        player.handle_keys(b".", at(10));
        assert_eq!(play_until(&mut player, &mut file, at(10)), "ab");
        let (mut player, mut file, at) = start(Manner { pauses_on_markers: true, ..MANNER });
        assert_eq!(play_until(&mut player, &mut file, at(20_000)), "a");
        player.handle_keys(b" ", at(20_000));
        assert_eq!(play_until(&mut player, &mut file, at(20_000)), "ab");
    }

    #[test]
    fn keys_of_the_person_leave_and_others_do_nothing() {
        for key in [b"q", b"\x03"] {
            let (mut player, _, at) = start(MANNER);
            player.handle_keys(b"x\r\x1b", at(0));
            player.handle_keys(b"\x1b[<0;1;1q", at(0));
            assert!(!player.is_over());
            player.handle_keys(key, at(0));
            assert!(player.is_over());
        }
    }

    #[test]
    fn recording_does_nothing_but_show() {
        let (mut player, _, at) = start(MANNER);
        let text = "\x1b]52;c;aGk=\x07\x1b[?1003h\x1b[c\x1b[6nhello";
        let what = What::Output(text.into());
        player.handle_event(Event { at: Duration::ZERO, what }, at(0));
        let capabilities = tern_term::Capabilities::full().watch_only();
        let mut renderer = tern_term::Renderer::new(capabilities);
        renderer.render(&player.poll_frame().expect("a frame"));
        player.handle_event(Event { at: Duration::ZERO, what: What::Output(text.into()) }, at(0));
        let drawn = renderer.render(&player.poll_frame().expect("a frame"));
        let drawn = String::from_utf8(drawn).expect("we write UTF-8");
        assert!(drawn.contains("hello") && !drawn.contains("]52") && !drawn.contains("1003"));
    }
}
