//! What must hold for any bytes. The fuzz targets feed them what they find, the crate's tests what
//! they found before and what they draw themselves.

use std::time::{Duration, Instant};

use tern_sync::State as _;
use tern_term::{Capabilities, Clusters, Frame, Modes, Renderer, Screen, Size, Viewport};

/// A diff from elsewhere: applied or refused, never worse.
pub(crate) fn check_apply(bytes: &[u8]) {
    let base = Frame::from_lines(Size { cols: 20, rows: 5 }, ["shell$ ls", "", "日本語 e\u{301}"]);
    if let Ok(frame) = base.apply(bytes) {
        check_pair(&base, &frame);
    }
}

/// A program's output, cut in pieces at each `\xff` (a size for the screen follows it): every
/// picture turns into the next by diff and by drawing.
pub(crate) fn check_output(bytes: &[u8]) {
    let now = Instant::now();
    let mut screen = Screen::new(Size { cols: 20, rows: 8 });
    let mut frames = vec![screen.frame()];
    for piece in bytes.split(|b| *b == 0xff) {
        screen.handle_output(piece, now);
        screen.handle_timeout(now + Duration::from_secs(1));
        assert_eq!(screen.poll_timeout(), None);
        screen.poll_reply();
        frames.push(screen.frame());
        if let [cols, rows, ..] = *piece {
            screen.resize(Size::clamped(u32::from(cols) % 50, u32::from(rows) % 20));
            frames.push(screen.frame());
        }
    }
    check_chain(&frames, Clusters::default());
}

/// Frames that follow each other, drawn one after the other on terminals of several sizes.
pub(crate) fn check_chain(frames: &[Frame], clusters: Clusters) {
    for pair in frames.windows(2) {
        check_pair(&pair[0], &pair[1]);
    }
    for viewer in [None, Some(Size { cols: 13, rows: 4 }), Some(Size { cols: 60, rows: 25 })] {
        let mut viewport = Viewport::default();
        let mut watched = Watched::new(clusters);
        let mut plain = Watched::plain(clusters);
        for frame in frames {
            let size = viewer.unwrap_or(frame.size());
            let composed = viewport.compose(frame, size, None);
            assert_eq!(composed.size(), size);
            watched.show(&composed);
            plain.show(&composed);
        }
    }
}

/// A diff leads from one frame to the other, whatever they are.
pub(crate) fn check_pair(a: &Frame, b: &Frame) {
    for (from, to) in [(a, b), (b, a)] {
        let diff = to.diff(from);
        let applied = from.apply(&diff).expect("our own diff is good");
        assert!(applied == *to, "\n{}\n{}", applied.to_text(), to.to_text());
        assert_eq!(diff.is_empty(), to.is_same(from));
    }
}

/// A viewer's terminal.
pub(crate) struct Watched {
    /// Shows everything, not only text.
    is_full: bool,
    renderer: Renderer,
    screen: Option<Screen>,
    clusters: Clusters,
    entered: Vec<u8>,
}

impl Watched {
    /// It shows nothing yet. Its terminal joins characters by the rule that the host's does.
    pub(crate) fn new(clusters: Clusters) -> Self {
        Self::with(Capabilities::full(), true, clusters)
    }

    /// One that can do next to nothing.
    pub(crate) fn plain(clusters: Clusters) -> Self {
        Self::with(Capabilities::from_env("vt100", None), false, clusters)
    }

    fn with(capabilities: Capabilities, is_full: bool, clusters: Clusters) -> Self {
        let mut renderer = Renderer::new(capabilities);
        let entered = renderer.enter();
        Self { is_full, renderer, screen: None, clusters, entered }
    }

    /// Draws a frame, and looks whether it is what the terminal then shows. Returns the bytes.
    pub(crate) fn show(&mut self, frame: &Frame) -> Vec<u8> {
        let now = Instant::now();
        let size = frame.size();
        let screen = self.screen.get_or_insert_with(|| {
            let mut screen = Screen::new(size);
            screen.set_clusters(self.clusters);
            screen.handle_output(&self.entered, now);
            screen
        });
        if screen.frame().size() != size {
            screen.resize(size);
            self.renderer.forget();
        }
        let bytes = self.renderer.render(frame);
        screen.handle_output(&bytes, now);
        let shown = screen.frame();
        if self.is_full {
            assert_same(frame, &shown, &bytes);
        } else {
            assert_eq!(frame.to_text(), shown.to_text(), "{:?}", String::from_utf8_lossy(&bytes));
        }
        assert!(self.renderer.render(frame).is_empty(), "drawn once is enough");
        bytes
    }
}

/// Everything about two frames is the same, except counters and what a viewer takes otherwise.
pub(crate) fn assert_same(wanted: &Frame, shown: &Frame, bytes: &[u8]) {
    for row in 0..wanted.size().rows {
        assert!(
            wanted.rows()[usize::from(row)] == shown.rows()[usize::from(row)],
            "row {row}\nwanted {}\nshown  {}\nbytes {:?}",
            wanted.row_to_styled_text(row),
            shown.row_to_styled_text(row),
            String::from_utf8_lossy(bytes),
        );
    }
    assert_eq!(wanted.cursor().is_visible, shown.cursor().is_visible);
    if wanted.cursor().is_visible {
        assert_eq!(wanted.cursor(), shown.cursor(), "{:?}", String::from_utf8_lossy(bytes));
    }
    let ours =
        |frame: &Frame| frame.modes().with(Modes::ALT_SCREEN, false).with(Modes::ALT_SCROLL, false);
    assert_eq!(ours(wanted), ours(shown));
    assert_eq!(wanted.title(), shown.title());
}
