//! What a shared session keeps in step, as plain data: the channels between host and relay, and
//! between relay and viewers, the events on them and the topology. The screen's channel, the same on
//! both ways, is named where the screen is (`tern_term::SCREEN`); what a host wants of its session
//! has files of its own ([`Settings`], [`Webhook`]).

mod settings;
mod webhook;

pub use settings::{
    ACCESS_LINE_SIZE_MAX, ACCESS_LINES_MAX, ACCESS_SIZE_MAX, Access, REFUSED_MAX, Refused,
    SETTINGS, Settings,
};
pub use webhook::{
    About, REPORT_SIZE_MAX, System, USERDATA_SIZE_MAX, WEBHOOK, WEBHOOK_REPORT,
    WEBHOOK_SECRET_SIZE_MAX, WEBHOOK_URL_SIZE_MAX, Webhook, WebhookReport,
};

use crate::log::{Entry, Log, Whole};
use crate::scrollback::ScrollbackEntry;
use crate::{BadDiff, Channel};
use serde::{Deserialize, Serialize};

/// Host to relay: windows and panes of the session.
pub const TOPOLOGY: Channel<Whole<Topology>> = Channel::new(2);
/// Host to relay: what the host decides about viewers and the session.
pub const HOST_EVENTS: Channel<Log<HostEvent>> = Channel::new(3);
/// Relay to host: what viewers do.
pub const VIEWER_EVENTS: Channel<Log<ViewerEvent>> = Channel::new(16);

/// Host to relay, and relay to viewer: lines that scrolled off the screen. The last of both ways:
/// packets are filled in the order of numbers.
pub const SCROLLBACK: Channel<Log<ScrollbackEntry>> = Channel::new(40);

/// Viewer to relay: what the viewer does.
pub const VIEWER_ACTIONS: Channel<Log<ViewerAction>> = Channel::new(48);
/// Relay to viewer: how it is with the host.
pub const HOST_STANDING: Channel<Whole<HostStanding>> = Channel::new(32);
/// Relay to viewer: its last words.
pub const FAREWELL: Channel<Log<Farewell>> = Channel::new(33);

/// Relay to viewer: how many bytes of what it typed its session has taken, from state 0 on. Told every
/// [`TAKEN_STEP`] of them. The relay reads a viewer's link whatever happens, for pings are on it, so
/// it's the viewer that stops, at [`TYPED_WINDOW`].
pub const TAKEN: Channel<Whole<u64>> = Channel::new(34);

/// Bytes that a viewer may have typed and its session not taken: a page of pasted text several times
/// over, more than a path of 5 Mbit/s and 100 ms holds.
pub const TYPED_WINDOW: usize = 64 * 1024;
/// Bytes between two words of what was taken: somebody who types costs nothing.
pub const TAKEN_STEP: usize = 16 * 1024;

const _: () = assert!(TAKEN_STEP + INPUT_SIZE_MAX <= TYPED_WINDOW, "who may not type is told more");

/// A viewer of one session; never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViewerId(pub u32);

/// What a viewer may do, by the token it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Types, and counts for the window's size.
    #[serde(rename = "w")]
    ReadWrite,
    /// Only looks.
    #[serde(rename = "r")]
    ReadOnly,
}

/// A viewer's place between relay and viewer, which it keeps over its links: nothing else opens it
/// than its secret, which isn't told.
pub type PlaceId = [u8; 16];

/// A key that somebody has shown to be theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownKey {
    /// SHA-256 of the public key.
    pub fingerprint: [u8; 32],
    /// What the host's list calls it, at most [`COMMENT_SIZE_MAX`] bytes; may be empty.
    pub comment: String,
}

/// Who a viewer is, as far as the relay knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// By its token and its key.
    pub role: Role,
    /// IP address it came from, without port.
    pub address: String,
    /// The key that let it in, if the session asks for one.
    pub key: Option<ShownKey>,
    /// Its place, if it came by `tern join`; `None`: by ssh.
    pub place: Option<PlaceId>,
}

/// What viewers do, told to the host by the relay. (Variants have short names on the wire, for the
/// name of [`ViewerEvent::Input`] travels with every key.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewerEvent {
    /// A viewer is attached.
    #[serde(rename = "j")]
    Joined {
        /// Its number from now on.
        viewer: ViewerId,
        /// Who.
        who: Visitor,
        /// Columns of its terminal.
        cols: u16,
        /// Rows of its terminal.
        rows: u16,
    },
    /// A viewer wants in, and the host wants to be asked: [`HostEvent::Admit`] or
    /// [`HostEvent::Dismiss`] is awaited. Until then it sees nothing of the session.
    #[serde(rename = "a")]
    Asks {
        /// Its number, the same when it has joined.
        viewer: ViewerId,
        /// Who.
        who: Visitor,
    },
    /// Nothing is heard of a viewer that is in, and it keeps its place. [`ViewerEvent::Joined`] with
    /// the same number tells that it is back, [`ViewerEvent::Left`] that it doesn't come any more.
    #[serde(rename = "w")]
    Away {
        /// Which.
        viewer: ViewerId,
    },
    /// A viewer is gone, with or without a word.
    #[serde(rename = "l")]
    Left {
        /// Which.
        viewer: ViewerId,
    },
    /// Bytes that a read-write viewer's terminal sent, whole keys or escape sequences.
    #[serde(rename = "i")]
    Input {
        /// Whose.
        viewer: ViewerId,
        /// At most [`INPUT_SIZE_MAX`] bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Comes back in the report of the first picture that shows the effect; 0 if the viewer
        /// doesn't want to know.
        mark: u32,
    },
    /// Whether [`SCROLLBACK`] is wanted: somebody keeps a replica, or nobody any more.
    #[serde(rename = "b")]
    Scrollback {
        /// Not before this was told.
        is_wanted: bool,
    },
    /// A viewer's terminal changed its size.
    #[serde(rename = "r")]
    Resized {
        /// Whose.
        viewer: ViewerId,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
}

/// Most bytes in one [`ViewerEvent::Input`] or [`ViewerAction::Input`]; longer input is cut.
pub const INPUT_SIZE_MAX: usize = 4096;

/// What a viewer does that keeps a replica of the screen, told to the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewerAction {
    /// The size of its terminal, first of all and whenever it changed.
    #[serde(rename = "r")]
    Resized {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Its terminal sent this; mouse reports speak of the shared screen.
    #[serde(rename = "i")]
    Input {
        /// At most [`INPUT_SIZE_MAX`] bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// As in [`ViewerEvent::Input`]: a number that grows (and wraps) from one to the next, never 0.
        mark: u32,
    },
    /// It goes.
    #[serde(rename = "l")]
    Leave,
}

/// How it is with the host, told to viewers when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HostStanding {
    /// It has not come yet.
    #[default]
    #[serde(rename = "w")]
    Awaited,
    /// It is asked whether to let this viewer in.
    #[serde(rename = "a")]
    Asked,
    /// It is heard.
    #[serde(rename = "p")]
    Present,
    /// It is not heard; told again every [`STANDING_INTERVAL`].
    #[serde(rename = "s")]
    Silent {
        /// For so many seconds, when this was told.
        seconds: u32,
    },
}

/// How often viewers are told how long the host has been silent; between, they count themselves.
pub const STANDING_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);

/// What a viewer is told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// Stays on its terminal.
    pub text: String,
    /// Of its program.
    pub exit_status: u8,
}

/// What the host decides, told to the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostEvent {
    /// Let this viewer go (it typed the multiplexer's detach key, or was told to leave).
    #[serde(rename = "d")]
    Detach {
        /// Which.
        viewer: ViewerId,
        /// What its terminal shows last, e.g. `[detached (from session 0)]`.
        text: String,
    },
    /// Let this viewer in, who [asks](ViewerEvent::Asks).
    #[serde(rename = "a")]
    Admit {
        /// Which.
        viewer: ViewerId,
    },
    /// Show this viewer the door, in or not yet in.
    #[serde(rename = "x")]
    Dismiss {
        /// Which.
        viewer: ViewerId,
        /// What its terminal shows last.
        text: String,
    },
    /// The session is over; every viewer goes, the tokens are dead.
    #[serde(rename = "e")]
    Ended {
        /// What viewers' terminals show last, e.g. `[session ended]`.
        text: String,
    },
}

/// The shape of the session: what control-mode viewers and titles need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The multiplexer's name for the session; empty on a plain pty.
    pub session_name: String,
    /// In index order, at most [`WINDOWS_MAX`].
    pub windows: Vec<Window>,
}

/// A window of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// tmux's `@N`.
    pub id: u32,
    /// Index in the session.
    pub index: u32,
    /// Name, at most [`NAME_SIZE_MAX`] bytes.
    pub name: String,
    /// Whether it is the session's current window.
    pub is_active: bool,
    /// tmux's layout string (visible layout), at most [`LAYOUT_SIZE_MAX`] bytes.
    pub layout: String,
    /// At most [`PANES_MAX`].
    pub panes: Vec<Pane>,
}

/// A pane of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    /// tmux's `%N`.
    pub id: u32,
    /// Whether it is its window's active pane.
    pub is_active: bool,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Left and top within the window.
    pub offset: (u16, u16),
    /// Pane title, at most [`NAME_SIZE_MAX`] bytes.
    pub title: String,
}

/// Most windows in a [`Topology`].
pub const WINDOWS_MAX: usize = 500;
/// Most panes in a [`Window`].
pub const PANES_MAX: usize = 500;
/// Most panes in all windows of a [`Topology`]. With [`ALL_TEXT_SIZE_MAX`], and some 100 bytes for each
/// pane and window, it bounds the 17 topologies that a receiver keeps to 8 MB.
pub const ALL_PANES_MAX: usize = 2000;
/// Most bytes of all names, titles and layouts of a [`Topology`] together.
pub const ALL_TEXT_SIZE_MAX: usize = 256 * 1024;
/// Most bytes of a name or title.
pub const NAME_SIZE_MAX: usize = 256;
/// Most bytes of a layout.
pub const LAYOUT_SIZE_MAX: usize = 16 * 1024;
/// Most bytes of an IP address as text: IPv6 with a mapped IPv4 tail and a zone.
pub const ADDRESS_SIZE_MAX: usize = 64;
/// Most bytes of a key's comment: 64 characters (`tern_bootstrap::authorized_keys`).
pub const COMMENT_SIZE_MAX: usize = 256;
/// Most bytes of a text for viewers' terminals.
pub const TEXT_SIZE_MAX: usize = 1024;

impl Entry for ViewerEvent {
    const IS_ECHOED: bool = true;

    fn check(&self) -> Result<(), BadDiff> {
        match self {
            Self::Joined { who, .. } | Self::Asks { who, .. } => {
                limit(who.address.len(), ADDRESS_SIZE_MAX)?;
                limit(who.key.as_ref().map_or(0, |key| key.comment.len()), COMMENT_SIZE_MAX)
            }
            Self::Input { bytes, .. } => limit(bytes.len(), INPUT_SIZE_MAX),
            Self::Away { .. }
            | Self::Left { .. }
            | Self::Resized { .. }
            | Self::Scrollback { .. } => Ok(()),
        }
    }
}

impl Entry for ViewerAction {
    const IS_ECHOED: bool = true;

    fn check(&self) -> Result<(), BadDiff> {
        match self {
            Self::Input { mark: 0, .. } => Err(BadDiff("a mark of 0")),
            Self::Input { bytes, .. } => limit(bytes.len(), INPUT_SIZE_MAX),
            Self::Resized { .. } | Self::Leave => Ok(()),
        }
    }
}

impl Entry for HostStanding {}

impl Entry for u64 {}

impl Entry for Farewell {
    fn check(&self) -> Result<(), BadDiff> {
        limit(self.text.len(), TEXT_SIZE_MAX)
    }
}

impl Entry for HostEvent {
    fn check(&self) -> Result<(), BadDiff> {
        match self {
            Self::Detach { text, .. } | Self::Dismiss { text, .. } | Self::Ended { text } => {
                limit(text.len(), TEXT_SIZE_MAX)
            }
            Self::Admit { .. } => Ok(()),
        }
    }
}

impl Entry for Topology {
    fn check(&self) -> Result<(), BadDiff> {
        limit(self.session_name.len(), NAME_SIZE_MAX)?;
        limit(self.windows.len(), WINDOWS_MAX)?;
        let (mut panes, mut text) = (0, self.session_name.len());
        for window in &self.windows {
            limit(window.name.len(), NAME_SIZE_MAX)?;
            limit(window.layout.len(), LAYOUT_SIZE_MAX)?;
            limit(window.panes.len(), PANES_MAX)?;
            for pane in &window.panes {
                limit(pane.title.len(), NAME_SIZE_MAX)?;
                text += pane.title.len();
            }
            panes += window.panes.len();
            text += window.name.len() + window.layout.len();
        }
        limit(panes, ALL_PANES_MAX)?;
        limit(text, ALL_TEXT_SIZE_MAX)
    }

    fn size(&self) -> usize {
        let pane = |pane: &Pane| size_of::<Pane>() + pane.title.capacity();
        let window = |window: &Window| {
            let texts = window.name.capacity() + window.layout.capacity();
            size_of::<Window>() + texts + window.panes.iter().map(pane).sum::<usize>()
        };
        self.session_name.capacity() + self.windows.iter().map(window).sum::<usize>()
    }
}

fn limit(size: usize, size_max: usize) -> Result<(), BadDiff> {
    if size > size_max { Err(BadDiff("longer than a session allows")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    #[test]
    fn typed_key_is_nine_bytes() {
        let base = Log::new();
        let mut log = Log::new();
        assert!(log.push(ViewerEvent::Input {
            viewer: ViewerId(1),
            bytes: b"k".to_vec(),
            mark: 0
        }));
        assert_eq!(log.diff(&base).len(), 9);
    }

    #[test]
    fn largest_honest_values_pass_and_larger_ones_do_not() {
        let input =
            |size| ViewerEvent::Input { viewer: ViewerId(1), bytes: vec![0; size], mark: 0 };
        assert!(input(INPUT_SIZE_MAX).check().is_ok());
        assert!(input(INPUT_SIZE_MAX + 1).check().is_err());
        let typed = |size, mark| ViewerAction::Input { bytes: vec![0; size], mark };
        assert!(typed(INPUT_SIZE_MAX, 1).check().is_ok());
        assert!(typed(INPUT_SIZE_MAX + 1, 1).check().is_err());
        assert!(typed(1, 0).check().is_err(), "0 means that none is wanted");
        let farewell = |size| Farewell { text: "x".repeat(size), exit_status: 0 };
        assert!(farewell(TEXT_SIZE_MAX).check().is_ok());
        assert!(farewell(TEXT_SIZE_MAX + 1).check().is_err());
        let ended = |size| HostEvent::Ended { text: "x".repeat(size) };
        assert!(ended(TEXT_SIZE_MAX).check().is_ok());
        assert!(ended(TEXT_SIZE_MAX + 1).check().is_err());
        let crowded = |windows: usize, panes: usize| {
            let window = Window { panes: vec![Pane::default(); panes], ..Window::default() };
            Topology { session_name: String::new(), windows: vec![window; windows] }
        };
        assert!(crowded(4, 500).check().is_ok());
        assert!(crowded(5, 500).check().is_err(), "too many in all");
        let named = |size| Topology { session_name: "x".repeat(size), windows: Vec::new() };
        assert!(named(NAME_SIZE_MAX).check().is_ok());
        assert!(named(NAME_SIZE_MAX + 1).check().is_err());
    }
}
