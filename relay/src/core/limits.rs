//! Every limit that an operator can set, with its name, default and reason.

use std::time::Duration;
use tern_sync::MESSAGE_SIZE_MAX;
use tern_term::Size;

/// Bytes that a session may hold whatever others do, so that nobody is kept out by those who hold
/// much: an ordinary screen of 200 x 50 cells and some of its predecessors. 2000 sessions: 512 MB.
pub const SESSION_MEMORY_OWN: usize = 256 * 1024;

/// Bytes that a viewer who keeps a replica may hold of its own: some keys on their way, and what it
/// has of frames that nobody else has any more. 5000 viewers: 160 MB.
pub const VIEWER_MEMORY_OWN: usize = 32 * 1024;

/// What one relay allows. The defaults fit a server with 2 GB of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once. 2000 idle ones take 2000 x 300 kB = 600 MB.
    pub sessions: usize,
    /// Sessions at once that were asked for from one address.
    pub sessions_per_address: usize,
    /// Viewers at once, of all sessions.
    pub viewers: usize,
    /// Viewers at once of one session.
    pub viewers_per_session: usize,
    /// SSH and QUIC connections at once from one address (an IPv6 /64 is one). A class of 200
    /// behind one address fits.
    pub connections_per_address: usize,
    /// Connections at once that have not said yet who they are; one address may have an eighth.
    pub connections_pending: usize,
    /// Wrong tokens and requests for a session per address and minute.
    pub tries_per_minute: u32,
    /// From a connection's first byte until it has a role (viewer, host).
    pub auth_time: Duration,
    /// Largest shared screen in cells, and largest of a viewer's terminal. 640 x 180, a 4K monitor
    /// with a tiny font, fits.
    pub screen_cells: usize,
    /// Longest message of a host's, in bytes; bounds what is allocated for one.
    pub message_size: usize,
    /// Bytes that one session may hold on the relay (screens kept as bases for diffs, pieces, keys
    /// that its host has not confirmed). The largest screen, kept 16 times, fits.
    pub session_memory: usize,
    /// Bytes that all sessions may hold together, beyond [`SESSION_MEMORY_OWN`] that each has of its
    /// own, and the links of viewers beyond [`VIEWER_MEMORY_OWN`]; those of one address may hold a
    /// quarter.
    pub memory: usize,
    /// How long a host may stay away before its session ends: a night and a day.
    pub host_away: Duration,
    /// How long after it was granted a session may be brought back by its ticket, when the relay
    /// has forgotten it (restart, or the host was away too long).
    pub ticket_time: Duration,
    /// How long a viewer who joins is shown how to leave: long enough to read a short line.
    pub hint_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 2000,
            sessions_per_address: 100,
            viewers: 5000,
            viewers_per_session: 100,
            connections_per_address: 250,
            connections_pending: 1000,
            tries_per_minute: 30,
            auth_time: Duration::from_secs(20),
            screen_cells: 200_000,
            message_size: MESSAGE_SIZE_MAX,
            session_memory: 64 * 1024 * 1024,
            memory: 512 * 1024 * 1024,
            host_away: Duration::from_secs(24 * 60 * 60),
            ticket_time: Duration::from_secs(30 * 24 * 60 * 60),
            hint_time: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// A viewer's terminal, cut to what may be drawn for it: rows go first.
    pub fn viewer_size(&self, cols: u32, rows: u32) -> Size {
        // A terminal of 0 x 0 is one that doesn't know its size.
        let (cols, rows) = (if cols == 0 { 80 } else { cols }, if rows == 0 { 24 } else { rows });
        let size = Size::clamped(cols, rows);
        let rows_max = (self.screen_cells / usize::from(size.cols)).max(1);
        Size { cols: size.cols, rows: size.rows.min(u16::try_from(rows_max).unwrap_or(u16::MAX)) }
    }

    /// Whether a host's screen is too large.
    pub fn is_too_large(&self, size: Size) -> bool {
        usize::from(size.cols) * usize::from(size.rows) > self.screen_cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewer_of_any_size_is_cut_to_the_limit() {
        let limits = Limits { screen_cells: 10_000, ..Limits::default() };
        for (cols, rows) in [(0, 0), (1, 1), (80, 24), (100, 100), (1000, 500), (u32::MAX, 7)] {
            let size = limits.viewer_size(cols, rows);
            assert!(!limits.is_too_large(size) && size.cols > 0 && size.rows > 0, "{size:?}");
        }
        assert_eq!(limits.viewer_size(80, 24), Size { cols: 80, rows: 24 });
        assert_eq!(limits.viewer_size(0, 0), Size { cols: 80, rows: 24 });
    }
}
