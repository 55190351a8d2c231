//! Draws a session on one viewer's terminal, at the viewer's own pace.

use crate::core::gauge::Room;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tern_sync::scrollback::Scrollback;
use tern_sync::session::HostStanding;
use tern_term::{Capabilities, Frame, KeyReport, Renderer, Size, Viewport};

/// Shortest time between two frames, of which the first was tiny: an echo that follows another
/// is not held up where anybody could feel it.
pub const INTERVAL_MIN: Duration = Duration::from_millis(2);
/// Added for each KiB that a frame took, so that floods are drawn at 60 frames a second at most.
const INTERVAL_PER_KIB: Duration = Duration::from_millis(1);
/// Longest time between two frames for which there was room.
pub const INTERVAL_MAX: Duration = Duration::from_millis(16);

/// What a session shows to all its viewers.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The shared screen.
    pub frame: Frame,
    /// What the host knows of viewers' keys; the marks under the numbers that they joined by.
    pub keys: Arc<KeyReport>,
    /// What scrolled off the screen, for replicas.
    pub scrollback: Scrollback,
    /// How it is with the host.
    pub standing: HostStanding,
    /// The same in words; lies over the last row.
    pub notice: Option<Arc<str>>,
}

/// One viewer's terminal.
pub struct Painter {
    renderer: Renderer,
    viewport: Viewport,
    size: Size,
    view: Arc<View>,
    /// Shown until then, unless there is a notice.
    hint: Option<(&'static str, Instant)>,
    is_changed: bool,
    last: Option<Painted>,
}

#[derive(Debug, Clone, Copy)]
struct Painted {
    at: Instant,
    byte_count: usize,
}

impl std::fmt::Debug for Painter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Painter").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Painter {
    /// For a terminal that shows nothing yet.
    pub fn new(capabilities: Capabilities, size: Size, view: Arc<View>) -> Self {
        Self {
            renderer: Renderer::new(capabilities),
            viewport: Viewport::default(),
            size,
            view,
            hint: None,
            is_changed: true,
            last: None,
        }
    }

    /// Shows `hint` over the last row until `until`, unless there is a notice.
    pub fn set_hint(&mut self, hint: &'static str, until: Instant) {
        self.hint = Some((hint, until));
        self.is_changed = true;
    }

    /// Takes the hint away, if there is one.
    pub fn drop_hint(&mut self) {
        self.is_changed |= self.hint.take().is_some();
    }

    /// Bytes to begin with.
    pub fn enter(&mut self) -> Vec<u8> {
        self.renderer.enter()
    }

    /// The session looks different now.
    pub fn handle_view(&mut self, view: Arc<View>) {
        self.view = view;
        self.is_changed = true;
    }

    /// The viewer's terminal changed its size; what it shows then is unknown.
    pub fn handle_resize(&mut self, size: Size) {
        if self.size != size {
            self.size = size;
            self.renderer.forget();
            self.is_changed = true;
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.hint.is_some_and(|(_, until)| until <= now) {
            self.hint = None;
            self.is_changed = true;
        }
    }

    /// Bytes that show the newest view, if it's time for them and the viewer has room.
    pub fn poll_paint(&mut self, room: Room, now: Instant) -> Option<Vec<u8>> {
        let is_due = self.next_paint().is_none_or(|next| next <= now);
        if !self.is_changed || !is_due || !room.allows(self.last.map(|last| last.at), now) {
            return None;
        }
        self.is_changed = false;
        let hint = self.hint.map(|(hint, _)| hint);
        let notice = self.view.notice.as_deref().or(hint);
        let frame = self.viewport.compose(&self.view.frame, self.size, notice);
        let bytes = self.renderer.render(&frame);
        if bytes.is_empty() {
            return None;
        }
        self.last = Some(Painted { at: now, byte_count: bytes.len() });
        Some(bytes)
    }

    /// When [`Painter::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.hint.map(|(_, until)| until)
    }

    /// When [`Painter::poll_paint`] should be asked, if there is something to paint.
    pub fn poll_paint_time(&self) -> Option<Instant> {
        self.is_changed.then(|| self.next_paint()).flatten()
    }

    /// Whether there is something to paint.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    fn next_paint(&self) -> Option<Instant> {
        self.last.map(|last| {
            let kibs = u32::try_from(last.byte_count / 1024).unwrap_or(u32::MAX);
            let interval = INTERVAL_MIN.saturating_add(INTERVAL_PER_KIB.saturating_mul(kibs));
            last.at + interval.min(INTERVAL_MAX)
        })
    }

    /// Left and top of the part of the shared screen that is shown.
    pub fn offset(&self) -> (u16, u16) {
        self.viewport.offset()
    }

    /// Bytes that leave the terminal as it was, with `text` as the last thing on it.
    pub fn leave(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = self.renderer.leave();
        bytes.extend(text.as_bytes());
        bytes.extend(b"\r\n");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::gauge::STALLED_INTERVAL;
    use tern_term::Screen;

    const SIZE: Size = Size { cols: 40, rows: 5 };

    fn view(text: &str, notice: Option<&str>) -> Arc<View> {
        let frame = Frame::from_lines(SIZE, [text]);
        Arc::new(View { frame, notice: notice.map(Into::into), ..View::default() })
    }

    /// A painter, and the terminal that it draws on.
    struct Pair {
        painter: Painter,
        terminal: Screen,
        now: Instant,
    }

    impl Pair {
        fn new(view: Arc<View>) -> Self {
            let now = Instant::now();
            let mut painter = Painter::new(Capabilities::full(), SIZE, view);
            let mut terminal = Screen::new(SIZE);
            terminal.handle_output(&painter.enter(), now);
            Self { painter, terminal, now }
        }

        fn paint(&mut self, room: Room) -> bool {
            let bytes = self.painter.poll_paint(room, self.now);
            let has_painted = bytes.is_some();
            self.terminal.handle_output(&bytes.unwrap_or_default(), self.now);
            has_painted
        }

        fn shown(&mut self) -> String {
            self.terminal.frame().to_text()
        }
    }

    #[test]
    fn first_frame_is_shown_at_once_and_the_next_in_time() {
        let mut pair = Pair::new(view("one", None));
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("one"));
        pair.painter.handle_view(view("two", None));
        assert!(!pair.paint(Room::Open), "too early");
        pair.now = pair.painter.poll_paint_time().expect("something to paint");
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("two"));
        assert_eq!(pair.painter.poll_paint_time(), None);
    }

    #[test]
    fn slow_viewer_skips_to_the_newest_frame() {
        let mut pair = Pair::new(view("0", None));
        assert!(pair.paint(Room::Open));
        for number in 1..100 {
            pair.now += Duration::from_millis(20);
            pair.painter.handle_view(view(&format!("number {number}"), None));
            assert!(!pair.paint(Room::Full));
        }
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("number 99"));
        pair.painter.handle_view(view("later", None));
        assert!(!pair.paint(Room::Stalled));
        pair.now += STALLED_INTERVAL;
        assert!(pair.paint(Room::Stalled));
    }

    #[test]
    fn hint_goes_in_time_and_a_notice_with_its_cause() {
        let mut pair = Pair::new(view("text", None));
        let until = pair.now + Duration::from_secs(5);
        pair.painter.set_hint("press q", until);
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("press q"));
        assert_eq!(pair.painter.poll_timeout(), Some(until));
        pair.now = until;
        pair.painter.handle_timeout(until);
        assert!(pair.paint(Room::Open));
        assert!(!pair.shown().contains("press q"));

        pair.now += INTERVAL_MAX;
        pair.painter.handle_view(view("text", Some("host last heard 9 s ago")));
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("host last heard 9 s ago"));
    }

    #[test]
    fn hint_that_is_dropped_goes_at_once() {
        let mut pair = Pair::new(view("text", None));
        pair.painter.set_hint("press q", pair.now + Duration::from_secs(5));
        assert!(pair.paint(Room::Open));
        pair.painter.drop_hint();
        pair.now = pair.painter.poll_paint_time().expect("something to paint");
        assert!(pair.paint(Room::Open));
        assert!(!pair.shown().contains("press q"));
        assert_eq!(pair.painter.poll_timeout(), None);
    }

    #[test]
    fn terminal_of_another_size_is_drawn_anew() {
        let mut pair = Pair::new(view("text", None));
        assert!(pair.paint(Room::Open));
        pair.now += INTERVAL_MAX;
        let size = Size { cols: 20, rows: 3 };
        pair.terminal = Screen::new(size);
        pair.painter.handle_resize(size);
        assert!(pair.paint(Room::Open));
        assert!(pair.shown().contains("text"));
    }
}
