//! `term` is the screen: a program's output becomes immutable [`Frame`]s, frames are diffed,
//! applied, cropped for a viewer and rendered to escape sequences. It does no I/O and has no
//! clock; it knows nothing of networks, sessions or who watches.
//!
//! ```text
//! program's bytes -> Screen -> Frame -> diff ~~~> apply -> Frame -> Viewport -> Renderer -> bytes
//! ```
//!
//! How many cells a character takes is decided once, by the [`Screen`], and travels with the cell:
//! nothing after it asks a width table again.

mod diff;
mod frame;
mod link;
mod overlay;
mod render;
mod row;
mod screen;
pub mod scrollback;
mod shown;
mod size;
mod style;
mod viewport;
mod width;
mod wire;

pub use frame::{Clipboard, Cursor, CursorShape, Frame, Modes};
pub use link::{LINK_ID_BYTES_MAX, LINK_URI_BYTES_MAX, Link};
pub use overlay::Area;
pub use render::{Capabilities, ColorDepth, Renderer, still};
pub use row::{CLUSTER_BYTES_MAX, Cell, Content, Row};
pub use screen::{
    CLIPBOARD_BYTES_MAX, Clusters, Screen, ScrolledOff, TITLE_CHARS_MAX, rows_of_lines,
};
pub use shown::{KeyReport, KeyTarget, MARKS_MAX, PREFIX_SIZE_MAX, PREFIXES_MAX, Shown};
pub use size::{COLS_MAX, ROWS_MAX, Size};
pub use style::{Attrs, Color, Style, Underline};
pub use viewport::Viewport;

use tern_sync::Channel;

/// Host to relay, and relay to viewer: the composite screen.
pub const SCREEN: Channel<Shown> = Channel::new(1);
